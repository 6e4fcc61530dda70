//! Rooms that wait behind an event that can't be applied.

use serde::Serialize;
use service_kit::report::Format;
use shared_events::{RoomId, Version};

use super::{Redrive, Tools};
use crate::{
    projections::read,
    read_models::RequestedAction,
    stores::{Checkpoints, Parking},
};

#[derive(Serialize)]
struct Row {
    room: String,
    version: Version,
    since: Option<String>,
    /// Events of the room that are not applied, the parked one among them.
    waiting: Option<u64>,
    reason: String,
}

async fn rows(tools: &Tools) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (room, checkpoint) in tools.models.all_checkpoints().await? {
        let Some(parked) = checkpoint.parked else { continue };
        let message = tools.models.parked_message(room).await?;
        rows.push(Row {
            room: room.to_string(),
            version: parked.version,
            since: message.map(|message| message.at.to_string()),
            waiting: tools.events_after(room, checkpoint.version).await,
            reason: parked.reason,
        });
    }
    Ok(rows)
}

/// Always true: that rooms wait is no failure of the list.
pub(super) async fn list(tools: &Tools, format: Format) -> anyhow::Result<bool> {
    print!("{}", format.rows(&rows(tools).await?, &["room", "version", "since", "waiting", "reason"])?);
    Ok(true)
}

#[derive(Serialize)]
struct Part {
    part: String,
    value: String,
}

/// False when the room does not wait.
pub(super) async fn show(tools: &Tools, room: RoomId, format: Format) -> anyhow::Result<bool> {
    let checkpoint = tools.models.checkpoint(room).await?;
    let message = tools.models.parked_message(room).await?;
    let (Some(parked), Some(message)) = (checkpoint.parked, message) else {
        eprintln!("room {room} is not parked: at version {}", checkpoint.version);
        return Ok(false);
    };
    let part = |part: &str, value: String| Part { part: part.to_owned(), value };
    let mut parts = vec![
        part("room", room.to_string()),
        part("version", parked.version.to_string()),
        part("reason", parked.reason),
        part("since", message.at.to_string()),
    ];
    parts.extend(message.headers.iter().map(|(name, value)| part(name, readable(value))));
    parts.push(part("payload", readable(&message.payload)));
    print!("{}", format.rows(&parts, &["part", "value"])?);
    Ok(true)
}

/// Bytes as text, with what is no text in its place.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[derive(Serialize)]
struct Trial {
    room: String,
    version: Version,
    applicable: bool,
    outcome: String,
}

pub(super) async fn redrive(tools: &Tools, redrive: Redrive) -> anyhow::Result<bool> {
    let rooms = if redrive.all {
        let all = tools.models.all_checkpoints().await?.into_iter();
        all.filter(|(_, checkpoint)| checkpoint.parked.is_some()).map(|(room, _)| room).collect()
    } else {
        redrive.rooms
    };
    if !redrive.dry_run {
        return redrive.options.ask(tools, &rooms, &RequestedAction::Redrive).await;
    }
    let mut trials = Vec::new();
    for room in rooms {
        trials.push(tools.try_next(room).await?);
    }
    print!("{}", redrive.options.format.rows(&trials, &["room", "version", "applicable", "outcome"])?);
    Ok(trials.iter().all(|trial| trial.applicable))
}

impl Tools {
    /// How many events the store has after a version; none when the feed can't tell.
    pub(super) async fn events_after(&self, room: RoomId, version: Version) -> Option<u64> {
        let mut last = version;
        loop {
            let events = self.feed.events(room, last).await.ok()?;
            match events.last() {
                Some(event) => last = event.version,
                None => return Some(last.since(version)),
            }
        }
    }

    /// Reads the event after a room's checkpoint as a redrive would, and changes nothing.
    async fn try_next(&self, room: RoomId) -> anyhow::Result<Trial> {
        let checkpoint = self.models.checkpoint(room).await?;
        let version = checkpoint.version.next();
        let events = self.feed.events(room, checkpoint.version).await?;
        let verdict = match events.first() {
            None => Err("the feed has no such event".to_owned()),
            Some(event) => read(event).map(|_| events.iter().take_while(|event| read(event).is_ok()).count()),
        };
        let (applicable, outcome) = match verdict {
            Ok(count) => (true, format!("it and the {} after it could be applied", count - 1)),
            Err(reason) => (false, reason),
        };
        Ok(Trial { room: room.to_string(), version, applicable, outcome })
    }
}
