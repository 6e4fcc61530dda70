//! Judges what was recorded against what is left. It knows the contract and nothing of the services' code.

mod effects;
mod read_models;
mod streams;
mod tokens;
mod topic;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial;

use std::fmt;

use serde::Serialize;

use super::{
    evidence::Evidence,
    record::{Command, Record},
};

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    /// What was broken.
    pub(crate) rule: &'static str,
    /// Where, with rooms, versions and keys.
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

/// Microseconds since the campaign began, from one to another.
pub(crate) type Span = (u64, u64);

/// When it is no violation that something is not as usual.
#[derive(Debug, Default)]
pub(crate) struct Allowed {
    /// Queries may show less than their token says, or nothing: the read models were put back to an older copy.
    pub(crate) stale: Vec<Span>,
    /// Stays may lie in the past: a clock was ahead.
    pub(crate) past: Vec<Span>,
}

/// Whether something that began and ended lies at least partly in one of these times.
fn within(spans: &[Span], start: u64, end: u64) -> bool {
    spans.iter().any(|(from, to)| start <= *to && end >= *from)
}

/// How a violation names a command.
fn name(command: &Command) -> String {
    format!("command {} ({:?})", command.key, command.ask)
}

/// All violations.
pub(crate) fn check(record: &Record, evidence: &Evidence, allowed: &Allowed) -> Vec<Violation> {
    let mut findings = Findings::default();
    effects::check(record, evidence, &mut findings);
    streams::check(record, evidence, &allowed.past, &mut findings);
    topic::check(record, evidence, &mut findings);
    read_models::check(evidence, &mut findings);
    tokens::check(record, &allowed.stale, &mut findings);
    findings.0
}
