//! Judges what was recorded against what is left. It knows the contract and nothing of the services' code.

mod effects;
mod read_models;
mod streams;
mod tokens;
mod topic;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

use super::{evidence::Evidence, record::Record};

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

/// All violations. `excused` are the times in which queries may show less than their token says, because the read
/// models were put back to an older copy.
pub(crate) fn check(record: &Record, evidence: &Evidence, excused: &[Span]) -> Vec<Violation> {
    let mut findings = Findings::default();
    effects::check(record, evidence, &mut findings);
    streams::check(record, evidence, &mut findings);
    topic::check(evidence, &mut findings);
    read_models::check(evidence, &mut findings);
    tokens::check(record, excused, &mut findings);
    findings.0
}
