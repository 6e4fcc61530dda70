//! Requests to the instances that project the rooms in question.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use service_kit::{ids::new_id, report::Format};
use shared_events::{RoomId, Timestamp};
use tokio::time::Instant;

use super::Tools;
use crate::read_models::{Outcome, Request, RequestedAction};

/// Between two looks for an answer.
const LOOK: Duration = Duration::from_millis(100);

/// Who asks, and how long the answer is waited for.
#[derive(Debug, Clone, Args)]
pub struct RequestOptions {
    /// Who asks; recorded with the request.
    #[arg(long, env = "USER", default_value = "operator")]
    by: String,
    /// Seconds to wait until it is done. A request that nobody has done by then stays, and is done when an instance
    /// projects the room.
    #[arg(long, default_value_t = 60)]
    wait: u64,
    #[command(flatten)]
    pub(super) format: Format,
}

/// What became of the request about one room.
#[derive(Serialize)]
struct Answered {
    room: String,
    generation: String,
    done: bool,
    outcome: String,
}

impl RequestOptions {
    /// Asks for the same for each room, in each generation that is fed, and prints what became of it. True when all of it
    /// was done where queries read.
    pub(super) async fn ask(
        &self,
        tools: &Tools,
        rooms: &[RoomId],
        action: &RequestedAction,
    ) -> anyhow::Result<bool> {
        let others = tools.others.iter().map(|(number, models)| (Some(*number), models));
        let generations: Vec<_> = std::iter::once((None, &tools.models)).chain(others).collect();
        let mut asked = Vec::new();
        for (number, models) in generations {
            for room in rooms {
                let at = Timestamp::from_epoch_millis(tools.clock.now_ms());
                let (action, by) = (action.clone(), self.by.clone());
                let request = Request { id: new_id(), room: *room, action, by, at };
                models.ask(&request).await?;
                asked.push((number, models, request));
            }
        }
        let deadline = Instant::now() + Duration::from_secs(self.wait);
        let (mut rows, mut all_done) = (Vec::new(), true);
        for (number, models, request) in asked {
            let outcome = loop {
                match models.outcome(request.id).await? {
                    Some(outcome) => break outcome,
                    None if Instant::now() >= deadline => break nobody(),
                    None => tokio::time::sleep(LOOK).await,
                }
            };
            all_done &= outcome.done || number.is_some();
            let generation = number.map_or_else(|| "live".to_owned(), |number| number.to_string());
            let (room, done, outcome) = (request.room.to_string(), outcome.done, outcome.text);
            rows.push(Answered { room, generation, done, outcome });
        }
        print!("{}", self.format.rows(&rows, &["room", "generation", "done", "outcome"])?);
        Ok(all_done)
    }
}

fn nobody() -> Outcome {
    let text = "asked, but not done yet: does a query-service run that projects it?".to_owned();
    Outcome { done: false, text }
}
