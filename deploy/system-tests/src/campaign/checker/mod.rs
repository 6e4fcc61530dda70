//! Checks the record against the evidence. It knows the contract and none of the services' code.

mod closures;
mod effects;
mod listeners;
mod read_models;
mod refusals;
mod room;
mod series;
mod streams;
mod tokens;
mod topic;

#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial;
#[cfg(test)]
mod value_tests;

use std::fmt;

use serde::Serialize;

use super::{
    evidence::Evidence,
    record::{Command, Record},
};

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    /// The rule.
    pub(crate) rule: &'static str,
    /// The rooms, versions and keys.
    pub(crate) detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.detail)
    }
}

/// Collects violations.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub(crate) Vec<Violation>);

impl Findings {
    fn add(&mut self, rule: &'static str, detail: impl Into<String>) {
        self.0.push(Violation { rule, detail: detail.into() });
    }

    fn check(&mut self, holds: bool, rule: &'static str, detail: impl FnOnce() -> String) {
        if !holds {
            self.add(rule, detail());
        }
    }
}

/// A span of time, in microseconds since the start of the campaign.
pub(crate) type Span = (u64, u64);

/// The times in which deviations are no violations.
#[derive(Debug, Default)]
pub(crate) struct Allowed {
    /// Queries may be stale: the read models were restored from an older copy.
    pub(crate) stale: Vec<Span>,
    /// Stays may lie in the past: a clock was fast.
    pub(crate) past: Vec<Span>,
}

/// Whether an interval overlaps one of the spans.
fn within(spans: &[Span], start: u64, end: u64) -> bool {
    spans.iter().any(|(from, to)| start <= *to && end >= *from)
}

/// The name of a command in violations.
fn name(command: &Command) -> String {
    format!("command {} ({:?})", command.key, command.operation)
}

/// Returns all violations.
pub(crate) fn check(record: &Record, evidence: &Evidence, allowed: &Allowed) -> Vec<Violation> {
    let mut findings = Findings::default();
    effects::check(record, evidence, &allowed.past, &mut findings);
    streams::check(record, evidence, &allowed.past, &mut findings);
    topic::check(record, evidence, &mut findings);
    read_models::check(evidence, &mut findings);
    listeners::check(record, evidence, &allowed.stale, &mut findings);
    tokens::check(record, &allowed.stale, &mut findings);
    findings.0
}
