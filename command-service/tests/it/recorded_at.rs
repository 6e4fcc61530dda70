//! The times at which events are recorded: by the store's clock, and in each room never before an earlier event.

use command_service::{
    commands::{Action, MoveReservation},
    event_store::{EventStore, Group},
};
use service_kit::clock::Clock;
use shared_events::{RawEvent, RoomId, Timestamp, Version};

use crate::{
    samples::event,
    test_store::TestStore,
    writer_rig::{by, hour, instance, reserve},
};

const HOUR_MS: i64 = 3_600_000;

async fn times(store: &dyn EventStore, room: RoomId) -> Vec<Timestamp> {
    let stream = store.stream(room, Version::NONE, 100).await.unwrap();
    stream.iter().map(|event| event.recorded_at).collect()
}

fn now() -> i64 {
    Clock::system().now_ms()
}

#[tokio::test]
async fn after_a_clock_that_jumped_ahead_each_room_goes_on_from_its_last_time_and_a_move_has_one_time() {
    for store in TestStore::both().await {
        let (one, opened) = (instance(&store).await, store.open(None).await);
        let [blue, red, green] =
            [one.room("Blue", "a").await, one.room("Red", "b").await, one.room("Green", "c").await];
        let made = one.does(by("ann", reserve(blue, hour(9)))).await.reservation.unwrap();
        // The instances' clocks stand in the year 2030, the store's does not.
        let recorded = times(&*opened, blue).await;
        assert!(recorded.iter().all(|time| (time.epoch_millis() - now()).abs() < HOUR_MS), "{recorded:?}");

        // Another instance's server once was a year ahead.
        let ahead = Timestamp::from_epoch_millis(now() + 365 * 24 * HOUR_MS);
        let last = opened.stream(blue, 1.into(), 1).await.unwrap().remove(0).into_raw().unwrap();
        let again = last.payload.clone();
        let jumped = RawEvent {
            version: 3.into(),
            event_type: "reservations.reservation-rescheduled.v1".into(),
            payload: rescheduled(&again),
            recorded_at: ahead,
            ..last
        };
        opened.append(&Group { events: vec![jumped], ..Group::default() }).await.unwrap();

        let to_red =
            MoveReservation { room: Some(blue), reservation: made, to_room: red, from: None, to: None };
        one.does(by("ann", Action::MoveReservation(to_red))).await;
        one.does(by("ann", reserve(red, hour(12)))).await;
        one.does(by("ann", reserve(green, hour(12)))).await;
        // An instance without a cache learns the times from the stream.
        instance(&store).await.does(by("ann", reserve(red, hour(14)))).await;
        assert_eq!(times(&*opened, blue).await[2..], [ahead, ahead]);
        assert_eq!(times(&*opened, red).await[1..], [ahead, ahead, ahead]);
        assert!(
            times(&*opened, green).await.iter().all(|time| *time < ahead),
            "only its own rooms are lifted"
        );
    }
}

/// The payload of a change that changes nothing, from that of the event before it.
fn rescheduled(made: &[u8]) -> Vec<u8> {
    let mut payload: serde_json::Value = serde_json::from_slice(made).unwrap();
    let reservation = &mut payload["reservation"];
    reservation["revision"] = 2.into();
    let mut previous = serde_json::Map::new();
    for field in ["room", "timeZone", "from", "to"] {
        previous.insert(field.to_owned(), reservation[field].clone());
    }
    payload["previous"] = previous.into();
    serde_json::to_vec(&payload).unwrap()
}

#[tokio::test]
async fn a_store_lifts_what_lies_before_its_clock_and_tells_its_time() {
    for store in TestStore::both().await {
        let opened = store.open(None).await;
        let room = RoomId(uuid::Uuid::from_u128(7));
        let [early, late] = [(1, 0), (2, now() + HOUR_MS)].map(|(version, at)| RawEvent {
            recorded_at: Timestamp::from_epoch_millis(at),
            ..event(room, version)
        });
        let group = Group { events: vec![early, late.clone()], ..Group::default() };
        let appended = opened.append(&group).await.unwrap();
        assert!((appended.now.epoch_millis() - now()).abs() < HOUR_MS);
        assert_eq!(times(&*opened, room).await, [appended.now, late.recorded_at]);
    }
}
