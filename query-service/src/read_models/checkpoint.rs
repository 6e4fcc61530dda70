//! Checkpoints of rooms, and the events that rooms are parked behind.

use shared_events::{Erasures, RawEvent, RoomId, Timestamp, UserId, Version};

/// The version up to which a room is projected.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checkpoint {
    /// All events up to this version are in the documents; 0 for a room of which nothing is.
    pub version: Version,
    /// Set while the room waits behind an event that could not be applied.
    pub parked: Option<Parked>,
}

/// Why a room is parked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parked {
    /// The version of the event that could not be applied.
    pub version: Version,
    /// What was wrong with it.
    pub reason: String,
}

/// The message that a room is parked behind, as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParkedMessage {
    /// The parked room.
    pub room: RoomId,
    /// The event's version: the room's checkpoint + 1.
    pub version: Version,
    /// What was wrong with it.
    pub reason: String,
    /// When it was parked.
    pub at: Timestamp,
    /// The message's headers, byte for byte.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The message's payload, byte for byte.
    pub payload: Vec<u8>,
}

impl ParkedMessage {
    /// The message of an event that can't be applied.
    #[must_use]
    pub fn of_event(event: &RawEvent, reason: String, at: Timestamp) -> Self {
        let headers = event.headers().into_iter();
        Self {
            room: event.room,
            version: event.version,
            reason,
            at,
            headers: headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect(),
            payload: event.payload.clone(),
        }
    }

    /// The message without those who were erased, if it names one of them as an event does: as actor, or as the one whose
    /// reservation it is.
    #[must_use]
    pub fn masked(&self, erasures: &Erasures) -> Option<Self> {
        let pseudonym = |value: &[u8]| {
            let actor = UserId::new(std::str::from_utf8(value).ok()?).ok()?;
            erasures.pseudonym(&actor).map(|pseudonym| pseudonym.as_str().as_bytes().to_vec())
        };
        let actor = self.headers.iter().find(|(name, _)| name == "ce_actor");
        let actor = actor.and_then(|(_, value)| pseudonym(value));
        let payload = erasures.masked_payload(&self.payload);
        if actor.is_none() && payload.is_none() {
            return None;
        }
        let mut masked = self.clone();
        for (name, value) in &mut masked.headers {
            match (name.as_str(), &actor) {
                ("ce_actor", Some(pseudonym)) => value.clone_from(pseudonym),
                // Its client chose it, and may have put anything into it.
                ("ce_correlationid", Some(_)) => value.clear(),
                _ => {}
            }
        }
        masked.payload = payload.unwrap_or(masked.payload);
        Some(masked.without_reason())
    }

    /// The message without what was wrong with it: that may quote its values.
    #[must_use]
    pub fn without_reason(self) -> Self {
        Self { reason: "not kept, for it may quote a person who was erased".to_owned(), ..self }
    }
}

/// An event that an operator dropped, with its message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DroppedEvent {
    /// The message that could not be applied.
    pub message: ParkedMessage,
    /// Why it may be left out.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}
