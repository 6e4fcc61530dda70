//! Read your writes: the version that each room shows, and the queries that wait for more.
//!
//! A room that this instance projects wakes its waiters when its events are written; nothing is polled. Rooms of other
//! instances have one poller: one of the waiting queries reads the checkpoints of all of them, a bounded number at a time.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use service_kit::places::{NoPlace, Places, Taken};
use shared_events::{RoomId, Version};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    read_models::Checkpoint,
    stores::{Checkpoints, StoreError},
};

/// Most waits at one time. A query waits once for each room that it wants and that is behind.
pub const MOST_WAITS: usize = 20_000;
/// Most waits of one caller at one time.
pub const MOST_WAITS_OF_CALLER: usize = 1000;
/// Most checkpoints of one read.
pub const ROOMS_AT_ONCE: usize = 128;
/// The pause of the poller between two passes over the rooms of other instances.
const PAUSE: Duration = Duration::from_millis(20);

/// Tells whether this instance projects a room.
pub type Owns = Box<dyn Fn(RoomId) -> bool + Send + Sync>;

/// What the projector has written, by room, and the queries that wait for more.
pub struct Progress {
    state: Mutex<State>,
    /// Of the waits.
    places: Places,
    /// Held by the query that polls for all; the time of the next pass.
    poller: tokio::sync::Mutex<Instant>,
    /// Tells the poller that rooms may have to be looked up.
    to_look_up: Notify,
    /// Tells live streams that a room shows more, or is parked.
    changed: Notify,
}

struct State {
    owns: Owns,
    /// Counts changes of ownership.
    changes: u64,
    seen: HashMap<RoomId, Seen>,
    waited: HashMap<RoomId, Waited>,
    next_waiter: u64,
}

/// What queries show of a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// The version.
    pub version: Version,
    /// Whether an event could not be applied.
    pub parked: bool,
}

/// The waits for one room.
#[derive(Default)]
struct Waited {
    waiters: HashMap<u64, Waiter>,
    /// The number of changes of ownership at the last look at the room's checkpoint.
    looked_up_at: Option<u64>,
}

struct Waiter {
    version: Version,
    wake: oneshot::Sender<Seen>,
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
    /// Too many queries of this caller wait already.
    #[error("a caller's queries wait for at most {MOST_WAITS_OF_CALLER} rooms at a time")]
    TooManyOfCaller,
    /// The checkpoints could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                owns: Box::new(|_| false),
                changes: 0,
                seen: HashMap::new(),
                waited: HashMap::new(),
                next_waiter: 0,
            }),
            places: Places::new(MOST_WAITS, MOST_WAITS_OF_CALLER),
            poller: tokio::sync::Mutex::new(Instant::now()),
            to_look_up: Notify::new(),
            changed: Notify::new(),
        }
    }
}

impl Progress {
    /// Sets which rooms this instance projects from now on, and forgets the others.
    pub fn set_owned(&self, owns: Owns) {
        let mut state = self.state();
        state.seen.retain(|room, _| owns(*room));
        state.owns = owns;
        state.changes += 1;
        drop(state);
        self.to_look_up.notify_one();
    }

    /// Publishes that these rooms are visible up to these versions, and wakes their waiters.
    pub fn publish(&self, rooms: impl IntoIterator<Item = (RoomId, Version)>) {
        let mut state = self.state();
        for (room, version) in rooms {
            let seen = state.seen.entry(room).or_default();
            *seen = Seen { version: version.max(seen.version), parked: false };
            let seen = *seen;
            state.wake(room, seen);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Publishes that the room is parked, which ends all waits for it.
    pub fn park(&self, room: RoomId) {
        let mut state = self.state();
        let seen = state.seen.entry(room).or_default();
        seen.parked = true;
        let seen = *seen;
        state.wake(room, seen);
        drop(state);
        self.changed.notify_one();
    }

    /// Waits until a room that this instance projects shows more or is parked. For one who waits.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What is shown of those rooms that this instance projects and knows.
    #[must_use]
    pub fn seen(&self, rooms: &[RoomId]) -> HashMap<RoomId, Seen> {
        let state = self.state();
        let seen = |room: &RoomId| Some((*room, *state.seen.get(room)?));
        rooms.iter().filter(|room| (state.owns)(**room)).filter_map(seen).collect()
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
        caller: &str,
        wanted: &[(RoomId, Version)],
        within: Duration,
    ) -> Result<(), NotVisible> {
        let deadline = Instant::now() + within;
        let Some(mut waits) = self.begin(caller, wanted)? else { return Ok(()) };
        // Registered before: an event that is written meanwhile wakes the wait.
        if let Ok(looked_up) = timeout_at(deadline, self.look_up(store, &waits.unknown)).await {
            looked_up?;
        }
        let mut polling = pin!(self.poll(store));
        for &mut Wait { room, version, ref mut woken, .. } in &mut waits.open {
            tokio::select! {
                biased;
                Ok(seen) = woken => {
                    if seen.version < version {
                        return Err(NotVisible::Parked { room });
                    }
                }
                () = sleep_until(deadline) => return Err(NotVisible::NotYet { room, version }),
                error = &mut polling => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Registers a wait for each room that is not known to be visible. `None` if all are.
    fn begin<'a>(
        &'a self,
        caller: &'a str,
        wanted: &[(RoomId, Version)],
    ) -> Result<Option<Waits<'a>>, NotVisible> {
        let mut state = self.state();
        let mut behind = Vec::new();
        for &(room, version) in wanted {
            let owned = (state.owns)(room);
            match state.seen.get(&room).filter(|_| owned) {
                Some(seen) if seen.version >= version => {}
                Some(seen) if seen.parked => return Err(NotVisible::Parked { room }),
                seen => behind.push((room, version, owned, seen.is_some())),
            }
        }
        if behind.is_empty() {
            return Ok(None);
        }
        let places = self.places.take(caller, behind.len()).map_err(|none| match none {
            NoPlace::Overloaded => NotVisible::Overloaded,
            NoPlace::TooManyOfCaller => NotVisible::TooManyOfCaller,
        })?;
        if behind.iter().any(|(_, _, owned, _)| !owned) {
            self.to_look_up.notify_one();
        }
        let unknown = behind.iter().filter(|(.., known)| !known).map(|(room, ..)| *room).collect();
        let open = behind.into_iter().map(|(room, version, _, known)| state.register(room, version, known));
        let open = open.collect();
        Ok(Some(Waits { progress: self, _places: places, unknown, open }))
    }

    /// Looks up, for all queries, the rooms that no publication wakes, one query at a time. Ends only with an error.
    async fn poll(&self, store: &dyn Checkpoints) -> StoreError {
        let mut next_pass = self.poller.lock().await;
        loop {
            sleep_until(*next_pass).await;
            let rooms = self.state().to_look_up();
            if rooms.is_empty() {
                self.to_look_up.notified().await;
            } else if let Err(error) = self.look_up(store, &rooms).await {
                return error;
            }
            *next_pass = Instant::now() + PAUSE;
        }
    }

    /// Reads the checkpoints of these rooms, and wakes their waiters accordingly.
    async fn look_up(&self, store: &dyn Checkpoints, rooms: &[RoomId]) -> Result<(), StoreError> {
        for rooms in rooms.chunks(ROOMS_AT_ONCE) {
            let changes = self.state().changes;
            let checkpoints = store.checkpoints(rooms).await?;
            let mut state = self.state();
            for (room, Checkpoint { version, parked }) in checkpoints {
                if let Some(waited) = state.waited.get_mut(&room) {
                    waited.looked_up_at = Some(changes);
                    state.wake(room, Seen { version, parked: parked.is_some() });
                }
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn register(&mut self, room: RoomId, version: Version, known: bool) -> Wait {
        let (wake, woken) = oneshot::channel();
        let id = self.next_waiter;
        self.next_waiter += 1;
        let waited = self.waited.entry(room).or_default();
        waited.waiters.insert(id, Waiter { version, wake });
        if known {
            waited.looked_up_at = Some(self.changes);
        }
        Wait { room, version, id, woken }
    }

    /// Wakes those waiters of a room for which this decides.
    fn wake(&mut self, room: RoomId, seen: Seen) {
        let Some(waited) = self.waited.get_mut(&room) else { return };
        for (_, waiter) in
            waited.waiters.extract_if(|_, waiter| seen.parked || waiter.version <= seen.version)
        {
            // A waiter that has given up needs no waking.
            let _ = waiter.wake.send(seen);
        }
        if waited.waiters.is_empty() {
            self.waited.remove(&room);
        }
    }

    /// The rooms that others project, and those that came to this instance since their last look.
    fn to_look_up(&self) -> Vec<RoomId> {
        let due = |(room, waited): &(&RoomId, &Waited)| {
            waited.looked_up_at != Some(self.changes) || !(self.owns)(**room)
        };
        self.waited.iter().filter(due).map(|(room, _)| *room).collect()
    }
}

/// A registered wait.
struct Wait {
    room: RoomId,
    version: Version,
    id: u64,
    woken: oneshot::Receiver<Seen>,
}

/// The waits of one query. They end with it.
struct Waits<'a> {
    progress: &'a Progress,
    _places: Taken<'a>,
    /// Rooms of which this instance does not know the version.
    unknown: Vec<RoomId>,
    open: Vec<Wait>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut state = self.progress.state();
        for Wait { room, id, .. } in &self.open {
            if let Some(waited) = state.waited.get_mut(room) {
                waited.waiters.remove(id);
                if waited.waiters.is_empty() {
                    state.waited.remove(room);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
