//! `checkpoints`: shows how far the read models of each room are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use service_kit::report::{Format, Verdict};
use shared_events::{RoomId, Version};

use super::LiveGeneration;
use crate::{feed::all_heads, projector::watchdog::ahead, read_models::Checkpoint};

/// Arguments of `checkpoints`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// These rooms only; without any, all rooms.
    rooms: Vec<RoomId>,
    /// Only rooms that are behind, ahead (the event store has lost events) or parked.
    #[arg(long)]
    behind: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Row {
    room: RoomId,
    version: Version,
    /// The latest version in the event store.
    head: Version,
    /// Events that the read models lack.
    behind: u64,
    /// Events of the read models that the event store has lost.
    ahead: u64,
    parked: Option<String>,
}

impl Arguments {
    /// Prints the checkpoints. As wanted is: no room is behind, ahead or parked.
    pub(super) async fn run(&self, live: &LiveGeneration) -> anyhow::Result<Verdict> {
        // Read before and after the heads, so that what is written meanwhile is neither behind nor ahead.
        let shown = live.models.all_checkpoints().await?.into_iter();
        let shown = shown.map(|(room, shown)| (room, shown.version)).collect();
        let heads = all_heads(live.feed.as_ref()).await?;
        let checkpoints = live.models.all_checkpoints().await?;
        let lost = ahead(&shown, &heads).into_iter();
        let lost: BTreeMap<_, _> = lost.map(|(room, shown, stored)| (room, shown.since(stored))).collect();
        let heads: BTreeMap<RoomId, Version> =
            heads.into_iter().map(|head| (head.room, head.version)).collect();
        let rooms: BTreeSet<RoomId> = heads.keys().chain(checkpoints.keys()).copied().collect();
        let nothing = Checkpoint::default();
        let mut rows = Vec::new();
        let (mut total, mut behind, mut parked) = (0_u32, 0_u32, 0_u32);
        for room in rooms.into_iter().filter(|room| self.rooms.is_empty() || self.rooms.contains(room)) {
            let checkpoint = checkpoints.get(&room).unwrap_or(&nothing);
            let head = heads.get(&room).copied().unwrap_or_default();
            let missing = head.since(checkpoint.version);
            let ahead = lost.get(&room).copied().unwrap_or(0);
            total += 1;
            behind += u32::from(missing > 0);
            parked += u32::from(checkpoint.parked.is_some());
            if self.behind && missing == 0 && ahead == 0 && checkpoint.parked.is_none() {
                continue;
            }
            rows.push(Row {
                room,
                version: checkpoint.version,
                head,
                behind: missing,
                ahead,
                parked: checkpoint.parked.as_ref().map(|parked| parked.reason.clone()),
            });
        }
        print!("{}", self.format.rows(&rows, &["room", "version", "head", "behind", "ahead", "parked"])?);
        eprintln!("{total} rooms, {behind} behind, {} ahead, {parked} parked", lost.len());
        let level = behind == 0 && parked == 0 && lost.is_empty();
        Ok(if level { Verdict::AsWanted } else { Verdict::NotAsWanted })
    }
}
