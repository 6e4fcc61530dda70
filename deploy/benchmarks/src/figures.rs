//! Findings: the values of every round and their ratio.

use serde::{Deserialize, Serialize};

use crate::processor::{Costs, PROGRAMS};

/// A count as a figure, exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count here is that high")]
pub(crate) const fn number(of: u64) -> f64 {
    of as f64
}

/// The median, minimum and maximum of some values.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// NaN if there are no values.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
        } else {
            at(middle)
        };
        Self { min: at(0), median, max: at(sorted.len().wrapping_sub(1)) }
    }
}

/// One quantity, measured once a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// Such as `events/s`.
    pub(crate) unit: String,
    #[serde(flatten)]
    pub(crate) spread: Spread,
    /// One value for each round.
    pub(crate) values: Vec<f64>,
}

impl Series {
    pub(crate) fn new(name: &str, unit: &str, values: Vec<f64>) -> Self {
        Self { name: name.to_owned(), unit: unit.to_owned(), spread: Spread::of(&values), values }
    }
}

/// The bound on the median ratio.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Target {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

impl Target {
    fn is_met_by(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(least) => ratio >= least,
            Self::AtMost(most) => ratio <= most,
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}

/// One comparison: the ratio of ours to theirs, round by round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) benchmark: String,
    /// The other side.
    pub(crate) against: String,
    pub(crate) ratio: Spread,
    pub(crate) target: Target,
    /// The ratio that we want in the long run.
    pub(crate) aim: f64,
    /// Whether the median reaches the target.
    pub(crate) met: bool,
    /// The figures behind the ratio: ours, theirs, then others.
    pub(crate) figures: Vec<Series>,
    /// Of the programs that worked on either side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) costs: Vec<Cost>,
}

/// Processor time that a program used for an event, in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) program: String,
    pub(crate) ours: Spread,
    /// None if the other side is a fixed limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) theirs: Option<Spread>,
}

impl Finding {
    /// The ratio of ours to theirs in each round.
    pub(crate) fn new(
        benchmark: &str,
        against: &str,
        target: Target,
        aim: f64,
        ours: Series,
        theirs: Series,
    ) -> Self {
        let ratios: Vec<f64> =
            ours.values.iter().zip(&theirs.values).map(|(ours, theirs)| ours / theirs).collect();
        Self::of(benchmark, against, target, aim, &ratios, vec![ours, theirs])
    }

    /// Ours divided by a fixed limit of the same unit. The target is at most 1.
    pub(crate) fn within(benchmark: &str, limit_name: &str, ours: Series, limit: f64, aim: f64) -> Self {
        let ratios: Vec<f64> = ours.values.iter().map(|value| value / limit).collect();
        let limit = Series::new(limit_name, &ours.unit.clone(), vec![limit]);
        Self::of(benchmark, limit_name, Target::AtMost(1.0), aim, &ratios, vec![ours, limit])
    }

    fn of(
        benchmark: &str,
        against: &str,
        target: Target,
        aim: f64,
        ratios: &[f64],
        figures: Vec<Series>,
    ) -> Self {
        let ratio = Spread::of(ratios);
        Self {
            benchmark: benchmark.to_owned(),
            against: against.to_owned(),
            ratio,
            target,
            aim,
            met: target.is_met_by(ratio.median),
            figures,
            costs: Vec::new(),
        }
    }

    /// Adds a figure behind the ratio.
    pub(crate) fn with(mut self, series: Series) -> Self {
        self.figures.push(series);
        self
    }

    /// Adds the processor time of each round. The other side has none if it is a fixed limit.
    pub(crate) fn with_costs(mut self, ours: &[Costs], theirs: &[Costs]) -> Self {
        for (at, (program, _)) in PROGRAMS.iter().enumerate() {
            let of = |side: &[Costs]| -> Vec<f64> {
                side.iter().filter_map(|costs| costs.get(at)).copied().collect()
            };
            let (ours, theirs) = (of(ours), of(theirs));
            if ours.iter().chain(&theirs).any(|cost| *cost > 0.0) {
                let theirs = (!theirs.is_empty()).then(|| Spread::of(&theirs));
                self.costs.push(Cost { program: (*program).to_owned(), ours: Spread::of(&ours), theirs });
            }
        }
        self
    }

    /// Whether the median misses even a bound that is twice as lax as the target.
    pub(crate) fn is_far_off(&self) -> bool {
        !match self.target {
            Target::AtLeast(least) => Target::AtLeast(least / 2.0),
            Target::AtMost(most) => Target::AtMost(most * 2.0),
        }
        .is_met_by(self.ratio.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_taken_round_by_round_and_its_median_decides() {
        let finding = Finding::new(
            "b",
            "them",
            Target::AtLeast(2.0),
            3.0,
            Series::new("ours", "1/s", vec![10.0, 30.0, 40.0]),
            Series::new("theirs", "1/s", vec![10.0, 10.0, 10.0]),
        );
        assert_eq!(finding.ratio, Spread { min: 1.0, median: 3.0, max: 4.0 });
        assert!(finding.met);
        assert!(!Target::AtMost(2.9).is_met_by(finding.ratio.median));
    }

    #[test]
    fn costs_name_the_programs_that_worked() {
        let mut ours = [0.0; PROGRAMS.len()];
        ours[1] = 7.0;
        let mut theirs = [0.0; PROGRAMS.len()];
        theirs[5] = 9.0;
        let series = Series::new("p99", "ms", vec![1.0]);
        let finding = Finding::within("b", "10 ms", series, 10.0, 0.5).with_costs(&[ours], &[theirs]);
        let shown: Vec<_> = finding
            .costs
            .iter()
            .map(|cost| (cost.program.as_str(), cost.ours.median, cost.theirs.map(|of| of.median)))
            .collect();
        assert_eq!(shown, [("MySQL", 7.0, Some(0.0)), ("Kafka Connect", 0.0, Some(9.0))]);
    }

    #[test]
    fn a_limit_is_met_when_the_median_is_below_it() {
        let ours = Series::new("p99", "ms", vec![1.0, 9.0, 11.0, 30.0]);
        assert!(Finding::within("b", "10 ms", ours.clone(), 10.0, 0.5).met);
        assert!(!Finding::within("b", "9 ms", ours.clone(), 9.0, 0.5).met);
        assert!(!Finding::within("b", "5 ms", ours.clone(), 5.0, 0.5).is_far_off());
        assert!(Finding::within("b", "4 ms", ours, 4.0, 0.5).is_far_off());
    }
}
