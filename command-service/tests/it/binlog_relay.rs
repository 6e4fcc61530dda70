//! Events that are relayed from MySQL's binary log, and the switches between it and the outbox.

use command_service::{
    erasure::erase,
    event_store::{Append as _, Buckets, Group, Mode, Outbox as _, Phase, mysql::Passed},
};
use service_kit::ids;
use shared_events::{RoomId, Version};
use sqlx::{Connection, Executor, MySqlConnection};

use crate::{
    binlog_rig::{Rig, events},
    samples::{event, new_room},
    servers::{eventually, mysql_url},
    test_store::insert_event,
};

#[tokio::test]
async fn events_go_from_the_table_to_the_binary_log_and_back_without_a_gap() {
    let rig = Rig::new().await;
    let room = new_room();
    rig.commit(events(room, 1..=3)).await;
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 4..=6)).await;
    rig.delivers(room, 6).await;
    assert!(rig.store.outbox_is_drained().await.unwrap(), "appends write no outbox rows");
    rig.switch(Mode::Table).await;
    rig.commit(events(room, 7..=9)).await;
    rig.delivers(room, 9).await;
    rig.switch(Mode::Log).await;
    one.stop().await;
    rig.commit(events(room, 10..=12)).await;
    let another = rig.instance();
    rig.delivers(room, 12).await;
    another.stop().await;
}

#[tokio::test]
async fn rooms_whose_ids_end_in_zeros_are_delivered_from_the_binary_log() {
    let rig = Rig::new().await;
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    let rooms: Vec<RoomId> = [1, 2, 15]
        .map(|zeros| {
            let mut bytes = new_room().0.into_bytes();
            bytes[16 - zeros..].fill(0);
            RoomId(uuid::Uuid::from_bytes(bytes))
        })
        .to_vec();
    for version in 1..=3 {
        rig.commit(rooms.iter().map(|room| event(*room, version)).collect()).await;
    }
    for room in &rooms {
        rig.delivers(*room, 3).await;
    }
    assert_eq!(rig.store.relay_state().await.unwrap().phase, Phase::Log, "the log has failed");
    one.stop().await;
}

#[tokio::test]
async fn switches_under_load_in_both_directions_lose_and_misorder_nothing() {
    let rig = Rig::new().await;
    let (one, two) = (rig.instance(), rig.instance_with(Buckets::NONE));
    let rooms: Vec<RoomId> = (0..20).map(|_| new_room()).collect();
    let stop = tokio_util::sync::CancellationToken::new();
    let (store, stopped, of) = (rig.database.open(), stop.clone(), rooms.clone());
    let load = tokio::spawn(async move {
        let mut version = 0;
        while !stopped.is_cancelled() {
            version += 1;
            let events = of.iter().map(|room| event(*room, version)).collect();
            store.append(&Group { events, ..Group::default() }).await.unwrap();
        }
        version
    });
    for round in 0..10 {
        // The leader changes too.
        let (leader, other) = if round % 3 == 0 { (&two, &one) } else { (&one, &two) };
        other.leads.assign(Buckets::NONE);
        leader.leads.assign(Buckets::ALL);
        rig.switch(Mode::Log).await;
        rig.switch(Mode::Table).await;
    }
    stop.cancel();
    let last = load.await.unwrap();
    assert!(last > 20, "there was no load");
    for room in rooms {
        rig.delivers(room, last).await;
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn instances_that_are_killed_anywhere_lose_and_misorder_nothing() {
    let rig = Rig::new().await;
    let rooms: Vec<RoomId> = (0..5).map(|_| new_room()).collect();
    let mut version = 0;
    for round in 0..30_u64 {
        let mode = if round % 4 < 2 { Mode::Log } else { Mode::Table };
        rig.store.want_mode(mode).await.unwrap();
        // At another moment each time.
        let instance = rig.instance_that_dies(round * 37 % 500);
        for _ in 0..round % 7 * 3 {
            version += 1;
            rig.commit(rooms.iter().map(|room| event(*room, version)).collect()).await;
        }
        instance.dies().await;
    }
    let last = rig.instance();
    for room in rooms {
        rig.delivers(room, version).await;
    }
    last.stop().await;
}

#[tokio::test]
async fn two_that_believe_to_lead_lose_and_misorder_nothing() {
    let rig = Rig::new().await;
    let room = new_room();
    let (one, two) = (rig.instance(), rig.instance());
    rig.switch(Mode::Log).await;
    for version in 1..=200 {
        rig.commit(vec![event(room, version)]).await;
    }
    rig.switch(Mode::Table).await;
    rig.commit(events(room, 201..=202)).await;
    rig.delivers(room, 202).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_former_leader_stores_no_place_and_switches_nothing() {
    let rig = Rig::new().await;
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    let before = rig.store.relay_state().await.unwrap();
    one.stop().await;
    let newer = rig.store.lead().await.unwrap();
    let mut place = before.place.clone();
    place.delivered_to = 1_000_000.into();
    assert!(!rig.store.store_place(&place, &Passed::default()).await.unwrap());
    let former = before.place.leader_epoch;
    assert!(!rig.store.change_phase(former, before.epoch, Phase::Refilling).await.unwrap());
    let after = rig.store.relay_state().await.unwrap();
    assert_eq!((after.phase, after.place.delivered_to), (Phase::Log, before.place.delivered_to));
    assert!(rig.store.change_phase(newer, before.epoch, Phase::Refilling).await.unwrap());
}

#[tokio::test]
async fn a_transaction_that_took_its_position_first_and_commits_last_is_delivered() {
    let rig = Rig::new().await;
    let (late, early) = (new_room(), new_room());
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    let mut open = rig.database.connect().await;
    open.execute("BEGIN").await.unwrap();
    insert_event(&mut open, &event(late, 1)).await;
    rig.commit(vec![event(early, 1)]).await;
    rig.delivers(early, 1).await;
    open.execute("COMMIT").await.unwrap();
    rig.commit(vec![event(late, 2)]).await;
    rig.delivers(late, 2).await;
    one.stop().await;
}

#[tokio::test]
async fn a_transaction_of_many_rows_is_delivered_in_bounded_memory() {
    let rig = Rig::new().await;
    let room = new_room();
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    // Events of 20 kB fill many events of the log, and leave hardly any room for what is read ahead.
    let mut large = events(room, 1..=5_000);
    for event in &mut large {
        event.payload = vec![b'x'; 2_000];
    }
    rig.commit(large).await;
    rig.delivers(room, 5_000).await;
    let mut open = rig.database.connect().await;
    open.execute("SET SESSION binlog_transaction_compression = ON").await.unwrap();
    open.execute("BEGIN").await.unwrap();
    for version in 5_001..=5_100 {
        insert_event(&mut open, &event(room, version)).await;
    }
    open.execute("COMMIT").await.unwrap();
    rig.delivers(room, 5_100).await;
    one.stop().await;
}

#[tokio::test]
async fn a_person_who_was_erased_is_masked_in_what_the_binary_log_still_holds() {
    let rig = Rig::new().await;
    let room = new_room();
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    one.stop().await;
    rig.commit(vec![event(room, 1)]).await;
    let zoe = event(room, 1).metadata.actor;
    let step = erase(&*rig.store, &*rig.store, &zoe, std::time::Duration::from_secs(60)).await.unwrap();
    assert_eq!(step.masked, 1);
    let another = rig.instance();
    rig.delivers(room, 1).await;
    let sent = rig.log.events.lock().unwrap().clone();
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|event| event.metadata.actor == step.pseudonym), "{sent:?}");
    another.stop().await;
}

#[tokio::test]
async fn a_log_without_the_place_is_replaced_by_the_table() {
    let rig = Rig::new().await;
    let (room, before) = (new_room(), new_room());
    let one = rig.instance();
    rig.commit(events(before, 1..=50)).await;
    rig.delivers(before, 50).await;
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 1..=3)).await;
    rig.delivers(room, 3).await;
    one.stop().await;
    rig.commit(events(room, 4..=6)).await;
    // As if the server had purged the files after the place.
    let mut admin = rig.database.connect().await;
    admin
        .execute("UPDATE relay_place SET gtids = '', file = 'binlog.000000', file_position = 4")
        .await
        .unwrap();
    let another = rig.instance();
    eventually("the table is in use", async || rig.phase().await == Phase::Table).await;
    rig.commit(events(room, 7..=8)).await;
    rig.delivers(room, 8).await;
    let state = rig.store.relay_state().await.unwrap();
    assert_eq!(rig.log.of(before).len(), 50, "what the table delivered is not sent again");
    assert_eq!(state.wanted, Mode::Log, "the log is tried again later");
    assert!(!state.place.problem.is_empty());
    another.stop().await;
}

#[tokio::test]
async fn a_log_of_another_history_stops_the_relay_until_an_operator_wants_the_table() {
    let rig = Rig::new().await;
    let room = new_room();
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 1..=3)).await;
    rig.delivers(room, 3).await;
    eventually("the place is stored", async || {
        !rig.store.relay_state().await.unwrap().place.anchor.is_empty()
    })
    .await;
    one.stop().await;
    let mut admin = rig.database.connect().await;
    admin.execute("UPDATE relay_place SET anchor = CONCAT(anchor, '0')").await.unwrap();
    let another = rig.instance();
    let not_ready = async || format!("{:?}", another.readiness.report()).contains("another history");
    eventually("the instance is not ready", not_ready).await;
    rig.commit(events(room, 4..=4)).await;
    assert_eq!(rig.phase().await, Phase::Log);
    assert_eq!(rig.log.of(room), [1, 2, 3], "nothing is sent from the other history");
    rig.switch(Mode::Table).await;
    rig.delivers(room, 4).await;
    another.stop().await;
}

#[tokio::test]
async fn without_the_right_to_read_it_the_binary_log_is_refused_and_a_revoked_right_brings_the_table_back() {
    let rig = Rig::new().await;
    let room = new_room();
    let mut admin = MySqlConnection::connect(&mysql_url()).await.unwrap();
    let user = format!("u{}", &ids::new_id().simple().to_string()[..20]);
    let name = rig.database.url.rsplit_once('/').unwrap().1.to_owned();
    admin.execute(format!("CREATE USER {user}@'%' IDENTIFIED BY 'secret'").as_str()).await.unwrap();
    admin.execute(format!("GRANT ALL ON {name}.* TO {user}@'%'").as_str()).await.unwrap();
    let one = rig.instance_as(&user, "secret");
    rig.store.want_mode(Mode::Log).await.unwrap();
    let refused = async || !rig.store.relay_state().await.unwrap().place.problem.is_empty();
    eventually("the log is refused", refused).await;
    assert_eq!(rig.phase().await, Phase::Table);
    one.stop().await;

    let grant = format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {user}@'%'");
    admin.execute(grant.as_str()).await.unwrap();
    let two = rig.instance_as(&user, "secret");
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 1..=3)).await;
    rig.delivers(room, 3).await;
    two.stop().await;
    let revoke = format!("REVOKE REPLICATION SLAVE, REPLICATION CLIENT ON *.* FROM {user}@'%'");
    admin.execute(revoke.as_str()).await.unwrap();
    rig.commit(events(room, 4..=6)).await;
    let three = rig.instance_as(&user, "secret");
    rig.delivers(room, 6).await;
    assert_eq!(rig.phase().await, Phase::Table);
    three.stop().await;
    admin.execute(format!("DROP USER {user}@'%'").as_str()).await.unwrap();
}

#[tokio::test]
async fn a_refill_that_was_interrupted_is_done_again() {
    let rig = Rig::new().await;
    let room = new_room();
    rig.commit(events(room, 1..=3)).await;
    let leader = rig.store.lead().await.unwrap();
    let state = rig.store.relay_state().await.unwrap();
    assert!(rig.store.change_phase(leader, state.epoch, Phase::Refilling).await.unwrap());
    rig.commit(events(room, 4..=5)).await;
    assert_eq!(rig.store.undelivered(Buckets::ALL, 10).await.unwrap(), [], "no relay sends during a refill");
    rig.store.refill_outbox(Version::NONE.get().into()).await.unwrap();
    let one = rig.instance();
    eventually("the table is in use", async || rig.phase().await == Phase::Table).await;
    rig.delivers(room, 5).await;
    one.stop().await;
}

#[tokio::test]
async fn the_binary_log_is_relayed_with_and_without_the_columns_that_debezium_needs() {
    let rig = Rig::new().await;
    let room = RoomId(ids::new_id());
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 1..=2)).await;
    assert_eq!(rig.store.add_header_columns().await.unwrap(), 10);
    assert_eq!(rig.store.add_header_columns().await.unwrap(), 0);
    assert!(rig.store.has_header_columns().await.unwrap());
    rig.commit(events(room, 3..=4)).await;
    rig.delivers(room, 4).await;
    assert_eq!(rig.store.drop_header_columns().await.unwrap(), 10);
    assert_eq!(rig.store.drop_header_columns().await.unwrap(), 0);
    rig.commit(events(room, 5..=6)).await;
    rig.delivers(room, 6).await;
    one.stop().await;
}
