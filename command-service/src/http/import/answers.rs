//! The answer of an import: a line for each line, as soon as its outcome and that of all before it are known.

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

/// AnswerStream are sent together up to about so many bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// What is to be answered next.
pub(super) enum Queued {
    /// The outcome of a line.
    Line(QueuedLine),
    /// Nothing more: the answer breaks off.
    End(Ended),
}

/// A line that is to be answered.
pub(super) struct QueuedLine {
    /// Its number, from 1.
    pub(super) number: u64,
    /// Its key, as far as one could be read.
    pub(super) key: Option<String>,
    /// How far it came.
    pub(super) reached: Reached,
}

/// How far a line came.
pub(super) enum Reached {
    /// To the writer, which answers here.
    Writer(oneshot::Receiver<Reply>),
    /// It was refused before.
    Rejected(Box<Problem>),
    /// It could not be read.
    Failed(Box<Problem>),
}

/// What became of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = LineOutcome)]
#[serde(rename_all = "camelCase")]
pub(in super::super) enum Outcome {
    /// Its command took effect.
    Done,
    /// It was decided when it was sent before; `problem` tells why where it was rejected then.
    Repeated,
    /// It was refused.
    Rejected,
    /// It could not be read or carried out; sent again, it may be.
    Failed,
}

/// A line of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ImportOutcome {
    /// The number of the line in what was sent, from 1.
    line: u64,
    /// The line's key; null where none can be read.
    key: Option<String>,
    /// What became of it.
    outcome: Outcome,
    /// The room; for a move the new one.
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
    /// The reservation's revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revision: Option<u32>,
    /// Why it was rejected or failed.
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
                // The rooms of a kind are left out: a list of hundreds for each line would be most of the answer.
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
    /// Taken from the queue, but not decided yet.
    next: Option<QueuedLine>,
    /// Why the answer breaks off, after what is known was told.
    end: Option<Ended>,
}

impl AnswerStream {
    /// All outcomes that are known now; waits for the first of them alone.
    async fn chunk(&mut self) -> Option<Result<Bytes, Ended>> {
        if let Some(end) = self.end.take() {
            return Some(Err(end));
        }
        let first = match self.next.take() {
            Some(line) => line,
            None => match self.queued.recv().await? {
                Queued::Line(line) => line,
                Queued::End(end) => return Some(Err(end)),
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
        // Serialising can't fail: the type has string keys only.
        if let Ok(json) = serde_json::to_vec(&outcome) {
            chunk.extend_from_slice(&json);
            chunk.push(b'\n');
        }
    }
}

/// A line whose outcome is known.
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

    /// The line with its outcome, or as it is where that is not known yet.
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

/// Whether a line was not decided for a reason that passes: the lines after it must not be decided before it is.
const fn later_lines_must_wait(failure: Failure) -> bool {
    match failure {
        Failure::Overloaded | Failure::InProgress | Failure::Unavailable | Failure::OutcomeUnknown => true,
        Failure::KeyReused | Failure::Erased | Failure::NotUnderstood(_) | Failure::Refused => false,
    }
}
