//! Turns events into replies, for a new command as for a repeated one.

use serde::{Deserialize, Serialize};
use shared_events::{
    ConsistencyToken, DecodedEvent, Event, RawEvent, ReservationId, RoomId, SeriesId, Version,
};

use super::{ClosureEffect, CommandOutcome, Done, Failure, Reply, SeriesDone};
use crate::{
    commands::{Occurrence, SeriesDecision},
    domain::{Misfit, Rejection},
    event_store::{KeyRecord, ReplacedKey, StoredEvent},
};

/// The outcome in an idempotency record, unless one event or the two of a move tell it.
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
    /// The command made these events of a series.
    Series(RecordedSeries),
}

/// What a record says of a series. Its events say the rest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedSeries {
    /// The room.
    pub(super) room: RoomId,
    /// The series.
    pub(super) series: SeriesId,
    /// The version before the first event.
    pub(super) after: Version,
    /// Number of events.
    pub(super) events: u32,
    /// Occurrences that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) skipped: Vec<Misfit>,
}

/// The effect of a command that made these events. The reply describes the last one.
pub(super) fn done(events: &[(RoomId, Version, &Event)]) -> Option<Done> {
    let (room, version, event) = *events.last()?;
    let (reservation, revision) = match event {
        Event::RoomRegistered(e) => (None, e.room.revision),
        Event::RoomChanged(e) => (None, e.room.revision),
        Event::RoomRetired(e) => (None, e.room.revision),
        Event::ClosureAdded(_) => (None, 1),
        Event::ClosureLifted(_) => (None, 2),
        _ => event.reservation().map(|reservation| (Some(reservation.id), reservation.revision))?,
    };
    Some(Done {
        room,
        version,
        reservation,
        revision,
        created: matches!(event, Event::RoomRegistered(_) | Event::ReservationMade(_)),
        closure: match event {
            Event::ClosureAdded(added) => Some(ClosureEffect::Added(Box::new(added.clone()))),
            Event::ClosureLifted(_) => Some(ClosureEffect::Lifted),
            _ => None,
        },
        token: ConsistencyToken {
            rooms: events.iter().map(|(room, version, _)| (*room, *version)).collect(),
        },
        series: None,
    })
}

/// The effect of a command that made these events of a series.
pub(super) fn series_done(
    series: SeriesId,
    events: &[(RoomId, Version, &Event)],
    skipped: Vec<Misfit>,
) -> Option<Done> {
    let (room, version, last) = *events.last()?;
    let reservations = events.iter().filter_map(|(_, _, event)| event.reservation());
    let mut occurrences: Vec<Occurrence> = reservations.map(Occurrence::of).collect();
    // Events may go backwards in time.
    occurrences.sort_by_key(|occurrence| occurrence.from);
    let created = matches!(last, Event::ReservationMade(_));
    let done = unchanged(room, version, None, 0);
    let series = Some(Box::new(SeriesDone { series, occurrences, skipped }));
    Some(Done { created, series, ..done })
}

/// The effect of a command about a series that made no event.
pub(super) fn series_unchanged(decision: SeriesDecision, version: Version) -> Done {
    let SeriesDecision { room, series, occurrences, skipped, .. } = decision;
    let series = Some(Box::new(SeriesDone { series, occurrences, skipped }));
    Done { series, ..unchanged(room, version, None, 0) }
}

/// The reply from the record of a series, whose events these are, to a request of the command `id`.
pub(super) fn from_series(recorded: RecordedSeries, events: &[DecodedEvent], id: &str) -> Reply {
    let RecordedSeries { series, skipped, .. } = recorded;
    // An earlier attempt may have committed it, whose connection was lost during COMMIT.
    let repeated = events.first().is_none_or(|first| first.metadata.causation_id != id);
    let events: Vec<_> = events.iter().map(|event| (event.room, event.version, &event.event)).collect();
    let done = series_done(series, &events, skipped).ok_or(Failure::Refused)?;
    Ok(CommandOutcome { result: Ok(done), rests_on: Vec::new(), alternatives: Vec::new(), repeated })
}

/// The series of a record, if the request is the one that made it.
pub(super) fn series_of(record: &KeyRecord, fingerprint: [u8; 16]) -> Option<RecordedSeries> {
    let outcome =
        record.outcome.as_ref().filter(|_| record.fingerprint == fingerprint && record.event.is_some())?;
    match serde_json::from_slice(outcome) {
        Ok(RecordedOutcome::Series(recorded)) => Some(recorded),
        _ => None,
    }
}

/// The effect of a command whose requested state already held.
pub(super) fn unchanged(
    room: RoomId,
    version: Version,
    reservation: Option<ReservationId>,
    revision: u32,
) -> Done {
    let token = ConsistencyToken { rooms: vec![(room, version)] };
    Done { room, version, reservation, revision, created: false, closure: None, token, series: None }
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
            // Its events have to be read, see `from_series`.
            RecordedOutcome::Series(_) => return Err(Failure::Refused),
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
    Ok(CommandOutcome { result, rests_on: Vec::new(), alternatives: Vec::new(), repeated: true })
}
