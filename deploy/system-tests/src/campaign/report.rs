//! The report of a campaign.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{
    checker::Violation,
    record::{Attempt, Known, Outcome, Record},
    schedule::{Fault, Planned},
    world::Ended,
};

/// Microseconds in a second.
const SECOND: f64 = 1e6;

/// Most printed violations. The JSON has all.
const PRINTED: usize = 20;

/// An inflicted fault. Times are microseconds since the start of the campaign.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Inflicted {
    pub(crate) planned: Planned,
    pub(crate) began: u64,
    pub(crate) healed: u64,
    /// When a probe through the target was visible again, if ever.
    pub(crate) recovered: Option<u64>,
    /// Whether no other fault overlapped the time until recovery.
    pub(crate) alone: bool,
}

impl Inflicted {
    /// The start of the measurement of recovery.
    pub(crate) const fn measured_from(&self) -> u64 {
        if matches!(self.planned.fault, Fault::Takeover) { self.began } else { self.healed }
    }
}

/// One kind of fault with its recovery times.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Fault and target.
    pub fault: String,
    /// The number of faults.
    pub times: usize,
    /// The number of faults without an overlapping one. Recovery is measured for these.
    pub alone: usize,
    /// Median recovery in seconds.
    pub p50: Option<f64>,
    /// Longest recovery in seconds.
    pub max: Option<f64>,
}

/// The result of a campaign.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The seed of the faults.
    pub seed: u64,
    /// The duration of the faults in seconds.
    pub seconds: f64,
    /// The faults by kind.
    pub faults: Vec<Row>,
    /// The number of processes killed by SIGKILL.
    pub kills: usize,
    /// The number of commands.
    pub commands: usize,
    /// Acknowledged commands.
    pub acknowledged: usize,
    /// Refused commands.
    pub rejected: usize,
    /// Commands with an unknown outcome.
    pub unknown: usize,
    /// Commands that no service could take.
    pub not_taken: usize,
    /// Attempts that met a full queue.
    pub overloaded: usize,
    /// Attempts to execute commands.
    pub attempts: usize,
    /// Acknowledged commands by operation.
    pub by_operation: BTreeMap<&'static str, usize>,
    /// Queries with a token.
    pub queries: usize,
    /// Events that clients of live streams were told.
    pub told: usize,
    /// Resets that they were told.
    pub resets: usize,
    /// Streams that they opened.
    pub streams: usize,
    /// Events in the event store.
    pub events: usize,
    /// Seconds from the last fault until all read models were level.
    pub rest: Option<f64>,
    /// All violations.
    pub violations: Vec<String>,
    /// Takeovers of more than ten seconds. Other load on the machine can cause them.
    pub late: Vec<String>,
    inflicted: Vec<Inflicted>,
    ended: Vec<Ended>,
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of hours are exact in 53 bits")]
pub(crate) fn seconds(micros: u64) -> f64 {
    micros as f64 / SECOND
}

/// Marks the faults that overlap no other one until their recovery.
pub(crate) fn mark_alone(inflicted: &mut [Inflicted]) {
    let spans: Vec<(u64, u64)> = inflicted
        .iter()
        .map(|fault| (fault.began, fault.recovered.unwrap_or(u64::MAX).max(fault.healed)))
        .collect();
    for (place, fault) in inflicted.iter_mut().enumerate() {
        let (began, until) = (fault.began, fault.recovered.unwrap_or(u64::MAX));
        let others = spans.iter().enumerate().filter(|(other, _)| *other != place);
        fault.alone = others.into_iter().all(|(_, (from, to))| *to < began || *from > until);
    }
}

impl Report {
    pub(crate) fn new(
        seed: u64,
        micros: u64,
        record: &Record,
        inflicted: Vec<Inflicted>,
        ended: Vec<Ended>,
        violations: &[Violation],
    ) -> Self {
        let mut report = Self {
            seed,
            seconds: seconds(micros),
            faults: rows(&inflicted),
            kills: 0,
            commands: record.commands.len(),
            acknowledged: 0,
            rejected: 0,
            unknown: 0,
            not_taken: 0,
            attempts: record.commands.iter().map(|command| command.attempts.len()).sum(),
            overloaded: record
                .commands
                .iter()
                .flat_map(|command| &command.attempts)
                .filter(is_overloaded)
                .count(),
            by_operation: BTreeMap::new(),
            queries: record.queries.len(),
            told: record.listeners.iter().map(|listener| listener.events).sum(),
            resets: record.listeners.iter().map(|listener| listener.resets).sum(),
            streams: record.listeners.iter().map(|listener| listener.connections).sum(),
            events: 0,
            rest: None,
            violations: violations.iter().map(ToString::to_string).collect(),
            late: Vec::new(),
            inflicted,
            ended,
        };
        for command in &record.commands {
            let last = command.attempts.last().map(|attempt| &attempt.outcome);
            match (command.known(), last) {
                (Known::Done(_), _) => {
                    report.acknowledged += 1;
                    *report.by_operation.entry(command.operation.name()).or_default() += 1;
                }
                (Known::Unknown, _) => report.unknown += 1,
                (Known::Nothing, Some(Outcome::NotTaken { .. })) => report.not_taken += 1,
                (Known::Nothing, _) => report.rejected += 1,
            }
        }
        report
    }
}

fn is_overloaded(attempt: &&Attempt) -> bool {
    matches!(&attempt.outcome, Outcome::NotTaken { problem, .. } if problem == "overloaded")
}

fn rows(inflicted: &[Inflicted]) -> Vec<Row> {
    let mut kinds: BTreeMap<(Fault, &str), Vec<&Inflicted>> = BTreeMap::new();
    for fault in inflicted {
        kinds.entry((fault.planned.fault, fault.planned.target.group())).or_default().push(fault);
    }
    let row = |((fault, group), all): ((Fault, &str), Vec<&Inflicted>)| {
        let mut alone: Vec<u64> = all
            .iter()
            .filter(|one| one.alone)
            .filter_map(|one| Some(one.recovered?.saturating_sub(one.measured_from())))
            .collect();
        alone.sort_unstable();
        Row {
            fault: format!("{} of {group}", fault.name()),
            times: all.len(),
            alone: alone.len(),
            p50: alone.get(alone.len().saturating_sub(1) / 2).copied().map(seconds),
            max: alone.last().copied().map(seconds),
        }
    };
    kinds.into_iter().map(row).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        writeln!(
            f,
            "| fault | times | recovery measured | p50, s | max, s |\n| --- | --- | --- | --- | --- |"
        )?;
        for Row { fault, times, alone, p50, max } in &self.faults {
            writeln!(f, "| {fault} | {times} | {alone} | {} | {} |", figure(*p50), figure(*max))?;
        }
        writeln!(f)?;
        writeln!(f, "seed {}, {:.0} s of faults, {} processes killed", self.seed, self.seconds, self.kills)?;
        writeln!(
            f,
            "{} commands in {} attempts: {} acknowledged, {} rejected, {} unknown, {} not taken \
             ({} times the queue was full); {} queries with a token; {} events",
            self.commands,
            self.attempts,
            self.acknowledged,
            self.rejected,
            self.unknown,
            self.not_taken,
            self.overloaded,
            self.queries,
            self.events
        )?;
        let by_operation: Vec<String> =
            self.by_operation.iter().map(|(operation, count)| format!("{operation} {count}")).collect();
        writeln!(f, "acknowledged: {}", by_operation.join(", "))?;
        writeln!(f, "{} live streams told {} events and {} resets", self.streams, self.told, self.resets)?;
        writeln!(
            f,
            "all level after {} s; {} services ended by themselves",
            figure(self.rest),
            self.ended.len()
        )?;
        for violation in self.violations.iter().take(PRINTED) {
            writeln!(f, "VIOLATION {violation:.1000}")?;
        }
        for late in &self.late {
            writeln!(f, "LATE {late}")?;
        }
        write!(f, "{} violations", self.violations.len())
    }
}
