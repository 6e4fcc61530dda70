//! Rooms: their own events carry all values, and all are in the room's own stream.

use shared_events::{Envelope, Event, RoomId};

use crate::read_models::RoomDoc;

/// The room whose document an event makes, if any.
#[must_use]
pub fn touches(envelope: &Envelope) -> Option<RoomId> {
    match &envelope.event {
        Event::RoomRegistered(_) | Event::RoomChanged(_) | Event::RoomRetired(_) => Some(envelope.room),
        _ => None,
    }
}

/// The document after the event; guarded by the version of the room's stream.
#[must_use]
pub fn fold(stored: Option<RoomDoc>, envelope: &Envelope) -> Option<RoomDoc> {
    let (room, retired) = match &envelope.event {
        Event::RoomRegistered(e) => (&e.room, false),
        Event::RoomChanged(e) => (&e.room, false),
        Event::RoomRetired(e) => (&e.room, true),
        _ => return stored,
    };
    if stored.as_ref().is_some_and(|stored| stored.version >= envelope.version) {
        return stored;
    }
    Some(RoomDoc {
        room: room.id,
        revision: room.revision,
        settings: room.settings.clone(),
        retired,
        version: envelope.version,
    })
}
