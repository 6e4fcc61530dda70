//! A closure of a year in a room with many live reservations, against a closure of a day.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use shared_events::Interval;

use super::growth::{AHEAD, Contents, HOUR, grown};
use crate::{
    backlog::interval,
    command_target::CommandTarget,
    figures::{Finding, Series, Target, number},
    load::new_histogram,
    mysql::written,
    rig::Rig,
    rounds::alternate,
};

/// Closures of a side in a round, one after the other.
const CLOSURES: u64 = 40;
/// Live reservations, one an hour.
const LIVE: u64 = 10_000;
/// Reservations that a line names. It counts the others.
const NAMED: u64 = 100;
const YEAR: u64 = 365 * 24;
const DAY: u64 = 24;

/// The time of a request that closes the room. The closure is lifted before the next one.
pub(crate) async fn of_a_year(rig: &Rig) -> Result<Vec<Finding>> {
    let target = grown(rig, 1, Contents::plain(100, LIVE)).await?;
    let closing = &Closing {
        http: Client::builder().no_proxy().build()?,
        token: rig.token("admin", &["admin"])?,
        target,
    };
    let (year, day) = alternate(
        rig.rounds,
        async |round| closing.round(round, YEAR).await,
        async |round| closing.round(round, DAY).await,
    )
    .await?;
    closing.check(rig.rounds).await?;
    let name = |hours: u64, of: &str| format!("closure of a {of}, {hours} reservations hit, p50");
    Ok(vec![Finding::new(
        "closure",
        "a closure of a day in the same room",
        Target::AtMost(2.0),
        1.2,
        Series::new(&name(YEAR, "year"), "ms", year),
        Series::new(&name(DAY, "day"), "ms", day),
    )])
}

/// The line of the one room.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    closure: String,
    status: u16,
    #[serde(default)]
    hits: Vec<Value>,
    #[serde(default)]
    more_hits: u64,
}

struct Closing {
    http: Client,
    token: String,
    target: CommandTarget,
}

impl Closing {
    /// The median time in milliseconds.
    async fn round(&self, round: usize, hours: u64) -> Result<f64> {
        let mut times = new_histogram()?;
        for number in 0..CLOSURES {
            times.record(self.close(&format!("{round}-{hours}-{number}"), hours).await?)?;
        }
        Ok(number(times.value_at_quantile(0.5)) / 1000.0)
    }

    /// Closes the room for some hours, and lifts the closure. Returns how long the first took, in microseconds.
    async fn close(&self, key: &str, hours: u64) -> Result<u64> {
        let (url, room) = (self.target.service.url(), self.target.rooms.first().context("no room")?);
        let Interval { from, to } = interval(AHEAD, AHEAD + HOUR * i64::try_from(hours)?);
        let closure = json!({"rooms": [room], "from": from, "to": to, "reason": "New floor"});
        let began = Instant::now();
        let request =
            self.http.post(format!("{url}/v1/closures")).header("Idempotency-Key", key).json(&closure);
        let line = self.line(request).await?;
        let took = u64::try_from(began.elapsed().as_micros())?.max(1);
        let named = u64::try_from(line.hits.len())?;
        let is_right = line.status == 201 && named == hours.min(NAMED) && named + line.more_hits == hours;
        ensure!(is_right, "a closure of {hours} hours: {line:?}");
        let lift = self.http.delete(format!("{url}/v1/closures/{}", line.closure));
        let line = self.line(lift).await?;
        ensure!(line.status == 200, "a closure was not lifted: {line:?}");
        Ok(took)
    }

    /// The one line of an answer.
    async fn line(&self, request: reqwest::RequestBuilder) -> Result<Line> {
        let answer = request.bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        ensure!(status == 200, "{status} {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }

    /// Each closure was added and lifted once.
    async fn check(&self, rounds: usize) -> Result<()> {
        let stored = written::check(&self.target.namespace.database_url()).await?;
        let closures = 2 * CLOSURES * u64::try_from(rounds)?;
        let events = 1 + stored.made + 2 * closures;
        ensure!(
            stored.made == 100 + LIVE && stored.events == events,
            "{closures} closures were added and lifted, but the store has {stored:?}"
        );
        Ok(())
    }
}
