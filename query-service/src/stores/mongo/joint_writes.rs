//! Small batches of several partitions, written by one command: a command costs the server several times what an event
//! more in it does, and its journal is waited for by one at a time anyway.
//!
//! Nobody waits for company: while a command is under way, batches gather, and the next one writes them all.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::panicking,
};

use shared_events::RoomId;
use tokio::sync::oneshot;

use super::{
    MongoReadModels, batch_writes::Writes, checkpoints::plain_advances, documents::Guarded,
    ordered_writes::OrderedWrites,
};
use crate::stores::{StoreError, batch::Span};

/// Most events that are written by one command with their checkpoints. More are written faster by several commands
/// side by side, each of which can go on when a document is there already.
pub(super) const SMALL_BATCH: usize = 100;

/// A batch to be written with its checkpoints.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: usize,
    pub(super) writes: Writes,
    pub(super) spans: BTreeMap<RoomId, Span>,
}

/// Batches that wait for the command before them to end.
#[derive(Default, Debug)]
pub(super) struct JointWrites(Mutex<Queue>);

#[derive(Default, Debug)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Whether there is a task that writes what waits.
    is_served: bool,
}

#[derive(Debug)]
struct Waiting {
    batch: Arc<Batch>,
    written: oneshot::Sender<Result<bool, StoreError>>,
}

impl MongoReadModels {
    /// Writes documents and then checkpoints, in this order, by one command with whatever else waits, for which the journal
    /// is waited for once. False when not all of it was done: a document was there already or a room has moved, of this
    /// batch or of another one of the command. Then it is to be written by itself, which changes nothing where it was done.
    ///
    /// # Errors
    /// When the server can't be reached or refuses. Only one is told of those that were written together, the others false.
    pub(super) async fn write_jointly(&self, batch: &Arc<Batch>) -> Result<bool, StoreError> {
        let (written, told) = oneshot::channel();
        if self.joint_writes.add(Waiting { batch: Arc::clone(batch), written }) {
            // A task of its own, for the others must not depend on whether this one goes on.
            tokio::spawn(self.clone().write_what_waits());
        }
        told.await.unwrap_or(Ok(false))
    }

    async fn write_what_waits(self) {
        let served = Served(&self.joint_writes);
        while let Some(together) = served.take() {
            let mut outcome = self.write_at_once(&together).await;
            let all_done = matches!(outcome, Ok(true));
            for waiting in together {
                // Nobody listens when its pipeline was stopped.
                _ = waiting.written.send(std::mem::replace(&mut outcome, Ok(all_done)));
            }
        }
    }

    async fn write_at_once(&self, together: &[Waiting]) -> Result<bool, StoreError> {
        let all =
            |part: fn(&Writes) -> &Vec<Guarded>| together.iter().flat_map(move |it| part(&it.batch.writes));
        let mut command = OrderedWrites::default();
        command.keep_newer(&self.rooms, all(|writes| &writes.rooms));
        // One kind after the other: the server takes inserts into one collection that follow on one another together.
        command.insert(&self.reservations, all(|writes| &writes.made).map(Guarded::document));
        command.keep_newer(&self.reservations, all(|writes| &writes.changed));
        let history = together.iter().flat_map(|it| &it.batch.writes.history);
        command.insert(&self.history, history.cloned());
        command.keep_newer(&self.usage, all(|writes| &writes.usage));
        let spans = together.iter().flat_map(|it| &it.batch.spans).map(|(room, span)| (*room, *span));
        for statement in plain_advances(&spans.collect())? {
            command.update(&self.checkpoints, &statement)?;
        }
        command.run(&self.client).await
    }
}

impl JointWrites {
    /// Puts a batch at the end. True when a task has to be begun that writes it.
    fn add(&self, waiting: Waiting) -> bool {
        let mut queue = self.queue();
        queue.waiting.push_back(waiting);
        !std::mem::replace(&mut queue.is_served, true)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that serves the queue.
struct Served<'a>(&'a JointWrites);

impl Served<'_> {
    /// Those that are written together now: at least the first, and no room twice. None when nothing waits, and the queue
    /// is not served any more.
    fn take(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.0.queue();
        let (mut taken, mut events) = (Vec::<Waiting>::new(), 0);
        while let Some(next) = queue.waiting.front() {
            let meets =
                |other: &Waiting| next.batch.spans.keys().any(|room| other.batch.spans.contains_key(room));
            if !taken.is_empty() && (events + next.batch.events > SMALL_BATCH || taken.iter().any(meets)) {
                break;
            }
            let next = queue.waiting.pop_front();
            // One whose pipeline was stopped has no one to tell.
            if let Some(next) = next.filter(|next| !next.written.is_closed()) {
                events += next.batch.events;
                taken.push(next);
            }
        }
        queue.is_served = !taken.is_empty();
        queue.is_served.then_some(taken)
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        if panicking() {
            let mut queue = self.0.queue();
            queue.is_served = false;
            // Whose batch it is learns that nobody will write it.
            queue.waiting.clear();
        }
    }
}
