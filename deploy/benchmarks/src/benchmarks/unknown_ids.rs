//! The latency of commands while others ask for reservations that were never made.

use std::time::Instant;

use anyhow::{Result, ensure};
use reqwest::{Client, StatusCode};
use service_kit::ids::new_id;
use shared_events::{ReservationId, RoomId};
use tokio_util::sync::CancellationToken;

use super::growth::grown;
use crate::{
    figures::{Finding, Series, Target},
    load::Pace,
    rig::Rig,
    rounds::alternate,
};

/// Commands per second.
const RATE: f64 = 500.0;
const CONNECTIONS: usize = 32;
/// Connections that ask, each for one id after the other.
const ASKING: usize = 4;

pub(crate) async fn beside_commands(rig: &Rig) -> Result<Vec<Finding>> {
    let seconds = if rig.short { 2.0 } else { 8.0 };
    let mut target = grown(rig, 500, rig.size(1_000_000, 50_000), 100).await?;
    let Some(long) = target.rooms.pop() else { anyhow::bail!("no room was registered") };
    let asker = Asker {
        client: Client::new(),
        url: format!("{}/v1/rooms/{long}/reservations", target.service.url()),
        token: rig.token("asker@example.com", &[])?,
        room: long,
    };
    // The first ones index the stream, and may be answered 503 meanwhile.
    let began = Instant::now();
    while asker.ask().await? != StatusCode::NOT_FOUND {}
    let first_answer = began.elapsed().as_secs_f64();
    let target = tokio::sync::Mutex::new(target);
    let mut answered = Vec::new();
    let (with, without) = alternate(
        rig.rounds,
        async |_| {
            let stop = CancellationToken::new();
            let mut target = target.lock().await;
            let measured = async {
                let outcome = target.reserve(CONNECTIONS, Pace::Open(RATE), 0.3, seconds).await;
                stop.cancel();
                outcome?.latency_ms(99.0)
            };
            let asking = (0..ASKING).map(|_| asker.until(&stop));
            let (p99, asked) = tokio::join!(measured, futures_util::future::try_join_all(asking));
            answered.push(f64::from(asked?.into_iter().sum::<u32>()) / seconds);
            p99
        },
        async |_| {
            target.lock().await.reserve(CONNECTIONS, Pace::Open(RATE), 0.3, seconds).await?.latency_ms(99.0)
        },
    )
    .await?;
    target.lock().await.check().await?;
    let finding = Finding::new(
        "unknown-ids",
        "the same commands while nobody asks",
        Target::AtMost(1.5),
        1.1,
        Series::new("500 commands/s while unknown ids are asked for, p99", "ms", with),
        Series::new("500 commands/s, p99", "ms", without),
    );
    Ok(vec![finding.with(Series::new("unknown ids answered", "answers/s", answered)).with(Series::new(
        "first answer, with indexing the room",
        "s",
        vec![first_answer],
    ))])
}

struct Asker {
    client: Client,
    url: String,
    token: String,
    room: RoomId,
}

impl Asker {
    /// Asks for ids one after the other. Returns the number of answers.
    async fn until(&self, stop: &CancellationToken) -> Result<u32> {
        let mut answers = 0;
        while !stop.is_cancelled() {
            let status = self.ask().await?;
            ensure!(status == StatusCode::NOT_FOUND, "an unknown id was answered {status}");
            answers += 1;
        }
        Ok(answers)
    }

    async fn ask(&self) -> Result<StatusCode> {
        let unknown = ReservationId::made_in(self.room, new_id());
        let request = self.client.delete(format!("{}/{unknown}", self.url)).bearer_auth(&self.token);
        Ok(request.send().await?.status())
    }
}
