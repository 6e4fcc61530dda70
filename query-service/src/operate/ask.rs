//! Requests to the instances that project the rooms in question.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use service_kit::{ids::new_id, report::Format};
use shared_events::{RoomId, Timestamp};
use tokio::time::Instant;

use super::Tools;
use crate::read_models::{Action, Outcome, Request};

/// Between two looks for an answer.
const LOOK: Duration = Duration::from_millis(100);

/// Who asks, and how long the answer is waited for.
#[derive(Debug, Clone, Args)]
pub struct Asking {
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
    done: bool,
    outcome: String,
}

impl Asking {
    /// Asks for the same for each room, and prints what became of it. True when all of it was done.
    pub(super) async fn ask(&self, tools: &Tools, rooms: &[RoomId], action: &Action) -> anyhow::Result<bool> {
        let mut requests = Vec::new();
        for room in rooms {
            let at = Timestamp::from_epoch_millis(tools.clock.now_ms());
            let (action, by) = (action.clone(), self.by.clone());
            let request = Request { id: new_id(), room: *room, action, by, at };
            tools.models.ask(&request).await?;
            requests.push(request);
        }
        let deadline = Instant::now() + Duration::from_secs(self.wait);
        let mut rows = Vec::new();
        for request in requests {
            let outcome = loop {
                match tools.models.outcome(request.id).await? {
                    Some(outcome) => break outcome,
                    None if Instant::now() >= deadline => break nobody(),
                    None => tokio::time::sleep(LOOK).await,
                }
            };
            rows.push(Answered { room: request.room.to_string(), done: outcome.done, outcome: outcome.text });
        }
        print!("{}", self.format.rows(&rows, &["room", "done", "outcome"])?);
        Ok(rows.iter().all(|row| row.done))
    }
}

fn nobody() -> Outcome {
    let text = "asked, but not done yet: does a query-service run that projects it?".to_owned();
    Outcome { done: false, text }
}
