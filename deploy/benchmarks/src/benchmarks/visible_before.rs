//! The processor time of a command until its event is visible, of all processes of the machine: this build, against an older one.

use anyhow::{Context, Result};

use super::visible::{Latencies, MANY, MOST, Ours, WARM_UP_SECONDS, each};
use crate::{
    figures::{Finding, Series, Target, number},
    machine,
    rig::Rig,
    rounds::alternate,
};

pub(crate) async fn against_the_build_before(rig: &Rig) -> Result<Vec<Finding>> {
    let Some(before) = rig.of_the_build_before()? else {
        eprintln!("  left out: BENCHMARKS_BEFORE names no folder with the binaries of another build");
        return Ok(Vec::new());
    };
    let seconds = rig.size(8, 3);
    let mut ours = Ours::start(rig).await?;
    let mut theirs = Ours::start(&before).await.context("the build before does not start")?;
    let (mut our_runs, mut their_runs) = (Runs::default(), Runs::default());
    let (our_cost, their_cost) = alternate(
        rig.rounds,
        async |_| cost(&mut ours, seconds, &mut our_runs).await,
        async |_| cost(&mut theirs, seconds, &mut their_runs).await,
    )
    .await?;
    ours.target.check().await?;
    theirs.target.check().await?;
    let of = |who: &str| format!("{who}, all processes, from request to visible at {MOST}/s");
    let mut finding = Finding::new(
        "visible-before",
        "the build before usage was written behind",
        Target::AtMost(0.6),
        0.45,
        Series::new(&of("this build"), "µs/event", our_cost),
        Series::new(&of("the build before"), "µs/event", their_cost),
    );
    for (who, runs) in [("this build", &our_runs), ("the build before", &their_runs)] {
        for (rate, runs) in [(MANY, &runs.many), (MOST, &runs.most)] {
            for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
                let name = format!("{who}, {name} from commit to visible at {rate}/s");
                finding = finding.with(Series::new(&name, "ms", each(runs, quantile)));
            }
        }
        for (at, (program, _)) in machine::PROGRAMS.iter().enumerate() {
            for (rate, costs) in [(MANY, &runs.cost_of_many), (MOST, &runs.cost_of_most)] {
                let values = costs.iter().filter_map(|cost| cost.get(at)).copied().collect();
                finding =
                    finding.with(Series::new(&format!("{who}, {program} at {rate}/s"), "µs/event", values));
            }
        }
    }
    Ok(vec![finding])
}

/// Latencies of one build at both rates, and microseconds of processor time of each event by program.
#[derive(Default)]
struct Runs {
    many: Vec<Latencies>,
    most: Vec<Latencies>,
    cost_of_many: Vec<Vec<f64>>,
    cost_of_most: Vec<Vec<f64>>,
}

/// Microseconds of processor time of each event at the highest steady rate.
async fn cost(side: &mut Ours, seconds: u64, runs: &mut Runs) -> Result<f64> {
    let each_of = |rate: u64, used: f64| used / number(rate * (seconds + WARM_UP_SECONDS)) * 1e6;
    let programs_since = |before: &[f64], rate| -> Result<Vec<f64>> {
        let now = machine::seconds_of_programs()?;
        Ok(now.iter().zip(before).map(|(now, before)| each_of(rate, now - before)).collect())
    };
    let before = machine::seconds_of_programs()?;
    runs.many.push(side.run(MANY, seconds).await?);
    runs.cost_of_many.push(programs_since(&before, MANY)?);
    let (all, before) = (machine::busy_seconds()?, machine::seconds_of_programs()?);
    runs.most.push(side.run(MOST, seconds).await?);
    runs.cost_of_most.push(programs_since(&before, MOST)?);
    Ok(each_of(MOST, machine::busy_seconds()? - all))
}
