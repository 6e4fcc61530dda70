//! The queue between a partition's source and its pipeline.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::message::Message;

/// Bounds of an [`Inbox`], or of a batch that is taken from it.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most messages.
    pub rows: usize,
    /// The most bytes of payload. A single message may be larger.
    pub bytes: usize,
}

/// A queue between a source and a pipeline. Its source keeps it bounded: the Kafka thread, which can't wait, pauses the
/// partition while the inbox is full, and the in-process source waits for room.
#[derive(Debug)]
pub struct Inbox {
    bounds: Bounds,
    state: Mutex<State>,
    filled: Notify,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    bytes: usize,
    closed: bool,
}

/// The pipeline at the other end is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads this inbox any more")]
pub struct Closed;

impl Inbox {
    /// An empty inbox that counts as full at `bounds`.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, state: Mutex::default(), filled: Notify::new(), emptied: Notify::new() }
    }

    /// Adds a message, even to a full inbox, and returns whether the inbox is full: then its source should pause. A closed
    /// inbox drops the message.
    pub fn push(&self, message: Message) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.bytes += message.size();
        state.messages.push_back(message);
        let full = self.bounds.reached(&state);
        drop(state);
        self.filled.notify_one();
        full
    }

    /// Adds a message as soon as there is room.
    ///
    /// # Errors
    /// [`Closed`]; the message is dropped.
    pub async fn push_when_there_is_room(&self, message: Message) -> Result<(), Closed> {
        loop {
            let emptied = self.emptied.notified();
            if self.state().closed {
                return Err(Closed);
            }
            if !self.is_full() {
                self.push(message);
                return Ok(());
            }
            emptied.await;
        }
    }

    /// Waits for a message, then takes all messages, up to `most`. There is no timer: messages that arrive during a batch
    /// are the next batch. The batch is empty only if the inbox is closed.
    pub async fn take(&self, most: Bounds) -> Vec<Message> {
        loop {
            let filled = self.filled.notified();
            {
                let mut state = self.state();
                let taken = state.take(most);
                if !taken.is_empty() || state.closed {
                    let left = !state.messages.is_empty();
                    drop(state);
                    self.emptied.notify_waiters();
                    if left {
                        self.filled.notify_one();
                    }
                    return taken;
                }
            }
            filled.await;
        }
    }

    /// Whether the inbox is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bounds.reached(&self.state())
    }

    /// Whether a paused source should go on.
    #[must_use]
    pub fn is_nearly_empty(&self) -> bool {
        let state = self.state();
        state.messages.len() <= self.bounds.rows / 4 && state.bytes <= self.bounds.bytes / 4
    }

    /// Drops all messages, and accepts no more.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.messages.clear();
        state.bytes = 0;
        drop(state);
        self.filled.notify_one();
        self.emptied.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bounds {
    fn reached(&self, state: &State) -> bool {
        state.messages.len() >= self.rows || state.bytes >= self.bytes
    }
}

impl State {
    fn take(&mut self, most: Bounds) -> Vec<Message> {
        let (mut rows, mut bytes) = (0, 0);
        for message in &self.messages {
            if rows > 0 && (rows >= most.rows || bytes + message.size() > most.bytes) {
                break;
            }
            rows += 1;
            bytes += message.size();
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        self.messages.drain(..rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn message(offset: i64, payload: usize) -> Message {
        Message::read(offset, None, &[], &vec![0; payload])
    }

    const BOUNDS: Bounds = Bounds { rows: 4, bytes: 100_000 };

    #[tokio::test]
    async fn what_is_ready_is_taken_at_once_within_rows_and_bytes() {
        let inbox = Inbox::new(BOUNDS);
        for offset in 0..4 {
            inbox.push(message(offset, 1_000));
        }
        assert!(inbox.is_full());
        let offsets = |taken: Vec<Message>| taken.iter().map(|message| message.offset).collect::<Vec<_>>();
        assert_eq!(offsets(inbox.take(Bounds { rows: 2, bytes: 100_000 }).await), [0, 1]);
        let one = inbox.take(Bounds { rows: 2, bytes: 10 }).await;
        assert_eq!(offsets(one), [2], "one, though it is too large");
        assert!(inbox.is_nearly_empty());
        assert_eq!(offsets(inbox.take(BOUNDS).await), [3]);
    }

    #[tokio::test]
    async fn a_sender_waits_for_room_and_is_told_when_nobody_reads() {
        let inbox = Arc::new(Inbox::new(BOUNDS));
        for offset in 0..4 {
            inbox.push_when_there_is_room(message(offset, 1)).await.unwrap();
        }
        let sender = tokio::spawn({
            let inbox = Arc::clone(&inbox);
            async move { inbox.push_when_there_is_room(message(4, 1)).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(inbox.take(BOUNDS).await.len(), 4);
        sender.await.unwrap().unwrap();
        assert_eq!(inbox.take(BOUNDS).await.len(), 1);
        inbox.close();
        assert_eq!(inbox.push_when_there_is_room(message(5, 1)).await, Err(Closed));
        assert!(inbox.take(BOUNDS).await.is_empty());
    }
}
