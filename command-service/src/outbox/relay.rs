//! Delivers the outbox.
//!
//! Guarantees: at least once; the first occurrences of a room's versions are in order.
//!
//! The relay sends all rows in the table (see [`Sweep`]), not only those after the last sent one: a transaction that took its
//! position first may commit last. It also sends this process's own commits from memory, if everything before them was sent.
//! Reading, sending and deleting go on side by side. Exactly the rows that the log acknowledged are deleted.
//!
//! After a failure the relay resets the publisher, drops the rows that it read ahead, and reads the table again. An event that
//! can't be sent holds its room, not the others.

use std::{collections::HashSet, future::pending, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use service_kit::{
    clock::Clock,
    retry::Backoff,
    telemetry::with_causes,
    traces::{SpanKind, of_request},
};
use shared_events::{RawEvent, RoomId, Timestamp};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    AssignedBuckets, HandoffReceiver, Publisher, RelayOptions, Report, Undelivered,
    assignment::RelayState,
    flight::Flight,
    handoff::Handed,
    options::{BEFORE_DELETE, BEFORE_SEND},
    sweep::{Row, Sweep, Swept},
};
use crate::event_store::{Buckets, EventLog, HeldRoom, Outbox, Position, StoreError};

/// The outcome of [`Relay::step`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing was undelivered.
    Idle,
    /// This many events were delivered and deleted.
    Delivered(usize),
    /// A delivery failed. The delivered events are deleted, the others are sent again.
    Failed,
}

/// Delivers the outbox of one store.
pub struct Relay<P> {
    outbox: Arc<dyn Outbox>,
    log: Arc<dyn EventLog>,
    publisher: P,
    clock: Clock,
    options: RelayOptions,
    /// The buckets that it delivers.
    buckets: Buckets,
    flight: Flight,
    /// The running read of the table.
    sweep: Option<Sweep>,
    /// When the next one is due.
    sweep_at: Instant,
    /// Rooms that were held since the sweep began. The next one leaves them out.
    held: HashSet<RoomId>,
    deleting: Option<BoxFuture<'static, Deleted>>,
}

/// Rows whose deletion has ended.
type Deleted = (Vec<Position>, Result<(), StoreError>);

enum Happened {
    Reported(Vec<Report>),
    Read(Result<Swept, StoreError>),
    Deleted(Deleted),
    Committed(Handed),
    Nothing,
}

/// The relay pauses and reads the table again.
enum Interruption {
    Delivery,
    Store(StoreError),
}

impl From<StoreError> for Interruption {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Most rows of one sweep: more than can be in flight, so that each sweep finds new ones.
const SWEEP_ROWS: u32 = 100_000;
/// Rows are deleted when this many are delivered, or after this time. Small transactions would take the disk from the
/// writer. After a crash, delivered rows that are not deleted are sent again.
const MANY_TO_DELETE: usize = 5_000;
const DELETE_AFTER: Duration = Duration::from_millis(50);
const MOST_DELETED: usize = 20_000;
/// Limit for events in flight when a bucket goes to another instance.
const LETTING_GO: Duration = Duration::from_secs(1);
/// Limit for the last deliveries. The leases are given back after them.
const LAST_DELIVERIES: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl<P: Publisher> Relay<P> {
    /// A relay of all buckets, unless it is run with others.
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

    /// Delivers the assigned buckets until `stop`, and then their remaining events for a limited time.
    pub async fn run(
        mut self,
        mut assigned: AssignedBuckets,
        mut handed: HandoffReceiver,
        stop: CancellationToken,
    ) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        self.buckets = Buckets::NONE;
        while !stop.is_cancelled() {
            let buckets = assigned.get();
            if buckets != self.buckets {
                self.change_to(buckets).await;
            }
            assigned.report(RelayState { in_flight: buckets, stalled_since: self.flight.stalled_since() });
            if buckets.is_empty() {
                tokio::select! {
                    // Without a keeper there will be none.
                    changed = assigned.changed() => if changed.is_err() { return },
                    // The holders of the buckets deliver these events.
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
                Ok(()) = assigned.changed() => Happened::Nothing,
                () = stop.cancelled() => break,
            };
            let came_through = matches!(happened, Happened::Deleted((_, Ok(()))));
            match self.handle(happened).await {
                Ok(()) if came_through => backoff.reset(),
                Ok(()) => {}
                Err(interruption) => {
                    if let Interruption::Store(error) = interruption {
                        tracing::warn!(error = with_causes(&error), "the event store failed the relay");
                    }
                    stop.run_until_cancelled(sleep(backoff.next_delay())).await;
                }
            }
        }
        if !assigned.get().is_empty() && timeout(LAST_DELIVERIES, self.deliver_the_rest()).await.is_err() {
            tracing::warn!("the log is slow or silent, the rest is delivered by other instances or later");
        }
    }

    /// Delivers the events that are in the table now. Leaves out later commits of others, which may never stop.
    async fn deliver_the_rest(&mut self) {
        let full = usize::try_from(SWEEP_ROWS).unwrap_or(usize::MAX);
        while matches!(self.step().await, Ok(Step::Delivered(rows)) if rows >= full) {}
    }

    /// Delivers these buckets from now on. Before it lets go of a bucket, everything in flight is delivered and deleted: the
    /// next holder would send it again.
    async fn change_to(&mut self, buckets: Buckets) {
        self.sweep = None;
        if !self.buckets.without(buckets).is_empty() {
            if !matches!(timeout(LETTING_GO, self.finish()).await, Ok(Ok(()))) {
                self.reset().await;
            }
            self.flight.forget_others(buckets);
            self.flight.nothing_else_waits();
        }
        (self.buckets, self.sweep_at) = (buckets, Instant::now());
    }

    /// Waits until everything that was sent is delivered and deleted.
    async fn finish(&mut self) -> Result<(), Interruption> {
        while !self.flight.is_empty() {
            let happened = self.wait(Duration::ZERO).await;
            self.handle(happened).await?;
        }
        Ok(())
    }

    /// Reads the table, sends its events and deletes the delivered ones.
    ///
    /// # Errors
    /// If the store can't be read or written. Events that were sent go out again.
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

    /// Waits for the next thing to handle. A cancelled wait loses nothing.
    async fn wait(&mut self, delete_after: Duration) -> Happened {
        let (rows, since) = self.flight.to_delete();
        let delete_at = since.map(|since| since + delete_after);
        if self.deleting.is_none()
            && (rows >= MANY_TO_DELETE || delete_at.is_some_and(|time| time <= Instant::now()))
        {
            BEFORE_DELETE.reached(self.options.abort_at);
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
            Happened::Committed(Handed::Events(events)) => return self.send_from_memory(events).await,
            Happened::Read(Ok(Swept::End { full, took })) => {
                self.sweep = None;
                self.flight.nothing_else_waits();
                // A read of rows that others have to deliver takes long and brings nothing, so it must not go on all the time.
                let earliest = Instant::now() + took.saturating_mul(2);
                self.sweep_at = if full { Instant::now() } else { self.sweep_at.max(earliest) };
            }
            Happened::Committed(Handed::LeftOut) => self.sweep_at = Instant::now(),
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

    /// Sends rows of the table.
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

    /// Sends events that were just committed. Those that could overtake a row of the table are read from there.
    async fn send_from_memory(&mut self, events: Vec<(Position, RawEvent)>) -> Result<(), Interruption> {
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

    async fn send_one(&mut self, position: Position, event: RawEvent) -> Result<(), Interruption> {
        BEFORE_SEND.reached(self.options.abort_at);
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
        for report in reports {
            match report {
                Report::Delivered(position) => self.flight.delivered(position),
                Report::Refused(position, reason) => refused.push((position, reason)),
                Report::Failed(reason) => failed = Some(reason),
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
        tracing::warn!(%reason, "a delivery failed, the publisher is reset and the outbox read again");
        self.flight.stalled();
        self.reset().await;
        Interruption::Delivery
    }

    /// Resets the publisher and drops everything that was read ahead.
    async fn reset(&mut self) {
        (self.sweep, self.sweep_at) = (None, Instant::now());
        self.publisher.reset().await;
        self.flight.reset();
    }

    /// Holds a room. If the store can't note that, everything starts again: the caller then skips the rest of its events or
    /// reports, and nothing that was read later may overtake them.
    async fn hold(&mut self, room: RoomId, position: Position, reason: String) -> Result<(), StoreError> {
        if !self.held.insert(room) {
            return Ok(());
        }
        tracing::error!(room = %room, %position, %reason, "an event can't be sent, its room is held");
        self.flight.forget(room);
        let held_at = Timestamp::from_epoch_millis(self.clock.now().timestamp_millis());
        let noted = self.outbox.hold_room(&HeldRoom { room, position, reason, held_at }).await;
        if noted.is_err() {
            self.reset().await;
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
