//! `verify`: compares stored documents with what the events make.

use std::fmt::Write;

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use service_kit::report::{Format, Verdict};
use shared_events::{RoomId, Version};

use super::differences::text_of;
use crate::{
    generations::servers::Servers,
    read_models::Difference,
    verify::{Verified, all_rooms, verify},
};

/// Rooms that are verified side by side.
const SIDE_BY_SIDE: usize = 8;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
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

impl Arguments {
    /// Prints the report. As wanted is: no document differs.
    pub(super) async fn run(self, servers: &Servers) -> anyhow::Result<Verdict> {
        let registry = servers.generations.read().await?;
        let live = registry.live.context("no generation is live yet: there is nothing to verify")?;
        let (models, feed) = (servers.generations.models(live).await?, servers.feed.as_ref());
        let rooms = if self.all {
            all_rooms(&models, feed).await?.into_iter().map(|head| head.room).collect()
        } else {
            self.rooms
        };
        let verified = stream::iter(rooms).map(|room| verify(&models, feed, room));
        let mut verified: Vec<Verified> = verified.buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
        for one in verified.iter().filter(|_| !self.all) {
            let is_known = one.version > Version::NONE || one.behind > 0 || !one.differences.is_empty();
            ensure!(is_known, "neither the feed nor the read models know the room {}", one.room);
        }
        verified.sort_by_key(|one| one.room);
        let report = Report::of(live, verified);
        print!("{}", self.format.value(&report, report.table())?);
        Ok(if report.differences.is_empty() { Verdict::AsWanted } else { Verdict::NotAsWanted })
    }
}

/// A room of which the feed has later events.
#[derive(Serialize)]
struct Behind {
    room: RoomId,
    version: Version,
    /// Later events in one page of the feed.
    more: usize,
}

/// A room that waits behind an event.
#[derive(Serialize)]
struct Waiting {
    room: RoomId,
    /// The version of the event.
    version: Version,
    reason: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    generation: u32,
    rooms: usize,
    /// Events up to the checkpoints.
    events: u64,
    differences: Vec<Difference>,
    behind: Vec<Behind>,
    parked: Vec<Waiting>,
}

impl Report {
    fn of(generation: u32, verified: Vec<Verified>) -> Self {
        let mut report = Self {
            generation,
            rooms: verified.len(),
            events: 0,
            differences: Vec::new(),
            behind: Vec::new(),
            parked: Vec::new(),
        };
        for Verified { room, version, behind, parked, differences } in verified {
            report.events += version.get();
            report.differences.extend(differences);
            if let Some(parked) = parked {
                report.parked.push(Waiting { room, version: parked.version, reason: parked.reason });
            } else if behind > 0 {
                report.behind.push(Behind { room, version, more: behind });
            }
        }
        report
    }

    fn table(&self) -> String {
        let mut text = text_of(&self.differences);
        // Writing to a string does not fail.
        for Behind { room, version, .. } in &self.behind {
            let _ = writeln!(text, "behind {room}: at version {version}, the feed has more");
        }
        for Waiting { room, version, reason } in &self.parked {
            let _ = writeln!(text, "parked {room}: version {version} can't be applied: {reason}");
        }
        let Self { generation, rooms, events, differences, behind, parked } = self;
        let _ = writeln!(
            text,
            "generation {generation}: {rooms} rooms with {events} events, {} differences, {} rooms behind, {} parked",
            differences.len(),
            behind.len(),
            parked.len()
        );
        text
    }
}
