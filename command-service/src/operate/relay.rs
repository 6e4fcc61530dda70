//! Shows and switches how committed events reach Kafka.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use service_kit::{
    audit::{Act, operator},
    report::{Format, Verdict},
};
use tokio::time::sleep;

use super::debezium::{self, Hand};
use crate::{
    event_store::{Mode, Outbox as _, Phase, RelayState, mysql::MySqlStore},
    kafka::KafkaOptions,
};

/// Interval between looks at the hand-over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What can be done about the relay.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Relay {
    /// Shows how committed events reach Kafka, or changes it and waits until the hand-over is done.
    ///
    /// `table`: from the outbox table (the default). `log`: from MySQL's binary log; needs the rights REPLICATION SLAVE and
    /// REPLICATION CLIENT. `debezium`: by a Debezium connector. The
    /// running instances carry the switch out; nothing is lost or misordered, and commands go on.
    ///
    /// Exit status: 0 when the mode is the wanted one, 1 when the hand-over is not done in time or was refused, 2 on an error.
    Mode(ModeArguments),
    /// Prepares the mode `debezium`, and prints the connector for this database.
    ///
    /// Adds virtual columns to the table of events, which its binary log then has, and makes the topics that the connector needs.
    /// The user of MYSQL_URL must be allowed to change tables. Appends cost more afterwards. May be repeated.
    ///
    /// Exit status: 0 when all is prepared, 2 on an error.
    PrepareDebezium(Format),
    /// Drops the columns that `prepare-debezium` has added. Refused in the mode `debezium`.
    ///
    /// Exit status: 0 when they are dropped, 2 on an error.
    UndoDebezium(Format),
}

/// Arguments of `relay mode`.
#[derive(Clone, Debug, clap::Args)]
pub struct ModeArguments {
    /// The wanted mode: `table`, `log` or `debezium`. Without it, the mode is shown.
    mode: Option<Mode>,
    /// To or from `debezium`: URL of a worker of Kafka Connect, with user and password if it needs them.
    #[arg(long)]
    connect_url: Option<reqwest::Url>,
    /// Name of the connector. By default, that of the topic.
    #[arg(long, requires = "connect_url")]
    connector: Option<String>,
    /// From `debezium` without a worker: the transactions (GTIDs) that the stopped connector has sent.
    #[arg(long, value_name = "GTIDS", conflicts_with = "connect_url")]
    drained_to: Option<String>,
    /// From `debezium` when the connector is lost: sends everything again since the switch to it.
    #[arg(long, conflicts_with_all = ["connect_url", "drained_to"])]
    send_again: bool,
    /// Most seconds to wait for the hand-over.
    #[arg(long, default_value_t = 60)]
    wait: u64,
    #[command(flatten)]
    format: Format,
}

impl ModeArguments {
    fn hand(&self, topic: &str) -> Option<Hand> {
        match (&self.connect_url, &self.drained_to, self.send_again) {
            (Some(worker), ..) => Some(Hand::Connector(
                worker.clone(),
                self.connector.clone().unwrap_or_else(|| topic.to_owned()),
            )),
            (_, Some(gtids), _) => Some(Hand::DrainedTo(gtids.clone())),
            (_, _, true) => Some(Hand::SendAgain),
            _ => None,
        }
    }
}

impl Relay {
    /// Whether the command needs the settings of Kafka.
    pub(super) const fn needs_kafka(&self) -> bool {
        match self {
            Self::Mode(arguments) => arguments.connect_url.is_some(),
            Self::PrepareDebezium(_) => true,
            Self::UndoDebezium(_) => false,
        }
    }

    /// Runs the command. `kafka` are Kafka's settings if it needs them.
    pub(super) async fn run(
        self,
        store: &MySqlStore,
        url: &str,
        kafka: Option<&KafkaOptions>,
    ) -> anyhow::Result<Verdict> {
        let arguments = match self {
            Self::Mode(arguments) => arguments,
            Self::PrepareDebezium(format) => {
                return debezium::prepare(store, url, kafka.context("no settings of Kafka")?, format).await;
            }
            Self::UndoDebezium(format) => return debezium::undo(store, format).await,
        };
        let hand = arguments.hand(kafka.map_or("", |kafka| &kafka.topic));
        let ModeArguments { mode, wait, format, .. } = arguments;
        let Some(mode) = mode else {
            let state = store.relay_state().await?;
            print!("{}", format.value(&state, shown(&state))?);
            return Ok(Verdict::AsWanted);
        };
        let phase = store.relay_state().await?.phase;
        let is_debezium = matches!(phase, Phase::ToDebezium | Phase::Debezium | Phase::FromDebezium);
        ensure!(
            !(is_debezium && mode == Mode::Log),
            "the relay's phase is {phase}: switch to the mode table first"
        );
        let limit = Duration::from_secs(wait);
        let act = Act::begun(operator(), "relay-mode", mode.to_string(), None);
        let handed_over = async {
            match (mode, hand) {
                (Mode::Debezium, hand) => {
                    let (hand, kafka) = hand.zip(kafka).context("the mode debezium needs --connect-url")?;
                    hand.hand_over(store, url, kafka, limit).await?;
                }
                (_, hand) if is_debezium => {
                    let hand = hand.context(
                        "leaving the mode debezium needs --connect-url, --drained-to or --send-again",
                    )?;
                    hand.take_back(store, limit).await?;
                }
                _ => store.want_mode(mode).await?,
            }
            wait_for(store, mode, limit).await
        };
        let state = match handed_over.await {
            Ok(state) => state,
            Err(error) => {
                act.ended("failed");
                bail!(error);
            }
        };
        let done = state.phase == mode.phase();
        act.ended(if done { "done" } else { "not done yet" });
        let text = if done {
            format!("The relay's mode is {mode}.\n")
        } else {
            let why = match state.place.problem.as_str() {
                "" => "no instance has carried it out in time; it goes on when one runs".to_owned(),
                problem => problem.to_owned(),
            };
            format!("The relay's mode is not {mode} yet: {why}.\n\n{}", shown(&state))
        };
        let value = json!({"done": done, "relay": state});
        print!("{}", format.value(&value, text.trim_end())?);
        Ok(if done { Verdict::AsWanted } else { Verdict::NotAsWanted })
    }
}

/// Waits until the mode is reached, or refused, or the time is over.
async fn wait_for(store: &MySqlStore, mode: Mode, limit: Duration) -> anyhow::Result<RelayState> {
    let began = Instant::now();
    loop {
        let state = store.relay_state().await?;
        if state.phase == mode.phase() || !state.place.problem.is_empty() || began.elapsed() >= limit {
            return Ok(state);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn shown(state: &RelayState) -> String {
    let RelayState { wanted, phase, epoch, since, place, .. } = state;
    let since = since.map_or_else(|| "the beginning".to_owned(), |since| since.to_string());
    let mut lines = vec![format!("Phase {phase} since {since}, change {epoch}; wanted: {wanted}.")];
    if !place.file.is_empty() {
        lines.push(format!(
            "Place in the binary log: {} at {} of server {}; everything up to position {} is delivered.",
            place.file, place.file_position, place.server_uuid, place.delivered_to
        ));
    }
    if !place.problem.is_empty() {
        lines.push(format!("Problem: {}.", place.problem));
    }
    lines.join("\n")
}
