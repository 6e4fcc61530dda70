//! The writer: commands queue here, and those that wait are decided and committed together (group commit).
//!
//! Guarantees: a command's effects are committed together or not at all. Every reply goes out after the commit of its group. A
//! rejection goes out only after the writer has found its rooms, kinds and names unchanged.
//!
//! Commands that arrive during a commit form the next group. A command that comes alone waits for no timer. A queued command
//! is carried out even if its client no longer waits.

use std::{
    collections::HashSet,
    sync::{
        self, Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use service_kit::clock::Clock;
use shared_events::{
    ConsistencyToken, ReservationId, RoomId, SeriesId, Version, closure_events::ClosureAdded,
};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout_at},
};

use self::{
    pace::Pace,
    recall::{Memory, Recollection},
};
use crate::{
    commands::{Action, Alternative, Command, Occurrence},
    domain::{Misfit, Rejection},
    event_store::{
        Append, ErasureList, EventLog, EventStore, IdempotencyKeys, KeyId, ReservationIndex, RoomDirectory,
        Snapshots,
    },
    outbox::HandoffSender,
};

mod answers;
mod attempt;
mod cache;
mod commit;
mod group;
mod lines;
mod pace;
mod recall;

pub use answers::RecordedOutcome;
pub use lines::Lines;

/// Most commands in one group. Larger groups gain nothing: measured, 200 rows a transaction reach 98% of the rate of 500.
const MAX_GROUP: usize = 512;
/// The part of the queue that lines may fill.
const LINES_SHARE: usize = 4;

/// Settings of the writer.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most waiting commands. One more is refused as overloaded.
    pub queue_capacity: usize,
    /// How long a command may wait and be retried until it is answered as unavailable.
    pub deadline: Duration,
    /// Most rooms whose decision states are cached.
    pub cached_rooms: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { queue_capacity: 4096, deadline: Duration::from_secs(10), cached_rooms: 100_000 }
    }
}

/// A command with its context.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The command. The writer sets its time, unless it is imported.
    pub command: Command,
    /// The key of the import line that made the reservation. The writer fills in the reservation's id.
    pub made_by: Option<KeyId>,
    /// The client's idempotency key.
    pub key: Option<IdempotencyKey>,
    /// Id of everything that belongs together: 1 to 200 characters.
    pub correlation_id: String,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
}

/// An idempotency key with the fingerprint of its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdempotencyKey {
    /// Hash of caller and key.
    pub id: KeyId,
    /// Hash of method, path and body.
    pub fingerprint: [u8; 16],
}

/// A command's effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// The room, for a move the new one.
    pub room: RoomId,
    /// The room's version after the command.
    pub version: Version,
    /// The reservation, if it is about one.
    pub reservation: Option<ReservationId>,
    /// The reservation's revision, or that of the room's settings. Of a closure 1, and 2 once it is lifted.
    pub revision: u32,
    /// Whether a room, a reservation or a series was made.
    pub created: bool,
    /// What it did to a closure.
    pub closure: Option<ClosureEffect>,
    /// The token for queries that must show it.
    pub token: ConsistencyToken,
    /// What became of a series, if it is about one. Then there is no one reservation, and `revision` has no meaning.
    pub series: Option<Box<SeriesDone>>,
}

/// A command's effect on a series.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeriesDone {
    /// The series.
    pub series: SeriesId,
    /// The reservations that the command made, changed or cancelled, by time. In a dry run, what it would make.
    pub occurrences: Vec<Occurrence>,
    /// Occurrences that don't fit and were left out.
    pub skipped: Vec<Misfit>,
}

/// An effect on a closure of a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClosureEffect {
    /// The room is closed.
    Added(Box<ClosureAdded>),
    /// The closure was taken back.
    Lifted,
}

/// The outcome of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandOutcome {
    /// Its effect, or its rejection.
    pub result: Result<Done, Rejection>,
    /// The rooms that a rejection or no-op depends on, at the versions of the decision.
    pub rests_on: Vec<(RoomId, Version)>,
    /// What else the client may reserve, where a stay found no free time.
    pub alternatives: Vec<Alternative>,
    /// Whether it is the outcome of an earlier request with the same key.
    pub repeated: bool,
}

/// The reason why a command has no outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// The queue is full.
    #[error("too many commands are waiting")]
    Overloaded,
    /// A request with this key is still running.
    #[error("a request with this key is still running")]
    InProgress,
    /// The key was used for another request.
    #[error("the key was used for another request")]
    KeyReused,
    /// The event store was not reached in time. Nothing was written.
    #[error("the event store is not available")]
    Unavailable,
    /// The connection was lost during the commit, which may have happened, and the store was not reached since.
    #[error("the outcome is unknown")]
    OutcomeUnknown,
    /// The caller, or the owner of the new reservation, was erased.
    #[error("this user was erased")]
    Erased,
    /// A room has forgotten what counts. [`Writer::submit`] recalls it and asks again.
    #[error("the room {room} has forgotten reservation {reservation}")]
    Forgotten {
        /// The room.
        room: RoomId,
        /// The reservation.
        reservation: ReservationId,
    },
    /// The room has an event that this build can't decode.
    #[error("the history of room {0} is not understood")]
    NotUnderstood(RoomId),
    /// The command would write an event that instances of an older build can't read.
    #[error("an older build can't read the event")]
    NotYetWritten,
    /// The store refuses the command for good.
    #[error("the event store refuses the command")]
    Refused,
}

/// The reply to a submission.
pub type Reply = Result<CommandOutcome, Failure>;

/// A handle of the writer. Cheap to clone. When the last clone is dropped, the writer finishes the waiting commands and ends.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Pending>,
    running_keys: Arc<sync::Mutex<HashSet<KeyId>>>,
    deadline: Duration,
    memory: Memory,
    /// Places in the queue for lines: the others stay free for single commands.
    line_places: Arc<Semaphore>,
}

struct Pending {
    submission: Arc<Submission>,
    /// What rooms had forgotten.
    recalled: Vec<Recollection>,
    reply: oneshot::Sender<Reply>,
    deadline: Instant,
    sequence: Option<Sequence>,
    /// The place of a line, given back with the reply.
    _line_place: Option<OwnedSemaphorePermit>,
}

/// Commands that must not overtake one another: the lines of an import. If one is given up, so are all later ones, without an
/// effect. Clones share the sequence.
#[derive(Clone, Default, Debug)]
pub struct Sequence(Arc<AtomicBool>);

impl Sequence {
    fn give_up(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The roles of the event store that the writer needs.
#[derive(Clone)]
pub struct WriterStore {
    /// Commits groups.
    pub append: Arc<dyn Append>,
    /// Reads rooms.
    pub log: Arc<dyn EventLog>,
    /// Finds earlier requests.
    pub keys: Arc<dyn IdempotencyKeys>,
    /// Reads names and kinds.
    pub rooms: Arc<dyn RoomDirectory>,
    /// Keeps states of rooms.
    pub snapshots: Arc<dyn Snapshots>,
    /// Finds what rooms have forgotten.
    pub index: Arc<dyn ReservationIndex>,
    /// Lists erased persons.
    pub erasures: Arc<dyn ErasureList>,
}

impl From<Arc<dyn EventStore>> for WriterStore {
    fn from(store: Arc<dyn EventStore>) -> Self {
        Self {
            append: Arc::clone(&store) as _,
            log: Arc::clone(&store) as _,
            keys: Arc::clone(&store) as _,
            rooms: Arc::clone(&store) as _,
            snapshots: Arc::clone(&store) as _,
            index: Arc::clone(&store) as _,
            erasures: store,
        }
    }
}

/// Makes a writer and its task. Committed events go to `committed`.
pub fn writer(
    store: WriterStore,
    clock: Clock,
    committed: HandoffSender,
    options: &Options,
) -> (Writer, impl Future<Output = ()> + Send + use<>) {
    let (queue, mut waiting) = mpsc::channel::<Pending>(options.queue_capacity);
    let deadline = options.deadline;
    let memory = Memory::new(&store);
    let mut group = group::GroupCommit::new(store, clock, committed, options.cached_rooms);
    let task = async move {
        let mut pending = Vec::with_capacity(MAX_GROUP);
        let mut pace = Pace::new();
        while waiting.recv_many(&mut pending, MAX_GROUP).await > 0 {
            pace.gather(&mut waiting, &mut pending, MAX_GROUP).await;
            let (commands, began) = (pending.len(), Instant::now());
            metrics::histogram!("command_group_size_commands")
                .record(u32::try_from(commands).unwrap_or(u32::MAX));
            let events = group.carry_out(std::mem::take(&mut pending)).await;
            pace.carried_out(commands, events, began.elapsed(), waiting.len());
        }
    };
    let line_places = Arc::new(Semaphore::new((options.queue_capacity / LINES_SHARE).max(1)));
    (Writer { queue, running_keys: Arc::default(), deadline, memory, line_places }, task)
}

impl Writer {
    /// Carries out a command and replies after its commit.
    ///
    /// # Errors
    /// If it has no outcome, see [`Failure`].
    pub async fn submit(&self, submission: Submission) -> Reply {
        let _running = match &submission.key {
            Some(key) => Some(RunningKey::claim(&self.running_keys, key.id).ok_or(Failure::InProgress)?),
            None => None,
        };
        let deadline = Instant::now() + self.deadline;
        let submission = Arc::new(self.informed(submission, deadline).await?);
        let reply = self.try_queue(&submission, Vec::new(), deadline)?;
        self.recalling(submission, deadline, reply, &Mutex::new(())).await
    }

    /// The number of commands in the queue.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// The command with what a decision needs beside the room's state.
    async fn informed(&self, mut submission: Submission, deadline: Instant) -> Result<Submission, Failure> {
        let Command { actor, action, .. } = &mut submission.command;
        if let Action::RestoreReservation(restore) = action {
            let found = timeout_at(deadline, self.memory.revision_for(actor, restore)).await;
            restore.was = found.unwrap_or(Err(Failure::Unavailable))?;
        }
        Ok(submission)
    }

    /// Queues a command, unless the queue is full.
    fn try_queue(
        &self,
        submission: &Arc<Submission>,
        recalled: Vec<Recollection>,
        deadline: Instant,
    ) -> Result<oneshot::Receiver<Reply>, Failure> {
        let (reply, receiver) = oneshot::channel();
        let submission = Arc::clone(submission);
        let pending = Pending { submission, recalled, reply, deadline, sequence: None, _line_place: None };
        self.queue.try_send(pending).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Failure::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Failure::Unavailable,
        })?;
        Ok(receiver)
    }

    /// The reply to a queued command. Recalls what a room has forgotten, in turn, and queues the command again.
    async fn recalling(
        &self,
        submission: Arc<Submission>,
        deadline: Instant,
        mut reply: oneshot::Receiver<Reply>,
        turns: &Mutex<()>,
    ) -> Reply {
        let mut recalled = Vec::new();
        loop {
            match reply.await.unwrap_or(Err(Failure::OutcomeUnknown)) {
                Err(Failure::Forgotten { room, reservation }) => {
                    let recall = async {
                        let _turn = turns.lock().await;
                        self.memory.recall_for(&submission.command.actor.user, room, reservation).await
                    };
                    let found = timeout_at(deadline, recall).await.unwrap_or(Err(Failure::Unavailable))?;
                    // What was recalled before may be older.
                    recalled.splice(0..0, found);
                    reply = self.try_queue(&submission, recalled.clone(), deadline)?;
                }
                reply => return reply,
            }
        }
    }
}

/// The key of a request that runs in this process. Dropping it releases the key.
struct RunningKey {
    keys: Arc<sync::Mutex<HashSet<KeyId>>>,
    key: KeyId,
}

impl RunningKey {
    fn claim(keys: &Arc<sync::Mutex<HashSet<KeyId>>>, key: KeyId) -> Option<Self> {
        let claimed = keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        claimed.then(|| Self { keys: Arc::clone(keys), key })
    }
}

impl Drop for RunningKey {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
