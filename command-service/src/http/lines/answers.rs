//! The answer: a line for each line, once its outcome and those of all earlier lines are known.

use actix_web::web::Bytes;
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::sync::{
    mpsc,
    oneshot::{self, error::TryRecvError},
};

use super::Ended;

/// Size up to which lines are sent together, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

/// The next part of the answer.
pub(in super::super) enum Queued<T: LineOutcome> {
    /// The answer to a line.
    Line(QueuedLine<T>),
    /// The answer breaks off.
    End(Ended),
}

/// A line without an answer.
pub(in super::super) struct QueuedLine<T: LineOutcome> {
    /// Its number, from 1.
    pub(in super::super) number: u64,
    /// Its key, if it could be read.
    pub(in super::super) key: Option<String>,
    /// The state of the line.
    pub(in super::super) answered: Answered<T>,
}

/// The state of a line.
pub(in super::super) enum Answered<T: LineOutcome> {
    /// Its outcome arrives here.
    Later(oneshot::Receiver<T::Reply>),
    /// Its outcome is known.
    Now(T),
}

/// The outcome of a line.
pub(in super::super) trait LineOutcome: Sized {
    /// The message that brings it.
    type Reply;

    /// The outcome that a message brings. `None`: the message was lost.
    fn of(reply: Option<Self::Reply>) -> Self;

    /// Writes the outcome, and says whether the answer breaks off after it.
    fn write(self, number: u64, key: Option<String>, chunk: &mut Vec<u8>) -> Option<Ended>;
}

/// Writes a line.
pub(in super::super) fn push_line(chunk: &mut Vec<u8>, line: &impl Serialize) {
    // Can't fail: the types have string keys only.
    if let Ok(json) = serde_json::to_vec(line) {
        chunk.extend_from_slice(&json);
        chunk.push(b'\n');
    }
}

/// The answer's body.
pub(in super::super) fn answers<T: LineOutcome>(
    queued: mpsc::Receiver<Queued<T>>,
) -> impl Stream<Item = Result<Bytes, Ended>> {
    let answers = AnswerStream { queued, next: None, end: None };
    stream::unfold(answers, |mut answers| async move { answers.chunk().await.map(|chunk| (chunk, answers)) })
}

struct AnswerStream<T: LineOutcome> {
    queued: mpsc::Receiver<Queued<T>>,
    /// Taken from the queue, but without an outcome.
    next: Option<QueuedLine<T>>,
    /// Set when the answer breaks off after the current chunk.
    end: Option<Ended>,
}

impl<T: LineOutcome> AnswerStream<T> {
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
        self.end = first.decided().await.write(&mut chunk);
        while self.end.is_none() && chunk.len() < CHUNK_BYTES {
            match self.queued.try_recv() {
                Ok(Queued::Line(line)) => match line.decided_by_now() {
                    Ok(decided) => self.end = decided.write(&mut chunk),
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
}

/// The end, after the server has written what it took before: it drops its buffer at an error.
async fn flushed(end: Ended) -> Ended {
    tokio::task::yield_now().await;
    end
}

/// A line with a known outcome.
struct DecidedLine<T> {
    number: u64,
    key: Option<String>,
    outcome: T,
}

impl<T: LineOutcome> DecidedLine<T> {
    fn write(self, chunk: &mut Vec<u8>) -> Option<Ended> {
        self.outcome.write(self.number, self.key, chunk)
    }
}

impl<T: LineOutcome> QueuedLine<T> {
    async fn decided(self) -> DecidedLine<T> {
        let Self { number, key, answered } = self;
        let outcome = match answered {
            Answered::Later(reply) => T::of(reply.await.ok()),
            Answered::Now(outcome) => outcome,
        };
        DecidedLine { number, key, outcome }
    }

    /// The line with its outcome, or the unchanged line if it has none.
    fn decided_by_now(self) -> Result<DecidedLine<T>, Self> {
        let Self { number, key, answered } = self;
        let outcome = match answered {
            Answered::Later(mut reply) => match reply.try_recv() {
                Ok(reply) => T::of(Some(reply)),
                Err(TryRecvError::Closed) => T::of(None),
                Err(TryRecvError::Empty) => {
                    return Err(Self { number, key, answered: Answered::Later(reply) });
                }
            },
            Answered::Now(outcome) => outcome,
        };
        Ok(DecidedLine { number, key, outcome })
    }
}
