//! Durable commands over HTTP: 256 connections make reservations in 500 rooms.

use std::time::Duration;

use anyhow::Result;

use system_tests::Namespace;

use crate::{
    command_target::{CommandTarget, Relaying},
    figures::{Finding, Series, Target, number},
    load::{Outcome, Pace},
    mysql::limit,
    processor::Meter,
    rig::Rig,
    rounds::alternate,
    usual_service,
};

const ROOMS: usize = 500;
const CONNECTIONS: usize = 256;
/// Commands in a request of many, and the connections that send such requests.
const LINES: u64 = 100;
const BULKS: usize = 16;
/// The fastest combination of writers and rows is the limit.
const WRITERS: [usize; 3] = [1, 2, 3];
const GROUPS: [usize; 3] = [128, 256, 512];
/// The usual service gets the fastest of these pool sizes.
const POOLS: [usize; 4] = [4, 8, 16, 32];

pub(crate) async fn against_the_usual_service(rig: &Rig) -> Result<Vec<Finding>> {
    let mut ours = CommandTarget::ours(rig, ROOMS, Relaying::Off).await?;
    let mut best: Option<(f64, usize, CommandTarget)> = None;
    for pool in POOLS {
        let mut target = usual_service::target(rig, pool, &ours.rooms).await?;
        let rate = target.reserve(CONNECTIONS, Pace::Closed, 0.5, 2.0).await?.rate;
        eprintln!("  usual service with {pool} connections: {rate:.0}/s");
        if best.as_ref().is_none_or(|(so_far, ..)| rate > *so_far) {
            best = Some((rate, pool, target));
        }
    }
    let Some((_, pool, mut theirs)) = best else { anyhow::bail!("no pool was tried") };
    let (mut p50, mut p99, mut their_p99) = (Vec::new(), Vec::new(), Vec::new());
    let (our_rates, their_rates) = alternate(
        rig.rounds,
        async |_| {
            let outcome = load(rig, &mut ours).await?;
            p50.push(outcome.latency_ms(50.0)?);
            p99.push(outcome.latency_ms(99.0)?);
            Ok(outcome.rate)
        },
        async |_| {
            let outcome = load(rig, &mut theirs).await?;
            their_p99.push(outcome.latency_ms(99.0)?);
            Ok(outcome.rate)
        },
    )
    .await?;
    ours.check().await?;
    theirs.check().await?;
    Ok(vec![
        Finding::new(
            "commands-usual",
            "one transaction a command",
            Target::AtLeast(7.0),
            10.0,
            Series::new("command-service", "commands/s", our_rates),
            Series::new(&format!("usual service, pool of {pool}"), "commands/s", their_rates),
        )
        .with(Series::new("command-service, p50", "ms", p50))
        .with(Series::new("command-service, p99", "ms", p99))
        .with(Series::new("usual service, p99", "ms", their_p99)),
    ])
}

pub(crate) async fn against_the_limit(rig: &Rig) -> Result<Vec<Finding>> {
    let mut ours = CommandTarget::ours(rig, ROOMS, Relaying::Off).await?;
    load(rig, &mut ours).await?;
    let sample = limit::sample(&ours.namespace.database_url()).await?;
    let namespace = tables(rig).await?;
    let url = namespace.database_url();
    let mut best = (0.0, 0, 0);
    for writers in WRITERS {
        for group in GROUPS {
            let during = Duration::from_millis(rig.size(1500, 700));
            let rate = limit::insert(&url, writers, group, during, &sample).await?.rate;
            eprintln!("  {writers} writers, {group} rows: {rate:.0}/s");
            if rate > best.0 {
                best = (rate, writers, group);
            }
        }
    }
    let (_, writers, group) = best;
    let mut relaying = Vec::new();
    let mut many = CommandTarget::ours(rig, ROOMS, Relaying::Off).await?;
    let (mut of_many, mut of_bare) = (Vec::new(), Vec::new());
    let (mut our_costs, mut costs_of_many, mut bare_costs) = (Vec::new(), Vec::new(), Vec::new());
    let (our_rates, their_rates) = alternate(
        rig.rounds,
        async |_| {
            let meter = Meter::start()?;
            let outcome = load(rig, &mut ours).await?;
            our_costs.push(meter.for_each_of(outcome.sent)?);
            let ours_rate = outcome.rate;
            let (length, meter) = (seconds(rig).as_secs_f64(), Meter::start()?);
            let outcome = many.reserve_many(LINES, BULKS, Pace::Closed, 0.5, length).await?;
            costs_of_many.push(meter.for_each_of(outcome.sent * LINES)?);
            of_many.push(outcome.rate * number(LINES));
            Ok(ours_rate)
        },
        async |_| {
            let meter = Meter::start()?;
            let inserted = limit::insert(&url, writers, group, seconds(rig), &sample).await?;
            bare_costs.push(meter.for_each_of(inserted.events)?);
            of_bare.push(inserted.rate);
            Ok(inserted.rate)
        },
    )
    .await?;
    ours.check().await?;
    many.check().await?;
    let mut with_relay = CommandTarget::ours(rig, ROOMS, Relaying::On).await?;
    for _ in 0..rig.rounds {
        relaying.push(load(rig, &mut with_relay).await?.rate);
    }
    with_relay.check().await?;
    let bare = format!("bare inserts, {writers} writers of {group} rows");
    Ok(vec![
        Finding::new(
            "commands-many",
            "bare multi-row inserts",
            Target::AtLeast(0.6),
            0.75,
            Series::new(&format!("command-service, {LINES} commands a request"), "commands/s", of_many),
            Series::new(&bare, "commands/s", of_bare),
        )
        .with_costs(&costs_of_many, &bare_costs),
        Finding::new(
            "commands-limit",
            "bare multi-row inserts",
            Target::AtLeast(0.42),
            0.5,
            Series::new("command-service", "commands/s", our_rates),
            Series::new(&bare, "commands/s", their_rates),
        )
        .with_costs(&our_costs, &bare_costs)
        .with(Series::new("command-service, relaying to Kafka meanwhile", "commands/s", relaying)),
    ])
}

pub(crate) async fn one_at_a_time(rig: &Rig) -> Result<Vec<Finding>> {
    let mut ours = CommandTarget::ours(rig, ROOMS, Relaying::Off).await?;
    ours.reserve(1, Pace::Closed, 0.0, 1.0).await?;
    let sample = limit::sample(&ours.namespace.database_url()).await?;
    let namespace = tables(rig).await?;
    let url = namespace.database_url();
    let mut p99 = Vec::new();
    let (our_values, their_values) = alternate(
        rig.rounds,
        async |_| {
            let outcome = ours.reserve(1, Pace::Closed, 0.5, seconds(rig).as_secs_f64() / 2.0).await?;
            p99.push(outcome.latency_ms(99.0)?);
            outcome.latency_ms(50.0)
        },
        async |_| limit::median_transaction_ms(&url, seconds(rig) / 2, &sample).await,
    )
    .await?;
    ours.check().await?;
    Ok(vec![
        Finding::new(
            "single-command",
            "one raw transaction",
            Target::AtMost(1.5),
            1.2,
            Series::new("one command over HTTP, p50", "ms", our_values),
            Series::new("one transaction of the same rows, p50", "ms", their_values),
        )
        .with(Series::new("one command over HTTP, p99", "ms", p99)),
    ])
}

pub(crate) async fn on_one_room(rig: &Rig) -> Result<Vec<Finding>> {
    let mut hot = CommandTarget::ours(rig, 1, Relaying::Off).await?;
    let mut spread = CommandTarget::ours(rig, ROOMS, Relaying::Off).await?;
    let (our_rates, their_rates) = alternate(
        rig.rounds,
        async |_| Ok(load(rig, &mut hot).await?.rate),
        async |_| Ok(load(rig, &mut spread).await?.rate),
    )
    .await?;
    hot.check().await?;
    spread.check().await?;
    Ok(vec![Finding::new(
        "hot-room",
        "500 rooms",
        Target::AtLeast(0.6),
        0.9,
        Series::new("one room", "commands/s", our_rates),
        Series::new("500 rooms", "commands/s", their_rates),
    )])
}

/// The empty tables of an event store.
async fn tables(rig: &Rig) -> Result<Namespace> {
    let namespace = rig.namespace("limit").await?;
    command_service::operate::migrate(namespace.database_url()).await?;
    Ok(namespace)
}

fn seconds(rig: &Rig) -> Duration {
    Duration::from_secs(rig.size(8, 3))
}

async fn load(rig: &Rig, target: &mut CommandTarget) -> Result<Outcome> {
    target.reserve(CONNECTIONS, Pace::Closed, 0.5, seconds(rig).as_secs_f64()).await
}
