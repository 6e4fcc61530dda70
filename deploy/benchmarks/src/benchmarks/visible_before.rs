//! The processor time of a command until its event is visible, of all processes of the machine: this build, against an older one.

use anyhow::{Context, Result};

use super::visible::{Latencies, MOST, Ours, WARM_UP_SECONDS, each};
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
    let (mut our_latencies, mut their_latencies) = (Vec::new(), Vec::new());
    let (our_cost, their_cost) = alternate(
        rig.rounds,
        async |_| cost(&mut ours, seconds, &mut our_latencies).await,
        async |_| cost(&mut theirs, seconds, &mut their_latencies).await,
    )
    .await?;
    ours.target.check().await?;
    theirs.target.check().await?;
    let p99 = |who: &str, runs: &[Latencies]| {
        Series::new(&format!("{who}, p99 from commit to visible at {MOST}/s"), "ms", each(runs, 0.99))
    };
    let of = |who: &str| format!("{who}, all processes, from request to visible at {MOST}/s");
    Ok(vec![
        Finding::new(
            "visible-before",
            "the build before usage was written behind",
            Target::AtMost(0.6),
            0.45,
            Series::new(&of("this build"), "µs/event", our_cost),
            Series::new(&of("the build before"), "µs/event", their_cost),
        )
        .with(p99("this build", &our_latencies))
        .with(p99("the build before", &their_latencies)),
    ])
}

/// Microseconds of processor time of each event at the highest steady rate.
async fn cost(side: &mut Ours, seconds: u64, latencies: &mut Vec<Latencies>) -> Result<f64> {
    let before = machine::busy_seconds()?;
    latencies.push(side.run(MOST, seconds).await?);
    Ok((machine::busy_seconds()? - before) / number(MOST * (seconds + WARM_UP_SECONDS)) * 1e6)
}
