//! The last event about each reservation of a room.

use async_trait::async_trait;
use shared_events::{ReservationId, RoomId, Version};

use super::{
    Columns, Database, Statement, Value, read,
    statements::{pieces, repeated},
};
use crate::event_store::{ReservationIndex, StoreError};

#[async_trait]
impl<D: Database> ReservationIndex for D {
    async fn indexed(
        &self,
        room: RoomId,
        reservation: ReservationId,
    ) -> Result<(Version, Option<Version>), StoreError> {
        let sql = "SELECT version, (SELECT version FROM reservation_index WHERE stream_id = ? AND reservation = ?) \
                   FROM indexed_streams WHERE stream_id = ?";
        let select = Statement::new(sql, [(&room).into(), (&reservation).into(), (&room).into()]);
        let rows = read(self, "indexed", select, |row| {
            let last = row.optional_number(1)?;
            Ok((row.number(0)?.into(), last.map(Version::from)))
        });
        Ok(rows.await?.pop().unwrap_or((Version::NONE, None)))
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
