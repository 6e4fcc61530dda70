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

/// Raises the rate until events are not visible in time, in two runs one after the other. Returns the last rate at which they
/// were, 0 if none was, and adds what that run cost. A first run only settles what the other side disturbed.
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
    let (mut rate, mut highest) = (from, None);
    measured(from).await?;
    while rate <= HIGHEST_TRIED {
        let (mut p99, mut cost) = measured(rate).await?;
        if p99 > IN_TIME_MS {
            (p99, cost) = measured(rate).await?;
        }
        eprintln!("    {rate}/s: p99 {p99:.1} ms");
        if p99 > IN_TIME_MS {
            break;
        }
        highest = Some((rate, cost));
        rate = rate * STEP.0 / STEP.1;
    }
    costs.extend(highest.map(|(_, cost)| cost));
    Ok(highest.map_or(0.0, |(rate, _)| number(rate)))
}
