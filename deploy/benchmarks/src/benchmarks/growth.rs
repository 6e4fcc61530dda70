//! Commands in a room with many past and live reservations, against a room with few.

use anyhow::Result;
use command_service::{
    domain::{Room, SNAPSHOT_SCHEMA},
    event_store::{EventLog as _, Snapshot, Snapshots as _, mysql::MySqlStore},
};
use serde_json::json;
use service_kit::ids::new_id;
use shared_events::{Closure, ClosureId, Interval, RawEvent, RoomId, UserId, closure_events::ClosureAdded};

use crate::{
    backlog::{interval, reservation_made, stored},
    command_target::{CommandTarget, Relaying, start},
    figures::{Finding, Series, Target},
    load::Pace,
    mysql::backlog,
    rig::Rig,
    rounds::alternate,
};

/// 2020-01-01 in minutes since 1970: the first past reservation.
const PAST: i64 = 26_297_280;
/// 2027-01-01 in minutes since 1970: the first live reservation. The load reserves later times.
pub(super) const AHEAD: i64 = 29_979_360;
/// 2032-10-01 in minutes since 1970: the first closure. The load reserves times that begin less than a year later.
const CLOSED: i64 = 33_003_360;
/// Minutes from one live reservation to the next.
pub(super) const HOUR: i64 = 60;
/// Events in one read.
const PAGE: u32 = 50_000;

/// What a room holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contents {
    past: u64,
    live: u64,
    /// Minutes before and after each live reservation. Past ones were made before the room had buffers.
    buffers: [i64; 2],
    closures: u64,
}

impl Contents {
    /// Past and live reservations without buffers.
    pub(super) const fn plain(past: u64, live: u64) -> Self {
        Self { past, live, buffers: [0, 0], closures: 0 }
    }
}

pub(crate) async fn reserving(rig: &Rig) -> Result<Vec<Finding>> {
    let (past, live) = (rig.size(1_000_000, 50_000), rig.size(10_000, 2_000));
    let buffered = Contents { past, live, buffers: [5, 10], closures: 100 };
    let mut small = grown(rig, 1, Contents::plain(100, 100)).await?;
    let mut findings = Vec::new();
    for (contents, with) in [(Contents::plain(past, live), ""), (buffered, ", with buffers and 100 closures")]
    {
        let mut large = grown(rig, 1, contents).await?;
        let seconds = if rig.short { 1.0 } else { 4.0 };
        let (large_p50, small_p50) = alternate(
            rig.rounds,
            async |_| large.reserve(1, Pace::Closed, 0.3, seconds).await?.latency_ms(50.0),
            async |_| small.reserve(1, Pace::Closed, 0.3, seconds).await?.latency_ms(50.0),
        )
        .await?;
        large.check().await?;
        findings.push(Finding::new(
            "reserve-growth",
            "a room with 100 past and 100 live reservations",
            Target::AtMost(1.2),
            1.05,
            Series::new(&format!("{past} past, {live} live reservations{with}, p50"), "ms", large_p50),
            Series::new("100 past, 100 live reservations, p50", "ms", small_p50),
        ));
    }
    small.check().await?;
    Ok(findings)
}

/// A service with rooms, what the last one holds, and a snapshot of it.
pub(super) async fn grown(rig: &Rig, rooms: usize, contents: Contents) -> Result<CommandTarget> {
    let Contents { past, live, buffers: [before, after], closures } = contents;
    let settings = json!({"bufferBefore": before, "bufferAfter": after});
    let namespace = rig.namespace("commands").await?;
    let target = CommandTarget::with_settings(rig, namespace, rooms, Relaying::Off, &settings).await?;
    let CommandTarget { namespace, service, rooms, .. } = target;
    service.stop().await?;
    let Some(id) = rooms.last().copied() else { anyhow::bail!("no room was registered") };
    let url = namespace.database_url();
    let store = MySqlStore::open(url.as_str(), 1, None, None)?;
    let reservations = (0..past + live).map(|number| made(id, number, &contents));
    let closures = (0..closures).map(|number| closed(id, number, &contents));
    backlog::insert(&url, reservations.chain(closures)).await?;
    let mut room = Room::new(id);
    loop {
        let page = store.stream(id, room.version(), PAGE).await?;
        if page.is_empty() {
            break;
        }
        for stored in page {
            let event = stored.into_raw()?.decode()?;
            room.apply(event.version, event.metadata.time, &event.event)?;
        }
    }
    let body = serde_json::to_vec(&room)?;
    let snapshot = Snapshot { room: id, version: room.version(), schema: SNAPSHOT_SCHEMA.to_owned(), body };
    store.save_snapshot(&snapshot, 0).await?;
    store.close().await;
    let service = start(rig, &namespace, Relaying::Off).await?;
    let inserted = past + live;
    Ok(CommandTarget::with(rig, namespace, service, rooms)?.with_inserted(inserted, contents.closures))
}

/// Reservation n of the room. Past ones take two minutes; live ones have an hour, with their buffers. Each was made before its
/// end.
fn made(room: RoomId, number: u64, contents: &Contents) -> Result<RawEvent> {
    let Contents { past, buffers, .. } = *contents;
    if number < past {
        let from = PAST + 2 * signed(number);
        return reservation_made(room, number + 2, [from, from + 2], [0, 0], from);
    }
    let from = AHEAD + HOUR * signed(number - past);
    let stay = [from, from + HOUR - buffers.iter().sum::<i64>()];
    reservation_made(room, number + 2, stay, buffers, PAST + 2 * signed(past))
}

/// Closure n of the room: an hour of a day, made after all its reservations.
fn closed(room: RoomId, number: u64, contents: &Contents) -> Result<RawEvent> {
    let from = CLOSED + 24 * HOUR * signed(number);
    let Interval { from, to } = interval(from, from + HOUR);
    let reason = "New floor".to_owned();
    let closure = Closure { id: ClosureId(new_id()), room, from, to, reason, kind: None, all: false };
    let event = ClosureAdded { closure, hits: Vec::new(), more_hits: None };
    let version = contents.past + contents.live + number + 2;
    stored(room, version, event.into(), UserId::new("admin")?, PAST + 2 * signed(contents.past))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
