//! Checks the events that commands wrote: complete, without gaps, without overlap.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use shared_events::{Event, RoomId, upcasting};
use sqlx::{Connection, MySqlConnection, Row};
use uuid::Uuid;

/// The counts of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Written {
    /// New reservations.
    pub(crate) made: u64,
    /// Events of all kinds.
    pub(crate) events: u64,
    /// Idempotency records.
    pub(crate) keys: u64,
    /// Rows of the outbox.
    pub(crate) undelivered: u64,
}

/// Checks that each room's versions are 1, 2, 3, ... and that its reservations never overlap, with their buffers.
pub(crate) async fn check(database_url: &str) -> Result<Written> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    let keys = count(&mut connection, "idempotency_keys").await?;
    let undelivered = count(&mut connection, "outbox").await?;
    let (mut made, mut events) = (0, 0);
    let mut stays: HashMap<RoomId, Vec<(i64, i64)>> = HashMap::new();
    let mut versions: HashMap<RoomId, u64> = HashMap::new();
    let mut last = (vec![0; 16], 0u64);
    loop {
        let rows = sqlx::query(
            "SELECT stream_id, version, CONVERT(type USING utf8mb4), payload FROM events WHERE (stream_id, version) > (?, ?) \
             ORDER BY stream_id, version LIMIT 50000",
        )
        .bind(&last.0)
        .bind(last.1)
        .fetch_all(&mut connection)
        .await?;
        let Some(end) = rows.last() else { break };
        last = (end.try_get(0)?, end.try_get(1)?);
        for row in rows {
            let room = RoomId(Uuid::from_slice(&row.try_get::<Vec<u8>, _>(0)?)?);
            let version: u64 = row.try_get(1)?;
            let before = versions.insert(room, version).unwrap_or(0);
            ensure!(version == before + 1, "room {room} goes from {before} to {version}");
            events += 1;
            let (event_type, payload): (String, Vec<u8>) = (row.try_get(2)?, row.try_get(3)?);
            if let Event::ReservationMade(event) = upcasting::decode(&event_type, &payload)? {
                made += 1;
                let stay = event.reservation.busy_interval();
                stays.entry(room).or_default().push((stay.from.epoch_minutes(), stay.to.epoch_minutes()));
            }
        }
    }
    for (room, stays) in &mut stays {
        stays.sort_unstable();
        for pair in stays.windows(2) {
            if let [(_, end), (start, _)] = pair {
                ensure!(end <= start, "reservations of room {room} overlap");
            }
        }
    }
    Ok(Written { made, events, keys, undelivered })
}

async fn count(connection: &mut MySqlConnection, table: &str) -> Result<u64> {
    let count: i64 =
        sqlx::query_scalar(&format!("SELECT COUNT(*) FROM {table}")).fetch_one(connection).await?;
    u64::try_from(count).context("a count")
}
