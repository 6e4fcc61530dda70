//! The findings of a run, as a table and as JSON.

use std::{fmt::Write as _, path::Path};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{
    figures::{Cost, Finding, Series, Target},
    machine::Machine,
};

/// One entry of the JSON list: a finding and its machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(flatten)]
    pub(crate) finding: Finding,
    pub(crate) machine: Machine,
}

/// All findings of a run.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Machine,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) const fn new(machine: Machine) -> Self {
        Self { machine, findings: Vec::new() }
    }

    /// Adds findings and prints them.
    pub(crate) fn add(&mut self, findings: Vec<Finding>) {
        eprint!("{}", table(&findings));
        self.findings.extend(findings);
    }

    /// Writes the findings into a JSON list. Findings of other benchmarks stay in it.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let mut entries = if path.exists() { read(path)? } else { Vec::new() };
        entries
            .retain(|entry| self.findings.iter().all(|finding| finding.benchmark != entry.finding.benchmark));
        entries.extend(
            self.findings
                .iter()
                .map(|finding| Entry { finding: finding.clone(), machine: self.machine.clone() }),
        );
        std::fs::write(path, serde_json::to_string_pretty(&entries)? + "\n")?;
        Ok(())
    }

    /// The machine and the table of all findings.
    pub(crate) fn table(&self) -> String {
        format!("\n{}\n{}", self.machine, table(&self.findings))
    }

    /// The comparisons that reach less than half of their target.
    pub(crate) fn far_off(&self) -> Vec<String> {
        self.findings
            .iter()
            .filter(|finding| finding.is_far_off())
            .map(|finding| format!("{} against {}", finding.benchmark, finding.against))
            .collect()
    }
}

/// Reads a JSON list of findings.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn table(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let met = if finding.met { "met" } else { "MISSED" };
        let goal = match finding.target {
            Target::AtLeast(_) => format!("{}, aim ≥ {}", finding.target, finding.aim),
            Target::AtMost(_) => format!("{}, aim ≤ {}", finding.target, finding.aim),
        };
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{} against {}: {} / {} / {}  ({goal}) {met}",
            finding.benchmark,
            finding.against,
            shown(finding.ratio.min),
            shown(finding.ratio.median),
            shown(finding.ratio.max),
        );
        for Series { name, unit, spread, .. } in &finding.figures {
            let _ = writeln!(
                text,
                "    {name:44} {:>12} / {:>12} / {:>12} {unit}",
                shown(spread.min),
                shown(spread.median),
                shown(spread.max)
            );
        }
        for Cost { program, ours, theirs } in &finding.costs {
            let theirs = theirs.map_or_else(String::new, |of| format!(", theirs {}", shown(of.median)));
            let _ = writeln!(text, "    {program}: ours {}{theirs} µs/event", shown(ours.median));
        }
    }
    text
}

/// A number with about three significant digits.
pub(crate) fn shown(value: f64) -> String {
    let whole = |value: f64| {
        let digits = format!("{value:.0}");
        let mut text = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) && digit.is_ascii_digit() {
                text.push(',');
            }
            text.push(digit);
        }
        text
    };
    match value.abs() {
        size if size >= 100.0 => whole(value),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.01 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn numbers_have_three_significant_digits_or_all_of_their_whole_part() {
        assert_eq!(shown(1_234_567.8), "1,234,568");
        assert_eq!(shown(999.6), "1,000");
        assert_eq!(shown(12.34), "12.3");
        assert_eq!(shown(0.256), "0.26");
        assert_eq!(shown(0.0012), "0.0012");
    }
}
