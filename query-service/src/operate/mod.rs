//! Operators' commands, one file each.
//!
//! A command reads the database and the feed itself. A change to a room is a request in the database: the instance that
//! projects the room carries it out, because no other knows what is being written.

mod checkpoints;
mod differences;
mod drop_generation;
mod erase;
mod generations;
mod lag;
mod moved_local_times;
mod parked;
mod rebuild;
mod repair;
mod request;
mod rollback;
mod verify;

use std::{fmt, sync::Arc};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use service_kit::{
    audit::{Act, operator},
    clock::Clock,
    config::Settings,
    report::{Format, Verdict},
    telemetry,
};

use crate::{
    config::Config,
    feed::Feed,
    generations::servers::Servers,
    kafka::KafkaSettings,
    stores::mongo::{Connection, Generations, MongoReadModels},
};

/// An operator's command.
#[derive(Debug, Subcommand)]
pub enum Operate {
    /// Shows rooms that wait behind an event that can't be applied, and lets them go on.
    #[command(subcommand)]
    Parked(parked::Command),
    /// Makes everything that is stored of rooms again, from their events.
    ///
    /// Until that is done, queries see a room without what is not made again yet; one with a token waits for it.
    Repair(repair::Arguments),
    /// Erases a person: in the event store, then in all subscriptions, calendars and read models.
    ///
    /// The name, and titles and guests of the person's reservations, are gone for good. The reservations stay, under a
    /// pseudonym. Subscriptions with their deliveries, and calendars, are deleted. An interrupted erasure is run again, until it ends with 0.
    Erase(erase::Arguments),
    /// Shows how far each room's read models are behind its events.
    Checkpoints(checkpoints::Arguments),
    /// Shows how many messages of each partition the consumer group has not processed.
    Lag(Format),
    /// Compares stored documents with what the events of the feed make, room by room.
    Verify(verify::Arguments),
    /// Makes all read models again from the events, while queries go on, and shows them.
    ///
    /// Run again, it goes on where it was interrupted.
    Rebuild(rebuild::Arguments),
    /// Lists stays of a zone whose local time changed with the rules of the zone after it was set.
    ///
    /// Ends with 1 if there are any. Stays that were set before events told the local time are counted as unknown.
    MovedLocalTimes(moved_local_times::Arguments),
    /// Lists the generations of read models.
    Generations(Format),
    /// Shows the generation of read models that was live before.
    Rollback(Format),
    /// Removes a generation that is not shown: services stop feeding it, its collections and its consumer group go.
    ///
    /// Run again, it goes on where it was interrupted.
    DropGeneration(drop_generation::Arguments),
}

impl Operate {
    /// Runs the command and prints its result.
    ///
    /// # Errors
    /// When a setting is wrong, or a server does not answer.
    pub async fn run(self, settings: Settings) -> anyhow::Result<Verdict> {
        let config = Config::read(settings)?;
        telemetry::start_logs(config.kit.log_format, &"warn".parse()?);
        let clock = Clock::with_offset(config.kit.clock_offset_seconds);
        let servers = Servers {
            feed: Arc::new(config.feed()?),
            generations: Generations::over(Connection::open(&config.mongo).await.context("MongoDB")?),
            kafka: config.kafka.clone(),
            clock,
            abort_at: config.limits.abort_at,
        };
        match self {
            Self::Parked(command) => command.run(&LiveGeneration::of(servers).await?).await,
            Self::Repair(arguments) => arguments.run(&LiveGeneration::of(servers).await?).await,
            Self::Erase(arguments) => {
                let (notifications, calendars) = config.notify_database().await.context("MongoDB")?;
                arguments.run(&servers, &notifications, &calendars).await
            }
            Self::Checkpoints(arguments) => arguments.run(&LiveGeneration::of(servers).await?).await,
            Self::Lag(format) => lag::show(&LiveGeneration::of(servers).await?.kafka, format).await,
            Self::Verify(arguments) => arguments.run(&servers).await,
            Self::Rebuild(arguments) => arguments.run(&servers).await,
            Self::MovedLocalTimes(arguments) => arguments.run(&LiveGeneration::of(servers).await?).await,
            Self::Generations(format) => generations::list(&servers, format).await,
            Self::Rollback(format) => rollback::run(&servers, format).await,
            Self::DropGeneration(arguments) => arguments.run(&servers).await,
        }
    }
}

/// The live generation, for commands about rooms.
struct LiveGeneration {
    models: MongoReadModels,
    /// The other generations that are fed, by number.
    others: Vec<(u32, MongoReadModels)>,
    feed: Arc<dyn Feed>,
    /// The topic, and the group of this generation.
    kafka: KafkaSettings,
    clock: Clock,
}

impl LiveGeneration {
    async fn of(servers: Servers) -> anyhow::Result<Self> {
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

/// The end of a command that changes generations, with a sentence for people.
enum Ending {
    Done(String),
    Refused(String),
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(_) => formatter.write_str("done"),
            Self::Refused(reason) => write!(formatter, "refused: {reason}"),
        }
    }
}

impl Ending {
    fn print(&self, format: Format) -> anyhow::Result<Verdict> {
        let (outcome, verdict) = match self {
            Self::Done(outcome) => (outcome, Verdict::AsWanted),
            Self::Refused(reason) => (reason, Verdict::NotAsWanted),
        };
        let value = json!({ "done": verdict == Verdict::AsWanted, "outcome": outcome });
        print!("{}", format.value(&value, outcome)?);
        Ok(verdict)
    }
}

/// Records a command that changes read models by itself in the audit log. The instance that projects a room records
/// requests.
async fn recorded<T>(
    act: &'static str,
    on: impl Into<String>,
    work: impl Future<Output = anyhow::Result<T>>,
    outcome: impl Fn(&T) -> String,
) -> anyhow::Result<T> {
    let act = Act::begun(operator(), act, on, None);
    let ended = work.await;
    act.ended(match &ended {
        Ok(result) => outcome(result),
        Err(error) => format!("failed: {error:#}"),
    });
    ended
}
