//! Cases that only MySQL has: other instances, lost connections.

use std::{sync::Arc, time::Duration};

use command_service::event_store::{
    Append as _, AppendError, Buckets, EventLog as _, Group, IdempotencyKeys as _, KeyId, Leases as _,
    Outbox as _, Position, mysql::MySqlStore,
};
use shared_events::{RoomId, Version};
use sqlx::{Executor, Row};
use tokio::time::timeout;

use crate::{
    proxy::{Cut, Proxy},
    samples::{event, events, ids, key, room},
    servers::Database,
};

/// Longer than anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// One group over many rooms, each at its next version, with a key each.
async fn next_group(store: &MySqlStore, rooms: &[RoomId], keys: u128) -> Group {
    let heads = store.heads(rooms).await.unwrap();
    let head = |room| heads.iter().find(|(found, _)| *found == room).map_or(0, |(_, version)| version.get());
    Group {
        events: rooms.iter().map(|room| event(*room, head(*room) + 1)).collect(),
        keys: (0..rooms.len()).map(|at| key(keys + at as u128, at)).collect(),
        rooms: Vec::new(),
        ..Group::default()
    }
}

async fn assert_keys_point_at_their_events(store: &MySqlStore, group: &Group) {
    let wanted: Vec<KeyId> = group.keys.iter().map(|key| key.id).collect();
    let found = store.find_keys(&wanted).await.unwrap();
    assert_eq!(found.len(), wanted.len());
    for record in found {
        let made = group.keys.iter().find(|key| key.id == record.id).unwrap();
        let expected = &group.events[made.event.unwrap()];
        let stored = record.event.unwrap();
        assert_eq!((stored.room, stored.version), (expected.room, expected.version));
    }
}

#[tokio::test]
async fn two_instances_that_write_the_same_rooms_in_opposite_order_never_deadlock() {
    let database = Database::new().await;
    let ascending: Vec<_> = (1..=200).map(room).collect();
    let descending: Vec<_> = ascending.iter().rev().copied().collect();
    let mut writers = Vec::new();
    for (instance, rooms) in (1_u128..).zip([ascending, descending]) {
        let store = database.open();
        writers.push(tokio::spawn(async move {
            let mut conflicts = 0;
            for round in 0..30 {
                loop {
                    let group = next_group(&store, &rooms, instance << 64 | round << 32).await;
                    match store.append(&group).await {
                        Ok(_) => break,
                        Err(AppendError::Conflict("version")) => conflicts += 1,
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
            conflicts
        }));
    }
    let mut conflicts = 0;
    for writer in writers {
        conflicts += timeout(LIMIT * 3, writer).await.unwrap().unwrap();
    }
    assert!(conflicts > 0, "the two never met");
    let heads = database.open().all_heads(None, 1000).await.unwrap();
    assert_eq!(heads.len(), 200);
    assert!(heads.iter().all(|(_, version)| *version == 60));
}

#[tokio::test]
async fn pointers_and_positions_are_right_under_two_instances_that_insert_at_once() {
    let database = Database::new().await;
    let mut writers = Vec::new();
    for instance in [1_u128, 2] {
        let store = database.open();
        writers.push(tokio::spawn(async move {
            let mut groups = Vec::new();
            for round in 0..20_u128 {
                // Sizes that take one, two and three statements.
                let size = [1, 16, 37, 300][usize::try_from(round % 4).unwrap()];
                let base = instance << 60 | round << 20;
                let rooms: Vec<_> = (0..size).map(|number| room(base + number)).collect();
                let group = next_group(&store, &rooms, base).await;
                let positions = store.append(&group).await.unwrap().positions;
                groups.push((group, positions));
            }
            groups
        }));
    }
    let store = database.open();
    for writer in writers {
        for (group, positions) in writer.await.unwrap() {
            assert_keys_point_at_their_events(&store, &group).await;
            for (event, position) in group.events.iter().zip(positions) {
                assert_eq!(store.stream(event.room, Version::NONE, 1).await.unwrap()[0].position, position);
            }
        }
    }
}

#[tokio::test]
async fn pointers_are_right_where_ids_go_up_in_larger_steps() {
    let database = Database::new().await;
    // As if the server's own setting were this one, without changing it for everybody else.
    let from = "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,";
    let to = "'', auto_increment_increment = 7, sql_mode = '";
    let to = to.replacen(' ', &" ".repeat(from.len() - to.len() + 1), 1);
    let proxy = Proxy::start(&database, Cut::Answer, Some((from.to_owned(), to))).await;
    let mut writers = Vec::new();
    for instance in [1_u128, 2] {
        let store = proxy.open();
        writers.push(tokio::spawn(async move {
            let rooms: Vec<_> = (1..=50).map(|number| room(instance * 1000 + number)).collect();
            let mut groups = Vec::new();
            for round in 0..5 {
                let group = next_group(&store, &rooms, (instance * 10 + round) << 32).await;
                let mut positions = store.append(&group).await.unwrap().positions;
                positions.sort_unstable();
                assert!(
                    positions[..48].windows(2).all(|pair| pair[1].get() == pair[0].get() + 7),
                    "{positions:?}"
                );
                groups.push(group);
            }
            groups
        }));
    }
    let store = database.open();
    for writer in writers {
        for group in writer.await.unwrap() {
            assert_keys_point_at_their_events(&store, &group).await;
        }
    }
    assert_eq!(store.undelivered(Buckets::ALL, 1000).await.unwrap().len(), 500);
}

#[tokio::test]
async fn a_transaction_that_took_its_position_first_and_commits_last_is_still_delivered() {
    let database = Database::new().await;
    let store = database.open();
    let mut late = database.connect().await;
    late.execute("SET transaction_isolation = 'READ-COMMITTED'").await.unwrap();
    late.execute("BEGIN").await.unwrap();
    let insert = "INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) \
                  VALUES (x'000000000000000000000000000000ff', 1, 'late', '{}', '{}', 0)";
    let position = late.execute(insert).await.unwrap().last_insert_id();
    late.execute(format!("INSERT INTO outbox VALUES ({position}, 0)").as_str()).await.unwrap();

    let positions = store.append(&events(vec![event(room(1), 1)])).await.unwrap().positions;
    let position = Position::from(position);
    assert!(positions[0] > position);
    let seen = store.undelivered(Buckets::ALL, 10).await.unwrap();
    assert_eq!(ids(&store.events_at(&seen).await.unwrap()), [(room(1), 1)]);
    late.execute("COMMIT").await.unwrap();
    store.delete_delivered(&positions).await.unwrap();
    assert_eq!(store.undelivered(Buckets::ALL, 10).await.unwrap(), [position]);
}

#[tokio::test]
async fn an_open_transaction_of_another_makes_a_group_wait_for_a_second_at_most() {
    let database = Database::new().await;
    let store = database.open();
    store.append(&events(vec![event(room(1), 1)])).await.unwrap();
    let mut other = database.connect().await;
    other.execute("BEGIN").await.unwrap();
    let insert = "INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) \
                  SELECT stream_id, 2, type, payload, metadata, 0 FROM events";
    other.execute(insert).await.unwrap();
    let group = events(vec![event(room(1), 2), event(room(2), 1)]);
    let error = timeout(LIMIT, store.append(&group)).await.unwrap().unwrap_err();
    assert!(matches!(error, AppendError::Transient(_)), "{error:?}");
    // MySQL itself waits for 50 seconds, unless the session says otherwise.
    assert!(format!("{error:?}").contains("Lock wait timeout exceeded"), "{error:?}");
    other.execute("ROLLBACK").await.unwrap();
    store.append(&group).await.unwrap();
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found() {
    let database = Database::new().await;
    let proxy = Proxy::start(&database, Cut::Answer, None).await;
    let store = proxy.open();
    store.append(&events(vec![event(room(1), 1)])).await.unwrap();
    proxy.arm();
    let error = timeout(LIMIT, store.append(&events(vec![event(room(1), 2)]))).await.unwrap().unwrap_err();
    assert!(matches!(error, AppendError::Unknown(_)), "{error:?}");
    assert_eq!(store.heads(&[room(1)]).await.unwrap(), [(room(1), 2.into())]);
    let error = store.append(&events(vec![event(room(1), 2)])).await.unwrap_err();
    assert!(matches!(error, AppendError::Conflict("version")), "{error:?}");
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_dead_before_its_absence_is_told() {
    let database = Database::new().await;
    let proxy = Proxy::start(&database, Cut::Request, None).await;
    let store = proxy.open();
    store.append(&events(vec![event(room(1), 1)])).await.unwrap();
    let mut other = database.connect().await;
    let sessions = "SELECT CAST(COUNT(*) AS SIGNED) FROM performance_schema.metadata_locks \
                    WHERE object_type = 'USER LEVEL LOCK' AND object_name LIKE 'writer-%' AND owner_thread_id IN \
                    (SELECT thread_id FROM performance_schema.threads WHERE processlist_db = DATABASE())";
    let sessions_of =
        async |other: &mut sqlx::MySqlConnection| -> i64 { other.fetch_one(sessions).await.unwrap().get(0) };
    assert_eq!(sessions_of(&mut other).await, 1);
    proxy.arm();
    let error = timeout(LIMIT, store.append(&events(vec![event(room(1), 2)]))).await.unwrap().unwrap_err();
    assert!(matches!(error, AppendError::Unknown(_)), "{error:?}");
    assert_eq!(sessions_of(&mut other).await, 1, "the server has noticed nothing yet");
    assert_eq!(store.heads(&[room(1)]).await.unwrap(), [(room(1), 1.into())]);
    assert_eq!(sessions_of(&mut other).await, 0);
    timeout(LIMIT, store.append(&events(vec![event(room(1), 2)]))).await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_that_the_server_has_ended_cost_nobody_an_answer() {
    let database = Database::new().await;
    let store = database.open();
    store.append(&events(vec![event(room(1), 1)])).await.unwrap();
    let mut other = database.connect().await;
    let others = "SELECT processlist_id FROM performance_schema.threads \
                  WHERE processlist_db = DATABASE() AND processlist_id <> CONNECTION_ID()";
    let kill = async |other: &mut sqlx::MySqlConnection| {
        let rows = other.fetch_all(others).await.unwrap();
        assert!(!rows.is_empty());
        for row in rows {
            let id: u64 = row.get(0);
            other.execute(format!("KILL {id}").as_str()).await.unwrap();
        }
    };
    store.heads(&[room(1)]).await.unwrap();
    kill(&mut other).await;
    store.append(&events(vec![event(room(1), 2)])).await.unwrap();
    assert_eq!(store.heads(&[room(1)]).await.unwrap(), [(room(1), 2.into())]);
    kill(&mut other).await;
    store.delete_delivered(&[1.into()]).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let store = MySqlStore::open("mysql://root@127.0.0.1:1/none", 1, None, None).unwrap();
    let error = store.append(&events(vec![event(room(1), 1)])).await.unwrap_err();
    assert!(matches!(error, AppendError::Transient(_)), "{error:?}");
    assert!(store.heads(&[room(1)]).await.is_err());
    assert!(store.check().await.is_err());
}

#[tokio::test]
async fn a_value_that_is_too_long_is_refused_for_good_and_spares_the_next_group() {
    let database = Database::new().await;
    let store = database.open();
    let mut long = event(room(1), 1);
    long.event_type = "x".repeat(101).into();
    let error = store.append(&events(vec![long])).await.unwrap_err();
    assert!(matches!(error, AppendError::Permanent(_)), "{error:?}");
    store.append(&events(vec![event(room(1), 1)])).await.unwrap();
}

/// Who holds the first bucket, and under which epoch.
async fn first_lease(leases: &MySqlStore) -> (Option<String>, u64) {
    let lease = leases.leases().await.unwrap().buckets.swap_remove(0);
    (lease.holder, lease.epoch)
}

#[tokio::test]
async fn a_lease_has_one_holder() {
    let database = Database::new().await;
    let (one, two) = (database.open(), database.open());
    let free = one.leases().await.unwrap();
    assert_eq!(free.buckets.len(), 64);
    assert!(free.buckets.iter().all(|lease| lease.holder.is_none() && lease.epoch == 0));
    let (a, b) = tokio::join!(one.take("one", &free.buckets), two.take("two", &free.buckets));
    a.and(b).unwrap();
    let seen = two.leases().await.unwrap();
    let holder = seen.buckets[0].holder.clone().unwrap();
    assert!(seen.buckets.iter().all(|lease| lease.holder.as_deref() == Some(&holder) && lease.epoch == 1));
    let other = if holder == "one" { "two" } else { "one" };

    two.take(other, &seen.buckets[..1]).await.unwrap();
    assert_eq!(first_lease(&one).await, (Some(other.to_owned()), 2));
    one.take(&holder, &seen.buckets[..1]).await.unwrap();
    assert_eq!(first_lease(&one).await, (Some(other.to_owned()), 2), "it is not as it was seen");
    one.give_back(&holder, Buckets::ALL).await.unwrap();
    let left = one.leases().await.unwrap().buckets;
    assert_eq!(left.iter().filter_map(|lease| lease.holder.as_deref()).collect::<Vec<_>>(), [other]);
    one.take(&holder, &left).await.unwrap();
    assert_eq!(first_lease(&one).await, (Some(holder), 3));
}

#[tokio::test]
async fn an_instance_that_shows_life_is_not_forgotten() {
    let database = Database::new().await;
    let leases = database.open();
    leases.beat("one").await.unwrap();
    leases.beat("two").await.unwrap();
    let heartbeat = leases.leases().await.unwrap().members["one"];
    leases.beat("one").await.unwrap();
    leases.forget("one", heartbeat).await.unwrap();
    assert_eq!(leases.leases().await.unwrap().members["one"], heartbeat + 1);
    leases.forget("one", heartbeat + 1).await.unwrap();
    leases.take("two", &leases.leases().await.unwrap().buckets).await.unwrap();
    leases.leave("two").await.unwrap();
    let left = leases.leases().await.unwrap();
    assert!(left.members.is_empty(), "{left:?}");
    assert!(left.buckets.iter().all(|lease| lease.holder.is_none() && lease.epoch == 1));
}

#[tokio::test]
async fn readers_share_their_few_connections() {
    let database = Database::new().await;
    let store = Arc::new(database.open());
    let readers: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.heads(&[room(1)]).await })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap(), []);
    }
    let mut other = database.connect().await;
    let sql = "SELECT COUNT(*) FROM performance_schema.threads \
               WHERE processlist_db = DATABASE() AND processlist_id <> CONNECTION_ID()";
    let count: i64 = other.fetch_one(sql).await.unwrap().get(0);
    assert!(count <= 4, "{count} connections");
}
