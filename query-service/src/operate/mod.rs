//! Operators' commands: how far the read models are, which rooms wait and why, and what to do about it.
//!
//! They read the database and the feed themselves. What changes a room is asked of the instance that projects it, by a
//! request in the database: it alone knows what it is writing.

mod checkpoints;
mod erase;
mod lag;
mod parked;
mod request;
mod servers;

use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use service_kit::{
    audit::{Act, operator},
    clock::Clock,
    report::Format,
    telemetry,
};
use shared_events::{RoomId, Version};

pub use self::{request::RequestOptions, servers::Servers};
use crate::{
    config::Config, feed::Feed, generations::operate, kafka::KafkaSettings, read_models::RequestedAction,
    rebuild, stores::mongo::MongoReadModels, verify,
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
        options: RequestOptions,
    },
    /// Erases a person: in the event store, then in all read models.
    ///
    /// Their name, and titles and guests of their reservations, are gone then for good; the reservations stay, under a
    /// pseudonym. It can be interrupted anywhere and is run again until it ends with 0.
    Erase(erase::Arguments),
    /// Shows how far each room's read models are behind its events.
    Checkpoints {
        /// These rooms only; all of them otherwise.
        rooms: Vec<RoomId>,
        /// Only rooms that are behind, ahead (the event store has lost events) or parked.
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
    /// Compares stored documents with what the events of the feed make, room by room.
    Verify(verify::Arguments),
    /// Makes all read models again from the events, while queries go on, and shows them.
    ///
    /// Run again, it goes on where it was interrupted.
    Rebuild(rebuild::Arguments),
    /// Lists the generations of read models.
    Generations {
        /// Table or JSON.
        #[command(flatten)]
        format: Format,
    },
    /// Shows the generation of read models that was live before.
    Rollback,
    /// Removes a generation that is not shown: services stop feeding it, its collections and its consumer group go.
    ///
    /// Interrupted, it goes on when it is run again.
    DropGeneration {
        /// Its number.
        number: u32,
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
    /// Only one that the event store has and that this build can't apply. It stays in the event store, but what it said is
    /// missing from the read models, from those too that are made again later, unless a later build can apply it.
    Drop {
        /// The room.
        room: RoomId,
        /// The version of the event, as `parked list` shows it.
        #[arg(long)]
        version: Version,
        /// Why it may be left out. Recorded with the message, the time and who said so.
        #[arg(long)]
        reason: String,
        /// Who asks.
        #[command(flatten)]
        options: RequestOptions,
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
    options: RequestOptions,
}

/// What the commands on the live generation work with.
struct Tools {
    models: MongoReadModels,
    /// Other generations that are fed, to be shown later or again.
    others: Vec<(u32, MongoReadModels)>,
    feed: Arc<dyn Feed>,
    /// With the group of that generation.
    kafka: KafkaSettings,
    clock: Clock,
}

impl Tools {
    async fn of_the_live_generation(servers: Servers) -> anyhow::Result<Self> {
        let registry = servers.generations.read().await?;
        let live = registry.live.context("no generation is live yet")?;
        let models = servers.generations.models(live).await.context("MongoDB")?;
        let mut others = Vec::new();
        for number in registry.fed().filter(|number| *number != live) {
            others.push((number, servers.generations.models(number).await.context("MongoDB")?));
        }
        let kafka = servers.kafka.of_generation(live);
        Ok(Self { models, others, feed: servers.feed, kafka, clock: servers.clock })
    }
}

/// Runs a command and prints what it found. True when everything is as the operator wanted it.
///
/// # Errors
/// When settings, database or feed don't answer.
pub async fn run(command: Operate) -> anyhow::Result<bool> {
    let config = Config::load()?;
    telemetry::start_logs(config.kit.log_format, &"warn".parse()?);
    let servers = Servers::connect(config).await?;
    let act = command.act();
    let outcome = carry_out(command, servers).await;
    if let Some(act) = act {
        act.ended(match &outcome {
            Ok(true) => "done".to_owned(),
            Ok(false) => "not as it was wanted".to_owned(),
            Err(error) => format!("failed: {error:#}"),
        });
    }
    outcome
}

async fn carry_out(command: Operate, servers: Servers) -> anyhow::Result<bool> {
    let live = Tools::of_the_live_generation;
    match command {
        Operate::Verify(arguments) => arguments.run(&servers).await,
        Operate::Rebuild(arguments) => arguments.run(&servers).await,
        Operate::Erase(arguments) => arguments.run(&servers).await,
        Operate::Generations { format } => operate::list(&servers, format).await,
        Operate::Rollback => operate::roll_back(&servers).await,
        Operate::DropGeneration { number } => operate::drop_generation(&servers, number).await,
        Operate::Parked(command) => command.run(&live(servers).await?).await,
        Operate::Repair { rooms, options } => {
            options.ask(&live(servers).await?, &rooms, &RequestedAction::Repair).await
        }
        Operate::Checkpoints { rooms, behind, format } => {
            checkpoints::show(&live(servers).await?, &rooms, behind, format).await
        }
        Operate::Lag { format } => lag::show(&live(servers).await?.kafka, format).await,
    }
}

impl Operate {
    /// What is recorded of the commands that change read models by themselves. A request to the instance that projects a
    /// room is recorded by that one.
    fn act(&self) -> Option<Act> {
        let (act, on) = match self {
            Self::Rebuild(_) => ("rebuild", "all read models".to_owned()),
            // Their name must not outlive them in a log.
            Self::Erase(_) => ("erase", "a person".to_owned()),
            Self::Rollback => ("rollback", "all read models".to_owned()),
            Self::DropGeneration { number } => ("drop-generation", format!("generation {number}")),
            _ => return None,
        };
        Some(Act::begun(operator(), act, on, None))
    }
}

impl Parked {
    async fn run(self, tools: &Tools) -> anyhow::Result<bool> {
        match self {
            Self::List { format } => parked::list(tools, format).await,
            Self::Show { room, format } => parked::show(tools, room, format).await,
            Self::Redrive(redrive) => parked::redrive(tools, redrive).await,
            Self::Drop { room, version, reason, options } => {
                options.ask(tools, &[room], &RequestedAction::Drop { version, reason }).await
            }
        }
    }
}
