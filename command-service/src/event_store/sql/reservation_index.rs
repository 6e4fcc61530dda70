//! The last event about each reservation of a room.

use async_trait::async_trait;
use serde::Deserialize;
use shared_events::{ReservationId, RoomId, Version};
use uuid::Uuid;

use super::{
    Columns, Database, RowError, Statement, Value, read,
    statements::{pieces, repeated},
};
use crate::event_store::{LookUp, ReservationIndex, StoreError};

#[async_trait]
impl<D: Database> ReservationIndex for D {
    async fn look_up(
        &self,
        room: RoomId,
        reservation: ReservationId,
        limit: u32,
    ) -> Result<LookUp, StoreError> {
        // Without payloads: anyone may ask for any id.
        let sql = "SELECT 0, version, NULL FROM indexed_streams WHERE stream_id = ? \
                   UNION ALL SELECT 1, version, NULL FROM reservation_index WHERE stream_id = ? AND reservation = ? \
                   UNION ALL SELECT * FROM (SELECT 2, version, metadata FROM events WHERE stream_id = ? AND version > \
                   COALESCE((SELECT version FROM indexed_streams WHERE stream_id = ?), 0) ORDER BY version LIMIT ?) AS since";
        let stream = Value::from(&room);
        let values = [stream, stream, (&reservation).into(), stream, stream, limit.into()];
        let rows = read(self, "look_up", Statement::new(sql, values), |row| {
            Ok((row.integer(0)?, Version::from(row.number(1)?), row.bytes(2)?.map(subject).transpose()?))
        });
        let mut found = LookUp::default();
        for (part, version, subject) in rows.await? {
            match (part, subject) {
                (_, Some(subject)) => {
                    found.since.push((version, (subject != room.0).then_some(ReservationId(subject))));
                }
                (Some(0), None) => found.indexed = version,
                _ => found.last = Some(version),
            }
        }
        found.since.sort_unstable_by_key(|(version, _)| *version);
        let about = |&&(_, subject): &&(Version, Option<ReservationId>)| subject == Some(reservation);
        let last = found.since.iter().rfind(about).map(|(version, _)| *version);
        found.last = found.last.max(last);
        Ok(found)
    }

    async fn index(
        &self,
        room: RoomId,
        last: &[(ReservationId, Version)],
        up_to: Version,
    ) -> Result<(), StoreError> {
        let keep_higher = D::keep_higher_version("reservation_index");
        for piece in pieces(last, |_| 40) {
            let rows = repeated("(?,?,?)", piece.len());
            let sql = format!(
                "INSERT INTO reservation_index (stream_id, reservation, version) VALUES {rows} {keep_higher}"
            );
            let mut values: Vec<Value<'_>> = Vec::with_capacity(3 * piece.len());
            for (reservation, version) in piece {
                values.extend([Value::from(&room), reservation.into(), (*version).into()]);
            }
            self.write("index", &Statement { sql, values }).await?;
        }
        // Last: everything up to there is in the index, also if the process ends here.
        let keep_higher = D::keep_higher_version("indexed_streams");
        let sql = format!("INSERT INTO indexed_streams (stream_id, version) VALUES (?,?) {keep_higher}");
        self.write("index", &Statement::new(sql, [(&room).into(), up_to.into()])).await.map(drop)
    }
}

/// The reservation or room that an event is about.
fn subject(metadata: &[u8]) -> Result<Uuid, RowError> {
    #[derive(Deserialize)]
    struct Subject {
        subject: Uuid,
    }
    let metadata: Subject = serde_json::from_slice(metadata).map_err(|error| RowError(error.to_string()))?;
    Ok(metadata.subject)
}
