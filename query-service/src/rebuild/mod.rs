//! Makes read models anew, beside the live ones: fills the next generation from the feed, lets services follow, compares
//! it with the live one, and flips. Every step may be done twice, so that a rebuild that was interrupted, or that runs
//! twice at once, goes on with what there is.

mod comparison;
mod fill;
mod meter;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use service_kit::report::Format;

use self::{comparison::Comparison, fill::Fill};
use crate::{
    feed::all_heads,
    kafka::groups,
    operate::Servers,
    read_models::{Difference, generation::State},
    stores::Swap,
    verify::{report::list, unknown_rooms},
};

/// How long services may take to join the group of the new generation.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Arguments of `rebuild`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Shows the new generation though it differs from the live one, as when that one is known to be wrong.
    #[arg(long)]
    accept_differences: bool,
    #[command(flatten)]
    format: Format,
}

/// What a rebuild did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    generation: u32,
    /// The one that was live when it began.
    before: Option<u32>,
    rooms: usize,
    events: u64,
    /// Events a second while it was filled; 0 where that had been done before.
    events_per_second: u64,
    compared: usize,
    differences: Vec<Difference>,
    flipped: bool,
    seconds: f64,
}

impl Arguments {
    /// Rebuilds, and prints what was done. True once queries read the new generation.
    ///
    /// # Errors
    /// When a server can't be reached, or the new generation does not become level. It may be run again.
    pub async fn run(&self, servers: &Servers) -> anyhow::Result<bool> {
        let begun = Instant::now();
        let mut report = self.rebuild(servers).await?;
        report.seconds = begun.elapsed().as_secs_f64();
        if self.format.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print!("{}", report.table());
        }
        Ok(report.flipped)
    }

    async fn rebuild(&self, servers: &Servers) -> anyhow::Result<Report> {
        let generations = &servers.generations;
        let next = generations.begin(servers.now()).await?;
        let number = next.number;
        let before = generations.read().await?.live;
        let models = Arc::new(generations.models(number).await?);
        let fill = Fill::new(Arc::clone(&models) as _, servers);
        let mut events_per_second = 0;
        if next.state == State::Building {
            events_per_second = fill_from_the_feed(servers, &fill, number).await?;
            // False where another run of this command was faster.
            generations.advance(number, State::Building, State::Following).await?;
            let fed = generations.read().await?.fed().any(|fed| fed == number);
            ensure!(fed, "generation {number} was dropped meanwhile");
        }
        let mut report = Report {
            generation: number,
            before,
            rooms: 0,
            events: 0,
            events_per_second,
            compared: 0,
            differences: Vec::new(),
            flipped: false,
            seconds: 0.0,
        };
        if let Some(live) = before {
            let services = until_services_follow(servers, live, number).await?;
            let live = Arc::new(generations.models(live).await?);
            let fill_live = (services == 0).then(|| Fill::new(Arc::clone(&live) as _, servers));
            let comparison = Comparison { live, next: models, fill: &fill, fill_live: fill_live.as_ref() };
            (report.compared, report.differences) = compare(servers, &comparison).await?;
        }
        let totals = generations.totals(number).await?;
        report.rooms = usize::try_from(totals.rooms)?;
        report.events = totals.events;
        if report.differences.is_empty() || self.accept_differences {
            flip(servers, before, number).await?;
            report.flipped = true;
        }
        Ok(report)
    }
}

/// Fills a new generation, after the place was noted from which its services will go on. Gives events a second.
async fn fill_from_the_feed(servers: &Servers, fill: &Fill, number: u32) -> anyhow::Result<u64> {
    // Before the feed is read: what is sent later is consumed, what was sent before is in the feed.
    let group = servers.kafka.of_generation(number);
    let noted = tokio::task::spawn_blocking(move || groups::begin_at_the_end(&group)).await?;
    let noted = noted.context("the end of the topic can't be noted")?;
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

/// Waits until as many services feed the new generation as feed the live one, and tells how many. Where none runs, the
/// rebuild itself brings both level.
async fn until_services_follow(servers: &Servers, live: u32, next: u32) -> anyhow::Result<usize> {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let [live, next] = [live, next].map(|number| servers.kafka.of_generation(number));
        let members = tokio::task::spawn_blocking(move || [groups::members(&live), groups::members(&next)]);
        let [live, next] = members.await?;
        let why = "the consumer groups can't be read";
        let (live, next) = (live.context(why)?, next.context(why)?);
        if next.count >= live.count && next.settled {
            eprintln!("{} services feed the new generation", next.count);
            return Ok(next.count);
        }
        if !told {
            eprintln!("waiting for {} services to feed the new generation", live.count);
            told = true;
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "{} of {} services feed the new generation: run this again when all do",
            next.count,
            live.count
        );
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Compares all rooms of the feed, and those that only the live generation knows. Gives how many, and what differs.
async fn compare(servers: &Servers, comparison: &Comparison<'_>) -> anyhow::Result<(usize, Vec<Difference>)> {
    let heads = all_heads(servers.feed.as_ref()).await.context("the feed can't be read")?;
    let known: HashSet<_> = heads.iter().map(|head| head.room).collect();
    let strangers = unknown_rooms(comparison.live.as_ref(), &known).await?;
    let compared = heads.len() + strangers.len();
    let differences = comparison.run(heads, strangers).await?;
    Ok((compared, differences))
}

async fn flip(servers: &Servers, before: Option<u32>, number: u32) -> anyhow::Result<()> {
    let flipped = servers.generations.flip(before, number).await?;
    let registry = servers.generations.read().await?;
    if flipped == Swap::Moved && registry.live != Some(number) {
        bail!("generation {number} was not shown: another command flipped meanwhile");
    }
    if registry.fed().any(|fed| fed == number) {
        return Ok(());
    }
    if let Some(before) = before {
        servers.generations.flip(Some(number), before).await?;
    }
    bail!("generation {number} is being dropped")
}

impl Report {
    fn table(&self) -> String {
        let Self { generation, rooms, events, events_per_second, compared, differences, .. } = self;
        let outcome = match (self.flipped, self.before) {
            (true, Some(before)) => {
                format!("queries read generation {generation}; {before} is fed for a rollback")
            }
            (true, None) => format!("queries read generation {generation}"),
            (false, _) => "not shown: `query-service verify ROOM` tells which one is right, and with \
                           --accept-differences the new one is shown"
                .to_owned(),
        };
        format!(
            "{}generation   {generation}\nrooms        {rooms}\nevents       {events}\nfilled at    {events_per_second} events/s\n\
             compared     {compared} rooms\ndifferences  {}\nseconds      {:.1}\n{outcome}\n",
            list(differences),
            differences.len(),
            self.seconds
        )
    }
}
