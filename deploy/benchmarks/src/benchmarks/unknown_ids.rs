//! The latency of commands while others ask for reservations that were never made.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::future::try_join_all;
use reqwest::{Client, StatusCode};
use service_kit::ids::new_id;
use shared_events::{ReservationId, RoomId};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    beside::Bystander,
    growth::{Contents, grown},
};
use crate::{
    figures::{Finding, Series},
    rig::Rig,
};

/// When one that asks too often comes back, as `Retry-After` says.
const COME_BACK: Duration = Duration::from_secs(1);
/// Connections that ask, each for one id after the other.
const ASKING: usize = 4;

pub(crate) async fn beside_commands(rig: &Rig) -> Result<Vec<Finding>> {
    let long = Contents::plain(rig.size(1_000_000, 50_000), 100);
    let mut target = grown(rig, 500, long).await?;
    let Some(long) = target.rooms.pop() else { bail!("no room was registered") };
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
    let mut answered = Vec::new();
    let finding = Bystander::new(rig, target)
        .compare(rig, "unknown-ids", "unknown ids are asked for", async |commands| {
            let ask =
                async |stop: &CancellationToken| try_join_all((0..ASKING).map(|_| asker.until(stop))).await;
            let (p99, answers) = commands.beside(ask).await?;
            answered.push(f64::from(answers.into_iter().sum::<u32>()) / commands.seconds);
            Ok(p99)
        })
        .await?;
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
    /// Asks for ids one after the other, as fast as the caller's rate lets it. Returns the number of answers.
    async fn until(&self, stop: &CancellationToken) -> Result<u32> {
        let mut answers = 0;
        while !stop.is_cancelled() {
            match self.ask().await? {
                StatusCode::NOT_FOUND => answers += 1,
                StatusCode::TOO_MANY_REQUESTS => drop(stop.run_until_cancelled(sleep(COME_BACK)).await),
                status => bail!("an unknown id was answered {status}"),
            }
        }
        Ok(answers)
    }

    async fn ask(&self) -> Result<StatusCode> {
        let unknown = ReservationId::made_in(self.room, new_id());
        let request = self.client.delete(format!("{}/{unknown}", self.url)).bearer_auth(&self.token);
        Ok(request.send().await?.status())
    }
}
