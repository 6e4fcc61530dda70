//! Rebuilds read models beside the live ones: fills the next generation from the feed, lets services follow, compares it
//! with the live one, and flips. Each step can be repeated, so a rebuild that was interrupted goes on, and two at the same
//! time share one generation.

mod comparison;
mod fill;
mod frozen;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde::Serialize;
use service_kit::abort_point::AbortPoint;

pub(crate) use self::frozen::{Report as FrozenReport, freeze};
use self::{comparison::Comparison, fill::Fill};
use crate::{
    feed::all_heads,
    generations::servers::{Flip, Servers},
    kafka::groups,
    read_models::{Difference, generation::State},
    verify::all_rooms,
};

/// How long services may take to join the group of the new generation.
const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between two looks at the consumer groups.
const POLL: Duration = Duration::from_millis(250);

/// The end of the topic is noted for the generation, which is empty.
const BEFORE_FILLING: AbortPoint = AbortPoint::named("rebuild-before-filling");
/// The generation has all events of the feed, and services do not know of it.
const FILLED: AbortPoint = AbortPoint::named("rebuild-filled");
/// Services feed the generation.
const FOLLOWING: AbortPoint = AbortPoint::named("rebuild-following");
/// The generation is as wanted, and queries do not read it.
const BEFORE_FLIP: AbortPoint = AbortPoint::named("rebuild-before-flip");
/// Queries read the generation, and the report is not printed.
const AFTER_FLIP: AbortPoint = AbortPoint::named("rebuild-after-flip");
/// The abort points of a rebuild, in its order.
pub(crate) const ABORT_POINTS: [AbortPoint; 5] = [BEFORE_FILLING, FILLED, FOLLOWING, BEFORE_FLIP, AFTER_FLIP];

/// The result of a rebuild.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// The new generation.
    pub(crate) generation: u32,
    /// The live generation at the start.
    pub(crate) before: Option<u32>,
    pub(crate) rooms: u64,
    pub(crate) events: u64,
    /// The rate of filling; 0 when an earlier run filled the generation.
    pub(crate) events_per_second: u64,
    /// Rooms that were compared.
    pub(crate) compared: usize,
    pub(crate) differences: Vec<Difference>,
    /// Whether queries read the new generation.
    pub(crate) flipped: bool,
    /// Why another command kept this one from flipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
    pub(crate) seconds: f64,
}

/// Makes all read models again and shows them, unless they differ from the live ones.
///
/// # Errors
/// When a server can't be reached, or the new generation does not become level. The next run goes on from there.
pub(crate) async fn rebuild(servers: &Servers, accept_differences: bool) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let generations = &servers.generations;
    let next = generations.begin(servers.now()).await?;
    let number = next.number;
    let before = generations.read().await?.live;
    let models = Arc::new(generations.models(number).await?);
    let fill = Fill::new(Arc::clone(&models) as _, servers);
    let mut events_per_second = 0;
    if next.state == State::Building {
        events_per_second = fill_from_the_feed(servers, &fill, number).await?;
        FILLED.reached(servers.abort_at);
        // Another run of this command may have been faster.
        generations.advance(number, State::Building, State::Following).await?;
        let fed = generations.read().await?.is_fed(number);
        ensure!(fed, "generation {number} was dropped during the rebuild");
    }
    let (mut compared, mut differences) = (0, Vec::new());
    if let Some(live) = before {
        let services = until_services_follow(servers, live, number).await?;
        FOLLOWING.reached(servers.abort_at);
        let live = Arc::new(generations.models(live).await?);
        let fill_live = (services == 0).then(|| Fill::new(Arc::clone(&live) as _, servers));
        let rooms = all_rooms(live.as_ref(), servers.feed.as_ref()).await?;
        compared = rooms.len();
        let comparison = Comparison { live, next: models, fill: &fill, fill_live: fill_live.as_ref() };
        differences = comparison.run(rooms).await?;
    }
    let totals = generations.totals(number).await?;
    let (mut flipped, mut refused) = (false, None);
    if differences.is_empty() || accept_differences {
        BEFORE_FLIP.reached(servers.abort_at);
        match servers.flip(before, number).await? {
            Flip::Done => {
                AFTER_FLIP.reached(servers.abort_at);
                flipped = true;
            }
            Flip::Refused(reason) => refused = Some(reason),
        }
    }
    Ok(Report {
        generation: number,
        before,
        rooms: totals.rooms,
        events: totals.events,
        events_per_second,
        compared,
        differences,
        flipped,
        refused,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Notes the end of the topic for the generation's services, then fills the generation. Gives events a second.
async fn fill_from_the_feed(servers: &Servers, fill: &Fill, number: u32) -> anyhow::Result<u64> {
    // Noted before the feed is read: earlier messages are in the feed, later ones are consumed.
    let group = servers.kafka.of_generation(number);
    let noted = tokio::task::spawn_blocking(move || groups::begin_at_the_end(&group)).await?;
    let noted = noted.context("the end of the topic can't be noted")?;
    BEFORE_FILLING.reached(servers.abort_at);
    let heads = all_heads(servers.feed.as_ref()).await.context("the feed can't be read")?;
    let events: u64 = heads.iter().map(|head| head.version.get()).sum();
    eprintln!(
        "generation {number}: {} rooms with {events} events from the feed, then from {noted} partitions",
        heads.len()
    );
    let begun = Instant::now();
    fill.run(&heads).await?;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = events as f64 / begun.elapsed().as_secs_f64();
    eprintln!("filled in {:.1?}: {rate:.0} events/s", begun.elapsed());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is not negative")]
    Ok(rate as u64)
}

/// Waits until as many services feed the new generation as the live one, and gives their number. Without any service, the
/// rebuild itself brings both level.
async fn until_services_follow(servers: &Servers, live: u32, next: u32) -> anyhow::Result<usize> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let [live, next] = [live, next].map(|number| servers.kafka.of_generation(number));
        let members = move || anyhow::Ok((groups::members(&live)?, groups::members(&next)?));
        let members = tokio::task::spawn_blocking(members).await?;
        let is_late = begun.elapsed() >= PATIENCE;
        match members {
            Ok((live, next)) if next.count >= live.count && next.settled => {
                eprintln!("{} services feed the new generation", next.count);
                return Ok(next.count);
            }
            Ok((live, next)) => {
                if !told {
                    eprintln!("waiting for {} services to feed the new generation", live.count);
                    told = true;
                }
                ensure!(
                    !is_late,
                    "{} of {} services feed the new generation: run this again when all do",
                    next.count,
                    live.count
                );
            }
            // A broker that was busy for a moment answers the next time.
            Err(error) if is_late => return Err(error).context("the consumer groups can't be read"),
            Err(_) => {}
        }
        tokio::time::sleep(POLL).await;
    }
}
