//! Rooms: an event carries all settings, and all of a room's events are in its own stream.

use shared_events::{DecodedEvent, Event, Room, RoomId};

use crate::read_models::RoomDoc;

/// The room that an event changes, if any.
#[must_use]
pub fn touches(decoded: &DecodedEvent) -> Option<RoomId> {
    match &decoded.event {
        Event::RoomRegistered(_) | Event::RoomChanged(_) | Event::RoomRetired(_) => Some(decoded.room),
        _ => None,
    }
}

/// The document after the event. The higher version of the room's stream stays.
#[must_use]
pub fn fold(stored: Option<RoomDoc>, decoded: &DecodedEvent) -> Option<RoomDoc> {
    let (room, retired) = match &decoded.event {
        Event::RoomRegistered(e) => (&e.room, false),
        Event::RoomChanged(e) => (&e.room, false),
        Event::RoomRetired(e) => (&e.room, true),
        _ => return stored,
    };
    if stored.as_ref().is_some_and(|stored| stored.version >= decoded.version) {
        return stored;
    }
    Some(form(decoded, room, retired))
}

/// The document that an event makes.
pub(super) fn form(decoded: &DecodedEvent, room: &Room, retired: bool) -> RoomDoc {
    RoomDoc {
        room: room.id,
        revision: room.revision,
        settings: room.settings.clone(),
        retired,
        version: decoded.version,
        recorded_at: decoded.recorded_at,
    }
}
