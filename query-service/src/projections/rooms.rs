//! Rooms: their own events carry all values, and all are in the room's own stream.

use shared_events::{DecodedEvent, Event, RoomId};

use crate::read_models::RoomDoc;

/// The room whose document an event makes, if any.
#[must_use]
pub fn touches(decoded: &DecodedEvent) -> Option<RoomId> {
    match &decoded.event {
        Event::RoomRegistered(_) | Event::RoomChanged(_) | Event::RoomRetired(_) => Some(decoded.room),
        _ => None,
    }
}

/// The document after the event; guarded by the version of the room's stream.
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
    Some(RoomDoc {
        room: room.id,
        revision: room.revision,
        settings: room.settings.clone(),
        retired,
        version: decoded.version,
    })
}
