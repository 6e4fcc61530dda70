//! The highest rate at which events are visible in time: our two services, against Debezium and the sink connector.

use anyhow::Result;

use super::visible::{Latencies, Ours, Theirs};
use crate::{
    connect::{Worker, settings::Tuning},
    figures::{Finding, Series, Target, number},
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
    let (our_rates, their_rates) = alternate(
        rig.rounds,
        async |_| climb(OURS_FROM, async |rate| ours.run(rate, seconds).await).await,
        async |_| {
            theirs.wake().await?;
            let highest = climb(THEIRS_FROM, async |rate| theirs.run(rate, seconds).await).await?;
            theirs.rest().await?;
            Ok(highest)
        },
    )
    .await?;
    theirs.wake().await?;
    theirs.verify().await?;
    ours.target.check().await?;
    let of = |who: &str| format!("{who}, highest rate with p99 below {IN_TIME_MS} ms");
    Ok(vec![Finding::new(
        "visible-highest",
        "Debezium and sink connector, tuned for latency",
        Target::AtLeast(3.0),
        5.0,
        Series::new(&of("ours"), "events/s", our_rates),
        Series::new(&of("theirs"), "events/s", their_rates),
    )])
}

/// Raises the rate until events are not visible in time, in two runs one after the other. Returns the last rate at which they
/// were; 0 if none was. A first run only settles what the other side disturbed.
async fn climb(from: u64, mut run: impl AsyncFnMut(u64) -> Result<Latencies>) -> Result<f64> {
    let (mut rate, mut highest) = (from, 0);
    run(from).await?;
    loop {
        let mut p99 = run(rate).await?.at(0.99);
        if p99 > IN_TIME_MS {
            p99 = run(rate).await?.at(0.99);
        }
        eprintln!("    {rate}/s: p99 {p99:.1} ms");
        if p99 > IN_TIME_MS {
            return Ok(number(highest));
        }
        highest = rate;
        rate = rate * STEP.0 / STEP.1;
        if rate > HIGHEST_TRIED {
            return Ok(number(highest));
        }
    }
}
