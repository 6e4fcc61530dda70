//! Read your writes: the version that each room shows, and the queries that wait for more.
//!
//! A room that this instance projects wakes its waiters when its events are written; nothing is polled. For a room of
//! another instance, the checkpoint in the store is polled until the time is over.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use service_kit::retry::Backoff;
use shared_events::{RoomId, Version};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{
    read_models::Checkpoint,
    stores::{Checkpoints, StoreError},
};

/// Most waits at one time.
pub const MOST_WAITERS: usize = 20_000;
/// First and longest pause between two looks at another instance's checkpoints.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Tells whether this instance projects a room.
pub type Owns = Box<dyn Fn(RoomId) -> bool + Send + Sync>;

/// What the projector has written, by room, and the queries that wait for more.
pub struct Progress {
    state: Mutex<State>,
    /// Counts changes of ownership.
    ownership: watch::Sender<u64>,
}

struct State {
    owns: Owns,
    seen: HashMap<RoomId, Seen>,
    waiters: HashMap<RoomId, Vec<Waiter>>,
    waiting: usize,
    next_waiter: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Seen {
    version: Version,
    parked: bool,
}

struct Waiter {
    id: u64,
    version: Version,
    wake: oneshot::Sender<()>,
}

/// Why a query can't show what its token asks for.
#[derive(Debug, thiserror::Error)]
pub enum NotVisible {
    /// It is not visible in time.
    #[error("room {room} has not come to version {version} yet")]
    NotYet {
        /// The room that is behind.
        room: RoomId,
        /// The version that was asked for.
        version: Version,
    },
    /// The room waits for an operator.
    #[error("room {room} is parked at an event that can't be read")]
    Parked {
        /// The parked room.
        room: RoomId,
    },
    /// Too many wait already.
    #[error("too many queries wait")]
    Overloaded,
    /// The checkpoints could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                owns: Box::new(|_| false),
                seen: HashMap::new(),
                waiters: HashMap::new(),
                waiting: 0,
                next_waiter: 0,
            }),
            ownership: watch::Sender::new(0),
        }
    }
}

impl Progress {
    /// Sets which rooms this instance projects from now on, and forgets the others.
    pub fn set_owned(&self, owns: Owns) {
        let mut state = self.state();
        state.seen.retain(|room, _| owns(*room));
        state.owns = owns;
        drop(state);
        self.ownership.send_modify(|changes| *changes += 1);
    }

    /// Whether this instance projects the room.
    #[must_use]
    pub fn owns(&self, room: RoomId) -> bool {
        (self.state().owns)(room)
    }

    /// Publishes that these rooms are visible up to these versions, and wakes their waiters.
    pub fn publish(&self, rooms: impl IntoIterator<Item = (RoomId, Version)>) {
        let mut state = self.state();
        for (room, version) in rooms {
            let seen = state.seen.entry(room).or_default();
            *seen = Seen { version: version.max(seen.version), parked: false };
            let reached = seen.version;
            state.wake(room, |waiter| waiter.version <= reached);
        }
    }

    /// Publishes that the room is parked, which ends all waits for it.
    pub fn park(&self, room: RoomId) {
        let mut state = self.state();
        state.seen.entry(room).or_default().parked = true;
        state.wake(room, |_| true);
    }

    /// The versions of those rooms that this instance projects and knows.
    #[must_use]
    pub fn known(&self, rooms: &[RoomId]) -> HashMap<RoomId, Version> {
        let state = self.state();
        let version = |room: &RoomId| Some((*room, state.seen.get(room)?.version));
        rooms.iter().filter(|room| (state.owns)(**room)).filter_map(version).collect()
    }

    /// Notes a checkpoint that was read from the store, of a room that this instance projects and did not know. Nothing is
    /// noted of a room without events: anyone can ask for any id.
    pub fn learn(&self, room: RoomId, checkpoint: &Checkpoint) {
        let mut state = self.state();
        if checkpoint.version > Version::NONE && checkpoint.parked.is_none() && (state.owns)(room) {
            state.seen.entry(room).or_insert(Seen { version: checkpoint.version, parked: false });
        }
    }

    /// Forgets a room whose checkpoint is another one.
    pub fn forget(&self, room: RoomId) {
        self.state().seen.remove(&room);
    }

    /// Waits until all of these rooms are visible up to these versions.
    ///
    /// # Errors
    /// [`NotVisible`], at the latest after `within`.
    pub async fn wait(
        &self,
        store: &dyn Checkpoints,
        wanted: &[(RoomId, Version)],
        within: Duration,
    ) -> Result<(), NotVisible> {
        let deadline = Instant::now() + within;
        for (room, version) in wanted {
            self.wait_for(store, *room, *version, deadline).await?;
        }
        Ok(())
    }

    async fn wait_for(
        &self,
        store: &dyn Checkpoints,
        room: RoomId,
        version: Version,
        deadline: Instant,
    ) -> Result<(), NotVisible> {
        let late = NotVisible::NotYet { room, version };
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let mut ownership = self.ownership.subscribe();
            match self.look(room, version)? {
                Look::Visible => return Ok(()),
                Look::Waiting { mut waiting, known } => {
                    if !known && stored(store, room, version).await? {
                        return Ok(());
                    }
                    tokio::select! {
                        biased;
                        _ = &mut waiting.woken => {}
                        _ = ownership.changed() => {}
                        () = tokio::time::sleep_until(deadline) => return Err(late),
                    }
                }
                Look::Elsewhere => {
                    if stored(store, room, version).await? {
                        return Ok(());
                    }
                    let pause = backoff.next_delay();
                    if Instant::now() + pause >= deadline {
                        return Err(late);
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        _ = ownership.changed() => {}
                    }
                }
            }
        }
    }

    /// Looks a room up, and registers a waiter if this instance projects it and it is behind.
    fn look(&self, room: RoomId, version: Version) -> Result<Look<'_>, NotVisible> {
        let mut state = self.state();
        if !(state.owns)(room) {
            return Ok(Look::Elsewhere);
        }
        let seen = state.seen.get(&room).copied();
        match seen {
            Some(seen) if seen.version >= version => return Ok(Look::Visible),
            Some(seen) if seen.parked => return Err(NotVisible::Parked { room }),
            _ => {}
        }
        if state.waiting >= MOST_WAITERS {
            return Err(NotVisible::Overloaded);
        }
        let (wake, woken) = oneshot::channel();
        let id = state.next_waiter;
        state.next_waiter += 1;
        state.waiting += 1;
        state.waiters.entry(room).or_default().push(Waiter { id, version, wake });
        Ok(Look::Waiting { waiting: Waiting { progress: self, room, id, woken }, known: seen.is_some() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self, room: RoomId, which: impl Fn(&Waiter) -> bool) {
        let Some(waiters) = self.waiters.get_mut(&room) else { return };
        let before = waiters.len();
        for waiter in waiters.extract_if(.., |waiter| which(waiter)) {
            // A waiter that has given up needs no waking.
            let _ = waiter.wake.send(());
        }
        let left = waiters.len();
        self.waiting -= before - left;
        if left == 0 {
            self.waiters.remove(&room);
        }
    }
}

/// Whether the store has the room at that version.
async fn stored(store: &dyn Checkpoints, room: RoomId, version: Version) -> Result<bool, NotVisible> {
    let checkpoint = store.checkpoint(room).await?;
    if checkpoint.version >= version {
        return Ok(true);
    }
    if checkpoint.parked.is_some() { Err(NotVisible::Parked { room }) } else { Ok(false) }
}

enum Look<'a> {
    Visible,
    Waiting { waiting: Waiting<'a>, known: bool },
    Elsewhere,
}

/// A registered waiter. It leaves the list when it gives up.
struct Waiting<'a> {
    progress: &'a Progress,
    room: RoomId,
    id: u64,
    woken: oneshot::Receiver<()>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let id = self.id;
        self.progress.state().wake(self.room, |waiter| waiter.id == id);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        queries::{PageRequest, Schedule, version_of},
        stores::memory::MemoryReadModels,
    };

    #[tokio::test(start_paused = true)]
    async fn nothing_is_remembered_of_rooms_that_do_not_exist() {
        let (models, progress) = (MemoryReadModels::new(), Progress::default());
        progress.set_owned(Box::new(|_| true));
        let during = shared_events::Interval {
            from: "2031-01-01T00:00:00Z".parse().unwrap(),
            to: "2031-01-02T00:00:00Z".parse().unwrap(),
        };
        for number in 0..10_000 {
            let room = RoomId(Uuid::from_u128(number));
            assert_eq!(version_of(&models, &progress, room).await.unwrap(), Version::NONE);
            let schedule = Schedule { room, during };
            assert!(schedule.run(&models, &progress, &PageRequest::first(1)).await.unwrap().is_none());
            let waited = progress.wait(&models, &[(room, Version::FIRST)], Duration::ZERO).await;
            assert!(matches!(waited, Err(NotVisible::NotYet { .. })), "{waited:?}");
        }
        let state = progress.state();
        assert_eq!((state.seen.len(), state.waiters.len(), state.waiting), (0, 0, 0));
        drop(state);
        let room = RoomId(Uuid::from_u128(7));
        progress.learn(room, &Checkpoint { version: Version::FIRST, parked: None });
        assert_eq!(progress.known(&[room]), HashMap::from([(room, Version::FIRST)]), "this one exists");
    }
}
