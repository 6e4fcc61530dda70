//! Closures: an event carries all values, and all events of a room's closure are in the room's own stream.

use shared_events::{ClosureId, DecodedEvent, Event};

use crate::read_models::ClosureDoc;

/// The closure that an event changes, if any.
#[must_use]
pub fn touches(decoded: &DecodedEvent) -> Option<ClosureId> {
    decoded.event.closure().map(|closure| closure.id)
}

/// The document after the event. The higher version of the room's stream stays.
#[must_use]
pub fn fold(stored: Option<ClosureDoc>, decoded: &DecodedEvent) -> Option<ClosureDoc> {
    let Some(closure) = decoded.event.closure() else { return stored };
    if stored.as_ref().is_some_and(|stored| stored.version >= decoded.version) {
        return stored;
    }
    let is_lifted = matches!(decoded.event, Event::ClosureLifted(_));
    let lifted_at = is_lifted.then_some(decoded.metadata.time);
    Some(ClosureDoc { closure: closure.clone(), lifted_at, version: decoded.version })
}
