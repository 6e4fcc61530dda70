//! Two processes of each service, against one of each.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use command_service::event_store::Mode;

use super::relay_log;
use crate::{
    command_target::CommandTarget,
    figures::{Finding, Series, Target, number},
    load::Pace,
    processor::{Costs, Meter},
    rig::{Rig, Service},
    rounds::alternate,
};

const CONNECTIONS: usize = 256;
const PATIENCE: Duration = Duration::from_secs(120);

/// A number of processes of each service. Each command service gets its part of the rooms, like from a balancer that
/// routes by room.
struct System {
    targets: Vec<CommandTarget>,
    queries: Vec<Service>,
    /// The number of commands to each command service.
    sent: Vec<u64>,
}

impl System {
    async fn start(rig: &Rig, processes: usize, source: Mode) -> Result<Self> {
        let first = relay_log::target(rig, source).await?;
        let mut queries = Vec::new();
        for _ in 0..processes {
            let mut query = rig.query_service(&first.namespace, &first.service.url(), &[])?;
            query.until_ready().await?;
            queries.push(query);
        }
        let mut targets = vec![first];
        for _ in 1..processes {
            let Some(first) = targets.first() else { break };
            let mut service = rig.command_service(&first.namespace, &[])?;
            service.until_ready().await?;
            let target =
                CommandTarget::with(rig, Arc::clone(&first.namespace), service, first.rooms.clone())?;
            targets.push(target);
        }
        for (number, target) in targets.iter_mut().enumerate() {
            target.rooms = target.rooms.iter().copied().skip(number).step_by(processes).collect();
        }
        Ok(Self { sent: vec![0; targets.len()], targets, queries })
    }

    /// Makes reservations for a time and waits until all are visible. Returns commands per second over the whole time, and adds
    /// what they cost.
    async fn run(&mut self, rig: &Rig, seconds: f64, costs: &mut Vec<Costs>) -> Result<f64> {
        let meter = Meter::start()?;
        let connections = CONNECTIONS / self.targets.len();
        let started = Instant::now();
        let loads =
            self.targets.iter_mut().map(|target| target.reserve(connections, Pace::Closed, 0.0, seconds));
        let outcomes = futures_util::future::try_join_all(loads).await?;
        for (sent, outcome) in self.sent.iter_mut().zip(&outcomes) {
            *sent += outcome.sent;
        }
        if let Some(target) = self.targets.first() {
            target.until_visible(rig, PATIENCE).await?;
        }
        let all: u64 = outcomes.iter().map(|outcome| outcome.sent).sum();
        let elapsed = started.elapsed().as_secs_f64();
        costs.push(meter.for_each_of(all)?);
        Ok(number(all) / elapsed)
    }

    async fn check(self, source: Mode) -> Result<()> {
        let made: u64 = self.targets.iter().map(CommandTarget::made).sum();
        if let Some(target) = self.targets.first() {
            relay_log::relayed_in(target, source).await?;
            let written = crate::mysql::written::check(&target.namespace.database_url()).await?;
            ensure!(written.made == made, "{made} reservations were answered, {} are there", written.made);
            ensure!(written.keys == written.events, "events without idempotency records");
        }
        for query in self.queries {
            query.stop().await?;
        }
        for target in self.targets {
            target.service.stop().await?;
        }
        Ok(())
    }
}

pub(crate) async fn two_of_each(rig: &Rig) -> Result<Vec<Finding>> {
    of(rig, "sharing", Mode::Table).await
}

/// The same while the relay reads the binary log.
pub(crate) async fn two_of_each_with_the_log(rig: &Rig) -> Result<Vec<Finding>> {
    of(rig, "sharing-log", Mode::Log).await
}

async fn of(rig: &Rig, name: &str, source: Mode) -> Result<Vec<Finding>> {
    let seconds = if rig.short { 2.0 } else { 6.0 };
    let mut two = System::start(rig, 2, source).await?;
    let mut one = System::start(rig, 1, source).await?;
    let mut processor: Vec<Vec<f64>> = vec![Vec::new(); 2];
    let (mut costs_of_two, mut costs_of_one) = (Vec::new(), Vec::new());
    let (our_rates, their_rates) = alternate(
        rig.rounds,
        async |_| {
            let before: Vec<f64> =
                two.queries.iter().map(Service::processor_seconds).collect::<Result<_>>()?;
            let rate = two.run(rig, seconds, &mut costs_of_two).await?;
            for ((query, before), used) in two.queries.iter().zip(before).zip(&mut processor) {
                used.push(query.processor_seconds()? - before);
            }
            Ok(rate)
        },
        async |_| one.run(rig, seconds, &mut costs_of_one).await,
    )
    .await?;
    let sent: Vec<f64> = two.sent.iter().map(|sent| number(*sent)).collect();
    let share: Vec<f64> = sent.iter().map(|part| part / sent.iter().sum::<f64>() * 100.0).collect();
    two.check(source).await?;
    one.check(source).await?;
    let mut finding = Finding::new(
        name,
        "one process of each service",
        Target::AtLeast(0.9),
        1.0,
        Series::new("two of each, commands until visible", "commands/s", our_rates),
        Series::new("one of each, commands until visible", "commands/s", their_rates),
    )
    .with_costs(&costs_of_two, &costs_of_one)
    .with(Series::new("share of each command service", "%", share));
    for (query, used) in processor.into_iter().enumerate() {
        finding = finding.with(Series::new(
            &format!("query service {}, processor time", query + 1),
            "s/round",
            used,
        ));
    }
    Ok(vec![finding])
}
