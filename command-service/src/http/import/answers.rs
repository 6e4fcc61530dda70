//! The answer to an import: a line for each line, once its outcome and those of all earlier lines are known.

use actix_web::web::Bytes;
use futures_util::{Stream, stream};
use serde::Serialize;
use service_kit::http::problem::Problem;
use shared_events::{ReservationId, RoomId, Version};
use tokio::sync::{
    mpsc,
    oneshot::{self, error::TryRecvError},
};
use utoipa::ToSchema;

use super::{super::problems, Ended};
use crate::writer::{Failure, Reply};

/// Size up to which lines are sent together, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// The next part of the answer.
pub(super) enum Queued {
    /// The answer to a line.
    Line(QueuedLine),
    /// The answer breaks off.
    End(Ended),
}

/// A line without an answer.
pub(super) struct QueuedLine {
    /// Its number, from 1.
    pub(super) number: u64,
    /// Its key, if it could be read.
    pub(super) key: Option<String>,
    /// The state of the line.
    pub(super) reached: Reached,
}

/// The state of a line.
pub(super) enum Reached {
    /// Queued; the writer replies here.
    Writer(oneshot::Receiver<Reply>),
    /// Rejected without a decision.
    Rejected(Box<Problem>),
    /// Invalid.
    Failed(Box<Problem>),
}

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
            Ok(done) => Self {
                room: Some(done.room),
                reservation: done.reservation,
                version: Some(done.version),
                revision: Some(done.revision),
                ..Self::new(line, key, if decided.repeated { Outcome::Repeated } else { Outcome::Done })
            },
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

/// The answer's body.
pub(super) fn answers(queued: mpsc::Receiver<Queued>) -> impl Stream<Item = Result<Bytes, Ended>> {
    let answers = AnswerStream { queued, next: None, end: None };
    stream::unfold(answers, |mut answers| async move { answers.chunk().await.map(|chunk| (chunk, answers)) })
}

struct AnswerStream {
    queued: mpsc::Receiver<Queued>,
    /// Taken from the queue, but without a reply.
    next: Option<QueuedLine>,
    /// Set when the answer breaks off after the current chunk.
    end: Option<Ended>,
}

impl AnswerStream {
    /// Waits for the next outcome, and adds those that are known by then.
    async fn chunk(&mut self) -> Option<Result<Bytes, Ended>> {
        if let Some(end) = self.end.take() {
            return Some(Err(flushed(end).await));
        }
        let first = match self.next.take() {
            Some(line) => line,
            None => match self.queued.recv().await? {
                Queued::Line(line) => line,
                Queued::End(end) => return Some(Err(flushed(end).await)),
            },
        };
        let mut chunk = Vec::new();
        self.tell(first.decided().await, &mut chunk);
        while self.end.is_none() && chunk.len() < CHUNK_BYTES {
            match self.queued.try_recv() {
                Ok(Queued::Line(line)) => match line.decided_by_now() {
                    Ok(decided) => self.tell(decided, &mut chunk),
                    Err(line) => {
                        self.next = Some(line);
                        break;
                    }
                },
                Ok(Queued::End(end)) => self.end = Some(end),
                Err(_) => break,
            }
        }
        Some(Ok(chunk.into()))
    }

    fn tell(&mut self, decided: DecidedLine, chunk: &mut Vec<u8>) {
        let DecidedLine { number, key, known } = decided;
        let outcome = match known {
            Known::Rejected(problem) => ImportOutcome::new(number, key, Outcome::Rejected).with(*problem),
            Known::Failed(problem) => ImportOutcome::new(number, key, Outcome::Failed).with(*problem),
            Known::Reply(reply) => {
                if let Err(failure) = &reply
                    && later_lines_must_wait(*failure)
                {
                    self.end = Some(Ended::Failing);
                }
                ImportOutcome::of_reply(number, key, reply)
            }
        };
        // Can't fail: the type has string keys only.
        if let Ok(json) = serde_json::to_vec(&outcome) {
            chunk.extend_from_slice(&json);
            chunk.push(b'\n');
        }
    }
}

/// The end, after the server has written what it took before: it drops its buffer at an error.
async fn flushed(end: Ended) -> Ended {
    tokio::task::yield_now().await;
    end
}

/// A line with a known outcome.
struct DecidedLine {
    number: u64,
    key: Option<String>,
    known: Known,
}

enum Known {
    Reply(Reply),
    Rejected(Box<Problem>),
    Failed(Box<Problem>),
}

impl QueuedLine {
    async fn decided(self) -> DecidedLine {
        let Self { number, key, reached } = self;
        let known = match reached {
            Reached::Writer(reply) => Known::Reply(reply.await.unwrap_or(Err(Failure::OutcomeUnknown))),
            Reached::Rejected(problem) => Known::Rejected(problem),
            Reached::Failed(problem) => Known::Failed(problem),
        };
        DecidedLine { number, key, known }
    }

    /// The line with its outcome, or the unchanged line if the writer has not replied.
    fn decided_by_now(self) -> Result<DecidedLine, Self> {
        let Self { number, key, reached } = self;
        let known = match reached {
            Reached::Writer(mut reply) => match reply.try_recv() {
                Ok(reply) => Known::Reply(reply),
                Err(TryRecvError::Closed) => Known::Reply(Err(Failure::OutcomeUnknown)),
                Err(TryRecvError::Empty) => {
                    return Err(Self { number, key, reached: Reached::Writer(reply) });
                }
            },
            Reached::Rejected(problem) => Known::Rejected(problem),
            Reached::Failed(problem) => Known::Failed(problem),
        };
        Ok(DecidedLine { number, key, known })
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
