//! The relay: delivers the outbox.
//!
//! Guarantees: at least once; the first occurrences of a room's versions are in order. It reads the rows that are present
//! (never "after the last one seen": a transaction that took its position first may commit last), sends a whole batch,
//! and deletes exactly the rows whose delivery the log reported. On a failure it stops, drops the sender and reads again.
//! An event that can't be sent holds back its room, not the others, and is recorded.

use std::{collections::HashSet, sync::Arc, time::Duration};

use service_kit::clock::Clock;
use shared_events::{RecordedEvent, RoomId, Timestamp};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Delivery, Publisher};
use crate::event_store::{EventStore, HeldRoom, StoreError};

/// Settings of the relay.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// Most events in one batch.
    pub batch: u32,
    /// How often the outbox is read without a wake-up: the latency of what another instance committed.
    pub poll: Duration,
    /// Where the process ends itself, in tests.
    pub abort_at: Option<AbortPoint>,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self { batch: 5000, poll: Duration::from_millis(100), abort_at: None }
    }
}

/// A place at which the process ends itself as by kill -9, so that tests see what a crash there leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AbortPoint {
    /// Events are committed, nothing is sent.
    BeforeSend,
    /// Events are delivered, their rows are not deleted.
    BeforeDelete,
}

impl std::str::FromStr for AbortPoint {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "after-commit-before-relay" => Ok(Self::BeforeSend),
            "after-send-before-delete" => Ok(Self::BeforeDelete),
            _ => Err("neither after-commit-before-relay nor after-send-before-delete"),
        }
    }
}

/// What one step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing was waiting.
    Idle,
    /// So many events were delivered and deleted.
    Delivered(usize),
    /// A delivery failed; what was delivered is deleted, the rest is sent again.
    Setback,
}

/// Delivers the outbox of one store.
pub struct Relay<S: ?Sized, P> {
    store: Arc<S>,
    publisher: P,
    clock: Clock,
    options: RelayOptions,
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl<S: EventStore + ?Sized, P: Publisher> Relay<S, P> {
    /// A relay from this store to this log.
    pub const fn new(store: Arc<S>, publisher: P, clock: Clock, options: RelayOptions) -> Self {
        Self { store, publisher, clock, options }
    }

    /// Delivers while the lease is held, until told to stop; then delivers what is left.
    pub async fn run(
        mut self,
        lease: watch::Receiver<bool>,
        committed: Arc<Notify>,
        stop: CancellationToken,
    ) {
        let mut failures = 0u32;
        let mut lease = lease;
        loop {
            let stopping = stop.is_cancelled();
            if !*lease.borrow_and_update() {
                if stopping {
                    return;
                }
                tokio::select! {
                    // A lease whose keeper is gone never comes back.
                    changed = lease.changed() => if changed.is_err() { return },
                    () = stop.cancelled() => {}
                }
                continue;
            }
            let step = self.step().await;
            match step {
                Ok(Step::Delivered(_)) => failures = 0,
                // A commit that comes after the read has left a permit in `committed`, so no wake-up is lost.
                Ok(Step::Idle) => {
                    failures = 0;
                    if stopping {
                        return;
                    }
                    tokio::select! {
                        () = committed.notified() => {}
                        () = tokio::time::sleep(self.options.poll) => {}
                        () = stop.cancelled() => {}
                    }
                }
                Ok(Step::Setback) | Err(_) => {
                    if let Err(error) = &step {
                        tracing::warn!(
                            error = error as &dyn std::error::Error,
                            "the outbox could not be read"
                        );
                    }
                    if stopping {
                        return;
                    }
                    failures += 1;
                    let pause = SHORTEST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stop.cancelled() => {}
                    }
                }
            }
        }
    }

    /// Reads a batch, sends it and deletes what was delivered.
    ///
    /// # Errors
    /// When the store can't be read or written; what was sent then goes out again.
    pub async fn step(&mut self) -> Result<Step, StoreError> {
        let stored = self.store.undelivered(self.options.batch).await?;
        if stored.is_empty() {
            return Ok(Step::Idle);
        }
        let mut positions = Vec::with_capacity(stored.len());
        let mut events: Vec<RecordedEvent> = Vec::with_capacity(stored.len());
        let mut held: HashSet<RoomId> = HashSet::new();
        for event in stored {
            let (room, position) = (event.room, event.position);
            if held.contains(&room) {
                continue;
            }
            match event.into_recorded() {
                Ok(event) => {
                    positions.push(position);
                    events.push(event);
                }
                Err(reason) => {
                    self.hold(room, position, reason.to_string()).await?;
                    held.insert(room);
                }
            }
        }
        self.abort_at(AbortPoint::BeforeSend);
        let deliveries = self.publisher.publish(&events).await;
        let mut delivered = Vec::with_capacity(positions.len());
        let mut failed = false;
        // A missing report is a failure: only what was reported is deleted.
        let deliveries =
            deliveries.into_iter().chain(std::iter::repeat(Delivery::Failed("no report".into())));
        for ((position, event), delivery) in positions.into_iter().zip(&events).zip(deliveries) {
            match delivery {
                Delivery::Delivered => delivered.push(position),
                Delivery::Refused(reason) if held.insert(event.room) => {
                    self.hold(event.room, position, reason).await?
                }
                Delivery::Refused(_) => {}
                Delivery::Failed(reason) => {
                    if !failed {
                        tracing::warn!(%reason, "a delivery failed, the sender is dropped and the outbox read again");
                    }
                    failed = true;
                }
            }
        }
        if failed {
            self.publisher.reset().await;
        }
        self.abort_at(AbortPoint::BeforeDelete);
        self.store.delete_delivered(&delivered).await?;
        metrics::counter!("relay_delivered_events_total").increment(delivered.len() as u64);
        Ok(if failed { Step::Setback } else { Step::Delivered(delivered.len()) })
    }

    fn abort_at(&self, point: AbortPoint) {
        if self.options.abort_at == Some(point) {
            tracing::error!(?point, "the process ends itself at its abort point");
            std::process::abort();
        }
    }

    async fn hold(&self, room: RoomId, position: u64, reason: String) -> Result<(), StoreError> {
        tracing::error!(room = %room, position, %reason, "an event can't be sent, its room is held back");
        let held_at = Timestamp::from_epoch_millis(self.clock.now().timestamp_millis());
        self.store.hold_room(&HeldRoom { room, position, reason, held_at }).await
    }
}
