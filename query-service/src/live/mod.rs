//! Live: what changes, told to clients as soon as queries show it, at least once.
//!
//! Each instance reads the whole topic and remembers its latest messages. A message that some client wants waits until the
//! read models show its version; messages of other rooms wait for nothing. The `id` of a stream's event is the lowest place of
//! all that waits, so a client that comes back with it, to any instance, misses nothing. It may be told a thing again.

mod client;
mod notice;
mod place;
mod ring;
mod state;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use shared_events::{RoomId, UserId};
use tokio::sync::{Notify, watch};

use self::{
    client::{Client, Told},
    place::Place,
    ring::{Ring, RoomLog},
    state::State,
};
use crate::progress::Seen;

pub use client::Wants;
pub use notice::{About, Notice};
#[cfg(feature = "kafka")]
pub(crate) use ring::REMEMBERED;

/// Most streams of one user.
pub const MOST_STREAMS_OF_USER: usize = 32;

/// Counter: resets that clients were told, by reason.
const RESETS: &str = "live_resets_total";
/// Gauge: open streams.
const STREAMS: &str = "live_streams";

/// Why a client gets no stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoStream {
    /// All streams are taken.
    #[error("too many clients have a stream")]
    Overloaded,
    /// The user has as many as one may have.
    #[error("a user has at most {MOST_STREAMS_OF_USER} streams at a time")]
    TooManyOfUser,
}

/// Tells clients what changes.
pub struct Hub {
    most_streams: usize,
    state: Mutex<State>,
    /// Something waits that did not before.
    more: Notify,
    /// Whether the latest messages are read.
    filled: watch::Sender<bool>,
    /// Whether a client ever asked.
    asked: watch::Sender<bool>,
}

/// A place among the streams, given back when it is dropped.
pub struct Entrance {
    hub: Arc<Hub>,
    client: Arc<Client>,
}

/// A stream. It ends when it is dropped.
pub struct Stream {
    entrance: Entrance,
    key: u64,
}

impl Hub {
    /// A hub without messages.
    #[must_use]
    pub fn new(most_streams: usize) -> Self {
        metrics::describe_counter!(RESETS, "Resets that clients of live streams were told, by reason.");
        metrics::describe_gauge!(STREAMS, "Open live streams.");
        Self {
            most_streams,
            state: Mutex::default(),
            more: Notify::new(),
            filled: watch::Sender::new(false),
            asked: watch::Sender::new(false),
        }
    }

    /// Waits for the first client. Until then nothing need be read.
    pub async fn asked(&self) {
        // The sender lives as long as the hub.
        _ = self.asked.subscribe().wait_for(|asked| *asked).await;
    }

    /// Begins anew with a topic whose partitions are read from these offsets on. All streams end: their clients come back.
    pub fn begin(&self, identity: u64, starts: &[i64]) {
        self.filled.send_replace(false);
        let mut state = self.state();
        state.ring = Ring::new(identity, starts);
        state.waiting.clear();
        state.place = None;
        state.clients.values().for_each(|client| client.end());
    }

    /// The latest messages are read.
    pub fn filled(&self) {
        let mut state = self.state();
        state.note_place();
        // Those that came since the beginning were told nothing.
        state.clients.values().for_each(|client| client.end());
        self.filled.send_replace(true);
    }

    /// Waits until the latest messages are read.
    pub async fn ready(&self) {
        self.asked.send_replace(true);
        _ = self.filled.subscribe().wait_for(|filled| *filled).await;
    }

    /// Takes a message of the topic. Without a notice it can't be told, and only has its place.
    pub fn push(&self, partition: usize, offset: i64, notice: Option<Notice>) {
        let mut state = self.state();
        let Some(mut placed) = state.ring.push(partition, offset, notice) else { return };
        placed.left = state.set_kind(&placed.notice);
        // The messages from before the first client are remembered, and told to those who come back.
        if *self.filled.borrow() {
            state.wait(placed);
            self.more.notify_one();
        }
    }

    /// Waits until something waits for the read models.
    pub async fn waits(&self) {
        while self.state().waiting.is_empty() {
            self.more.notified().await;
        }
    }

    /// Waits until something more waits for the read models.
    pub async fn more(&self) {
        self.more.notified().await;
    }

    /// The rooms of which something waits.
    #[must_use]
    pub fn waiting(&self) -> Vec<RoomId> {
        self.state().waiting.keys().copied().collect()
    }

    /// Tells what the read models show of these rooms. `told` gets each notice once, however many want it.
    pub fn show(&self, found: &HashMap<RoomId, Seen>, told: impl FnMut(&Notice)) {
        self.state().show(found, told);
    }

    /// Other read models are shown: their content may differ, so all clients read everything again.
    pub fn show_others(&self) {
        let mut state = self.state();
        let mut again = Vec::new();
        for log in state.ring.rooms.values_mut() {
            log.visible = None;
            again.extend(log.messages.iter().cloned());
        }
        state.ring.parked.clear();
        again.into_iter().for_each(|placed| state.wait(placed));
        state.note_place();
        for client in state.clients.values() {
            client.lose();
            client.at(state.place.clone());
            metrics::counter!(RESETS, "reason" => "generation").increment(1);
        }
        drop(state);
        self.more.notify_one();
    }

    /// The wanted rooms of which nothing waits.
    #[must_use]
    pub fn quiet(&self) -> Vec<RoomId> {
        let mut state = self.state();
        let State { ring, by_room, kinds, .. } = &mut *state;
        ring.sweep(|room| by_room.contains_key(&room) || kinds.contains_key(&room));
        let wanted: HashSet<RoomId> = state.by_room.keys().chain(state.kinds.keys()).copied().collect();
        wanted.into_iter().filter(|room| !state.waiting.contains_key(room)).collect()
    }

    /// Compares what the read models show of quiet rooms with what was told.
    pub fn compare(&self, found: &HashMap<RoomId, Seen>) {
        self.state().compare(found);
    }

    /// A place among the streams.
    ///
    /// # Errors
    /// [`NoStream`].
    pub fn enter(self: &Arc<Self>, user: &UserId, wants: Wants) -> Result<Entrance, NoStream> {
        let mut state = self.state();
        let of_user = state.streams_of.get(user).copied().unwrap_or_default();
        if of_user >= MOST_STREAMS_OF_USER {
            return Err(NoStream::TooManyOfUser);
        }
        if state.streams >= self.most_streams {
            return Err(NoStream::Overloaded);
        }
        state.streams += 1;
        state.streams_of.insert(user.clone(), of_user + 1);
        wants.kind.iter().for_each(|kind| state.interest(kind));
        metrics::gauge!(STREAMS).increment(1.0);
        Ok(Entrance { hub: Arc::clone(self), client: Arc::new(Client::new(user.clone(), wants)) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entrance {
    /// The rooms of the wanted kind are these, beside those that messages name.
    pub fn learn_kind(&self, rooms: impl IntoIterator<Item = RoomId>) {
        let Some(kind) = &self.client.wants.kind else { return };
        self.hub.state().learn_kind(kind, rooms);
    }

    /// The wanted rooms of which messages are remembered that the read models may not show yet, and those never looked up.
    #[must_use]
    pub fn unverified(&self) -> Vec<RoomId> {
        let state = self.hub.state();
        let unverified = |room: &RoomId| state.ring.rooms.get(room).is_none_or(RoomLog::is_unverified);
        state.rooms_of(&self.client.wants).into_iter().filter(unverified).collect()
    }

    /// Begins a stream. `found` is what the read models show of the [unverified](Self::unverified) rooms, and `last` the `id`
    /// of the last event that the client knows.
    #[must_use]
    pub fn begin(self, last: Option<&str>, found: &HashMap<RoomId, Seen>) -> Stream {
        let mut state = self.hub.state();
        state.show(found, |_| {});
        let key = state.insert(&self.client);
        let place = last.and_then(Place::parse);
        let known = last.map(|_| place.as_ref().and_then(|place| state.ring.find(place)));
        let (mut again, mut repeated, mut later) = (BTreeSet::new(), Vec::new(), Vec::new());
        if let (Some(place), Some(Some(offsets))) = (&place, &known) {
            again = state.resets_after(place, offsets, &self.client.wants);
            state.doubt(&self.client.wants);
        }
        for room in state.rooms_of(&self.client.wants) {
            let Some(log) = state.ring.rooms.get(&room) else { continue };
            if state.ring.parked.contains(&room) {
                again.insert(room);
                continue;
            }
            let visible = log.visible.unwrap_or_default();
            for placed in log.messages.iter().filter(|placed| state.wants(&self.client.wants, placed)) {
                let missed = |offsets: &Vec<i64>| {
                    offsets.get(placed.partition).is_some_and(|offset| placed.offset >= *offset)
                };
                if placed.notice.version > visible {
                    later.push(placed.clone());
                } else if known.iter().flatten().any(missed) {
                    repeated.push(Told::Notice(Arc::clone(&placed.notice)));
                }
            }
        }
        later.into_iter().for_each(|placed| state.wait(placed));
        state.note_place();
        if known.is_some_and(|known| known.is_none()) {
            metrics::counter!(RESETS, "reason" => "place").increment(1);
            self.client.lose();
        }
        again.into_iter().map(Told::Reset).chain(repeated).for_each(|told| self.client.tell(told));
        self.client.at(state.place.clone());
        drop(state);
        self.hub.more.notify_one();
        Stream { entrance: self, key }
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        state.streams -= 1;
        if let Some(number) = state.streams_of.get_mut(&self.client.user) {
            *number -= 1;
            if *number == 0 {
                state.streams_of.remove(&self.client.user);
            }
        }
        self.client.wants.kind.iter().for_each(|kind| state.lose_interest(kind));
        metrics::gauge!(STREAMS).decrement(1.0);
    }
}

impl Stream {
    /// Waits for what is to be told, as the text of a stream. `None`: the stream ends.
    pub async fn next(&self) -> Option<String> {
        self.entrance.client.next().await
    }

    /// The present place, if nothing is to be told.
    #[must_use]
    pub fn place(&self) -> Option<Arc<str>> {
        // Read first: all before this place is in the queue, or was taken.
        let place = self.entrance.hub.state().place.clone();
        place.filter(|_| self.entrance.client.is_idle())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.entrance.hub.state().remove(self.key);
    }
}

#[cfg(test)]
mod tests;
