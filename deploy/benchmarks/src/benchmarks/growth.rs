//! Commands in a room with many past and live reservations, against a room with few.

use anyhow::Result;
use command_service::{
    domain::{Room, SNAPSHOT_SCHEMA},
    event_store::{EventLog as _, Snapshot, Snapshots as _, mysql::MySqlStore},
};
use shared_events::{RawEvent, RoomId};

use crate::{
    backlog::reservation_made,
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
const AHEAD: i64 = 29_979_360;
/// Events in one read.
const PAGE: u32 = 50_000;

pub(crate) async fn reserving(rig: &Rig) -> Result<Vec<Finding>> {
    let (past, live) = (rig.size(1_000_000, 50_000), rig.size(10_000, 2_000));
    let mut large = grown(rig, 1, past, live).await?;
    let mut small = grown(rig, 1, 100, 100).await?;
    let seconds = if rig.short { 1.0 } else { 4.0 };
    let (large_p50, small_p50) = alternate(
        rig.rounds,
        async |_| large.reserve(1, Pace::Closed, 0.3, seconds).await?.latency_ms(50.0),
        async |_| small.reserve(1, Pace::Closed, 0.3, seconds).await?.latency_ms(50.0),
    )
    .await?;
    large.check().await?;
    small.check().await?;
    Ok(vec![Finding::new(
        "reserve-growth",
        "a room with 100 past and 100 live reservations",
        Target::AtMost(1.2),
        1.05,
        Series::new(&format!("{past} past, {live} live reservations, p50"), "ms", large_p50),
        Series::new("100 past, 100 live reservations, p50", "ms", small_p50),
    )])
}

/// A service with rooms, past and live reservations of the last one, and a snapshot of it.
pub(super) async fn grown(rig: &Rig, rooms: usize, past: u64, live: u64) -> Result<CommandTarget> {
    let target = CommandTarget::ours(rig, rooms, Relaying::Off).await?;
    let CommandTarget { namespace, service, rooms, .. } = target;
    service.stop().await?;
    let Some(id) = rooms.last().copied() else { anyhow::bail!("no room was registered") };
    let url = namespace.database_url();
    let store = MySqlStore::open(url.as_str(), 1, None, None)?;
    backlog::insert(&url, (0..past + live).map(|number| made(id, number, past))).await?;
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
    Ok(CommandTarget::with(rig, namespace, service, rooms)?.with_inserted(past + live))
}

/// Reservation n of the room. Past ones take two minutes, live ones an hour. Each was made before its end.
fn made(room: RoomId, number: u64, past: u64) -> Result<RawEvent> {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (from, minutes, at) = if number < past {
        let from = PAST + 2 * signed(number);
        (from, 2, from)
    } else {
        (AHEAD + 60 * signed(number - past), 60, PAST + 2 * signed(past))
    };
    reservation_made(room, number + 2, [from, from + minutes], at)
}
