//! Statistics over HTTP while commands are made and their usage is written behind, against the same with nothing beside.

use std::time::Duration;

use anyhow::Result;

use crate::{
    command_target::{CommandTarget, Relaying},
    figures::{Finding, Series, Target},
    load::{Load, Pace, Requests},
    processor::{Costs, Meter},
    rig::Rig,
    rounds::alternate,
};

const ROOMS: usize = 500;
const KINDS: usize = 20;
/// Commands per second, and their connections.
const COMMANDS: f64 = 500.0;
const CONNECTIONS: usize = 32;
/// Statistics per second.
const STATISTICS: f64 = 25.0;
/// A month with the reservations of the load.
const RANGE: &str = "from=2033-05-15T00:00:00Z&to=2033-06-15T00:00:00Z";
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn beside_commands(rig: &Rig) -> Result<Vec<Finding>> {
    let namespace = rig.namespace("statistics").await?;
    let mut target = CommandTarget::at(rig, namespace, ROOMS, Relaying::On).await?;
    let mut query = rig.query_service(&target.namespace, &target.service.url(), &[])?;
    query.until_ready().await?;
    target.reserve(CONNECTIONS, Pace::Closed, 0.0, 2.0).await?;
    target.until_visible(rig, PATIENCE).await?;
    #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
    let seconds = rig.size(10, 4) as f64;
    let paths = (0..KINDS).flat_map(|kind| {
        ["popular-rooms", "busiest-times"]
            .map(|name| format!("/v1/statistics/{name}?{RANGE}&kind=Kind%20{kind}"))
    });
    let statistics = Load {
        address: query.address.clone(),
        connections: 8,
        pace: Pace::Open(STATISTICS),
        warm_up_seconds: 0.5,
        seconds,
        requests: Requests::Get { paths: paths.collect(), token: rig.token("admin", &["admin"])? },
    };
    let p99 = async |costs: &mut Vec<Costs>| {
        let meter = Meter::start()?;
        let outcome = statistics.run().await?;
        costs.push(meter.for_each_of(outcome.sent)?);
        outcome.all_succeeded()?;
        outcome.latency_ms(99.0)
    };
    let (mut costs_with, mut costs_without) = (Vec::new(), Vec::new());
    let (with, without) = alternate(
        rig.rounds,
        async |_| {
            let commands = target.reserve(CONNECTIONS, Pace::Open(COMMANDS), 0.0, seconds + 0.5);
            let (commands, p99) = tokio::join!(commands, p99(&mut costs_with));
            commands?;
            p99
        },
        async |_| p99(&mut costs_without).await,
    )
    .await?;
    target.until_visible(rig, PATIENCE).await?;
    target.check().await?;
    query.stop().await?;
    Ok(vec![
        Finding::new(
            "statistics",
            "the same with nothing beside",
            Target::AtMost(1.5),
            1.2,
            Series::new(&format!("statistics beside {COMMANDS} commands/s, p99"), "ms", with),
            Series::new("statistics alone, p99", "ms", without),
        )
        .with_costs(&costs_with, &costs_without),
    ])
}
