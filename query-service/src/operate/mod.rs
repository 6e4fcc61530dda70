//! Operators' commands: how far the read models are, which rooms wait and why, and what to do about it.
//!
//! They read the database and the feed themselves. What changes a room is asked of the instance that projects it, by a
//! request in the database: it alone knows what it is writing.

mod ask;
mod checkpoints;
mod lag;
mod parked;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use service_kit::{clock::Clock, report::Format};
use shared_events::RoomId;

pub use self::ask::Asking;
use crate::{
    config::Config,
    feed::HttpFeed,
    stores::mongo::{GENERATION, MongoReadModels},
};

/// What operators can do beside `serve`.
#[derive(Debug, Clone, Subcommand)]
pub enum Operate {
    /// Shows rooms that wait behind an event that can't be applied, and lets them go on.
    #[command(subcommand)]
    Parked(Parked),
    /// Makes everything that is stored of rooms again, from their events.
    ///
    /// Until that is done, queries see a room without what is not made again yet; one with a token waits for it.
    Repair {
        /// The rooms.
        #[arg(required = true)]
        rooms: Vec<RoomId>,
        /// Who asks.
        #[command(flatten)]
        asking: Asking,
    },
    /// Shows how far each room's read models are behind its events.
    Checkpoints {
        /// These rooms only; all of them otherwise.
        rooms: Vec<RoomId>,
        /// Only rooms that are behind or parked.
        #[arg(long)]
        behind: bool,
        /// Table or JSON.
        #[command(flatten)]
        format: Format,
    },
    /// Shows how many messages of each partition the consumer group has not processed.
    Lag {
        /// Table or JSON.
        #[command(flatten)]
        format: Format,
    },
}

/// What can be done about parked rooms.
#[derive(Debug, Clone, Subcommand)]
pub enum Parked {
    /// Lists the rooms that wait, the reason, and how many events wait with them.
    List {
        /// Table or JSON.
        #[command(flatten)]
        format: Format,
    },
    /// Shows the message that a room waits behind, as it came.
    Show {
        /// The room.
        room: RoomId,
        /// Table or JSON.
        #[command(flatten)]
        format: Format,
    },
    /// Tries the event again, and goes on with those after it, in order, from the feed.
    Redrive(Redrive),
    /// Leaves one event out for good, and goes on after it.
    ///
    /// The event stays in the event store, but what it said is missing from the read models, from those too that are
    /// made again later.
    Drop {
        /// The room.
        room: RoomId,
        /// The version of the event, as `parked list` shows it.
        #[arg(long)]
        version: u64,
        /// Why it may be left out. Recorded with the message, the time and who said so.
        #[arg(long)]
        reason: String,
        /// Who asks.
        #[command(flatten)]
        asking: Asking,
    },
}

/// Arguments of `parked redrive`.
#[derive(Debug, Clone, Args)]
pub struct Redrive {
    /// The rooms.
    #[arg(required_unless_present = "all")]
    rooms: Vec<RoomId>,
    /// All rooms that are parked.
    #[arg(long, conflicts_with = "rooms")]
    all: bool,
    /// Only tell whether this build could apply the event now.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    asking: Asking,
}

/// What the commands work with.
struct Tools {
    config: Config,
    models: MongoReadModels,
    feed: HttpFeed,
    clock: Clock,
}

/// Runs a command and prints what it found. True when everything is as the operator wanted it.
///
/// # Errors
/// When settings, database or feed don't answer.
pub async fn run(command: Operate) -> anyhow::Result<bool> {
    let config = Config::load()?;
    let clock = Clock::with_offset(config.kit.clock_offset_seconds);
    let credentials = config.feed_identity.credentials(clock.clone())?;
    let feed = HttpFeed::new(&config.feed_url, credentials, config.feed_timeout)?;
    let (url, database) = (config.mongodb_url.expose_secret(), &config.mongodb_database);
    let models = MongoReadModels::connect(url, database, GENERATION).await.context("MongoDB")?;
    let tools = Tools { config, models, feed, clock };
    match command {
        Operate::Parked(Parked::List { format }) => parked::list(&tools, format).await,
        Operate::Parked(Parked::Show { room, format }) => parked::show(&tools, room, format).await,
        Operate::Parked(Parked::Redrive(redrive)) => parked::redrive(&tools, redrive).await,
        Operate::Parked(Parked::Drop { room, version, reason, asking }) => {
            asking.ask(&tools, &[room], &crate::read_models::Action::Drop { version, reason }).await
        }
        Operate::Repair { rooms, asking } => {
            asking.ask(&tools, &rooms, &crate::read_models::Action::Repair).await
        }
        Operate::Checkpoints { rooms, behind, format } => {
            checkpoints::show(&tools, &rooms, behind, format).await
        }
        Operate::Lag { format } => lag::show(&tools.config.kafka, format).await,
    }
}
