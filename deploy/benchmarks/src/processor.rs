//! Processor time of the programs that take part, as Linux counts it.

use std::path::Path;

use anyhow::{Context, Result};

/// Linux counts in hundredths of a second for every program (`USER_HZ`).
const TICKS: f64 = 100.0;

/// The programs, and a word that only their command lines have.
pub(crate) const PROGRAMS: [(&str, &str); 7] = [
    ("MongoDB", "mongod"),
    ("MySQL", "mysqld"),
    ("Kafka", "kafka.Kafka"),
    ("command-service", "command-service"),
    ("query-service", "query-service"),
    ("Kafka Connect", "ConnectDistributed"),
    // Bare clients and the look-out for what is visible. Load comes from processes that end before anybody asks.
    ("the benchmark", "benchmarks"),
];

/// Microseconds of processor time of each of [`PROGRAMS`] for an event.
pub(crate) type Costs = [f64; PROGRAMS.len()];

/// Reads what programs use while some events pass.
#[derive(Debug)]
pub(crate) struct Meter {
    before: [f64; PROGRAMS.len()],
}

impl Meter {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self { before: seconds_of_programs()? })
    }

    /// What each program used since the start for each of these events. A process that has ended counts no more: ask
    /// before it is stopped.
    pub(crate) fn for_each_of(&self, events: u64) -> Result<Costs> {
        let events = f64::from(u32::try_from(events)?);
        let mut costs = seconds_of_programs()?;
        for (cost, before) in costs.iter_mut().zip(self.before) {
            *cost = (*cost - before).max(0.0) / events * 1e6;
        }
        Ok(costs)
    }
}

/// Processor time that each program has used so far. Processes that ended count no more.
fn seconds_of_programs() -> Result<[f64; PROGRAMS.len()]> {
    let mut seconds = [0.0; PROGRAMS.len()];
    for entry in std::fs::read_dir("/proc")? {
        let process = entry?.path();
        // A process may end meanwhile, and most entries are no processes.
        let Ok(command) = std::fs::read(process.join("cmdline")) else { continue };
        let command = String::from_utf8_lossy(&command);
        let Some(at) = PROGRAMS.iter().position(|(_, word)| command.contains(word)) else { continue };
        let Ok(used) = seconds_of(&process) else { continue };
        if let Some(sum) = seconds.get_mut(at) {
            *sum += used;
        }
    }
    Ok(seconds)
}

/// Processor time that all threads of a process have used so far. The path is its folder in `/proc`.
pub(crate) fn seconds_of(process: &Path) -> Result<f64> {
    let stat = std::fs::read(process.join("stat"))?;
    let stat = String::from_utf8_lossy(&stat);
    // After the name in parentheses, which may hold anything, the twelfth and thirteenth field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks = fields.map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / TICKS)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Nanoseconds that this thread has run, from a source of its own.
    fn thread_nanos() -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    }

    #[test]
    fn the_meter_sees_what_this_program_uses() {
        // A test's file is named after its crate. Other processes of that name may count too.
        let (meter, begin) = (Meter::start().unwrap(), thread_nanos());
        while thread_nanos() - begin < 200_000_000 {}
        let [.., micros] = meter.for_each_of(10).unwrap();
        assert!(micros >= 18_000.0, "{micros} µs for each of ten events that took 200 ms");
    }
}
