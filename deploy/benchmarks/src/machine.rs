//! The machine and its servers: cores, memory, versions, and the settings that make writes durable.

use std::fmt;

use anyhow::{Context, Result, ensure};
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

/// Linux counts in hundredths of a second for every program (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Programs of the system, and a word that only their command lines have.
pub(crate) const PROGRAMS: [(&str, &str); 6] = [
    ("MongoDB", "mongod"),
    ("MySQL", "mysqld"),
    ("Kafka", "kafka.Kafka"),
    ("command-service", "command-service"),
    ("query-service", "query-service"),
    ("load and look-out", "benchmarks"),
];

/// Processor time that each of these programs has used so far, in their order. Processes that ended count no more.
pub(crate) fn seconds_of_programs() -> Result<[f64; PROGRAMS.len()]> {
    let mut seconds = [0.0; PROGRAMS.len()];
    for entry in std::fs::read_dir("/proc")? {
        let process = entry?.path();
        let read =
            |name| std::fs::read(process.join(name)).map(|text| String::from_utf8_lossy(&text).into_owned());
        // A process may end meanwhile, and most entries are no processes.
        let (Ok(command), Ok(stat)) = (read("cmdline"), read("stat")) else { continue };
        let Some(at) = PROGRAMS.iter().position(|(_, word)| command.contains(word)) else { continue };
        // After the name, which may contain anything, the twelfth and thirteenth field.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: f64 = fields.filter_map(|text| text.parse::<f64>().ok()).sum();
        if let Some(sum) = seconds.get_mut(at) {
            *sum += ticks / TICKS;
        }
    }
    Ok(seconds)
}

/// Processor time that all processes of the machine have used since its start, the benchmark's own among them.
pub(crate) fn busy_seconds() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("an empty /proc/stat")?;
    let ticks = |at: usize| line.split_whitespace().nth(at).and_then(|text| text.parse::<f64>().ok());
    // user, nice, system, irq, softirq; not idle, iowait and steal
    let busy: Option<f64> = [1, 2, 3, 6, 7].into_iter().map(ticks).sum();
    Ok(busy.context("an unknown form of /proc/stat")? / TICKS)
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
