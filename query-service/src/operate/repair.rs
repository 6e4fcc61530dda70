//! `repair`: makes everything that is stored of rooms again.

use service_kit::report::Verdict;
use shared_events::RoomId;

use super::{LiveGeneration, request::RequestOptions};
use crate::read_models::RequestedAction;

/// Arguments of `repair`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The rooms.
    #[arg(required = true)]
    rooms: Vec<RoomId>,
    #[command(flatten)]
    options: RequestOptions,
}

impl Arguments {
    pub(super) async fn run(&self, live: &LiveGeneration) -> anyhow::Result<Verdict> {
        self.options.ask(live, &self.rooms, &RequestedAction::Repair).await
    }
}
