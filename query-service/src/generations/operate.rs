//! What operators do with generations: list them, go back to the one before, drop one.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use service_kit::report::Format;

use crate::{
    kafka::groups,
    operate::Servers,
    read_models::generation::{Registry, State, Totals},
    stores::Swap,
};

/// How long a drop waits for services to leave the generation: a session of a dead one ends within that.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A generation in a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    number: u32,
    form: u32,
    state: &'static str,
    rooms: u64,
    events: u64,
    made_at: String,
}

/// Prints all generations. Always true: there is nothing that should be otherwise.
///
/// # Errors
/// When the read models can't be read.
pub async fn list(servers: &Servers, format: Format) -> anyhow::Result<bool> {
    let registry = servers.generations.read().await?;
    let mut rows = Vec::new();
    for generation in &registry.generations {
        let readable = generation.form == registry.form;
        let totals =
            if readable { servers.generations.totals(generation.number).await? } else { Totals::default() };
        rows.push(Row {
            number: generation.number,
            form: generation.form,
            state: registry.word_of(generation),
            rooms: totals.rooms,
            events: totals.events,
            made_at: generation.made_at.to_string(),
        });
    }
    print!("{}", format.rows(&rows, &["number", "form", "state", "rooms", "events", "madeAt"])?);
    Ok(true)
}

/// Shows the generation that was live before. Always true.
///
/// # Errors
/// When there is none, or it is not fed any more.
pub async fn roll_back(servers: &Servers) -> anyhow::Result<bool> {
    let registry = servers.generations.read().await?;
    let live = registry.live.context("no generation is live")?;
    let before = registry.before.context("no generation was live before this one")?;
    ensure!(is_fed(&registry, before), "generation {before} was dropped: there is nothing to go back to");
    let flipped = servers.generations.flip(Some(live), before).await?;
    ensure!(flipped == Swap::Done, "another command flipped meanwhile");
    // A drop that began meanwhile has seen that it was not live.
    if !is_fed(&servers.generations.read().await?, before) {
        servers.generations.flip(Some(before), live).await?;
        bail!("generation {before} is being dropped");
    }
    println!("queries read generation {before} again; {live} is fed as before");
    Ok(true)
}

fn is_fed(registry: &Registry, number: u32) -> bool {
    registry.fed().any(|fed| fed == number)
}

/// Drops a generation, once services have left it. Interrupted, it goes on when it is run again.
///
/// # Errors
/// When the generation is live or not known, or a service does not leave it.
pub async fn drop_generation(servers: &Servers, number: u32) -> anyhow::Result<bool> {
    let generations = &servers.generations;
    begin_to_drop(servers, number).await?;
    let group = servers.kafka.of_generation(number);
    let begun = Instant::now();
    // Who feeds it is a member of its group: writes would make its collections again.
    while !groups::remove(&group).await.context("the consumer group can't be removed")? {
        ensure!(
            begun.elapsed() < PATIENCE,
            "services still feed generation {number}, as members of {}: run this again",
            group.group
        );
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    generations.drop_collections(number).await?;
    generations.advance(number, State::Dropping, State::Dropped).await?;
    println!("generation {number} is dropped");
    Ok(true)
}

/// Lets services leave it.
async fn begin_to_drop(servers: &Servers, number: u32) -> anyhow::Result<()> {
    let registry = servers.generations.read().await?;
    let generation = registry.get(number).with_context(|| format!("there is no generation {number}"))?;
    ensure!(
        generation.form == registry.form,
        "generation {number} has form {}: drop it with a program of that form",
        generation.form
    );
    ensure!(registry.live != Some(number), "generation {number} is live: queries read it");
    // One that is dropped may have collections again: a rebuild that was filling it wrote once more.
    if generation.state == State::Dropped {
        return Ok(());
    }
    let before = generation.state;
    servers.generations.advance(number, before, State::Dropping).await?;
    // A flip that happened meanwhile has seen it fed.
    if servers.generations.read().await?.live == Some(number) {
        servers.generations.advance(number, State::Dropping, before).await?;
        bail!("generation {number} has just become live");
    }
    Ok(())
}
