//! Requests to the instances that project the rooms.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use service_kit::{
    ids::new_id,
    report::{Format, Verdict},
};
use shared_events::{RoomId, Timestamp};
use tokio::time::Instant;

use super::LiveGeneration;
use crate::read_models::{Outcome, Request, RequestedAction};

/// The pause between two looks for an outcome.
const POLL: Duration = Duration::from_millis(100);

/// The operator, and how long the command waits.
#[derive(Debug, Args)]
pub struct RequestOptions {
    /// The operator; recorded with the request.
    #[arg(long, env = "USER", default_value = "operator")]
    by: String,
    /// Seconds to wait for the outcome. A request without one stays, until an instance projects the room.
    #[arg(long, default_value_t = 60)]
    wait: u64,
    #[command(flatten)]
    pub(super) format: Format,
}

/// The outcome of a request.
#[derive(Serialize)]
struct Row {
    room: RoomId,
    generation: String,
    done: bool,
    outcome: String,
}

impl RequestOptions {
    /// Requests an action on each room, in each generation that is fed, and prints the outcomes. Those of the live generation
    /// make the verdict.
    pub(super) async fn ask(
        &self,
        live: &LiveGeneration,
        rooms: &[RoomId],
        action: &RequestedAction,
    ) -> anyhow::Result<Verdict> {
        let others = live.others.iter().map(|(number, models)| (Some(*number), models));
        let generations: Vec<_> = std::iter::once((None, &live.models)).chain(others).collect();
        let mut asked = Vec::new();
        for (number, models) in generations {
            for room in rooms {
                let at = Timestamp::from_epoch_millis(live.clock.now_ms());
                let (action, by) = (action.clone(), self.by.clone());
                let request = Request { id: new_id(), room: *room, action, by, at };
                models.ask(&request).await?;
                asked.push((number, models, request));
            }
        }
        let deadline = Instant::now() + Duration::from_secs(self.wait);
        let (mut rows, mut verdict) = (Vec::new(), Verdict::AsWanted);
        for (number, models, request) in asked {
            let outcome = loop {
                match models.outcome(request.id).await? {
                    Some(outcome) => break outcome,
                    None if Instant::now() >= deadline => break no_outcome(),
                    None => tokio::time::sleep(POLL).await,
                }
            };
            if !outcome.done && number.is_none() {
                verdict = Verdict::NotAsWanted;
            }
            let generation = number.map_or_else(|| "live".to_owned(), |number| number.to_string());
            let Outcome { done, text: outcome } = outcome;
            rows.push(Row { room: request.room, generation, done, outcome });
        }
        print!("{}", self.format.rows(&rows, &["room", "generation", "done", "outcome"])?);
        Ok(verdict)
    }
}

fn no_outcome() -> Outcome {
    let text = "asked, but not done yet: does a query-service run that projects it?".to_owned();
    Outcome { done: false, text }
}
