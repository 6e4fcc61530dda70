//! What waits for the log, who is to deliver it, and which rooms are held back.

use std::collections::BTreeMap;

use anyhow::Context;
use secrecy::SecretString;
use serde::Serialize;
use service_kit::{clock::Clock, report::Format};
use shared_events::{RoomId, Timestamp};

use super::open;
use crate::event_store::{BucketLease, Buckets, HeldRoom, Leases, Outbox as _};

/// The state of the outbox as text: tables for people, or one JSON object.
///
/// # Errors
/// When the database can't be used, does not answer, or has no tables.
pub async fn outbox(url: &SecretString, format: Format, clock: &Clock) -> anyhow::Result<String> {
    let store = open(url).await?;
    let (_, oldest) = store.backlog().await?;
    let waiting = store.outbox_by_bucket().await?;
    let leases = store.leases().await?;
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
    if format.json {
        let text = serde_json::to_string_pretty(&outbox).context("the outbox can't be shown as JSON")?;
        return Ok(format!("{text}\n"));
    }
    outbox.for_people().context("the outbox can't be shown")
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

/// Adjoining buckets of one holder and epoch.
#[derive(Serialize)]
struct Run {
    buckets: String,
    events: u64,
    epoch: u64,
    holder: Option<String>,
}

impl Outbox {
    fn for_people(&self) -> serde_json::Result<String> {
        let tables = Format { json: false };
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
        let buckets = tables.rows(&self.runs(), &["buckets", "events", "epoch", "holder"])?;
        let held = match self.held_rooms.as_slice() {
            [] => "No room is held back.\n".to_owned(),
            rooms => {
                let rooms = tables.rows(rooms, &["room", "position", "since", "reason"])?;
                format!("Held back, because Kafka refused an event of theirs:\n{rooms}")
            }
        };
        Ok(format!("{waiting}; {instances}.\n\n{buckets}\n{held}"))
    }

    fn runs(&self) -> Vec<Run> {
        let runs = self.buckets.chunk_by(|one, next| one.holder == next.holder && one.epoch == next.epoch);
        let run = |run: &[Bucket]| {
            let first = run.first()?;
            let buckets: Buckets = run.iter().map(|bucket| bucket.bucket).collect();
            let events = run.iter().map(|bucket| bucket.events).sum();
            let holder = first.holder.clone();
            Some(Run { buckets: buckets.to_string(), events, epoch: first.epoch, holder })
        };
        runs.filter_map(run).collect()
    }
}
