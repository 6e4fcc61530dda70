//! The record of all requests and answers: all that the checker knows of the services.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{learnt::Listener, operation::Operation};

pub(crate) use super::stay::{Stay, YEAR_BEGINS};

/// Microseconds since the start of the campaign, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap()
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The answer of a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Done {
    pub(crate) room: Uuid,
    pub(crate) version: u64,
    pub(crate) reservation: Option<Uuid>,
    pub(crate) revision: u64,
    pub(crate) token: String,
    /// For a command about a series.
    pub(crate) series: Option<OfSeries>,
    /// For a command about a closure.
    pub(crate) closure: Option<OfClosure>,
}

/// What the answer says of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OfSeries {
    pub(crate) series: Uuid,
    /// Reservation, revision and stay of each occurrence, by time.
    pub(crate) occurrences: Vec<(Uuid, u64, Stay)>,
    /// Occurrences that were left out, by time.
    pub(crate) skipped: Vec<Stay>,
}

/// What the answer says of a closure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OfClosure {
    pub(crate) closure: Option<Uuid>,
    /// Each line.
    pub(crate) rooms: Vec<RoomLine>,
}

/// What the answer says of a closure in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RoomLine {
    pub(crate) room: Uuid,
    pub(crate) version: u64,
    /// The named hits, and the number of others.
    pub(crate) hits: (Vec<Uuid>, u64),
}

/// The outcome of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// It took effect, by this attempt or an earlier one.
    Done(Done),
    /// It was refused and had no effect.
    Rejected { status: u16, problem: Value },
    /// The service could not take this attempt, which had no effect.
    NotTaken { status: u16, problem: String },
    /// The effect is not known.
    Unknown { why: String },
    /// The answer breaks the contract.
    Wrong { status: u16, why: String },
}

/// One attempt to execute a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Attempt {
    /// The number of the command service.
    pub(crate) instance: usize,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) outcome: Outcome,
}

/// A command with all its attempts. The last one has the final outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Command {
    pub(crate) key: String,
    pub(crate) user: String,
    pub(crate) operation: Operation,
    pub(crate) attempts: Vec<Attempt>,
}

/// The final knowledge about a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    Done(&'a Done),
    /// No attempt had an effect.
    Nothing,
    /// It may have had its effect. An attempt without an answer can take effect even after a later attempt was refused.
    Unknown,
}

impl Command {
    pub(crate) fn start(&self) -> u64 {
        self.attempts.first().map_or(0, |attempt| attempt.start)
    }

    pub(crate) fn known(&self) -> Known<'_> {
        if let Some(Outcome::Done(done)) = self.attempts.last().map(|attempt| &attempt.outcome) {
            return Known::Done(done);
        }
        let without_effect = |attempt: &Attempt| {
            matches!(attempt.outcome, Outcome::Rejected { .. } | Outcome::NotTaken { .. })
        };
        if self.attempts.iter().all(without_effect) { Known::Nothing } else { Known::Unknown }
    }

    /// The time of its acknowledgement.
    pub(crate) fn acknowledged(&self) -> Option<u64> {
        let last = self.attempts.last()?;
        matches!(last.outcome, Outcome::Done(_)).then_some(last.end)
    }
}

/// The data that a query reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub(crate) enum View {
    Schedule,
    Reservation { reservation: Uuid, revision: u64 },
}

/// A query with a token, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Query {
    /// The number of the query service.
    pub(crate) instance: usize,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// The room and version of the token.
    pub(crate) room: Uuid,
    pub(crate) version: u64,
    pub(crate) view: View,
    /// None without an answer.
    pub(crate) status: Option<u16>,
    /// The version of the room or the revision of the reservation in a success.
    pub(crate) shown: Option<u64>,
}

/// All commands, queries and live streams.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Record {
    pub(crate) commands: Vec<Command>,
    pub(crate) queries: Vec<Query>,
    /// What clients of live streams learnt.
    pub(crate) listeners: Vec<Listener>,
}
