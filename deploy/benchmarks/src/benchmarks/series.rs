//! Series of 400 reservations in one request, against a fixed limit.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use shared_events::RoomId;

use crate::{
    command_target::{CommandTarget, Relaying},
    figures::{Finding, Series},
    load::new_histogram,
    mysql::written,
    rig::Rig,
};

const OCCURRENCES: u64 = 400;
/// Series of one room: each has an hour of every day.
const HOURS: u64 = 24;
const LIMIT_MS: f64 = 50.0;

/// The time of a request that makes a series, one request after the other.
pub(crate) async fn of_400(rig: &Rig) -> Result<Vec<Finding>> {
    let requests = rig.size(480, 48);
    let mut p99 = Vec::new();
    for _ in 0..rig.rounds {
        let (namespace, rooms) =
            (rig.namespace("commands").await?, usize::try_from(requests.div_ceil(HOURS))?);
        // Where clocks skip an hour, series of this hour would be shorter.
        let settings = json!({"timeZone": "UTC"});
        let target = CommandTarget::with_settings(rig, namespace, rooms, Relaying::Off, &settings).await?;
        p99.push(round(rig, &target, requests).await?);
        let stored = written::check(&target.namespace.database_url()).await?;
        ensure!(
            stored.made == requests * OCCURRENCES,
            "{requests} series were acknowledged, but {} reservations are stored",
            stored.made
        );
    }
    let series = Series::new("400 occurrences in one request, p99", "ms", p99);
    Ok(vec![Finding::within("series", "50 ms", series, LIMIT_MS, 1.0)])
}

/// The 99th percentile of the requests' times in milliseconds.
async fn round(rig: &Rig, target: &CommandTarget, requests: u64) -> Result<f64> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (url, token) = (target.service.url(), rig.token("caller@example.com", &[])?);
    let mut times = new_histogram()?;
    for number in 0..requests {
        let room: RoomId = usize::try_from(number / HOURS)
            .ok()
            .and_then(|room| target.rooms.get(room).copied())
            .context("no such room")?;
        let hour = number % HOURS;
        let began = Instant::now();
        let answer = http
            .post(format!("{url}/v1/rooms/{room}/series"))
            .bearer_auth(&token)
            .header("Idempotency-Key", format!("series-{number}"))
            .json(&json!({
                "from": format!("2040-01-02T{hour:02}:00:00Z"),
                "to": format!("2040-01-02T{hour:02}:30:00Z"),
                "people": 2, "title": "Planning", "recurrence": "FREQ=DAILY;COUNT=400",
            }))
            .send()
            .await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        times.record(u64::try_from(began.elapsed().as_micros())?.max(1))?;
        ensure!(status == 201, "a series was not made: {status} {}", String::from_utf8_lossy(&body));
    }
    Ok(f64::from(u32::try_from(times.value_at_quantile(0.99))?) / 1000.0)
}
