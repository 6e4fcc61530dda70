//! Reads events of any version: old payloads are brought up to date step by step, then read as the current type.
//!
//! Event store, relay, projector, parked events and rebuild all read through [`decode`], so an old version is
//! understood everywhere or nowhere.

use serde_json::Value;

use crate::event::Event;
use crate::unreadable::Unreadable;

/// One step from an old version of an event to the next.
pub struct Upcaster {
    /// The `ce_type` that it reads.
    pub from: &'static str,
    /// The `ce_type` that it makes.
    pub to: &'static str,
    /// Turns the old payload into the new one, or says what is wrong with it.
    pub upcast: fn(Value) -> Result<Value, String>,
}

/// Every step that there is. A new version of an event adds a line here and a golden file; nothing is ever removed.
pub const UPCASTERS: &[Upcaster] = &[];

/// Reads an event of any version.
///
/// # Errors
/// When the type is unknown or the payload is not of its form.
pub fn decode(event_type: &str, payload: &[u8]) -> Result<Event, Unreadable> {
    decode_with(UPCASTERS, event_type, payload)
}

/// [`decode`] with a chain of its own, for tests of the chain itself.
///
/// # Errors
/// As [`decode`].
pub fn decode_with(upcasters: &[Upcaster], event_type: &str, payload: &[u8]) -> Result<Event, Unreadable> {
    let Some(first) = upcasters.iter().find(|step| step.from == event_type) else {
        return Event::from_json(event_type, payload);
    };
    // Whatever step fails, the error names the type that the message bears, by which it is found again.
    let malformed = |reason: String| Unreadable::Malformed { event_type: event_type.to_owned(), reason };
    let mut value: Value = serde_json::from_slice(payload).map_err(|error| malformed(error.to_string()))?;
    let mut step = first;
    loop {
        value = (step.upcast)(value)
            .map_err(|reason| malformed(format!("{} to {}: {reason}", step.from, step.to)))?;
        match upcasters.iter().find(|next| next.from == step.to) {
            Some(next) => step = next,
            None => break,
        }
    }
    Event::from_json(step.to, value.to_string().as_bytes()).map_err(|error| match error {
        Unreadable::Malformed { reason, .. } => malformed(format!("as {}: {reason}", step.to)),
        unknown @ Unreadable::UnknownType(_) => unknown,
    })
}
