//! Events, keys and groups for tests.

use command_service::event_store::{Group, KeyId, KeyKind, NewKey, StoredEvent};
use service_kit::ids;
use shared_events::{Metadata, RawEvent, RoomId, Timestamp, UserId};
use uuid::Uuid;

/// A room that no other test has.
pub(crate) fn new_room() -> RoomId {
    RoomId(ids::new_id())
}

pub(crate) fn room(number: u128) -> RoomId {
    RoomId(Uuid::from_u128(number << 64 | number))
}

pub(crate) fn event(room: RoomId, version: u64) -> RawEvent {
    RawEvent {
        room,
        version: version.into(),
        event_type: "reservations.reservation-made.v1".into(),
        payload: format!("{{\"z\": 1,\"a\":\"{version}\"}}").into_bytes(),
        metadata: Metadata {
            time: Timestamp::from_epoch_millis(1_790_000_000_000),
            subject: room.to_string(),
            actor: UserId::new("Zoë \u{1f3e8}").unwrap(),
            correlation_id: "correlation".to_owned(),
            causation_id: format!("{room}-{version}"),
            traceparent: None,
        },
        // The year 2096: a store records what lies before its clock at its own time.
        recorded_at: Timestamp::from_epoch_millis(4_000_000_000_123),
    }
}

/// The key with this number, for the event at an index of the group.
pub(crate) fn key(number: u128, event: usize) -> NewKey {
    NewKey {
        kind: KeyKind::Request,
        id: KeyId(number.to_be_bytes()),
        fingerprint: [7; 16],
        event: Some(event),
        other_event: None,
        outcome: None,
        replaces: None,
    }
}

pub(crate) fn events(events: Vec<RawEvent>) -> Group {
    Group { events, ..Group::default() }
}

pub(crate) fn ids(events: &[StoredEvent]) -> Vec<(RoomId, u64)> {
    events.iter().map(|event| (event.room, event.version.get())).collect()
}
