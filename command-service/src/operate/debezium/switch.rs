//! The hand-overs between the relay and the connector. Each can be repeated after it was interrupted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::time::sleep;

use super::{
    connect::Connector,
    connector::{ALL_BUT_INSERTS, EVERYTHING, OwnTopics, SKIPPED, Settings, settings},
};
use crate::{
    event_store::{
        Mode, Outbox as _, Phase, RelayState, StoredPlace, WriterForm,
        mysql::{MySqlStore, Passed},
    },
    kafka::{KafkaOptions, ensure_connector_topics},
};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Who says how far the connector has come, when the outbox takes over again.
pub(in crate::operate) enum Hand {
    /// The connector.
    Connector(reqwest::Url, String),
    /// An operator, who has stopped the connector: it has sent these transactions.
    DrainedTo(String),
    /// Nobody: everything since the switch to the connector is sent again.
    SendAgain,
}

impl Hand {
    /// Hands over to the connector.
    pub(in crate::operate) async fn hand_over(
        self,
        store: &MySqlStore,
        mysql_url: &str,
        kafka: &KafkaOptions,
        limit: Duration,
    ) -> Result<()> {
        let Self::Connector(worker, name) = self else { bail!("the mode debezium needs --connect-url") };
        ensure!(
            store.has_header_columns().await?,
            "the table of events lacks columns: run `command-service relay prepare-debezium` first"
        );
        let connector = Connector::new(worker, &name)?;
        let state = store.relay_state().await?;
        match state.phase {
            Phase::Table => {
                no_room_is_held(store).await?;
                if let Some(member) = store.member_that_does_not_know(WriterForm::FIRST).await? {
                    bail!("instance {member} is of an older build, which would go on with the table");
                }
                store.check_for_connector().await?;
                let topics = OwnTopics::of(&kafka.topic);
                ensure_connector_topics(kafka, &topics.heartbeats, &topics.schema_history).await?;
                learn_the_tables(&connector, mysql_url, kafka, limit).await?;
                switch_away(store).await?;
            }
            Phase::ToDebezium | Phase::Debezium => {}
            phase => bail!("the relay's phase is {phase}: switch to the mode table first"),
        }
        until(store, limit, "drain the outbox", |state| state.phase == Phase::Debezium).await?;
        if let Err(error) = no_room_is_held(store).await {
            // Held while the outbox was drained. The relay must send the room's events, so it takes over again.
            store.want_mode(Mode::Table).await?;
            change(store, &[Phase::Debezium], Phase::Refilling).await?;
            return Err(error);
        }
        begin(&connector).await
    }

    /// Hands back to the outbox.
    pub(in crate::operate) async fn take_back(self, store: &MySqlStore, limit: Duration) -> Result<()> {
        let state = store.relay_state().await?;
        store.want_mode(Mode::Table).await?;
        if matches!(self, Self::SendAgain) {
            change(store, &[Phase::ToDebezium, Phase::Debezium, Phase::FromDebezium], Phase::Refilling)
                .await?;
            return until(store, limit, "fill the outbox", |state| state.phase == Phase::Table)
                .await
                .map(drop);
        }
        ensure!(
            state.phase != Phase::ToDebezium,
            "the switch to the connector is not done: finish it first, or use --send-again"
        );
        change(store, &[Phase::Debezium], Phase::FromDebezium).await?;
        let border = border(store).await?;
        match self {
            Self::Connector(worker, name) => {
                let connector = Connector::new(worker, &name)?;
                begin(&connector).await?;
                let began = Instant::now();
                loop {
                    connector.check_running().await?;
                    let reached = connector.gtids().await?.unwrap_or_default();
                    if store.gtids_contain(&reached, &border).await? {
                        break;
                    }
                    ensure!(
                        began.elapsed() < limit,
                        "the connector has not come to {border} yet, but to {reached:?}"
                    );
                    sleep(LOOK_EVERY).await;
                }
                connector.stop().await?;
            }
            Self::DrainedTo(reached) => ensure!(
                store.gtids_contain(&reached, &border).await.context("--drained-to")?,
                "the connector must have sent {border}"
            ),
            Self::SendAgain => {}
        }
        change(store, &[Phase::FromDebezium], Phase::Table).await
    }
}

/// Lets a connector read the tables without sending anything. It ends stopped, at a place from which it can go on later.
async fn learn_the_tables(
    connector: &Connector,
    mysql_url: &str,
    kafka: &KafkaOptions,
    limit: Duration,
) -> Result<()> {
    let quiet = |mut settings: Settings| {
        settings.insert(SKIPPED.to_owned(), EVERYTHING.to_owned());
        settings
    };
    match connector.settings().await? {
        Some(settings) => {
            connector.stop().await?;
            connector.set(&quiet(settings)).await?;
        }
        None => {
            let settings = settings(mysql_url, &kafka.brokers.addresses, &kafka.topic)?;
            connector.create_stopped(&quiet(settings)).await?;
            connector.stop().await?;
        }
    }
    connector.forget_offsets().await?;
    connector.resume().await?;
    let began = Instant::now();
    while connector.gtids().await?.is_none() {
        connector.check_running().await?;
        ensure!(began.elapsed() < limit, "the connector stores no offset");
        sleep(LOOK_EVERY).await;
    }
    connector.stop().await
}

/// Makes appends write no outbox rows.
async fn switch_away(store: &MySqlStore) -> Result<()> {
    store.want_mode(Mode::Debezium).await?;
    loop {
        let state = store.relay_state().await?;
        if state.phase != Phase::Table {
            return Ok(());
        }
        // What is sent again if the connector is lost begins here. The outbox has all from before.
        store.set_barrier(state.epoch).await?;
        let delivered_to = store.relay_state().await?.barrier;
        let place = StoredPlace { delivered_to, ..state.place };
        // Another instance may have begun to lead.
        if store.store_place(&place, &Passed::default()).await?
            && store.change_phase(place.leader_epoch, state.epoch, Phase::ToDebezium).await?
        {
            return Ok(());
        }
    }
}

/// Makes the connector send, from where it was stopped before the switch.
async fn begin(connector: &Connector) -> Result<()> {
    let mut settings = connector.settings().await?.context("Connect has lost the connector")?;
    if settings.insert(SKIPPED.to_owned(), ALL_BUT_INSERTS.to_owned()).is_some_and(|it| it == EVERYTHING) {
        connector.stop().await?;
        connector.set(&settings).await?;
    }
    connector.resume().await
}

/// The transactions that the connector must have sent before the relay begins: all that were committed before the switch, which
/// has waited for them. Read once, so that a repeated command waits for the same ones.
async fn border(store: &MySqlStore) -> Result<String> {
    loop {
        let state = store.relay_state().await?;
        ensure!(state.phase == Phase::FromDebezium, "the relay's phase is {}", state.phase);
        if state.place.mode_epoch == state.epoch && !state.place.gtids.is_empty() {
            return Ok(state.place.gtids);
        }
        let gtids = store.committed_gtids().await?;
        let place = StoredPlace { mode_epoch: state.epoch, gtids, ..state.place };
        store.store_place(&place, &Passed::default()).await?;
    }
}

async fn no_room_is_held(store: &MySqlStore) -> Result<()> {
    if let Some(held) = store.held_rooms().await?.first() {
        bail!(
            "room {} is held, and a connector would send its events: release it first (`command-service release-room`)",
            held.room
        );
    }
    Ok(())
}

/// Changes one of these phases. Any other stays.
async fn change(store: &MySqlStore, from: &[Phase], to: Phase) -> Result<()> {
    loop {
        let state = store.relay_state().await?;
        if !from.contains(&state.phase)
            || store.change_phase(state.place.leader_epoch, state.epoch, to).await?
        {
            return Ok(());
        }
    }
}

async fn until(
    store: &MySqlStore,
    limit: Duration,
    what: &str,
    reached: impl Fn(&RelayState) -> bool,
) -> Result<RelayState> {
    let began = Instant::now();
    loop {
        let state = store.relay_state().await?;
        if reached(&state) {
            return Ok(state);
        }
        ensure!(
            began.elapsed() < limit,
            "no instance did {what} in time: the relay's phase is {}",
            state.phase
        );
        sleep(LOOK_EVERY).await;
    }
}
