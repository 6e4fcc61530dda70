//! How committed events reach Kafka: the mode that an operator wants, and the phase in which the store is.

use std::{fmt, str::FromStr};

use serde::Serialize;
use shared_events::Timestamp;

use super::Position;

/// The source of what is sent to Kafka.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The outbox table.
    #[default]
    Table,
    /// MySQL's binary log, read by this service.
    Log,
    /// MySQL's binary log, read by a Debezium connector.
    Debezium,
}

/// The phase of the mode. Every append reads it, and every switch waits for the appends that have read the phase before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Appends write outbox rows, which relays send.
    #[default]
    Table,
    /// Appends write no outbox rows. Relays send the remaining ones; then comes [`Phase::Log`].
    ToLog,
    /// The leader sends events from the binary log.
    Log,
    /// Appends write no outbox rows. Relays send the remaining ones; then comes [`Phase::Debezium`].
    ToDebezium,
    /// A Debezium connector sends events.
    Debezium,
    /// Appends write outbox rows. The connector sends what the binary log has from before; then comes [`Phase::Table`].
    FromDebezium,
    /// Appends write outbox rows. What the binary log has from before goes out first; then comes [`Phase::Table`].
    Draining,
    /// Appends write outbox rows. Rows for events that nobody has sent are added; then comes [`Phase::Table`].
    Refilling,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 8] = [
        Self::Table,
        Self::ToLog,
        Self::Log,
        Self::ToDebezium,
        Self::Debezium,
        Self::FromDebezium,
        Self::Draining,
        Self::Refilling,
    ];

    /// Its name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::ToLog => "to_log",
            Self::Log => "log",
            Self::ToDebezium => "to_debezium",
            Self::Debezium => "debezium",
            Self::FromDebezium => "from_debezium",
            Self::Draining => "draining",
            Self::Refilling => "refilling",
        }
    }

    /// Whether appends write outbox rows.
    #[must_use]
    pub const fn has_outbox_rows(self) -> bool {
        matches!(self, Self::Table | Self::FromDebezium | Self::Draining | Self::Refilling)
    }
}

impl Mode {
    /// Its name in the store and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Log => "log",
            Self::Debezium => "debezium",
        }
    }

    /// The phase in which a switch to this mode ends.
    #[must_use]
    pub const fn phase(self) -> Phase {
        match self {
            Self::Table => Phase::Table,
            Self::Log => Phase::Log,
            Self::Debezium => Phase::Debezium,
        }
    }
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let phase = Self::ALL.into_iter().find(|phase| phase.name() == name);
        phase.ok_or_else(|| format!("this build does not know the relay's phase {name:?}"))
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let mode = [Self::Table, Self::Log, Self::Debezium].into_iter().find(|mode| mode.name() == name);
        mode.ok_or_else(|| format!("{name:?} is no mode of the relay: table, log or debezium"))
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The row that decides how committed events reach Kafka.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayState {
    /// The mode that the operator wants.
    pub wanted: Mode,
    /// The present phase.
    pub phase: Phase,
    /// Number of changes of the phase.
    pub epoch: u64,
    /// Time of the last change, by the store's clock.
    pub since: Option<Timestamp>,
    /// Every event up to this position was committed before the last barrier in the binary log.
    pub barrier: Position,
    /// The epoch of the list of erased persons.
    #[serde(skip)]
    pub erasures: u64,
    /// How far the binary log is relayed.
    pub place: StoredPlace,
    /// The `server_uuid` of the server that has answered.
    #[serde(skip)]
    pub server_uuid: String,
}

/// How far the binary log is relayed: everything before is acknowledged by Kafka.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredPlace {
    /// One more with each instance that begins to relay the log.
    pub leader_epoch: u64,
    /// The phase's epoch to which the place belongs: that of [`Phase::ToLog`].
    pub mode_epoch: u64,
    /// The server of file and position.
    pub server_uuid: String,
    /// The binary log file.
    pub file: String,
    /// The start of a transaction in it.
    pub file_position: u64,
    /// The transactions before it. Empty if the server has no GTIDs.
    pub gtids: String,
    /// What the transaction at the place must hold. Empty before the first event.
    pub anchor: String,
    /// Every event up to this position is delivered.
    pub delivered_to: Position,
    /// Why the log is not relayed although it should be. Empty if it is.
    pub problem: String,
}
