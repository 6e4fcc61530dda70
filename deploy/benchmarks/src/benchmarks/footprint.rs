//! Memory and start of both services, with a million events.

use std::time::Duration;

use anyhow::Result;

use crate::{
    backlog::Backlog,
    command_target::{CommandTarget, Relaying},
    figures::{Finding, Series},
    load::Pace,
    rig::Rig,
};

const ROOMS: usize = 500;
const IDLE_MB: f64 = 64.0;
const LOADED_MB: f64 = 256.0;
const READY_SECONDS: f64 = 1.0;
const PATIENCE: Duration = Duration::from_secs(300);

/// Memory when idle, most memory under load while everything is relayed and projected, and time until ready.
pub(crate) async fn memory_and_start(rig: &Rig) -> Result<Vec<Finding>> {
    let events = rig.size(1_000_000, 100_000);
    let namespace = rig.namespace("footprint").await?;
    Backlog::build(&namespace, ROOMS, events).await?;
    let mut command = Measured::default();
    let mut query = Measured::default();
    for _ in 0..rig.rounds {
        let mut service = rig.command_service(&namespace, &[])?;
        command.ready.push(service.until_ready().await?.as_secs_f64());
        let mut reader = rig.query_service(&namespace, &service.url(), &[("WATCHDOG_SECONDS", "86400")])?;
        query.ready.push(reader.until_ready().await?.as_secs_f64());
        // Their work after the start must be over.
        tokio::time::sleep(Duration::from_secs(2)).await;
        command.idle.push(service.memory()?.now);
        query.idle.push(reader.memory()?.now);
        reader.stop().await?;
        service.stop().await?;
    }
    for _ in 0..rig.rounds {
        let mut target = CommandTarget::ours(rig, ROOMS, Relaying::On).await?;
        let mut reader = rig.query_service(&target.namespace, &target.service.url(), &[])?;
        reader.until_ready().await?;
        target.reserve(256, Pace::Closed, 0.0, if rig.short { 2.0 } else { 6.0 }).await?;
        target.until_visible(rig, PATIENCE).await?;
        command.loaded.push(target.service.memory()?.peak);
        query.loaded.push(reader.memory()?.peak);
        target.check().await?;
    }
    let mut findings = Vec::new();
    for (name, measured) in [("command-service", command), ("query-service", query)] {
        let within = |what: &str, unit: &str, values, limit, limit_name: &str| {
            let series = Series::new(&format!("{name}, {what}"), unit, values);
            Finding::within("footprint", limit_name, series, limit, 1.0)
        };
        findings.push(within("idle", "MB", measured.idle, IDLE_MB, "64 MB idle"));
        findings.push(within("most under load", "MB", measured.loaded, LOADED_MB, "256 MB loaded"));
        findings.push(within(
            &format!("ready with a store of {events} events"),
            "s",
            measured.ready,
            READY_SECONDS,
            "1 s until ready",
        ));
    }
    Ok(findings)
}

#[derive(Default)]
struct Measured {
    idle: Vec<f64>,
    loaded: Vec<f64>,
    ready: Vec<f64>,
}
