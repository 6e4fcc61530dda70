//! Shows undelivered events, the instances that relay them, and held rooms.

use std::collections::BTreeMap;

use serde::Serialize;
use service_kit::{
    clock::Clock,
    report::{Format, Verdict},
};
use shared_events::{RoomId, Timestamp};

use crate::event_store::{BucketLease, Buckets, HeldRoom, Leases, Outbox as _, Position, mysql::MySqlStore};

/// Prints the state of the outbox.
pub(super) async fn show(store: &MySqlStore, format: Format, clock: &Clock) -> anyhow::Result<Verdict> {
    let oldest = store.backlog().await?.oldest;
    let waiting = store.backlog_by_bucket().await?;
    let leases = store.leases().await?;
    let held = store.held_rooms().await?;
    let age = |since: Timestamp| clock.now_ms().saturating_sub(since.epoch_millis()).max(0);
    let outbox = Outbox {
        events: waiting.values().sum(),
        oldest_age_ms: oldest.map(age),
        instances: leases.members.into_keys().collect(),
        buckets: leases.buckets.into_iter().map(|lease| Bucket::new(lease, &waiting)).collect(),
        held_rooms: held.into_iter().map(Held::from).collect(),
    };
    print!("{}", format.value(&outbox, outbox.for_people()?)?);
    Ok(Verdict::AsWanted)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outbox {
    /// Undelivered events.
    events: u64,
    /// Age of the oldest of them.
    oldest_age_ms: Option<i64>,
    /// Instances that share the buckets. A dead one stays among them until another one notices.
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
    /// Position of the refused event.
    position: Position,
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
            [] => "No room is held.\n".to_owned(),
            rooms => {
                let rooms = tables.rows(rooms, &["room", "position", "since", "reason"])?;
                format!("Held, because Kafka refused one of their events:\n{rooms}")
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
