//! `drop-generation`: removes a generation after services have left it.

use std::time::{Duration, Instant};

use anyhow::Context;
use service_kit::report::{Format, Verdict};

use super::{Ending, recorded};
use crate::{generations::servers::Servers, kafka::groups, read_models::generation::State};

/// How long services may take to leave the generation. The session of a dead one ends within that time.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between two looks at the consumer group.
const POLL: Duration = Duration::from_millis(500);

/// The time in which services notice that a frozen generation goes, and its last queries end.
const UNTIL_READERS_LEAVE: Duration = Duration::from_secs(3);

/// Arguments of `drop-generation`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Its number.
    number: u32,
    #[command(flatten)]
    format: Format,
}

impl Arguments {
    pub(super) async fn run(&self, servers: &Servers) -> anyhow::Result<Verdict> {
        let on = format!("generation {}", self.number);
        let dropped = recorded("drop-generation", on, drop(servers, self.number), Ending::to_string);
        dropped.await?.print(self.format)
    }
}

async fn drop(servers: &Servers, number: u32) -> anyhow::Result<Ending> {
    if let Some(reason) = refusal(servers, number).await? {
        return Ok(Ending::Refused(reason));
    }
    let registry = servers.generations.read().await?;
    if registry.get(number).is_some_and(|generation| generation.until.is_some()) {
        tokio::time::sleep(UNTIL_READERS_LEAVE).await;
    }
    let group = servers.kafka.of_generation(number);
    let begun = Instant::now();
    // A service that feeds the generation is a member of its group, and its writes would make the collections again.
    while !groups::remove(&group).await.context("the consumer group can't be removed")? {
        if begun.elapsed() > PATIENCE {
            let group = group.group;
            return Ok(Ending::Refused(format!(
                "services still feed generation {number}, as members of {group}: run this again"
            )));
        }
        tokio::time::sleep(POLL).await;
    }
    servers.generations.drop_collections(number).await?;
    servers.generations.advance(number, State::Dropping, State::Dropped).await?;
    Ok(Ending::Done(format!("generation {number} is dropped")))
}

/// Tells services to leave the generation. Gives the reason against it, if there is one.
async fn refusal(servers: &Servers, number: u32) -> anyhow::Result<Option<String>> {
    let registry = servers.generations.read().await?;
    let Some(generation) = registry.get(number) else {
        return Ok(Some(format!("there is no generation {number}")));
    };
    if generation.form != registry.form {
        let form = generation.form;
        return Ok(Some(format!("generation {number} has form {form}: drop it with a program of that form")));
    }
    if registry.live == Some(number) {
        return Ok(Some(format!("generation {number} is live: queries read it")));
    }
    let before = generation.state;
    // A dropped generation may have collections again, when a rebuild wrote to it once more.
    if before == State::Dropped {
        return Ok(None);
    }
    servers.generations.advance(number, before, State::Dropping).await?;
    // A flip at the same time found the generation fed.
    if servers.generations.read().await?.live == Some(number) {
        servers.generations.advance(number, State::Dropping, before).await?;
        return Ok(Some(format!("generation {number} has just become live")));
    }
    Ok(None)
}
