//! The directory of rooms.

use async_trait::async_trait;

use super::{
    Database, Statement, read,
    rows::entry,
    statements::{list_length, padded, repeated},
};
use crate::{
    domain::RoomEntry,
    event_store::{RoomDirectory, StoreError},
};

#[async_trait]
impl<D: Database> RoomDirectory for D {
    async fn all_rooms(&self) -> Result<Vec<RoomEntry>, StoreError> {
        const SQL: &str = "SELECT room, name, kind, retired FROM rooms ORDER BY seq";
        read(self, "all_rooms", Statement::new(SQL, []), entry).await
    }

    async fn rooms_of_kinds(&self, kinds: &[String]) -> Result<Vec<RoomEntry>, StoreError> {
        rooms(self, "rooms_of_kinds", "retired = 0 AND kind", kinds).await
    }

    async fn rooms_named(&self, names: &[String]) -> Result<Vec<RoomEntry>, StoreError> {
        rooms(self, "rooms_named", "live_name", names).await
    }
}

/// The rooms with one of these values in a column, in the order of registration.
async fn rooms<D: Database>(
    database: &D,
    operation: &'static str,
    column: &str,
    values: &[String],
) -> Result<Vec<RoomEntry>, StoreError> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let list = repeated("?", list_length(values.len()));
    let sql = format!("SELECT room, name, kind, retired FROM rooms WHERE {column} IN ({list}) ORDER BY seq");
    let select = Statement { sql, values: padded(&values).map(Into::into).collect() };
    read(database, operation, select, entry).await
}
