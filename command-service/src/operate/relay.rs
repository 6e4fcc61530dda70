//! Shows and switches how committed events reach Kafka.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use serde_json::json;
use service_kit::{
    audit::{Act, operator},
    report::{Format, Verdict},
};
use tokio::time::sleep;

use crate::event_store::{Mode, Outbox as _, RelayState, mysql::MySqlStore};

/// Interval between looks at the hand-over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What can be done about the relay.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Relay {
    /// Shows how committed events reach Kafka, or changes it and waits until the hand-over is done.
    ///
    /// `table`: from the outbox table (the default). `log`: from MySQL's binary log; needs the rights REPLICATION SLAVE and
    /// REPLICATION CLIENT. The running instances carry the switch out; nothing is lost or misordered, and commands go on.
    ///
    /// Exit status: 0 when the mode is the wanted one, 1 when the hand-over is not done in time or was refused, 2 on an error.
    Mode(ModeArguments),
}

/// Arguments of `relay mode`.
#[derive(Clone, Debug, clap::Args)]
pub struct ModeArguments {
    /// The wanted mode: `table` or `log`. Without it, the mode is shown.
    mode: Option<Mode>,
    /// Most seconds to wait for the hand-over.
    #[arg(long, default_value_t = 60)]
    wait: u64,
    #[command(flatten)]
    format: Format,
}

impl Relay {
    pub(super) async fn run(self, store: &MySqlStore) -> anyhow::Result<Verdict> {
        let Self::Mode(arguments) = self;
        let ModeArguments { mode, wait, format } = arguments;
        let Some(mode) = mode else {
            let state = store.relay_state().await?;
            print!("{}", format.value(&state, shown(&state))?);
            return Ok(Verdict::AsWanted);
        };
        ensure!(mode != Mode::Debezium, "`debezium` is not a mode of this command yet");
        let act = Act::begun(operator(), "relay-mode", mode.to_string(), None);
        store.want_mode(mode).await?;
        let state = match wait_for(store, mode, Duration::from_secs(wait)).await {
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
