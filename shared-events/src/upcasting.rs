//! Decodes events of any version. Upcasters turn an old payload step by step into the current form.
//!
//! All readers of events use [`decode`], so a version is readable everywhere or nowhere.

use serde_json::Value;

use crate::event::Event;
use crate::unreadable::Unreadable;

/// One step from an old version of an event to the next.
pub struct Upcaster {
    /// The `ce_type` before the step.
    pub from: &'static str,
    /// The `ce_type` after the step.
    pub to: &'static str,
    /// Turns the old payload into the new one, or returns the reason why it can't.
    pub upcast: fn(Value) -> Result<Value, String>,
}

/// All steps. A new version of an event adds a step and a golden file. Neither is ever removed.
pub const UPCASTERS: &[Upcaster] = &[];

/// Decodes an event of any version.
///
/// # Errors
/// If the type is unknown, or the payload has another form.
pub fn decode(event_type: &str, payload: &[u8]) -> Result<Event, Unreadable> {
    decode_with(UPCASTERS, event_type, payload)
}

/// [`decode`] with other upcasters, for tests.
///
/// # Errors
/// Those of [`decode`].
pub fn decode_with(upcasters: &[Upcaster], event_type: &str, payload: &[u8]) -> Result<Event, Unreadable> {
    let Some(first) = upcasters.iter().find(|step| step.from == event_type) else {
        return Event::from_json(event_type, payload);
    };
    // Errors of all steps name the type of the message.
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
