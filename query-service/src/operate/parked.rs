//! `parked`: rooms that wait behind an event that can't be applied.

use clap::Subcommand;
use serde::Serialize;
use serde_json::json;
use service_kit::report::{Format, Verdict};
use shared_events::{RoomId, Timestamp, Version};

use super::{LiveGeneration, request::RequestOptions};
use crate::{
    projections::read,
    read_models::RequestedAction,
    stores::{Checkpoints, Parking},
};

/// A command about parked rooms.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists the parked rooms, the reason, and how many events wait.
    List(Format),
    /// Shows the message that a room waits behind, as it came.
    Show {
        /// The room.
        room: RoomId,
        #[command(flatten)]
        format: Format,
    },
    /// Tries the event again, and goes on with those after it, in order, from the feed.
    Redrive(Redrive),
    /// Leaves one event out for good, and goes on after it.
    ///
    /// The event store must have the event, and this build must be unable to apply it. The event stays in the event store.
    /// All read models lack it, later ones too, unless a later build can apply it.
    Drop {
        /// The room.
        room: RoomId,
        /// The version of the event, as `parked list` shows it.
        #[arg(long)]
        version: Version,
        /// Why it may be left out; recorded with the message, the time and the operator.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        options: RequestOptions,
    },
}

/// Arguments of `parked redrive`.
#[derive(Debug, clap::Args)]
pub struct Redrive {
    /// The rooms.
    #[arg(required_unless_present = "all")]
    rooms: Vec<RoomId>,
    /// All rooms that are parked.
    #[arg(long, conflicts_with = "rooms")]
    all: bool,
    /// Only tell whether this build could apply the event now.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: RequestOptions,
}

impl Command {
    pub(super) async fn run(self, live: &LiveGeneration) -> anyhow::Result<Verdict> {
        match self {
            Self::List(format) => list(live, format).await,
            Self::Show { room, format } => show(live, room, format).await,
            Self::Redrive(redrive) => redrive.run(live).await,
            Self::Drop { room, version, reason, options } => {
                options.ask(live, &[room], &RequestedAction::Drop { version, reason }).await
            }
        }
    }
}

#[derive(Serialize)]
struct Row {
    room: RoomId,
    version: Version,
    since: Option<Timestamp>,
    /// Events of the room that are not applied, with the parked one.
    waiting: Option<u64>,
    reason: String,
}

/// Prints the parked rooms. They are no reason for exit status 1.
async fn list(live: &LiveGeneration, format: Format) -> anyhow::Result<Verdict> {
    let mut rows = Vec::new();
    for (room, checkpoint) in live.models.all_checkpoints().await? {
        let Some(parked) = checkpoint.parked else { continue };
        let message = live.models.parked_message(room).await?;
        rows.push(Row {
            room,
            version: parked.version,
            since: message.map(|message| message.at),
            waiting: live.events_after(room, checkpoint.version).await,
            reason: parked.reason,
        });
    }
    print!("{}", format.rows(&rows, &["room", "version", "since", "waiting", "reason"])?);
    Ok(Verdict::AsWanted)
}

#[derive(Serialize)]
struct Part {
    part: String,
    value: String,
}

async fn show(live: &LiveGeneration, room: RoomId, format: Format) -> anyhow::Result<Verdict> {
    let checkpoint = live.models.checkpoint(room).await?;
    let message = live.models.parked_message(room).await?;
    let (Some(parked), Some(message)) = (checkpoint.parked, message) else {
        let version = checkpoint.version;
        let value = json!({ "room": room, "parked": false, "version": version });
        print!("{}", format.value(&value, format!("room {room} is not parked: at version {version}"))?);
        return Ok(Verdict::NotAsWanted);
    };
    let part = |part: &str, value: String| Part { part: part.to_owned(), value };
    let mut parts = vec![
        part("room", room.to_string()),
        part("version", parked.version.to_string()),
        part("reason", parked.reason),
        part("since", message.at.to_string()),
    ];
    parts.extend(message.headers.iter().map(|(name, value)| part(name, text_of(value))));
    parts.push(part("payload", text_of(&message.payload)));
    print!("{}", format.rows(&parts, &["part", "value"])?);
    Ok(Verdict::AsWanted)
}

/// Bytes as text; other bytes are replaced.
fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[derive(Serialize)]
struct Trial {
    room: RoomId,
    version: Version,
    applicable: bool,
    outcome: String,
}

impl Redrive {
    async fn run(self, live: &LiveGeneration) -> anyhow::Result<Verdict> {
        let rooms = if self.all {
            let all = live.models.all_checkpoints().await?.into_iter();
            all.filter(|(_, checkpoint)| checkpoint.parked.is_some()).map(|(room, _)| room).collect()
        } else {
            self.rooms
        };
        if !self.dry_run {
            return self.options.ask(live, &rooms, &RequestedAction::Redrive).await;
        }
        let mut trials = Vec::new();
        for room in rooms {
            trials.push(live.try_next(room).await?);
        }
        let columns = ["room", "version", "applicable", "outcome"];
        print!("{}", self.options.format.rows(&trials, &columns)?);
        let all = trials.iter().all(|trial| trial.applicable);
        Ok(if all { Verdict::AsWanted } else { Verdict::NotAsWanted })
    }
}

impl LiveGeneration {
    /// The number of events after a version; `None` when the feed can't tell.
    async fn events_after(&self, room: RoomId, version: Version) -> Option<u64> {
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
        Ok(Trial { room, version, applicable, outcome })
    }
}
