//! Problems for rejections and failures.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use service_kit::http::problem::{Problem, ProblemType};
use shared_events::{RoomId, Version};

use super::{
    answers::ShownMisfit,
    fields::{interval_problem, invalid},
};
use crate::{domain::Rejection, event_store::StoreError, writer::Failure};

/// `Retry-After` when an operator or a newer version of this service must act first.
const AFTER_REPAIR: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct RoomAt {
    room: RoomId,
    version: Version,
}

/// Most rooms that a problem names: fewer than a query may wait for.
const MOST_ROOMS: usize = 64;

/// The problem of a rejection, with the rooms that it depends on and their versions: `room` and `version` of one room, or
/// `rooms` of several, and the number of `moreRooms` beyond [`MOST_ROOMS`]. Counts the rejection; each one, also of an import line, passes here once.
pub(super) fn of_rejection(rejection: &Rejection, rests_on: &[(RoomId, Version)]) -> Problem {
    let problem = reason(rejection);
    metrics::counter!("command_rejections_total", "type" => problem.kind().slug()).increment(1);
    match rests_on {
        [] => problem,
        [(room, version)] => problem.with("room", room).with("version", version),
        several => {
            let named = several.iter().take(MOST_ROOMS);
            let rooms: Vec<_> =
                named.map(|(room, version)| RoomAt { room: *room, version: *version }).collect();
            let problem = problem.with("rooms", rooms);
            match several.len().saturating_sub(MOST_ROOMS) {
                0 => problem,
                more => problem.with("moreRooms", more),
            }
        }
    }
}

/// The problem of a rejection, without rooms.
pub(super) fn reason(rejection: &Rejection) -> Problem {
    let problem = |kind| Problem::new(kind, rejection.to_string());
    match rejection {
        Rejection::UnknownRoom { room } => problem(ProblemType::UnknownRoom).with("room", room),
        Rejection::UnknownKind { kind } => problem(ProblemType::UnknownKind).with("kind", kind),
        Rejection::UnknownReservation => problem(ProblemType::UnknownReservation),
        Rejection::UnknownRevision { .. } | Rejection::CancelledRevision { .. } => {
            problem(ProblemType::UnknownRevision).field("/revision")
        }
        Rejection::NotOwner | Rejection::NotDelegate | Rejection::NotAdmin => problem(ProblemType::Forbidden),
        Rejection::NameTaken { by } => problem(ProblemType::NameTaken).field("/name").with("takenBy", by),
        Rejection::Overlap { reservation, from, to } => problem(ProblemType::Overlap)
            .with("inTheWay", json!({"reservation": reservation, "from": from, "to": to})),
        Rejection::Closed { closure, from, to, reason } => problem(ProblemType::RoomClosed)
            .with("inTheWay", json!({"closure": closure, "from": from, "to": to, "reason": reason})),
        Rejection::TooManyClosures { limit } => problem(ProblemType::TooManyClosures).with("limit", limit),
        Rejection::NoFreeRoom => problem(ProblemType::NoFreeRoom),
        Rejection::Rule { rule, limit, .. } => {
            let problem = problem(ProblemType::Rule).with("rule", rule);
            match limit {
                Some(limit) => problem.with("limit", limit),
                None => problem,
            }
        }
        Rejection::InThePast => problem(ProblemType::InThePast),
        Rejection::AlreadyStarted { from } => problem(ProblemType::InThePast).with("from", from),
        Rejection::Ended { to } => problem(ProblemType::InThePast).with("to", to),
        Rejection::OutOfOrder { last } => problem(ProblemType::OutOfOrder).with("lastChange", last),
        Rejection::Stale { revision } => {
            problem(ProblemType::Stale).field("If-Match").with("revision", revision)
        }
        Rejection::ReservationsAhead { count, from, to } => problem(ProblemType::ReservationsAhead)
            .with("reservations", count)
            .with("inTheWay", json!({"from": from, "to": to})),
        Rejection::UnknownSeries => problem(ProblemType::UnknownSeries),
        Rejection::Series { of, misfits } => {
            let misfits: Vec<ShownMisfit> = misfits.iter().map(ShownMisfit::from).collect();
            problem(ProblemType::SeriesConflict).with("occurrences", of).with("misfits", misfits)
        }
        Rejection::InvalidRecurrence(_) => invalid("/recurrence", &rejection.to_string()),
        Rejection::SameRoom => invalid("/toRoom", &rejection.to_string()),
        Rejection::InvalidSetting(setting) => invalid(&format!("/{}", setting.field), &setting.reason),
        Rejection::InvalidInterval(interval) => interval_problem(*interval),
    }
}

/// The problem of a command without a decision.
pub(super) fn of_failure(failure: Failure) -> Problem {
    let problem = |kind, detail: &str| Problem::new(kind, detail);
    match failure {
        Failure::Overloaded => {
            problem(ProblemType::Overloaded, "too many commands are waiting; nothing was done")
        }
        Failure::InProgress => {
            problem(ProblemType::InProgress, "the first request with this key is still running")
        }
        Failure::KeyReused => {
            problem(ProblemType::KeyReused, "the key was used for another request: use a new one")
        }
        // The writer recalls what was forgotten before it answers.
        Failure::Unavailable | Failure::Forgotten { .. } => {
            problem(ProblemType::Unavailable, "the event store is not available; nothing was done")
        }
        Failure::OutcomeUnknown => problem(
            ProblemType::OutcomeUnknown,
            "the connection to the event store was lost: send the same request with the same key again",
        ),
        Failure::Erased => {
            problem(ProblemType::Forbidden, "this user was erased, so there are no commands by or for it; nothing was done")
        }
        Failure::NotUnderstood(room) => {
            problem(ProblemType::Unavailable, "the room's history is not understood; nothing was done")
                .with("room", room)
                .retry_after(AFTER_REPAIR)
        }
        Failure::NotYetWritten => problem(
            ProblemType::Unavailable,
            "instances of an older build can't read the event: the operator has to raise the form of writing; nothing was done",
        )
        .retry_after(AFTER_REPAIR),
        Failure::Refused => Problem::defect("the event store refuses the command for good"),
    }
}

/// The problem of a store that failed.
pub(super) fn of_store_error(error: StoreError) -> Problem {
    match error {
        StoreError::Unavailable { .. } => {
            Problem::new(ProblemType::Unavailable, "the event store is not available").caused_by(&error)
        }
        StoreError::Inconsistent { .. } | StoreError::Failed { .. } => Problem::internal(&error),
    }
}

#[cfg(test)]
mod tests {
    use shared_events::{ReservationId, room_rules::BrokenRule};
    use uuid::Uuid;

    use super::*;

    fn members(problem: &Problem) -> serde_json::Value {
        serde_json::to_value(problem).unwrap()
    }

    #[test]
    fn an_overlap_names_what_is_in_the_way_and_where_it_was_seen() {
        let room = RoomId(Uuid::from_u128(1));
        let (from, to) = ("2030-01-01T10:00:00Z".parse().unwrap(), "2030-01-01T11:00:00Z".parse().unwrap());
        let rejection = Rejection::Overlap { reservation: ReservationId(Uuid::from_u128(2)), from, to };
        let problem = members(&of_rejection(&rejection, &[(room, 7.into())]));
        assert_eq!(problem["type"], "/problems/overlap");
        assert_eq!((&problem["room"], &problem["version"]), (&json!(room), &json!(7)));
        assert_eq!(problem["inTheWay"]["from"], "2030-01-01T10:00:00Z");
        assert_eq!(problem["inTheWay"]["reservation"], json!(Uuid::from_u128(2)));
    }

    #[test]
    fn a_kind_names_its_rooms_with_their_versions_and_no_more_than_a_query_may_wait_for() {
        let of_kind = |count| {
            let rooms: Vec<_> = (0..count).map(|n| (RoomId(Uuid::from_u128(n)), 9.into())).collect();
            members(&of_rejection(&Rejection::NoFreeRoom, &rooms))
        };
        let small = of_kind(64);
        assert_eq!((small["rooms"].as_array().unwrap().len(), small.get("moreRooms")), (64, None));
        assert_eq!(small["rooms"][63]["version"], 9);
        let large = of_kind(10_000);
        assert_eq!((large["rooms"].as_array().unwrap().len(), &large["moreRooms"]), (64, &json!(9936)));
    }

    #[test]
    fn a_rule_is_named_with_its_limit() {
        let problem = members(&reason(&BrokenRule::LongestStay { minutes: 60 }.into()));
        assert_eq!((&problem["rule"], &problem["limit"]), (&json!("maxMinutes"), &json!(60)));
        assert_eq!(members(&reason(&BrokenRule::OpeningHours.into())).get("limit"), None);
    }
}
