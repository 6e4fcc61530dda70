//! The relay: delivers the outbox.
//!
//! Guarantees: at least once; the first occurrences of a room's versions are in order. It sends the rows that are present
//! (see [`Sweep`]; never "after the last one seen": a transaction that took its position first may commit last), and from
//! memory what this process has just committed, where the same sender has sent all before it. Reading, sending and
//! deleting go on side by side; exactly the rows whose delivery the log reported are deleted. On a failure the sender is
//! dropped with all that was read ahead, and the table is read again. An event that can't be sent holds back its room,
//! not the others, and is recorded.

use std::{collections::HashSet, future::pending, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use service_kit::{
    clock::Clock,
    traces::{SpanKind, of_request},
};
use shared_events::{RawEvent, RoomId, Timestamp};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    AbortPoint, Allotted, HandoffReceiver, Publisher, RelayOptions, Report, Undelivered,
    flight::Flight,
    sweep::{Row, Sweep, Swept},
};
use crate::event_store::{Buckets, EventLog, HeldRoom, Outbox, StoreError};

/// What one step did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing was waiting.
    Idle,
    /// So many events were delivered and deleted.
    Delivered(usize),
    /// A delivery failed; what was delivered is deleted, the rest is sent again.
    Failed,
}

/// Delivers the outbox of one store.
pub struct Relay<P> {
    outbox: Arc<dyn Outbox>,
    log: Arc<dyn EventLog>,
    publisher: P,
    clock: Clock,
    options: RelayOptions,
    /// What it delivers; the rest is left to other instances.
    buckets: Buckets,
    flight: Flight,
    /// The read of the table that is going on.
    sweep: Option<Sweep>,
    /// When the next one is due.
    sweep_at: Instant,
    /// Rooms of which an event was refused since the sweep began; the next one leaves them out.
    held: HashSet<RoomId>,
    deleting: Option<BoxFuture<'static, Deleted>>,
}

/// Rows of which the deletion has ended.
type Deleted = (Vec<u64>, Result<(), StoreError>);

/// Something that the relay waits for.
enum Happened {
    Reported(Vec<Report>),
    Read(Result<Swept, StoreError>),
    Deleted(Deleted),
    Committed(Option<Vec<(u64, RawEvent)>>),
    Nothing,
}

/// Why the relay pauses and reads the table again.
enum Interruption {
    Delivery,
    Store(StoreError),
}

impl From<StoreError> for Interruption {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Most rows of one sweep: more than may be in flight, so that there is always something new in it.
const SWEEP_ROWS: u32 = 100_000;
/// Rows are deleted when there are so many, or after so long: a transaction for every few of them would take the disk
/// from the writer. What was delivered and not deleted when the process dies is sent twice.
const MANY_TO_DELETE: usize = 5_000;
const DELETE_AFTER: Duration = Duration::from_millis(50);
const MOST_DELETED: usize = 20_000;
/// How long what is under way may hold up that a bucket is given to another instance.
const LETTING_GO: Duration = Duration::from_secs(1);
/// How long what is left at the end may hold up the end: the leases are given back after it.
const LAST_DELIVERIES: Duration = Duration::from_secs(5);
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl<P: Publisher> Relay<P> {
    /// A relay from a store's outbox to what `publisher` reaches, of all buckets unless it is run with others.
    pub fn new(
        outbox: Arc<dyn Outbox>,
        log: Arc<dyn EventLog>,
        publisher: P,
        clock: Clock,
        options: RelayOptions,
    ) -> Self {
        Self {
            outbox,
            log,
            publisher,
            clock,
            options,
            buckets: Buckets::ALL,
            flight: Flight::default(),
            sweep: None,
            sweep_at: Instant::now(),
            held: HashSet::new(),
            deleting: None,
        }
    }

    /// Delivers the buckets that are allotted, until told to stop; then, for a while, what is left of them.
    pub async fn run(mut self, mut allotted: Allotted, mut handed: HandoffReceiver, stop: CancellationToken) {
        let mut failures = 0u32;
        self.buckets = Buckets::NONE;
        while !stop.is_cancelled() {
            let held = allotted.held();
            let changed = held != self.buckets;
            if changed {
                self.change_to(held).await;
            }
            allotted.is_stuck_since(self.flight.stuck_since());
            if changed {
                allotted.uses(held);
            }
            if held.is_empty() {
                tokio::select! {
                    // Without a keeper there will never be any.
                    changed = allotted.changed() => if !changed { return },
                    // The instances that have the buckets deliver this too.
                    _ = handed.next() => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            if self.sweep.is_none() && self.sweep_at <= Instant::now() {
                self.begin_sweep();
            }
            let (sweep_at, sweeping) = (self.sweep_at, self.sweep.is_some());
            let happened = tokio::select! {
                happened = self.wait(DELETE_AFTER) => happened,
                committed = handed.next() => Happened::Committed(committed),
                () = sleep_until(sweep_at), if !sweeping => Happened::Nothing,
                true = allotted.changed() => Happened::Nothing,
                () = stop.cancelled() => break,
            };
            let came_through = matches!(happened, Happened::Deleted((_, Ok(()))));
            match self.handle(happened).await {
                Ok(()) => failures = if came_through { 0 } else { failures },
                Err(setback) => {
                    if let Interruption::Store(error) = setback {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the event store failed the relay"
                        );
                    }
                    failures += 1;
                    let pause = SHORTEST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = stop.cancelled() => {}
                    }
                }
            }
        }
        if !allotted.held().is_empty() && timeout(LAST_DELIVERIES, self.deliver_the_rest()).await.is_err() {
            tracing::warn!(
                "the log is slow or silent, what is left is delivered by other instances or later"
            );
        }
    }

    /// Delivers what is in the table now. What is committed meanwhile is not waited for: others may never stop committing.
    async fn deliver_the_rest(&mut self) {
        let full = usize::try_from(SWEEP_ROWS).unwrap_or(usize::MAX);
        while matches!(self.step().await, Ok(Step::Delivered(rows)) if rows >= full) {}
    }

    /// Delivers these buckets from now on. When it is to let go of some, what is under way comes to its end first, so
    /// that the next holder finds no row of an event that is delivered: that would be sent twice.
    async fn change_to(&mut self, buckets: Buckets) {
        self.sweep = None;
        if !self.buckets.without(buckets).is_empty() {
            if !matches!(timeout(LETTING_GO, self.finish()).await, Ok(Ok(()))) {
                self.start_again().await;
            }
            self.flight.forget_others(buckets);
            self.flight.nothing_else_waits();
        }
        (self.buckets, self.sweep_at) = (buckets, Instant::now());
    }

    /// Waits until all that was sent is delivered and deleted.
    async fn finish(&mut self) -> Result<(), Interruption> {
        while !self.flight.is_empty() {
            let happened = self.wait(Duration::ZERO).await;
            self.handle(happened).await?;
        }
        Ok(())
    }

    /// Reads the table, sends what is there and deletes what was delivered.
    ///
    /// # Errors
    /// When the store can't be read or written; what was sent then goes out again.
    pub async fn step(&mut self) -> Result<Step, StoreError> {
        let (mut delivered, mut failed) = (0, false);
        self.begin_sweep();
        while self.sweep.is_some() || !self.flight.is_empty() {
            let happened = self.wait(Duration::ZERO).await;
            if let Happened::Deleted((positions, Ok(()))) = &happened {
                delivered += positions.len();
            }
            match self.handle(happened).await {
                Ok(()) => {}
                Err(Interruption::Delivery) => failed = true,
                Err(Interruption::Store(error)) => return Err(error),
            }
        }
        Ok(match delivered {
            _ if failed => Step::Failed,
            0 => Step::Idle,
            _ => Step::Delivered(delivered),
        })
    }

    fn begin_sweep(&mut self) {
        self.held.clear();
        self.sweep_at = Instant::now() + self.options.poll;
        let (outbox, log, known) = (Arc::clone(&self.outbox), Arc::clone(&self.log), self.flight.positions());
        self.sweep = Some(Sweep::begin(outbox, log, self.buckets, known, SWEEP_ROWS, self.options.batch));
    }

    /// Waits for something to do. Nothing is lost when the wait is given up.
    async fn wait(&mut self, delete_after: Duration) -> Happened {
        let (rows, since) = self.flight.to_delete();
        let delete_at = since.map(|since| since + delete_after);
        if self.deleting.is_none()
            && (rows >= MANY_TO_DELETE || delete_at.is_some_and(|time| time <= Instant::now()))
        {
            self.options.abort_at(AbortPoint::BeforeDelete);
            let (outbox, positions) = (Arc::clone(&self.outbox), self.flight.take_to_delete(MOST_DELETED));
            self.deleting = Some(Box::pin(async move {
                let result = outbox.delete_delivered(&positions).await;
                (positions, result)
            }));
        }
        let (idle, full) = (self.deleting.is_none(), self.flight.is_full());
        tokio::select! {
            reports = self.publisher.reports() => Happened::Reported(reports),
            read = next_page(&mut self.sweep), if !full => Happened::Read(read),
            deleted = end_of(&mut self.deleting) => Happened::Deleted(deleted),
            () = sleep_until(delete_at.unwrap_or_else(Instant::now)), if idle && delete_at.is_some() => Happened::Nothing,
        }
    }

    async fn handle(&mut self, happened: Happened) -> Result<(), Interruption> {
        match happened {
            Happened::Reported(reports) => return self.settle(reports).await,
            Happened::Read(Ok(Swept::Page(rows))) => return self.send(rows).await,
            Happened::Committed(Some(events)) => return self.send_from_memory(events).await,
            Happened::Read(Ok(Swept::End { more, took })) => {
                self.sweep = None;
                self.flight.nothing_else_waits();
                // Rows that are not for us to send make a read long and bring nothing: it should not be done all the time.
                let earliest = Instant::now() + took.saturating_mul(2);
                self.sweep_at = if more { Instant::now() } else { self.sweep_at.max(earliest) };
            }
            Happened::Committed(None) => self.sweep_at = Instant::now(),
            Happened::Read(Err(error)) => {
                (self.sweep, self.sweep_at) = (None, Instant::now());
                return Err(error.into());
            }
            Happened::Deleted((positions, Ok(()))) => self.flight.deleted(&positions),
            Happened::Deleted((positions, Err(error))) => {
                self.flight.not_deleted(positions);
                return Err(error.into());
            }
            Happened::Nothing => {}
        }
        Ok(())
    }

    /// Sends what was read from the table.
    async fn send(&mut self, rows: Vec<Row>) -> Result<(), Interruption> {
        for Row { position, room, event } in rows {
            // It may have been sent from memory meanwhile.
            if self.held.contains(&room) || self.flight.contains(position) {
                continue;
            }
            match event {
                Ok(event) => self.send_one(position, event).await?,
                Err(reason) => self.hold(room, position, reason).await?,
            }
        }
        Ok(())
    }

    /// Sends what was just committed, but for what may not overtake what the table holds: that is read after its commit.
    async fn send_from_memory(&mut self, events: Vec<(u64, RawEvent)>) -> Result<(), Interruption> {
        for (position, event) in events {
            if self.flight.contains(position) || !self.buckets.has_room(event.room) {
                continue;
            }
            if self.flight.is_next(event.room, event.version) && !self.flight.is_full() {
                self.send_one(position, event).await?;
            } else {
                self.sweep_at = Instant::now();
            }
        }
        Ok(())
    }

    async fn send_one(&mut self, position: u64, event: RawEvent) -> Result<(), Interruption> {
        self.options.abort_at(AbortPoint::BeforeSend);
        let (room, version) = (event.room, event.version);
        let traceparent = event.metadata.traceparent.as_deref();
        let span = of_request(traceparent, "publish", SpanKind::Producer, Duration::ZERO);
        match self.publisher.send(position, event).await {
            Ok(()) => self.flight.sent(position, room, version, span),
            Err(Undelivered::Refused(reason)) => self.hold(room, position, reason).await?,
            Err(Undelivered::Failed(reason)) => return Err(self.fail(&reason).await),
        }
        Ok(())
    }

    async fn settle(&mut self, reports: Vec<Report>) -> Result<(), Interruption> {
        let (mut refused, mut failed) = (Vec::new(), None);
        for (position, result) in reports {
            match result {
                Ok(()) => self.flight.reported(position),
                Err(Undelivered::Refused(reason)) => refused.push((position, reason)),
                Err(Undelivered::Failed(reason)) => failed = Some(reason),
            }
        }
        for (position, reason) in refused {
            if let Some(room) = self.flight.refused(position) {
                self.hold(room, position, reason).await?;
            }
        }
        match failed {
            Some(reason) => Err(self.fail(&reason).await),
            None => Ok(()),
        }
    }

    async fn fail(&mut self, reason: &str) -> Interruption {
        tracing::warn!(%reason, "a delivery failed, the sender is dropped and the outbox read again");
        self.flight.stuck();
        self.start_again().await;
        Interruption::Delivery
    }

    /// Drops the sender, and all that was read ahead for it.
    async fn start_again(&mut self) {
        (self.sweep, self.sweep_at) = (None, Instant::now());
        self.publisher.reset().await;
        self.flight.abandon();
    }

    /// Holds back a room. When the store can't note that, all starts again: a caller that leaves early has neither sent nor
    /// settled the rest of what it had, and what was read after that may not overtake it.
    async fn hold(&mut self, room: RoomId, position: u64, reason: String) -> Result<(), StoreError> {
        if !self.held.insert(room) {
            return Ok(());
        }
        tracing::error!(room = %room, position, %reason, "an event can't be sent, its room is held back");
        self.flight.forget(room);
        let held_at = Timestamp::from_epoch_millis(self.clock.now().timestamp_millis());
        let noted = self.outbox.hold_room(&HeldRoom { room, position, reason, held_at }).await;
        if noted.is_err() {
            self.start_again().await;
        }
        noted
    }
}

async fn next_page(sweep: &mut Option<Sweep>) -> Result<Swept, StoreError> {
    match sweep {
        Some(sweep) => sweep.next().await,
        None => pending().await,
    }
}

async fn end_of(deleting: &mut Option<BoxFuture<'static, Deleted>>) -> Deleted {
    let Some(future) = deleting else { return pending().await };
    let deleted = future.await;
    *deleting = None;
    deleted
}
