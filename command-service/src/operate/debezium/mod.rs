//! Debezium's stock connector in the place of the relay: preparing the database, and the hand-overs.
//!
//! Nothing is lost or misordered. To the connector: it stops at a place in the binary log from before the switch, without having sent
//! anything. The outbox is drained after the switch, and only then the connector goes on from there. It may send again what the
//! relay has sent. Back: appends write
//! outbox rows again, and relays begin once the connector has passed the switch.

mod connect;
mod connector;
mod switch;

use anyhow::ensure;
use serde_json::json;
use service_kit::{
    audit::{Act, operator},
    report::{Format, Verdict},
};

use self::connector::{OwnTopics, settings, stopped};
pub(super) use self::switch::Hand;
use crate::{
    event_store::{Outbox as _, Phase, mysql::MySqlStore},
    kafka::{KafkaOptions, ensure_connector_topics},
};

/// Prepares database and brokers, and prints the connector.
pub(super) async fn prepare(
    store: &MySqlStore,
    mysql_url: &str,
    kafka: &KafkaOptions,
    format: Format,
) -> anyhow::Result<Verdict> {
    let act = Act::begun(operator(), "prepare-debezium", kafka.topic.clone(), None);
    let committed = store.committed_gtids().await?;
    let added = store.add_header_columns().await?;
    let topics = OwnTopics::of(&kafka.topic);
    ensure_connector_topics(kafka, &topics.heartbeats, &topics.schema_history).await?;
    act.ended(format!("{added} columns added"));
    let settings = settings(mysql_url, &kafka.brokers.addresses, &kafka.topic)?;
    let connector = stopped(&kafka.topic, &settings);
    let text = format!(
        "The table of events has {added} new columns. The topics {} and {} exist.\nCommitted before: {committed}\n\n{}",
        topics.heartbeats,
        topics.schema_history,
        serde_json::to_string_pretty(&connector)?
    );
    let value = json!({"columnsAdded": added, "committedBefore": committed,
        "topics": [topics.heartbeats, topics.schema_history], "connector": connector});
    print!("{}", format.value(&value, text)?);
    Ok(Verdict::AsWanted)
}

/// Takes the columns away that [`prepare`] has added.
pub(super) async fn undo(store: &MySqlStore, format: Format) -> anyhow::Result<Verdict> {
    let phase = store.relay_state().await?.phase;
    ensure!(
        !matches!(phase, Phase::ToDebezium | Phase::Debezium | Phase::FromDebezium),
        "the connector needs the columns: the relay's phase is {phase}"
    );
    let act = Act::begun(operator(), "undo-debezium", "events".to_owned(), None);
    let dropped = store.drop_header_columns().await?;
    act.ended(format!("{dropped} columns dropped"));
    let text = format!("The table of events has {dropped} columns less.");
    print!("{}", format.value(&json!({"columnsDropped": dropped}), text)?);
    Ok(Verdict::AsWanted)
}
