//! A client's stream: what it wants, and a bounded queue of what it is to be told.

use std::{
    collections::{HashSet, VecDeque},
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use shared_events::{RoomId, UserId};
use tokio::sync::Notify;

use super::{RESETS, notice::Notice};

/// Most events that wait for a client. One too many replaces them by a reset.
const MOST_QUEUED: usize = 512;

/// What a client wants to be told of: the union of these.
#[derive(Clone, Default, Debug)]
pub struct Wants {
    /// These rooms.
    pub rooms: HashSet<RoomId>,
    /// Rooms of this kind.
    pub kind: Option<String>,
    /// Reservations of this user.
    pub owner: Option<UserId>,
}

/// Something to tell a client.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Notice(Arc<Notice>),
    /// The client must read the room again.
    Reset(RoomId),
}

/// The hub's end of a stream.
pub(super) struct Client {
    pub(super) user: UserId,
    pub(super) wants: Wants,
    queue: Mutex<Queue>,
    ready: Notify,
}

#[derive(Default)]
struct Queue {
    told: VecDeque<Told>,
    /// The place after everything in `told`.
    place: Option<Arc<str>>,
    /// Something was not told: the client must read everything again.
    lost: bool,
    ended: bool,
}

impl Client {
    pub(super) fn new(user: UserId, wants: Wants) -> Self {
        Self { user, wants, queue: Mutex::default(), ready: Notify::new() }
    }

    pub(super) fn tell(&self, told: Told) {
        let mut queue = self.queue();
        if queue.lost {
            return;
        }
        queue.told.push_back(told);
        if queue.told.len() > MOST_QUEUED {
            queue.told.clear();
            queue.lost = true;
            metrics::counter!(RESETS, "reason" => "slow").increment(1);
        }
    }

    /// Everything that was told up to now leads to this place.
    pub(super) fn at(&self, place: Option<Arc<str>>) {
        self.queue().place = place;
        self.ready.notify_one();
    }

    pub(super) fn lose(&self) {
        let mut queue = self.queue();
        queue.told.clear();
        queue.lost = true;
    }

    pub(super) fn end(&self) {
        self.queue().ended = true;
        self.ready.notify_one();
    }

    /// Waits for something to tell, and takes all of it, as the text of the stream. `None`: the stream ends.
    pub(super) async fn next(&self) -> Option<String> {
        loop {
            {
                let mut queue = self.queue();
                if queue.ended {
                    return None;
                }
                if let Some(text) = queue.take(&self.user) {
                    return Some(text);
                }
            }
            self.ready.notified().await;
        }
    }

    /// Whether nothing waits for the client.
    pub(super) fn is_idle(&self) -> bool {
        let queue = self.queue();
        queue.told.is_empty() && !queue.lost && !queue.ended
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Only the last event has an id: a cut in between leaves the client at the place before all of them.
    fn take(&mut self, user: &UserId) -> Option<String> {
        let mut text = String::new();
        if std::mem::take(&mut self.lost) {
            text.push_str("event: reset\ndata: {}\n");
        }
        for told in self.told.drain(..) {
            if !text.is_empty() {
                text.push('\n');
            }
            match told {
                Told::Notice(notice) => {
                    text.push_str("data: ");
                    notice.write(user, &mut text);
                    text.push('\n');
                }
                // Writing to a string never fails.
                Told::Reset(room) => _ = writeln!(text, "event: reset\ndata: {{\"room\":\"{room}\"}}"),
            }
        }
        if text.is_empty() {
            return None;
        }
        if let Some(place) = &self.place {
            text.push_str("id: ");
            text.push_str(place);
            text.push('\n');
        }
        text.push('\n');
        Some(text)
    }
}
