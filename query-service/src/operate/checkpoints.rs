//! How far the read models are, room by room.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use service_kit::report::Format;
use shared_events::{RoomId, Version};

use super::Tools;
use crate::{feed::all_heads, projector::watchdog::ahead, read_models::Checkpoint};

#[derive(Serialize)]
struct Row {
    room: String,
    version: Version,
    /// The latest version in the event store.
    head: Version,
    /// Events that are not in the read models.
    behind: u64,
    /// Events that are in the read models and not in the event store, which has lost them.
    ahead: u64,
    parked: Option<String>,
}

/// True when no room is behind, ahead or parked.
pub(super) async fn show(
    tools: &Tools,
    only: &[RoomId],
    only_behind: bool,
    format: Format,
) -> anyhow::Result<bool> {
    // Before and after the heads: what is written meanwhile is then neither behind nor ahead.
    let shown = tools
        .models
        .all_checkpoints()
        .await?
        .into_iter()
        .map(|(room, shown)| (room, shown.version))
        .collect();
    let heads = all_heads(tools.feed.as_ref()).await?;
    let checkpoints = tools.models.all_checkpoints().await?;
    let lost: BTreeMap<RoomId, u64> =
        ahead(&shown, &heads).into_iter().map(|(room, shown, stored)| (room, shown.since(stored))).collect();
    let heads: BTreeMap<RoomId, Version> = heads.into_iter().map(|head| (head.room, head.version)).collect();
    let rooms: BTreeSet<RoomId> = heads.keys().chain(checkpoints.keys()).copied().collect();
    let nothing = Checkpoint::default();
    let mut rows = Vec::new();
    let (mut total, mut behind, mut parked) = (0_u32, 0_u32, 0_u32);
    for room in rooms.into_iter().filter(|room| only.is_empty() || only.contains(room)) {
        let checkpoint = checkpoints.get(&room).unwrap_or(&nothing);
        let head = heads.get(&room).copied().unwrap_or_default();
        let missing = head.since(checkpoint.version);
        let ahead = lost.get(&room).copied().unwrap_or(0);
        total += 1;
        behind += u32::from(missing > 0);
        parked += u32::from(checkpoint.parked.is_some());
        if only_behind && missing == 0 && ahead == 0 && checkpoint.parked.is_none() {
            continue;
        }
        rows.push(Row {
            room: room.to_string(),
            version: checkpoint.version,
            head,
            behind: missing,
            ahead,
            parked: checkpoint.parked.as_ref().map(|parked| parked.reason.clone()),
        });
    }
    print!("{}", format.rows(&rows, &["room", "version", "head", "behind", "ahead", "parked"])?);
    eprintln!("{total} rooms, {behind} behind, {} ahead, {parked} parked", lost.len());
    Ok(behind == 0 && parked == 0 && lost.is_empty())
}
