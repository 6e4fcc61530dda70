//! The relay's second source: MySQL's binary log in the place of the outbox.
//!
//! Guarantees, as for the outbox: at least once; the first occurrences of a room's versions are in order. One instance leads: the
//! holder of bucket 0. A leader that was paused does no harm: it sends everything from its place on, in order, and can store
//! nothing once another one leads.
//!
//! The leader also carries out the switches between the modes. Where it can't read the log, another instance leads. The table
//! takes over when that one can't read it either, or when the server has lost the log.

mod abort_points;
mod progress;
mod relayed;
mod session;

use std::time::Duration;

pub use abort_points::ABORT_POINTS;
use service_kit::{abort_point::AbortPoint, clock::Clock, readiness::Component, telemetry::with_causes};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::{
    abort_points::around,
    relayed::{Note, Relayed},
    session::{Ended, Session},
};
use crate::{
    event_store::{
        EventLog as _, Mode, Outbox as _, Phase, Position, RelayState, StoreError, WriterForm,
        mysql::{BinlogError, MySqlStore, Passed, Place},
    },
    outbox::{Leadership, Publisher, Undelivered},
};

/// Interval between looks at the state, outside of a reading.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The log counts as failed when it can't be read for this long.
const UNREADABLE_LIMIT: Duration = Duration::from_secs(15);
/// Pauses before the log is tried again.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// A reading that fails at once is not repeated at once.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a first reading may take to be refused.
const TRIAL: Duration = Duration::from_millis(500);

/// Relays the binary log, while this instance leads and the mode says so.
pub struct BinlogRelay<P> {
    store: MySqlStore,
    publisher: P,
    clock: Clock,
    /// Shows whether events are relayed as the mode says.
    component: Component,
    leadership: Leadership,
    /// Where the process aborts, in tests.
    abort_at: Option<AbortPoint>,
    /// This instance's epoch as leader.
    leader: Option<u64>,
    /// Whether the leader before this one could not read the log.
    is_second: bool,
    unreadable_since: Option<Instant>,
    /// Since when Kafka has acknowledged nothing although events were sent.
    stalled_since: Option<Instant>,
    /// Since when the note beside the topic can't be read.
    unnoted_since: Option<Instant>,
    /// The last event of the log that this instance has delivered. The store holds it, unless it was put back.
    delivered: Option<Relayed>,
    /// When the log is tried again after it has failed, and the pause after that.
    retry: Option<(Instant, Duration)>,
}

impl<P: Publisher> BinlogRelay<P> {
    /// A relay that is idle until it leads.
    pub const fn new(
        store: MySqlStore,
        publisher: P,
        clock: Clock,
        component: Component,
        leadership: Leadership,
        abort_at: Option<AbortPoint>,
    ) -> Self {
        Self {
            store,
            publisher,
            clock,
            component,
            leadership,
            abort_at,
            leader: None,
            is_second: false,
            unreadable_since: None,
            stalled_since: None,
            unnoted_since: None,
            delivered: None,
            retry: None,
        }
    }

    /// Relays until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        metrics::describe_gauge!("relay_phase", "1 for the present phase of the relay's mode.");
        metrics::describe_gauge!(
            "relay_binlog_behind_seconds",
            "Age of the last event read from the binary log."
        );
        metrics::describe_gauge!(
            "relay_binlog_place_age_seconds",
            "Time since the place in the binary log has moved. The server must keep its files for longer."
        );
        metrics::describe_counter!("relay_switches_total", "Changes of the phase by this instance.");
        metrics::describe_counter!(
            "relay_binlog_readings_total",
            "Readings of the binary log that were begun."
        );
        while !stop.is_cancelled() {
            if let Err(error) = self.step(&stop).await {
                self.component.failing(format!("the relay's state is not known: {}", with_causes(&error)));
                self.leader = None;
            }
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn step(&mut self, stop: &CancellationToken) -> Result<(), StoreError> {
        let mut state = self.store.relay_state().await?;
        self.show(&state);
        let leads = self.leadership.is_held();
        if !leads || !matches!(state.phase, Phase::Log | Phase::Draining) {
            (self.unreadable_since, self.stalled_since, self.unnoted_since) = (None, None, None);
            self.leadership.stalled(None);
        }
        if !leads {
            self.leader = None;
            return Ok(());
        }
        if self.leader != Some(state.place.leader_epoch) {
            self.leader = Some(self.store.lead().await?);
            self.is_second =
                matches!(state.phase, Phase::Log | Phase::Draining) && !state.place.problem.is_empty();
            state = self.store.relay_state().await?;
            if state.phase == Phase::Table {
                // A room that was released behind the switch to the table. The leader may have died then.
                self.store.end_releases().await?;
            }
        }
        match (state.phase, state.wanted) {
            // An operator who wants the mode again has cleared the problem.
            (Phase::Table, Mode::Log)
                if state.place.problem.is_empty()
                    || self.retry.is_none_or(|(at, _)| at <= Instant::now()) =>
            {
                self.begin(state).await
            }
            (Phase::ToLog, _) if self.store.outbox_is_drained().await? => {
                self.change(&state, Phase::Log).await
            }
            (Phase::ToDebezium, _) if self.store.outbox_is_drained().await? => {
                self.change(&state, Phase::Debezium).await
            }
            (Phase::Log | Phase::Draining, _) => {
                // The reading ends when this instance does not lead any more.
                let (ends, lost) = (stop.child_token(), self.leadership.lost());
                let _ending = AbortOnDropHandle::new(tokio::spawn({
                    let ends = ends.clone();
                    async move {
                        lost.await;
                        ends.cancel();
                    }
                }));
                self.relay(state, &ends).await
            }
            (Phase::Refilling, _) => {
                let added = self.store.refill_outbox(state.place.delivered_to).await?;
                tracing::warn!(added, "the outbox has the events again that the binary log did not deliver");
                self.change(&state, Phase::Table).await
            }
            _ => Ok(()),
        }
    }

    /// Switches from the table to the log, if the log can be read.
    async fn begin(&mut self, state: RelayState) -> Result<(), StoreError> {
        if let Some(member) = self.store.member_that_does_not_know(WriterForm::FIRST).await? {
            self.pause_log();
            return self
                .tell(
                    state,
                    format!("instance {member} is of an older build, which would go on with the table"),
                )
                .await;
        }
        let place = match self.try_log().await {
            Ok(place) => place,
            Err(error) => {
                self.pause_log();
                tracing::warn!(
                    error = with_causes(&error),
                    "the binary log can't be relayed, the table stays in use"
                );
                return self.tell(state, error.to_string()).await;
            }
        };
        let note = Note { mode_epoch: state.epoch + 1, last: None };
        if let Err(Undelivered::Refused(reason) | Undelivered::Failed(reason)) =
            self.publisher.note(Position::START, note.to_string()).await
        {
            self.pause_log();
            return self.tell(state, format!("no note can be kept beside the topic: {reason}")).await;
        }
        // Read before the switch: what comes before the switch in the log is left out by its reader.
        let mut stored = state.place.clone();
        place.store(&mut stored);
        stored.mode_epoch = note.mode_epoch;
        stored.delivered_to = Position::START;
        stored.problem.clear();
        if self.store.store_place(&stored, &Passed::default()).await? {
            self.change(&state, Phase::ToLog).await?;
        }
        Ok(())
    }

    /// The end of the log, if it can be read from there.
    async fn try_log(&self) -> Result<Place, BinlogError> {
        let place = self.store.end_of_binlog().await?;
        let mut reader = self.store.read_binlog(&place).await?;
        match timeout(TRIAL, reader.next()).await {
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) | Err(_) => Ok(place),
        }
    }

    /// Reads and sends until something ends it.
    async fn relay(&mut self, state: RelayState, stop: &CancellationToken) -> Result<(), StoreError> {
        metrics::counter!("relay_binlog_readings_total").increment(1);
        let began = Instant::now();
        let session = Session::new(self, state).await;
        let ended = match session {
            Ok(session) => session.run(stop).await,
            Err(ended) => ended,
        };
        if began.elapsed() > UNREADABLE_LIMIT {
            (self.unreadable_since, self.is_second) = (None, false);
        }
        if !matches!(ended, Ended::Stopped | Ended::Drained) {
            tracing::warn!(reason = ended.reason(), "a reading of the binary log has ended");
        }
        // Whatever was in flight is sent again by the next reading.
        self.publisher.reset().await;
        match ended {
            Ended::Stopped => Ok(()),
            Ended::Drained => {
                let now = self.store.relay_state().await?;
                if now.phase == Phase::Draining {
                    self.change(&now, Phase::Table).await?;
                    self.store.end_releases().await?;
                }
                Ok(())
            }
            Ended::Undelivered(_) => {
                let since = *self.stalled_since.get_or_insert_with(Instant::now);
                self.leadership.stalled(Some(since));
                sleep(PAUSE).await;
                Ok(())
            }
            Ended::Unnoted(_) => {
                let since = self.stalled_since.unwrap_or_else(Instant::now);
                self.leadership.stalled(Some(*self.unnoted_since.get_or_insert(since)));
                sleep(PAUSE).await;
                Ok(())
            }
            Ended::Store(error) => Err(error),
            Ended::Unreadable(error) => self.unreadable(error).await,
        }
    }

    /// Reads the note of the last relayed event. The store must hold it, and what this instance has relayed.
    async fn note(&mut self, mode_epoch: u64) -> Result<Note, Ended> {
        let unfit = |reason| Ended::Unreadable(BinlogError::Unfit(reason));
        let noted = self.publisher.noted().await.map_err(|error| match error {
            Undelivered::Refused(reason) => unfit(reason),
            Undelivered::Failed(reason) => Ended::Unnoted(reason),
        })?;
        if self.unnoted_since.take().is_some() {
            self.leadership.stalled(self.stalled_since);
        }
        let noted: Option<Note> = noted.map(|text| text.parse()).transpose().map_err(unfit)?;
        // An earlier one is of a former leader that was paused.
        let noted = noted.filter(|note| note.mode_epoch >= mode_epoch);
        if noted.is_some_and(|note| note.mode_epoch > mode_epoch) {
            let later = "a later switch to it was noted in Kafka than the event store knows";
            return Err(Ended::Unreadable(BinlogError::Forked(later.to_owned())));
        }
        let note = noted.unwrap_or(Note { mode_epoch, last: None });
        for relayed in [note.last, self.delivered].into_iter().flatten() {
            let events = self.store.events_at(&[relayed.position]).await?;
            if !events.iter().any(|event| Relayed::of(event) == relayed) {
                let Relayed { position, .. } = relayed;
                let gone =
                    format!("the event at position {position}, which was relayed, is not in the event store");
                return Err(Ended::Unreadable(BinlogError::Forked(gone)));
            }
        }
        Ok(note)
    }

    /// Lets another instance lead, or goes back to the table, unless the log may be readable soon, or what was sent is not in
    /// it.
    async fn unreadable(&mut self, error: BinlogError) -> Result<(), StoreError> {
        let state = self.store.relay_state().await?;
        if self.leader != Some(state.place.leader_epoch)
            || !matches!(state.phase, Phase::Log | Phase::Draining)
        {
            return Ok(());
        }
        let since = *self.unreadable_since.get_or_insert_with(Instant::now);
        let fails = match &error {
            BinlogError::Lost(_) | BinlogError::Unfit(_) => true,
            BinlogError::Unavailable(_) => since.elapsed() >= UNREADABLE_LIMIT,
            // An operator decides, by wanting the table.
            BinlogError::Forked(_) => state.wanted == Mode::Table,
        };
        // Another instance may still read it.
        let gives_up = matches!(error, BinlogError::Unfit(_) | BinlogError::Unavailable(_))
            && !self.is_second
            && self.leadership.has_others();
        if gives_up {
            self.leadership.stalled(Some(since));
        }
        if matches!(error, BinlogError::Forked(_)) || fails || (gives_up && since.elapsed() >= PAUSE) {
            self.tell(state.clone(), error.to_string()).await?;
        }
        if !fails || gives_up {
            sleep(PAUSE).await;
            return Ok(());
        }
        tracing::error!(
            error = with_causes(&error),
            "the binary log has failed, the outbox table takes over"
        );
        self.unreadable_since = None;
        self.pause_log();
        self.delivered = None;
        self.change(&state, Phase::Refilling).await
    }

    fn pause_log(&mut self) {
        let pause = self.retry.map_or(FIRST_PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
        self.retry = Some((Instant::now() + pause, pause));
    }

    async fn change(&self, state: &RelayState, to: Phase) -> Result<(), StoreError> {
        let Some(leader) = self.leader else { return Ok(()) };
        let points = around(to);
        if let Some((before, _)) = points {
            before.reached(self.abort_at);
        }
        if self.store.change_phase(leader, state.epoch, to).await? {
            metrics::counter!("relay_switches_total", "to" => to.name()).increment(1);
            tracing::info!(from = %state.phase, %to, "the relay's phase has changed");
        }
        if let Some((_, after)) = points {
            after.reached(self.abort_at);
        }
        Ok(())
    }

    /// Notes why the log is not relayed.
    async fn tell(&self, mut state: RelayState, problem: String) -> Result<(), StoreError> {
        state.place.problem = problem.chars().take(1000).collect();
        self.store.store_place(&state.place, &Passed::default()).await.map(drop)
    }

    fn show(&self, state: &RelayState) {
        for phase in Phase::ALL {
            metrics::gauge!("relay_phase", "phase" => phase.name())
                .set(f64::from(u8::from(phase == state.phase)));
        }
        metrics::gauge!("relay_mode_problem").set(f64::from(u8::from(!state.place.problem.is_empty())));
        if matches!(state.phase, Phase::Log | Phase::Draining) && !state.place.problem.is_empty() {
            self.component.failing(state.place.problem.clone());
        } else {
            self.component.ok();
        }
    }
}
