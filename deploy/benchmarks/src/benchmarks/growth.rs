//! Reserving in a room with a long past and many live reservations, against a room with little of both.

use anyhow::Result;
use command_service::{
    domain::{Room, SNAPSHOT_SCHEMA},
    event_store::{EventStore, Snapshot, mysql::MySqlStore},
};
use service_kit::ids::new_id;
use shared_events::{
    Event, Metadata, Minute, RecordedEvent, Reservation, ReservationId, RoomId, TimeZone, Timestamp, UserId,
    reservation_events::ReservationMade,
};

use crate::{
    desk::{Desk, Relaying},
    figures::{Finding, Series, Target},
    load::Pace,
    mysql::backlog,
    rig::Rig,
    rounds::alternate,
};

/// 2020-01-01 in minutes since 1970: where the past begins.
const PAST: i64 = 26_297_280;
/// 2027-01-01 in minutes since 1970: where what lies ahead begins; the load reserves after all of it.
const AHEAD: i64 = 29_979_360;

/// One command at a time in a room that has grown, against one that has not.
///
/// # Errors
/// When the service fails, or did not write exactly what it answered.
pub(crate) async fn reserving(rig: &Rig) -> Result<Vec<Finding>> {
    let (past, live) = (rig.size(1_000_000, 50_000), rig.size(10_000, 2_000));
    let mut large = grown(rig, past, live).await?;
    let mut small = grown(rig, 100, 100).await?;
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

/// A service with one room that has so many reservations behind and ahead of it, and the snapshot that it would have
/// kept on the way.
async fn grown(rig: &Rig, past: u64, live: u64) -> Result<Desk> {
    let desk = Desk::ours(rig, 1, Relaying::Off).await?;
    let Desk { place, service, rooms, .. } = desk;
    service.stop().await?;
    let Some(id) = rooms.first().copied() else { anyhow::bail!("no room was registered") };
    let url = place.database_url();
    let store = MySqlStore::open(&url, 1, None)?;
    let mut room = Room::new(id);
    for stored in store.load(&[(id, 0)]).await? {
        let event = stored.into_recorded()?.decode()?;
        room.apply(event.version, event.metadata.time, &event.event)?;
    }
    let mut failed = Ok(());
    let events = (0..past + live).map_while(|number| {
        let (event, at) = made(id, number, past);
        let version = room.version() + 1;
        if let Err(error) = room.apply(version, at, &event) {
            failed = Err(error);
            return None;
        }
        Some(recorded(id, version, &event, at))
    });
    backlog::insert(&url, events).await?;
    failed?;
    let body = serde_json::to_vec(&room)?;
    let snapshot = Snapshot { room: id, version: room.version(), schema: SNAPSHOT_SCHEMA.to_owned(), body };
    store.save_snapshot(&snapshot).await?;
    store.close().await;
    let mut service = rig.command_service(&place, &[("LEASE_SECONDS", "300")])?;
    service.until_ready().await?;
    Ok(Desk::with(rig, place, service, rooms)?.beside(past + live))
}

/// The n-th reservation: two minutes each in the past, an hour each ahead; each made when it was not over yet.
fn made(room: RoomId, number: u64, past: u64) -> (Event, Timestamp) {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (from, to, at) = if number < past {
        let from = PAST + 2 * signed(number);
        (from, from + 2, from)
    } else {
        let from = AHEAD + 60 * signed(number - past);
        (from, from + 60, PAST + 2 * signed(past))
    };
    let minute = |minutes| {
        Minute::from_epoch_minutes(minutes).unwrap_or_else(|_| Timestamp::from_epoch_millis(0).minute())
    };
    let reservation = Reservation {
        id: ReservationId::made_in(room, new_id()),
        revision: 1,
        room,
        time_zone: TimeZone(chrono_tz::Europe::Lisbon),
        from: minute(from),
        to: minute(to),
        people: 4,
        title: Some("Planning of the quarter".to_owned()),
        reserved_for: None,
        reserved_by: UserId("somebody@example.com".to_owned()),
    };
    (Event::from(ReservationMade { reservation }), Timestamp::from_epoch_millis(at * 60_000))
}

fn recorded(room: RoomId, version: u64, event: &Event, at: Timestamp) -> RecordedEvent {
    let id = new_id().to_string();
    RecordedEvent {
        room,
        version,
        event_type: event.event_type().into(),
        payload: event.to_json(),
        metadata: Metadata {
            time: at,
            subject: event.subject(),
            actor: UserId("somebody@example.com".to_owned()),
            correlation_id: id.clone(),
            causation_id: id,
            traceparent: None,
        },
        recorded_at: at,
    }
}
