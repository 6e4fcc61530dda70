//! The processor time of a command until its event is visible, of all processes of the machine: this build, against an older one.

use anyhow::{Context, Result};

use super::visible::{Latencies, MANY, MOST, Ours, WARM_UP_SECONDS, each};
use crate::{
    figures::{Finding, Series, Target, number},
    processor::{Costs, Meter, PROGRAMS, busy_seconds},
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
        for (at, (program, _)) in PROGRAMS.iter().enumerate() {
            let values = runs.costs_of_many.iter().filter_map(|costs| costs.get(at)).copied().collect();
            finding = finding.with(Series::new(&format!("{who}, {program} at {MANY}/s"), "µs/event", values));
        }
    }
    Ok(vec![finding.with_costs(&our_runs.costs_of_most, &their_runs.costs_of_most)])
}

/// Latencies of one build at both rates, and what an event cost.
#[derive(Default)]
struct Runs {
    many: Vec<Latencies>,
    most: Vec<Latencies>,
    costs_of_many: Vec<Costs>,
    costs_of_most: Vec<Costs>,
}

/// Microseconds of processor time of each event at the highest steady rate.
async fn cost(side: &mut Ours, seconds: u64, runs: &mut Runs) -> Result<f64> {
    let events = |rate: u64| rate * (seconds + WARM_UP_SECONDS);
    let meter = Meter::start()?;
    runs.many.push(side.run(MANY, seconds).await?);
    runs.costs_of_many.push(meter.for_each_of(events(MANY))?);
    let (all, meter) = (busy_seconds()?, Meter::start()?);
    runs.most.push(side.run(MOST, seconds).await?);
    runs.costs_of_most.push(meter.for_each_of(events(MOST))?);
    Ok((busy_seconds()? - all) / number(events(MOST)) * 1e6)
}
