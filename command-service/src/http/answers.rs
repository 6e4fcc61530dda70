//! The answer to a command.

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::header::{CACHE_CONTROL, ETAG, LOCATION},
};
use serde::Serialize;
use service_kit::http::headers::TAGGED;
use shared_events::{ClosureId, Minute, ReservationId, RoomId, SeriesId, Version};
use utoipa::ToSchema;

use crate::{
    commands::Occurrence,
    domain::{Misfit, Why},
    writer::Done,
};

/// The effect of a command, and whether an earlier request with the same key had it.
#[derive(Debug)]
pub(super) struct CommandAnswer {
    pub(super) done: Done,
    pub(super) repeated: bool,
}

/// The effect of a command.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Effect {
    /// The room; after a move, the new one.
    #[schema(value_type = uuid::Uuid)]
    room: RoomId,
    /// The room's version after the command.
    #[schema(minimum = 1)]
    #[schema(value_type = u64)]
    version: Version,
    /// The reservation, for a command about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    reservation: Option<ReservationId>,
    /// Revision of the reservation, or of the room's settings; also in `ETag`.
    #[schema(minimum = 1)]
    revision: u32,
}

impl Effect {
    /// The effect of a command, and the path of what it made in the query service.
    pub(super) fn of(done: &Done) -> (Self, Option<String>) {
        let Done { room, version, reservation, revision, created, .. } = *done;
        let location = created.then(|| match reservation {
            Some(reservation) => format!("/v1/reservations/{reservation}"),
            None => format!("/v1/rooms/{room}"),
        });
        (Self { room, version, reservation, revision }, location)
    }
}

/// The effect of a command about a series.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SeriesEffect {
    /// The room.
    #[schema(value_type = uuid::Uuid)]
    room: RoomId,
    /// The room's version after the command.
    #[schema(minimum = 1)]
    #[schema(value_type = u64)]
    version: Version,
    /// The series. A dry run names one that is not made.
    #[schema(value_type = uuid::Uuid)]
    series: SeriesId,
    /// The reservations that were made, changed or cancelled, by time. In a dry run, those that would be made.
    occurrences: Vec<ShownOccurrence>,
    /// Occurrences that don't fit and were left out, by time.
    skipped: Vec<ShownMisfit>,
}

/// A reservation of a series after a command.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Occurrence)]
struct ShownOccurrence {
    /// The reservation; absent in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    reservation: Option<ReservationId>,
    /// Its revision.
    #[schema(minimum = 1)]
    revision: u32,
    /// First minute.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    from: Minute,
    /// First minute after it.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    to: Minute,
}

/// An occurrence that doesn't fit. If its new time is none (`skippedByClocks`, `nothingLeft`, `outOfRange`), `from` and `to` are
/// those that it has now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Misfit)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownMisfit {
    /// First minute.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    from: Minute,
    /// First minute after it.
    #[schema(value_type = chrono::DateTime<chrono::Utc>)]
    to: Minute,
    /// Why it doesn't fit.
    why: Reason,
    /// The reservation in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    reservation: Option<ReservationId>,
    /// The closure of the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    closure: Option<ClosureId>,
    /// The broken rule of the room: its setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rule: Option<String>,
    /// The limit of the rule, if it is a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    limit: Option<u32>,
}

/// Why an occurrence doesn't fit:
/// - `overlap`: a reservation is in the way;
/// - `rule`: it breaks a rule of the room;
/// - `closed`: the room is closed;
/// - `inThePast`: it lies in the past;
/// - `skippedByClocks`: clocks skip all of it;
/// - `nothingLeft`: the change would let it end when it begins, or before;
/// - `outOfRange`: the change would move it beyond the year 9999.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MisfitReason)]
#[serde(rename_all = "camelCase")]
enum Reason {
    /// A reservation is in the way.
    Overlap,
    /// It breaks a rule of the room.
    Rule,
    /// The room is closed.
    Closed,
    /// It lies in the past.
    InThePast,
    /// Clocks skip all of it.
    SkippedByClocks,
    /// The change would let it end when it begins, or before.
    NothingLeft,
    /// The change would move it beyond the year 9999.
    OutOfRange,
}

impl From<&Misfit> for ShownMisfit {
    fn from(misfit: &Misfit) -> Self {
        let plain = |why| Self {
            from: misfit.from,
            to: misfit.to,
            why,
            reservation: None,
            closure: None,
            rule: None,
            limit: None,
        };
        match &misfit.why {
            Why::Overlap { reservation } => {
                Self { reservation: Some(*reservation), ..plain(Reason::Overlap) }
            }
            Why::Rule { rule, limit } => {
                Self { rule: Some(rule.clone()), limit: *limit, ..plain(Reason::Rule) }
            }
            Why::Closed { closure } => Self { closure: Some(*closure), ..plain(Reason::Closed) },
            Why::InThePast => plain(Reason::InThePast),
            Why::SkippedByClocks => plain(Reason::SkippedByClocks),
            Why::NothingLeft => plain(Reason::NothingLeft),
            Why::OutOfRange => plain(Reason::OutOfRange),
        }
    }
}

/// The effect of any command.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum AnyEffect {
    /// On a room or a reservation.
    One(Effect),
    /// On a series.
    Series(SeriesEffect),
}

impl AnyEffect {
    /// The effect of a command, and the path of what it made in the query service.
    pub(super) fn of(done: &Done) -> (Self, Option<String>) {
        let Some(series) = &done.series else {
            let (effect, location) = Effect::of(done);
            return (Self::One(effect), location);
        };
        let shown = |occurrence: &Occurrence| {
            let Occurrence { reservation, revision, from, to } = *occurrence;
            ShownOccurrence { reservation, revision, from, to }
        };
        let effect = SeriesEffect {
            room: done.room,
            version: done.version,
            series: series.series,
            occurrences: series.occurrences.iter().map(shown).collect(),
            skipped: series.skipped.iter().map(ShownMisfit::from).collect(),
        };
        (Self::Series(effect), None)
    }
}

impl CommandAnswer {
    /// A series has no one revision, and no address.
    fn of_series(self) -> HttpResponse {
        let mut response = if self.done.created { HttpResponse::Created() } else { HttpResponse::Ok() };
        if self.repeated {
            response.insert_header(("Idempotency-Replayed", "true"));
        }
        response
            .insert_header((CACHE_CONTROL, TAGGED))
            .insert_header(("Consistency-Token", self.done.token.to_string()))
            .json(AnyEffect::of(&self.done).0)
    }
}

impl Responder for CommandAnswer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        if self.done.series.is_some() {
            return self.of_series();
        }
        let (effect, location) = Effect::of(&self.done);
        let mut response = match location {
            Some(location) => {
                let mut created = HttpResponse::Created();
                created.insert_header((LOCATION, location));
                created
            }
            None => HttpResponse::Ok(),
        };
        if self.repeated {
            response.insert_header(("Idempotency-Replayed", "true"));
        }
        response
            .insert_header((ETAG, format!("\"{}\"", effect.revision)))
            .insert_header((CACHE_CONTROL, TAGGED))
            .insert_header(("Consistency-Token", self.done.token.to_string()))
            .json(effect)
    }
}
