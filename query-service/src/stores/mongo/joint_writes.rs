//! Small batches of several partitions, written by one command: a command costs the server several times what an event
//! more in it does, and its journal is waited for by one at a time anyway.
//!
//! Nobody waits for company: while a command is under way, batches gather, and the next one writes them all. Where many
//! events have gathered it is begun beside the one before, for one command keeps no more than one processor of the server busy.

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
/// Where so many events wait one more command is begun beside those that are under way.
const MANY: usize = 20;

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
    /// How many tasks write what waits, one command after the other each. No more than there are pipelines, for each of
    /// them waits until its batch is written.
    tasks: usize,
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
        command.run(&self.connection.client).await
    }
}

impl JointWrites {
    /// Puts a batch at the end. True when a task has to be begun that writes it.
    fn add(&self, waiting: Waiting) -> bool {
        let mut queue = self.queue();
        queue.waiting.push_back(waiting);
        let events: usize = queue.waiting.iter().map(|waiting| waiting.batch.events).sum();
        let begins = queue.tasks == 0 || events >= MANY;
        queue.tasks += usize::from(begins);
        begins
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that serves the queue.
struct Served<'a>(&'a JointWrites);

impl Served<'_> {
    /// Those that are written together now: at least the first, and no room twice. None when nothing waits, and the task is
    /// over.
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
        queue.tasks -= usize::from(taken.is_empty());
        (!taken.is_empty()).then_some(taken)
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        if panicking() {
            let mut queue = self.0.queue();
            queue.tasks -= 1;
            // Whose batch it is learns that nobody will write it.
            queue.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those who wait for their batches.
    type Owners = Vec<oneshot::Receiver<Result<bool, StoreError>>>;

    /// Puts a batch of so many events at the end. True when a task has to be begun that writes it.
    fn add(queue: &JointWrites, owners: &mut Owners, events: usize) -> bool {
        let batch = Arc::new(Batch { events, writes: Writes::default(), spans: BTreeMap::new() });
        let (written, told) = oneshot::channel();
        owners.push(told);
        queue.add(Waiting { batch, written })
    }

    #[test]
    fn a_command_is_begun_beside_another_only_where_many_events_wait() {
        let queue = JointWrites::default();
        let (first, second) = (Served(&queue), Served(&queue));
        let mut owners = Owners::new();
        let mut begins = |events| add(&queue, &mut owners, events);
        assert!(begins(1), "nothing is under way");
        assert_eq!(first.take().map(|taken| taken.len()), Some(1));
        assert!(!begins(MANY - 1));
        assert!(begins(1));
        assert_eq!(second.take().map(|taken| taken.len()), Some(2), "what waits goes together");
        assert!(!begins(1), "those are under way, they wait no more");
        assert_eq!(first.take().map(|taken| taken.len()), Some(1));
        assert!(first.take().is_none() && second.take().is_none());
        assert!(begins(1), "nothing is under way any more");
    }

    #[test]
    fn one_command_writes_a_batch_of_any_size_and_others_only_as_long_as_they_are_small_together() {
        let queue = JointWrites::default();
        let task = Served(&queue);
        let mut owners = Owners::new();
        for events in [SMALL_BATCH + 1, SMALL_BATCH - 1, 1, 1] {
            add(&queue, &mut owners, events);
        }
        let taken: Vec<_> = std::iter::from_fn(|| task.take().map(|taken| taken.len())).collect();
        assert_eq!(taken, [1, 2, 1]);
    }
}
