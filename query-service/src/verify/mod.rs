//! Holds stored documents against what the room's events make, at the version that the room's checkpoint claims.

mod fold;
pub mod report;

use std::{collections::HashSet, time::Duration};

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use service_kit::report::Format;
use shared_events::{RoomId, Version, feed::Head};

pub use fold::{Fold, FoldError};
pub use report::Report;

use crate::{
    feed::{Feed, all_heads},
    operate::Servers,
    read_models::{Difference, Parked, of_room::compare},
    stores::{Checkpoints, Queries, mongo::MongoReadModels},
};

/// Rooms that are verified side by side.
const SIDE_BY_SIDE: usize = 8;
/// How often a room is read before a difference is believed, or usage that keeps changing is given up.
const TRIES: usize = 3;
const TRIES_OF_USAGE: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);
/// Rooms that are listed at once.
const PAGE: usize = 500;

/// Arguments of `verify`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The rooms to verify.
    #[arg(required_unless_present = "all")]
    rooms: Vec<RoomId>,
    /// Verifies all rooms.
    #[arg(long, conflicts_with = "rooms")]
    all: bool,
    #[command(flatten)]
    format: Format,
}

/// How a room was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// The room.
    pub room: RoomId,
    /// Its checkpoint, at which it was compared.
    pub version: Version,
    /// How many later events the feed gave at once; 0 where the room is level.
    pub behind: usize,
    /// Set while it waits behind an event that can't be applied.
    pub parked: Option<Parked>,
    /// What differs.
    pub differences: Vec<Difference>,
}

impl Arguments {
    /// Verifies and prints what was found. True when nothing differs.
    ///
    /// # Errors
    /// When feed or read models can't be read, or there is nothing to verify.
    pub async fn run(&self, servers: &Servers) -> anyhow::Result<bool> {
        let registry = servers.generations.read().await?;
        let live = registry.live.context("no generation is live yet: there is nothing to verify")?;
        let models = servers.generations.models(live).await?;
        let rooms =
            if self.all { all_rooms(&models, servers.feed.as_ref()).await? } else { self.rooms.clone() };
        let mut found: Vec<Verified> = stream::iter(rooms)
            .map(|room| verify(&models, servers.feed.as_ref(), room))
            .buffer_unordered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
        for one in found.iter().filter(|_| !self.all) {
            let is_known = one.version > Version::NONE || one.behind > 0 || !one.differences.is_empty();
            ensure!(is_known, "neither the feed nor the read models know the room {}", one.room);
        }
        found.sort_by_key(|one| one.room);
        let report = Report::of(live, &found);
        print!("{}", if self.format.json { report.json()? } else { report.table() });
        Ok(report.differences.is_empty())
    }
}

/// All rooms of the feed, and those that only the read models know.
async fn all_rooms(models: &dyn Queries, feed: &dyn Feed) -> anyhow::Result<Vec<RoomId>> {
    let mut rooms: Vec<RoomId> = all_heads(feed).await?.iter().map(|head: &Head| head.room).collect();
    let strangers = unknown_rooms(models, &rooms.iter().copied().collect()).await?;
    rooms.extend(strangers);
    Ok(rooms)
}

/// Rooms that the read models have beside these.
///
/// # Errors
/// When the read models can't be read.
pub async fn unknown_rooms(
    models: &dyn Queries,
    known: &HashSet<RoomId>,
) -> Result<Vec<RoomId>, crate::stores::StoreError> {
    let mut unknown = Vec::new();
    let mut after = None;
    loop {
        let page = models.rooms_by_id(None, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(unknown) };
        after = Some(last.room);
        unknown.extend(page.iter().map(|doc| doc.room).filter(|room| !known.contains(room)));
    }
}

/// Compares one room's documents with what its events make, at its checkpoint. The room may go on meanwhile.
///
/// # Errors
/// When feed or read models can't be read.
pub async fn verify(models: &MongoReadModels, feed: &dyn Feed, room: RoomId) -> anyhow::Result<Verified> {
    let mut fold = Fold::new(room);
    let (mut tries, mut tries_of_usage) = (0, 0);
    loop {
        let checkpoint = models.checkpoint(room).await?;
        let version = checkpoint.version;
        if version < fold.version() {
            fold = Fold::new(room);
        }
        let mut differences = Vec::new();
        let mut undecided = false;
        match fold.up_to(feed, models, version).await {
            Ok(reached) if reached == version => {
                let expected = fold.documents().await?;
                let ids: Vec<_> = expected.reservations.keys().copied().collect();
                let found = models.documents_of(room, &ids).await?;
                let compared = compare(room, &expected, &found, version);
                (differences, undecided) = (compared.differences, compared.undecided);
            }
            Ok(reached) => differences.push(checkpoint_differs(room, &format!("at most {reached}"), version)),
            Err(FoldError::Event { version: at, reason }) => {
                let expected = format!(
                    "{} behind version {at}, which can't be applied: {reason}",
                    at.previous().unwrap_or_default()
                );
                differences.push(checkpoint_differs(room, &expected, version));
            }
            Err(error) => return Err(error.into()),
        }
        tries += usize::from(!differences.is_empty());
        tries_of_usage += usize::from(undecided);
        let decided = differences.is_empty() && !undecided;
        if decided || tries == TRIES || tries_of_usage == TRIES_OF_USAGE {
            ensure!(
                tries_of_usage < TRIES_OF_USAGE,
                "the usage of room {room} kept changing while it was read"
            );
            let behind = feed.events(room, version).await?.len();
            return Ok(Verified { room, version, behind, parked: checkpoint.parked, differences });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn checkpoint_differs(room: RoomId, expected: &str, found: Version) -> Difference {
    let (id, expected) = (room.to_string(), Some(expected.to_owned()));
    Difference { room, what: "checkpoint", id, expected, found: Some(found.to_string()) }
}
