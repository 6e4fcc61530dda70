//! Registers the rooms, then sends all commands as one import and reads the answers meanwhile.

use std::{
    cell::Cell,
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use crate::{
    api::{Answer, Api},
    bookings::Booking,
    plan::{Command, Kind},
    record::{Record, Room},
};

/// Requests in flight.
pub(crate) const SIDE_BY_SIDE: usize = 32;
/// Lines in one chunk of the import.
const LINES_A_CHUNK: usize = 256;
/// The longest time without a room that moves on, until the last event is visible.
const PATIENCE: Duration = Duration::from_secs(60);

/// Registers all rooms of all kinds.
pub(crate) async fn register_rooms(api: &Api, kinds: &[Kind]) -> anyhow::Result<HashMap<String, Room>> {
    let rooms = kinds.iter().flat_map(|kind| (1..=kind.rooms).map(move |number| (kind, number)));
    stream::iter(rooms)
        .map(|(kind, number)| async move {
            let name = format!("{} {number:03}", kind.name);
            let registered = api.register_room(&name, kind).await?;
            let room = Room { name, kind: kind.name.clone(), version: registered.version };
            anyhow::Ok((registered.room, room))
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect()
        .await
}

/// Sends all commands and adds their answers to the record.
pub(crate) async fn import(
    api: &Api,
    bookings: &[Booking],
    commands: &[Command],
    record: &mut Record,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    let chunks = commands
        .chunks(LINES_A_CHUNK)
        .map(|chunk| {
            let lines = chunk.iter().map(|command| command.line(booking(bookings, command)?));
            lines.collect::<anyhow::Result<Vec<_>>>().map(|lines| lines.concat())
        })
        .collect::<Vec<_>>();
    let response = api.import(reqwest::Body::wrap_stream(stream::iter(chunks))).await?;
    let bytes = response.bytes_stream().map_err(std::io::Error::other);
    let mut lines = StreamReader::new(bytes).lines();
    for command in commands {
        let line = lines.next_line().await.ok().flatten().with_context(|| {
            format!("the answer broke off before {}: start again, nothing is done twice", command.key)
        })?;
        let answer: Answer =
            serde_json::from_str(&line).with_context(|| format!("unreadable answer {line}"))?;
        record.take(command, booking(bookings, command)?, &answer)?;
        progress.inc(1);
    }
    if let Some(line) = lines.next_line().await? {
        bail!("an answer too many: {line}");
    }
    Ok(())
}

fn booking<'a>(bookings: &'a [Booking], command: &Command) -> anyhow::Result<&'a Booking> {
    bookings.get(command.order).with_context(|| format!("{} has no booking", command.key))
}

/// Waits until queries show every room at its last version.
pub(crate) async fn until_visible(api: &Api, record: &Record) -> anyhow::Result<()> {
    let moved = &Cell::new(Instant::now());
    stream::iter(&record.rooms)
        .map(|(id, room)| async move {
            let mut before = None;
            loop {
                let shown = api.shown_version(id).await?;
                if shown >= Some(room.version) {
                    return anyhow::Ok(());
                }
                if shown > before {
                    before = shown;
                    moved.set(Instant::now());
                }
                if moved.get().elapsed() > PATIENCE {
                    bail!("room {} is shown at version {shown:?}, not at {}", room.name, room.version);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .buffer_unordered(4)
        .try_collect()
        .await
}
