//! The outcome of a line of an import.

use serde::Serialize;
use service_kit::http::problem::Problem;
use shared_events::{ReservationId, RoomId, SeriesId, Version};
use utoipa::ToSchema;

use super::super::{
    answers::ShownMisfit,
    lines::{Ended, LineOutcome, push_line},
    problems,
};
use crate::writer::{Failure, Reply};

/// The outcome of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = LineOutcome)]
#[serde(rename_all = "camelCase")]
pub(in super::super) enum Outcome {
    /// The command took effect.
    Done,
    /// The line was decided when it was sent before. If it was rejected then, `problem` has the reason.
    Repeated,
    /// The command was rejected.
    Rejected,
    /// The line is invalid or could not be carried out. It may succeed when sent again.
    Failed,
}

/// A line of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ImportOutcome {
    /// Number of the line in the import, from 1.
    line: u64,
    /// Key of the line; null if it can't be read.
    key: Option<String>,
    /// Outcome of the line.
    outcome: Outcome,
    /// The room; after a move, the new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    room: Option<RoomId>,
    /// The reservation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    reservation: Option<ReservationId>,
    /// The room's version after the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    #[schema(value_type = Option<u64>)]
    version: Option<Version>,
    /// Revision of the reservation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revision: Option<u32>,
    /// The series of a line about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    series: Option<SeriesId>,
    /// The number of its reservations, if the line made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    made: Option<usize>,
    /// The number of its reservations that the line changed or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    changed: Option<usize>,
    /// Its occurrences that don't fit and were left out; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<ShownMisfit>,
    /// The reason why it was rejected or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<Problem>,
}

impl ImportOutcome {
    fn new(line: u64, key: Option<String>, outcome: Outcome) -> Self {
        Self {
            line,
            key,
            outcome,
            room: None,
            reservation: None,
            version: None,
            revision: None,
            series: None,
            made: None,
            changed: None,
            skipped: Vec::new(),
            problem: None,
        }
    }

    fn with(self, problem: Problem) -> Self {
        Self { problem: Some(problem), ..self }
    }

    fn of_reply(line: u64, key: Option<String>, reply: Reply) -> Self {
        let decided = match reply {
            Ok(decided) => decided,
            Err(failure) => return Self::new(line, key, Outcome::Failed).with(problems::of_failure(failure)),
        };
        match decided.result {
            Ok(done) => {
                let occurrences = done.series.as_ref().map(|done| done.occurrences.len());
                Self {
                    room: Some(done.room),
                    reservation: done.reservation,
                    version: Some(done.version),
                    revision: done.series.is_none().then_some(done.revision),
                    series: done.series.as_ref().map(|done| done.series),
                    made: occurrences.filter(|_| done.created),
                    changed: occurrences.filter(|_| !done.created),
                    skipped: done
                        .series
                        .iter()
                        .flat_map(|done| &done.skipped)
                        .map(ShownMisfit::from)
                        .collect(),
                    ..Self::new(line, key, if decided.repeated { Outcome::Repeated } else { Outcome::Done })
                }
            }
            Err(rejection) => {
                let outcome = if decided.repeated { Outcome::Repeated } else { Outcome::Rejected };
                // Without the rooms of a kind: hundreds for each line would be most of the answer.
                let rests_on = Some(decided.rests_on.as_slice()).filter(|rooms| rooms.len() == 1);
                Self::new(line, key, outcome)
                    .with(problems::of_rejection(&rejection, rests_on.unwrap_or_default()))
            }
        }
    }
}

/// What is known of a line.
pub(super) enum Known {
    /// The writer's reply.
    Reply(Reply),
    /// Rejected without a decision.
    Rejected(Box<Problem>),
    /// Invalid.
    Failed(Box<Problem>),
}

impl LineOutcome for Known {
    type Reply = Reply;

    fn of(reply: Option<Reply>) -> Self {
        Self::Reply(reply.unwrap_or(Err(Failure::OutcomeUnknown)))
    }

    fn write(self, number: u64, key: Option<String>, chunk: &mut Vec<u8>) -> Option<Ended> {
        let (outcome, must_wait) = match self {
            Self::Rejected(problem) => {
                (ImportOutcome::new(number, key, Outcome::Rejected).with(*problem), false)
            }
            Self::Failed(problem) => (ImportOutcome::new(number, key, Outcome::Failed).with(*problem), false),
            Self::Reply(reply) => {
                let must_wait = reply.as_ref().is_err_and(|failure| later_lines_must_wait(*failure));
                (ImportOutcome::of_reply(number, key, reply), must_wait)
            }
        };
        push_line(chunk, &outcome);
        must_wait.then_some(Ended::Failing)
    }
}

/// Whether the failure is temporary, so that later lines must not be decided before this one.
const fn later_lines_must_wait(failure: Failure) -> bool {
    match failure {
        Failure::Overloaded | Failure::InProgress | Failure::Unavailable | Failure::OutcomeUnknown => true,
        Failure::KeyReused
        | Failure::Erased
        | Failure::NotUnderstood(_)
        | Failure::Forgotten { .. }
        | Failure::NotYetWritten
        | Failure::Refused => false,
    }
}
