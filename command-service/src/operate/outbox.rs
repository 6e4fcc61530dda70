//! What waits for the log, who is to deliver it, and which rooms are held back.

use std::collections::BTreeMap;

use anyhow::Context;
use secrecy::SecretString;
use serde::Serialize;
use service_kit::clock::Clock;
use shared_events::{RoomId, Timestamp};

use super::{open, table::table};
use crate::event_store::{Buckets, EventStore, HeldRoom, mysql::BucketLease};

/// Arguments of the subcommand that shows the outbox.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct OutboxArgs {
    /// Prints one JSON object, for scripts.
    #[arg(long)]
    json: bool,
}

/// The state of the outbox as text: for people, or JSON.
///
/// # Errors
/// When the database can't be used, does not answer, or has no tables.
pub async fn outbox(url: &SecretString, arguments: OutboxArgs, clock: &Clock) -> anyhow::Result<String> {
    let store = open(url).await?;
    let (_, oldest) = store.backlog().await?;
    let waiting = store.outbox_by_bucket().await?;
    let leases = store.leases().read().await?;
    let held = store.held_rooms().await?;
    store.close().await;
    let age = |since: Timestamp| clock.now_ms().saturating_sub(since.epoch_millis()).max(0);
    let outbox = Outbox {
        events: waiting.values().sum(),
        oldest_age_ms: oldest.map(age),
        instances: leases.members.into_keys().collect(),
        buckets: leases.buckets.into_iter().map(|lease| Bucket::new(lease, &waiting)).collect(),
        held_rooms: held.into_iter().map(Held::from).collect(),
    };
    if arguments.json {
        let text = serde_json::to_string_pretty(&outbox).context("the outbox can't be shown as JSON")?;
        return Ok(format!("{text}\n"));
    }
    Ok(outbox.to_text())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outbox {
    /// Events that are committed and not delivered.
    events: u64,
    /// For how long the oldest of them has waited.
    oldest_age_ms: Option<i64>,
    /// Instances that share the buckets. One that has just died is among them until another notices.
    instances: Vec<String>,
    buckets: Vec<Bucket>,
    held_rooms: Vec<Held>,
}

#[derive(Serialize)]
struct Bucket {
    bucket: u32,
    events: u64,
    holder: Option<String>,
    epoch: u64,
}

impl Bucket {
    fn new(lease: BucketLease, waiting: &BTreeMap<u32, u64>) -> Self {
        let events = waiting.get(&lease.bucket).copied().unwrap_or(0);
        Self { bucket: lease.bucket, events, holder: lease.holder, epoch: lease.epoch }
    }
}

#[derive(Serialize)]
struct Held {
    room: RoomId,
    /// Of the event that was refused.
    position: u64,
    since: Timestamp,
    reason: String,
}

impl From<HeldRoom> for Held {
    fn from(held: HeldRoom) -> Self {
        Self { room: held.room, position: held.position, since: held.held_at, reason: held.reason }
    }
}

impl Outbox {
    fn to_text(&self) -> String {
        let waiting = match self.oldest_age_ms {
            Some(age) => {
                format!("{} events wait, the oldest for {}.{:03} s", self.events, age / 1000, age % 1000)
            }
            None => "No event waits".to_owned(),
        };
        let instances = match self.instances.as_slice() {
            [] => "no instance relays".to_owned(),
            names => format!("{} relaying: {}", names.len(), names.join(", ")),
        };
        let held = match self.held_rooms.as_slice() {
            [] => "No room is held back.\n".to_owned(),
            rooms => format!("Held back, because Kafka refused an event of theirs:\n{}", held_table(rooms)),
        };
        format!("{waiting}; {instances}.\n\n{}\n{held}", self.bucket_table())
    }

    /// Adjoining buckets of one holder and epoch in one line.
    fn bucket_table(&self) -> String {
        let runs = self.buckets.chunk_by(|one, next| one.holder == next.holder && one.epoch == next.epoch);
        let rows: Vec<_> = runs
            .filter_map(|run| {
                let first = run.first()?;
                let buckets: Buckets = run.iter().map(|bucket| bucket.bucket).collect();
                Some(vec![
                    buckets.to_string(),
                    run.iter().map(|bucket| bucket.events).sum::<u64>().to_string(),
                    first.epoch.to_string(),
                    first.holder.clone().unwrap_or_else(|| "nobody".to_owned()),
                ])
            })
            .collect();
        table(&["BUCKETS", "EVENTS", "EPOCH", "HOLDER"], &rows)
    }
}

fn held_table(rooms: &[Held]) -> String {
    let row = |held: &Held| {
        vec![held.room.to_string(), held.position.to_string(), held.since.to_string(), held.reason.clone()]
    };
    table(&["ROOM", "POSITION", "SINCE", "REASON"], &rooms.iter().map(row).collect::<Vec<_>>())
}
