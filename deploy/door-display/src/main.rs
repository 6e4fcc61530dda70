//! Prints the line of a door whenever it changes.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use clap::Parser;
use door_display::{Credentials, Door, Feed, follow, listen};
use reqwest::Url;
use shared_events::{RawEvent, RoomId, Unreadable, Version, changes::Follower, topics::CHANGES_TOPIC};

/// Shows until when a room is free: one line, and a new one whenever it changes.
#[derive(Parser, Debug)]
struct Arguments {
    /// The id of the room.
    #[arg(long, env)]
    room: RoomId,
    /// Kafka's brokers.
    #[arg(long, env = "KAFKA_BROKERS", default_value = "127.0.0.1:19092")]
    brokers: String,
    /// The topic of notices.
    #[arg(long, env = "KAFKA_NOTICES_TOPIC", default_value = CHANGES_TOPIC)]
    topic: String,
    /// The command service.
    #[arg(long, env, default_value = "http://127.0.0.1:8081")]
    feed_url: Url,
    /// A file with a token that has the role `service`. Without it, development headers are sent.
    #[arg(long, env)]
    feed_token_file: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let credentials = match &arguments.feed_token_file {
        None => Credentials::Headers,
        Some(file) => {
            let token = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            Credentials::Token(token.trim().to_owned())
        }
    };
    let feed = Feed::new(arguments.feed_url, credentials)?;
    let (brokers, topic) = (arguments.brokers, arguments.topic);
    let mut notices = tokio::task::spawn_blocking(move || listen(&brokers, &topic)).await??;
    let door = Arc::new(Mutex::new(Door::default()));
    let apply = |events: &[RawEvent]| {
        let mut door = door.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            match door.apply(event) {
                Err(error @ Unreadable::UnknownType(_)) => eprintln!("ignored: {error}"),
                outcome => outcome?,
            }
        }
        Ok(())
    };
    // The door is kept in memory, so it is made from the first event on.
    let follower = Follower::of_rooms([(arguments.room, Version::NONE)]);
    tokio::select! {
        () = follow(follower, &feed, &mut notices, apply) => bail!("no more notices can come"),
        () = show(&door) => Ok(()),
        signal = tokio::signal::ctrl_c() => Ok(signal?),
    }
}

/// Prints the line whenever events or time change it.
#[expect(clippy::disallowed_methods, reason = "a reader shares no clock with the services")]
async fn show(door: &Mutex<Door>) {
    let mut shown = String::new();
    loop {
        let line = door.lock().unwrap_or_else(PoisonError::into_inner).line(Utc::now());
        if line != shown {
            println!("{line}");
            shown = line;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
