//! Helpers of the relay's tests: a relay, and a log that fails on demand.

use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use command_service::{
    event_store::{EventStore, Group, Position},
    outbox::{Publisher, Relay, RelayOptions, Report, Undelivered},
};
use service_kit::clock::Clock;
use shared_events::{RawEvent, RoomId};
use tokio::sync::watch;

pub(crate) async fn commit(store: &dyn EventStore, events: Vec<RawEvent>) -> Vec<Position> {
    store.append(&Group { events, ..Group::default() }).await.unwrap().positions
}

pub(crate) fn relay<P: Publisher>(store: Arc<dyn EventStore>, publisher: P) -> Relay<P> {
    Relay::new(Arc::clone(&store) as _, store, publisher, Clock::system(), RelayOptions::default())
}

/// How a log that can't be reached behaves.
#[derive(Clone, Copy)]
pub(crate) enum CutOff {
    IsSilent,
    Fails,
    TakesNothing,
    /// It takes events, but does not show its note.
    HidesItsNote,
}

/// A log that fails as it is told.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) delivered: Arc<watch::Sender<Vec<(RoomId, u64)>>>,
    /// The delivered events.
    pub(crate) events: Arc<Mutex<Vec<RawEvent>>>,
    /// What becomes of an event when it is first sent, where that is not its delivery.
    pub(crate) outcomes: Arc<Mutex<HashMap<(RoomId, u64), Undelivered>>>,
    pub(crate) resets: Arc<Mutex<usize>>,
    /// Whether deliveries are reported.
    pub(crate) reported: Arc<watch::Sender<bool>>,
    /// What becomes of everything that is sent, where the log can't be reached: no report, a failure, or a refusal.
    pub(crate) cut_off: Arc<Mutex<Option<CutOff>>>,
    /// What is noted beside it, and how often that could not be read.
    pub(crate) note: Arc<Mutex<Option<String>>>,
    pub(crate) unread: Arc<AtomicUsize>,
    /// Told whenever one of its relays has deleted from an outbox, where that has a store that tells it.
    pub(crate) deleted: Arc<watch::Sender<()>>,
    breaks: bool,
    broken: bool,
    reports: Vec<Report>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            delivered: Arc::new(watch::Sender::new(Vec::new())),
            events: Arc::default(),
            outcomes: Arc::default(),
            resets: Arc::default(),
            reported: Arc::new(watch::Sender::new(true)),
            cut_off: Arc::default(),
            note: Arc::default(),
            unread: Arc::default(),
            deleted: Arc::default(),
            breaks: false,
            broken: false,
            reports: Vec::new(),
        }
    }
}

impl Log {
    /// A log to which nothing more comes after a failure, until the sender is dropped.
    pub(crate) fn that_breaks() -> Self {
        Self { breaks: true, ..Self::default() }
    }

    /// A log that reports no delivery until it is told to.
    pub(crate) fn that_reports_later() -> Self {
        Self { reported: Arc::new(watch::Sender::new(false)), ..Self::default() }
    }

    /// The same log over a connection of its own, which may be cut off.
    pub(crate) fn over_another_connection(&self) -> Self {
        Self { cut_off: Arc::default(), ..self.clone() }
    }

    pub(crate) fn reach(&self) -> impl Future<Output = Result<(), &'static str>> + use<> {
        std::future::ready(self.cut_off.lock().unwrap().map_or(Ok(()), |_| Err("cut off")))
    }

    /// The versions of a room that arrived, in that order.
    pub(crate) fn of(&self, room: RoomId) -> Vec<u64> {
        self.delivered.borrow().iter().filter(|(of, _)| *of == room).map(|(_, version)| *version).collect()
    }

    /// Waits until so many events have arrived.
    pub(crate) async fn has(&self, events: usize) {
        self.delivered.subscribe().wait_for(|delivered| delivered.len() >= events).await.unwrap();
    }
}

impl Publisher for Log {
    async fn send(&mut self, position: Position, event: RawEvent) -> Result<(), Undelivered> {
        if self.broken {
            return Ok(());
        }
        let failed = || "cut off".to_owned();
        match *self.cut_off.lock().unwrap() {
            Some(CutOff::IsSilent) => return Ok(()),
            Some(CutOff::Fails) => {
                self.reports.push(Report::Failed(failed()));
                return Ok(());
            }
            Some(CutOff::TakesNothing) => return Err(Undelivered::Failed(failed())),
            Some(CutOff::HidesItsNote) | None => {}
        }
        let outcome = self.outcomes.lock().unwrap().remove(&(event.room, event.version.get()));
        self.broken = self.breaks && matches!(outcome, Some(Undelivered::Failed(_)));
        if outcome.is_none() {
            self.events.lock().unwrap().push(event.clone());
            self.delivered.send_modify(|delivered| delivered.push((event.room, event.version.get())));
        }
        let delivered = Report::Delivered(position);
        self.reports.push(outcome.map_or(delivered, |outcome| outcome.report(position)));
        Ok(())
    }

    async fn reports(&mut self) -> Vec<Report> {
        if self.reports.is_empty() {
            return pending().await;
        }
        self.reported.subscribe().wait_for(|reported| *reported).await.unwrap();
        std::mem::take(&mut self.reports)
    }

    async fn reset(&mut self) {
        *self.resets.lock().unwrap() += 1;
        self.broken = false;
        self.reports.clear();
    }

    async fn note(&mut self, _: Position, text: String) -> Result<(), Undelivered> {
        *self.note.lock().unwrap() = Some(text);
        Ok(())
    }

    async fn noted(&mut self) -> Result<Option<String>, Undelivered> {
        if matches!(*self.cut_off.lock().unwrap(), Some(CutOff::HidesItsNote)) {
            self.unread.fetch_add(1, Ordering::Relaxed);
            return Err(Undelivered::Failed("cut off".into()));
        }
        Ok(self.note.lock().unwrap().clone())
    }
}
