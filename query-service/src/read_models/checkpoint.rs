//! Checkpoints of rooms, and the messages that rooms are parked at.

use shared_events::{Erasures, RawEvent, RoomId, Timestamp, UserId, Version};

/// The version up to which a room is projected.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checkpoint {
    /// The documents show all events up to this version; 0 for none.
    pub version: Version,
    /// Set while the room is parked.
    pub parked: Option<Parked>,
}

/// Why a room is parked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parked {
    /// The version of the event that could not be applied.
    pub version: Version,
    /// Why it could not be applied.
    pub reason: String,
}

/// The message that a room is parked at, unchanged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParkedMessage {
    /// The parked room.
    pub room: RoomId,
    /// The event's version: the room's checkpoint + 1.
    pub version: Version,
    /// Why it could not be applied.
    pub reason: String,
    /// The time of parking.
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

    /// The message with erased persons masked, if it names one as its actor or as the owner of its reservation.
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
                // The client chose this value, which may hold the name.
                ("ce_correlationid", Some(_)) => value.clear(),
                _ => {}
            }
        }
        masked.payload = payload.unwrap_or(masked.payload);
        Some(masked.without_reason())
    }

    /// The message without its reason, which may quote values.
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
    /// The operator.
    pub by: String,
    /// The time of the drop.
    pub at: Timestamp,
}
