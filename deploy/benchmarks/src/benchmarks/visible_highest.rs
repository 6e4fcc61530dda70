//! The highest rate at which events are visible in time: our two services, against Debezium and the sink connector.

use anyhow::Result;

use super::visible::{Latencies, Ours, Theirs, WARM_UP_SECONDS};
use crate::{
    connect::{Worker, settings::Tuning},
    figures::{Finding, Series, Target, number},
    processor::{Costs, Meter},
    rig::Rig,
    rounds::alternate,
};

/// The most that the 99th percentile from commit to visible may take.
const IN_TIME_MS: f64 = 100.0;
/// The first rates per second, and how much each is above the one before.
const OURS_FROM: u64 = 1000;
const THEIRS_FROM: u64 = 100;
const STEP: (u64, u64) = (5, 4);
/// No higher rate is tried: the writers of the peers' rows have few connections.
const HIGHEST_TRIED: u64 = 6000;
/// Nor a lower one.
const LOWEST_TRIED: u64 = 20;

pub(crate) async fn highest_rate(rig: &Rig) -> Result<Vec<Finding>> {
    let seconds = rig.size(5, 3);
    let worker = Worker::start(rig).await?;
    let mut theirs = Theirs::start(rig, &worker, Tuning::Latency).await?;
    theirs.warm_up().await?;
    theirs.rest().await?;
    let mut ours = Ours::start(rig).await?;
    let (mut our_costs, mut their_costs) = (Vec::new(), Vec::new());
    let (our_rates, their_rates) = alternate(
        rig.rounds,
        async |_| climb(OURS_FROM, seconds, &mut our_costs, async |rate| ours.run(rate, seconds).await).await,
        async |_| {
            theirs.wake().await?;
            let run = async |rate| theirs.run(rate, seconds).await;
            let highest = climb(THEIRS_FROM, seconds, &mut their_costs, run).await?;
            theirs.rest().await?;
            Ok(highest)
        },
    )
    .await?;
    theirs.wake().await?;
    theirs.verify().await?;
    ours.target.check().await?;
    let of = |who: &str| format!("{who}, highest rate with p99 below {IN_TIME_MS} ms");
    Ok(vec![
        Finding::new(
            "visible-highest",
            "Debezium and sink connector, tuned for latency",
            Target::AtLeast(3.0),
            5.0,
            Series::new(&of("ours"), "events/s", our_rates),
            Series::new(&of("theirs"), "events/s", their_rates),
        )
        .with_costs(&our_costs, &their_costs),
    ])
}

/// Looks for the highest rate at which events are visible in time: up from the first rate while they are, else down until they
/// are. Returns it, 0 if there is none, and adds what its run cost. A first run only settles what the other side disturbed.
async fn climb(
    from: u64,
    seconds: u64,
    costs: &mut Vec<Costs>,
    mut run: impl AsyncFnMut(u64) -> Result<Latencies>,
) -> Result<f64> {
    let mut measured = async |rate: u64| {
        let meter = Meter::start()?;
        let p99 = run(rate).await?.at(0.99);
        anyhow::Ok((p99, meter.for_each_of(rate * (seconds + WARM_UP_SECONDS))?))
    };
    measured(from).await?;
    // The rate and what it cost, if it was in time in one of two runs.
    let mut in_time = async |rate: u64| {
        let (mut p99, mut cost) = measured(rate).await?;
        if p99 > IN_TIME_MS {
            (p99, cost) = measured(rate).await?;
        }
        eprintln!("    {rate}/s: p99 {p99:.1} ms");
        anyhow::Ok((p99 <= IN_TIME_MS).then_some((rate, cost)))
    };
    let mut rate = from;
    let mut highest = in_time(rate).await?;
    let up = highest.is_some();
    let (times, by) = if up { STEP } else { (STEP.1, STEP.0) };
    loop {
        rate = rate * times / by;
        if !(LOWEST_TRIED..=HIGHEST_TRIED).contains(&rate) {
            break;
        }
        let found = in_time(rate).await?;
        let is_last = found.is_some() != up;
        highest = found.or(highest);
        if is_last {
            break;
        }
    }
    let rate = highest.as_ref().map_or(0.0, |(rate, _)| number(*rate));
    costs.extend(highest.map(|(_, cost)| cost));
    Ok(rate)
}
