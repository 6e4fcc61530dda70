//! Guarantees of both event stores about the outbox.

use command_service::event_store::{Backlog, Buckets, HeldRoom, Release, bucket};
use shared_events::{Timestamp, Version};

use crate::{
    samples::{event, events, ids, room},
    test_store::{Rig, on_both},
};

on_both!(
    undelivered_events_stay_until_just_they_are_deleted,
    undelivered_events_are_read_by_bucket,
    a_held_room_stops_no_other,
);

async fn undelivered_events_are_read_by_bucket(rig: Rig) {
    let rooms: Vec<_> = (1..=200).map(room).collect();
    let group = events(rooms.iter().map(|room| event(*room, 1)).collect());
    let positions = rig.store.append(&group).await.unwrap().positions;
    for bucket in Buckets::ALL.iter() {
        let one: Buckets = [bucket].into_iter().collect();
        for buckets in [one, Buckets::ALL.without(one)] {
            let of = rooms.iter().zip(&positions).filter(|(room, _)| buckets.has_room(**room));
            let mut expected: Vec<_> = of.map(|(_, position)| *position).collect();
            expected.sort_unstable();
            assert_eq!(rig.store.undelivered(buckets, 1000).await.unwrap(), expected, "{buckets}");
        }
    }
    assert_eq!(rig.store.undelivered(Buckets::NONE, 1000).await.unwrap(), []);
}

async fn undelivered_events_stay_until_just_they_are_deleted(rig: Rig) {
    let group = events((1..=5).map(|number| event(room(number), 1)).collect());
    let positions = rig.store.append(&group).await.unwrap().positions;
    let backlog = Backlog { events: 5, oldest: Some(group.events[0].recorded_at) };
    assert_eq!(rig.store.backlog().await.unwrap(), backlog);
    assert_eq!(rig.store.undelivered(Buckets::ALL, 3).await.unwrap(), positions[..3]);
    rig.store.delete_delivered(&[positions[0], positions[2], positions[4]]).await.unwrap();
    rig.store.delete_delivered(&[]).await.unwrap();
    assert_eq!(rig.store.undelivered(Buckets::ALL, 10).await.unwrap(), [positions[1], positions[3]]);
    let between = rig.store.events_at(&[positions[3], positions[1], positions[2]]).await.unwrap();
    assert_eq!(ids(&between), [(room(2), 1), (room(3), 1), (room(4), 1)]);
    assert_eq!(rig.store.events_at(&[]).await.unwrap(), []);
    rig.store.delete_delivered(&positions).await.unwrap();
    let more = events((6..=3005).map(|number| event(room(number), 1)).collect());
    let more = rig.store.append(&more).await.unwrap().positions;
    let kept = [more[0], more[700], more[702], more[2000], more[2999]];
    let delivered: Vec<_> = more.iter().filter(|position| !kept.contains(position)).copied().collect();
    rig.store.delete_delivered(&delivered).await.unwrap();
    assert_eq!(
        rig.store.undelivered(Buckets::ALL, 10).await.unwrap(),
        kept,
        "what lies between delivered rows stays"
    );
    rig.store.delete_delivered(&kept).await.unwrap();
    assert_eq!(rig.store.backlog().await.unwrap(), Backlog::default());
    assert_eq!(rig.store.stream(room(1), Version::NONE, 10).await.unwrap().len(), 1);
    assert!((1..=100).any(|number| bucket(room(number)) != bucket(room(1))));
}

async fn a_held_room_stops_no_other(rig: Rig) {
    rig.store.append(&events((1..=3).map(|number| event(room(number), 1)).collect())).await.unwrap();
    let held = HeldRoom {
        room: room(2),
        position: 2.into(),
        reason: "message too large".to_owned(),
        held_at: Timestamp::from_epoch_millis(1_790_000_000_000),
    };
    rig.store.hold_room(&held).await.unwrap();
    rig.store
        .hold_room(&HeldRoom { reason: "again".to_owned(), position: 3.into(), ..held.clone() })
        .await
        .unwrap();
    assert_eq!(rig.store.held_rooms().await.unwrap(), [held]);
    let undelivered = rig.store.undelivered(Buckets::ALL, 10).await.unwrap();
    assert_eq!(ids(&rig.store.events_at(&undelivered).await.unwrap()), [(room(1), 1), (room(3), 1)]);
    assert_eq!(rig.store.backlog().await.unwrap().events, 3);
    let by_bucket = rig.store.backlog_by_bucket().await.unwrap();
    assert_eq!(by_bucket.values().sum::<u64>(), 3);
    assert!(by_bucket.contains_key(&bucket(room(2))));
    assert_eq!(rig.store.release_room(room(2)).await.unwrap(), Release::Released);
    assert_eq!(rig.store.release_room(room(2)).await.unwrap(), Release::NotHeld);
    assert_eq!(rig.store.undelivered(Buckets::ALL, 10).await.unwrap().len(), 3);
}
