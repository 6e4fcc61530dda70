//! The machine and its servers: cores, memory, versions, and the settings that make writes durable.

use std::fmt;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use service_kit::clock::Clock;

use crate::rig::Rig;

/// The machine that runs everything.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) memory_gib: u64,
    pub(crate) mysql: String,
    pub(crate) kafka: String,
    pub(crate) mongodb: String,
    pub(crate) date: String,
    pub(crate) short: bool,
}

/// Asks the servers. Fails if MySQL's settings are not durable.
pub(crate) async fn describe(rig: &Rig) -> Result<Machine> {
    let (mysql, flush, sync) = crate::mysql::version_and_durability(&rig.servers.mysql).await?;
    ensure!(
        flush == 1 && sync == 1,
        "MySQL must run with innodb_flush_log_at_trx_commit=1 and sync_binlog=1, not {flush} and {sync}"
    );
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes: u64 = memory.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Machine {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        processor: processors
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split(':').nth(1))
            .unwrap_or("unknown")
            .trim()
            .to_owned(),
        memory_gib: kilobytes.div_ceil(1024 * 1024),
        mysql,
        kafka: "acks=all, idempotent producer".to_owned(),
        mongodb: crate::mongo::version(&rig.servers.mongodb).await?,
        date: Clock::system().now().format("%Y-%m-%d").to_string(),
        short: rig.short,
    })
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cores ({}), {} GiB, everything on one machine; MySQL {} (innodb_flush_log_at_trx_commit=1, \
             sync_binlog=1), Kafka ({}), MongoDB {} (w: majority, j: true); {}{}",
            self.cores,
            self.processor,
            self.memory_gib,
            self.mysql,
            self.kafka,
            self.mongodb,
            self.date,
            if self.short { ", short run" } else { "" }
        )
    }
}
