//! Turns events into replies, for a new command as for a repeated one.

use serde::{Deserialize, Serialize};
use shared_events::{ConsistencyToken, Event, RawEvent, ReservationId, RoomId, Version};

use super::{CommandOutcome, Done, Failure, Reply};
use crate::{
    domain::Rejection,
    event_store::{KeyRecord, ReplacedKey, StoredEvent},
};

/// The outcome in an idempotency record whose command made no event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordedOutcome {
    /// The command was rejected.
    Rejected(Rejection),
    /// The requested state already held.
    Unchanged {
        /// The room.
        room: RoomId,
        /// Its version.
        version: Version,
        /// The reservation, if it was about one.
        reservation: Option<ReservationId>,
        /// The reservation's revision, or that of the room's settings.
        revision: u32,
    },
}

/// The effect of a command that made these events. The reply describes the last one.
pub(super) fn done(events: &[(RoomId, Version, &Event)]) -> Option<Done> {
    let (room, version, event) = *events.last()?;
    let (reservation, revision) = match event {
        Event::RoomRegistered(e) => (None, e.room.revision),
        Event::RoomChanged(e) => (None, e.room.revision),
        Event::RoomRetired(e) => (None, e.room.revision),
        _ => event.reservation().map(|reservation| (Some(reservation.id), reservation.revision))?,
    };
    Some(Done {
        room,
        version,
        reservation,
        revision,
        created: matches!(event, Event::RoomRegistered(_) | Event::ReservationMade(_)),
        token: ConsistencyToken {
            rooms: events.iter().map(|(room, version, _)| (*room, *version)).collect(),
        },
    })
}

/// The effect of a command whose requested state already held.
pub(super) fn unchanged(
    room: RoomId,
    version: Version,
    reservation: Option<ReservationId>,
    revision: u32,
) -> Done {
    let token = ConsistencyToken { rooms: vec![(room, version)] };
    Done { room, version, reservation, revision, created: false, token }
}

/// The record itself, if it is one of a rejection, and the line was sent again with other content.
pub(super) fn replaced_by(record: &KeyRecord, fingerprint: [u8; 16]) -> Option<ReplacedKey> {
    let outcome = record.outcome.as_ref().filter(|_| record.fingerprint != fingerprint)?;
    let rejected = matches!(serde_json::from_slice(outcome), Ok(RecordedOutcome::Rejected(_)));
    rejected.then(|| ReplacedKey { fingerprint: record.fingerprint, outcome: outcome.clone() })
}

/// The reply from a record to a request with this fingerprint.
pub(super) fn from_record(record: KeyRecord, fingerprint: [u8; 16]) -> Reply {
    if record.fingerprint != fingerprint {
        return Err(Failure::KeyReused);
    }
    let refused = |_| Failure::Refused;
    let result = if let Some(outcome) = &record.outcome {
        match serde_json::from_slice(outcome).map_err(refused)? {
            RecordedOutcome::Rejected(rejection) => Err(rejection),
            RecordedOutcome::Unchanged { room, version, reservation, revision } => {
                Ok(unchanged(room, version, reservation, revision))
            }
        }
    } else {
        let room = record.event.as_ref().map(|event| event.room);
        let not_understood = |_| room.map_or(Failure::Refused, Failure::NotUnderstood);
        let read = |event: StoredEvent| event.into_raw().and_then(RawEvent::decode).map_err(not_understood);
        let events = [record.other_event, record.event]
            .into_iter()
            .flatten()
            .map(read)
            .collect::<Result<Vec<_>, _>>()?;
        let events: Vec<_> = events.iter().map(|event| (event.room, event.version, &event.event)).collect();
        Ok(done(&events).ok_or(Failure::Refused)?)
    };
    Ok(CommandOutcome { result, rests_on: Vec::new(), repeated: true })
}
