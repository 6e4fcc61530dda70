//! When events were recorded.

use std::collections::HashMap;

use anyhow::Result;
use futures_util::TryStreamExt;
use shared_events::RoomId;
use sqlx::{Connection, MySqlConnection, Row};
use uuid::Uuid;

/// `recorded_at` of all events by room and version, in milliseconds since 1970.
pub(crate) async fn times(database_url: &str) -> Result<HashMap<(RoomId, u64), i64>> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    let mut rows = sqlx::query("SELECT stream_id, version, recorded_at FROM events").fetch(&mut connection);
    let mut times = HashMap::new();
    while let Some(row) = rows.try_next().await? {
        let room = RoomId(Uuid::from_slice(&row.try_get::<Vec<u8>, _>(0)?)?);
        times.insert((room, row.try_get(1)?), row.try_get(2)?);
    }
    Ok(times)
}
