//! Small batches of several partitions, written by one command. A command costs the server several times what an event
//! in it does, and waits for the journal anyway.
//!
//! While a command runs, batches gather, and the next command writes them all. If many events have gathered, one more
//! command starts at the same time, because a command uses at most one processor of the server.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::panicking,
};

use tokio::sync::oneshot;

use super::{
    MongoReadModels,
    batch::Batch,
    checkpoints::plain_advances,
    documents::Guarded,
    ordered_writes::{OrderedWrites, Written},
};
use crate::stores::StoreError;

/// The most events in one command with their checkpoints. Several commands at the same time are faster for a larger batch,
/// and they pass over stored documents.
pub(super) const SMALL_BATCH: usize = 100;
/// If this many events wait, one more command starts.
const MANY: usize = 20;

/// Batches that wait for a command to end.
#[derive(Default, Debug)]
pub(super) struct JointWrites(Mutex<Queue>);

#[derive(Default, Debug)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// The number of tasks that write waiting batches, each by one command after another. There are at most as many as
    /// pipelines, because a pipeline waits for its batch.
    tasks: usize,
}

#[derive(Debug)]
struct Waiting {
    batch: Arc<Batch>,
    written: oneshot::Sender<Result<Written, StoreError>>,
}

impl MongoReadModels {
    /// Writes documents, then checkpoints, in one command with all waiting batches. After `Written::Partly`, write the batch
    /// by itself: a document of any batch is stored already, or a room has moved. One batch receives an error, the others
    /// `Written::Partly`.
    pub(super) async fn write_jointly(&self, batch: &Arc<Batch>) -> Result<Written, StoreError> {
        let (written, told) = oneshot::channel();
        if self.joint_writes.add(Waiting { batch: Arc::clone(batch), written }) {
            // In a task of its own: other batches must not depend on this pipeline.
            tokio::spawn(self.clone().write_what_waits());
        }
        told.await.unwrap_or(Ok(Written::Partly))
    }

    async fn write_what_waits(self) {
        let served = Served(&self.joint_writes);
        while let Some(together) = served.take() {
            let mut outcome = self.write_at_once(&together).await;
            let of_others = if matches!(outcome, Ok(Written::All)) { Written::All } else { Written::Partly };
            for waiting in together {
                // A stopped pipeline no longer listens.
                _ = waiting.written.send(std::mem::replace(&mut outcome, Ok(of_others)));
            }
        }
    }

    async fn write_at_once(&self, together: &[Waiting]) -> Result<Written, StoreError> {
        let all = |part: fn(&Batch) -> &Vec<Guarded>| together.iter().flat_map(move |it| part(&it.batch));
        let mut command = OrderedWrites::default();
        command.keep_newer(&self.rooms, all(|batch| &batch.rooms));
        command.keep_newer(&self.closures, all(|batch| &batch.closures));
        // Collection by collection: the server joins consecutive inserts into one collection.
        command.insert(&self.reservations, all(|batch| &batch.made).map(Guarded::document));
        command.keep_newer(&self.reservations, all(|batch| &batch.changed));
        let history = together.iter().flat_map(|it| &it.batch.history);
        command.insert(&self.history, history.cloned());
        let spans = together.iter().flat_map(|it| &it.batch.spans).map(|(room, span)| (*room, *span));
        for statement in plain_advances(&spans.collect())? {
            command.update(&self.checkpoints.0, &statement)?;
        }
        command.run(&self.connection.client).await
    }
}

impl JointWrites {
    /// Adds a batch to the queue, and returns whether one more task must start.
    fn add(&self, waiting: Waiting) -> bool {
        let mut queue = self.queue();
        queue.waiting.push_back(waiting);
        let events: usize = queue.waiting.iter().map(|waiting| waiting.batch.events).sum();
        let starts = queue.tasks == 0 || events >= MANY;
        queue.tasks += usize::from(starts);
        starts
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that serves the queue.
struct Served<'a>(&'a JointWrites);

impl Served<'_> {
    /// The batches of the next command: at least the first one, and no room twice. `None` if no batch waits: the task ends.
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
            // A batch whose pipeline was stopped is dropped.
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
            // Each owner learns that its batch is not written.
            queue.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The receiving ends of the batches.
    type Owners = Vec<oneshot::Receiver<Result<Written, StoreError>>>;

    /// Adds a batch of this many events.
    fn add(queue: &JointWrites, owners: &mut Owners, events: usize) -> bool {
        let batch = Arc::new(Batch { events, ..Batch::default() });
        let (written, told) = oneshot::channel();
        owners.push(told);
        queue.add(Waiting { batch, written })
    }

    #[test]
    fn a_command_starts_beside_another_only_where_many_events_wait() {
        let queue = JointWrites::default();
        let (first, second) = (Served(&queue), Served(&queue));
        let mut owners = Owners::new();
        let mut starts = |events| add(&queue, &mut owners, events);
        assert!(starts(1), "nothing runs");
        assert_eq!(first.take().map(|taken| taken.len()), Some(1));
        assert!(!starts(MANY - 1));
        assert!(starts(1));
        assert_eq!(second.take().map(|taken| taken.len()), Some(2), "what waits goes together");
        assert!(!starts(1), "those are being written");
        assert_eq!(first.take().map(|taken| taken.len()), Some(1));
        assert!(first.take().is_none() && second.take().is_none());
        assert!(starts(1), "nothing runs any more");
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
