//! The directory of rooms.

use async_trait::async_trait;

use super::{SqliteStore, store_error};
use crate::{
    domain::RoomEntry,
    event_store::{
        RoomDirectory, StoreError,
        insert_plan::{list_length, padded, repeated},
        rows::entry,
    },
};

#[async_trait]
impl RoomDirectory for SqliteStore {
    async fn directory(&self) -> Result<Vec<RoomEntry>, StoreError> {
        const SQL: &str = "SELECT room, name, kind, retired FROM rooms ORDER BY seq";
        let rows = sqlx::query(SQL).fetch_all(&self.0.readers).await;
        let rows = rows.map_err(|error| store_error("directory", error))?;
        rows.iter().map(|row| entry("directory", row)).collect()
    }

    async fn rooms_of_kinds(&self, kinds: &[String]) -> Result<Vec<RoomEntry>, StoreError> {
        self.read_rooms("rooms_of_kinds", "kind", kinds).await
    }

    async fn rooms_named(&self, names: &[String]) -> Result<Vec<RoomEntry>, StoreError> {
        self.read_rooms("rooms_named", "name", names).await
    }
}

impl SqliteStore {
    /// The rooms that are not retired and have one of these values in a column, in the order of registration.
    async fn read_rooms(
        &self,
        operation: &'static str,
        column: &str,
        values: &[String],
    ) -> Result<Vec<RoomEntry>, StoreError> {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let list = repeated("?", list_length(values.len()));
        let sql = format!(
            "SELECT room, name, kind, retired FROM rooms WHERE retired = 0 AND {column} IN ({list}) ORDER BY seq"
        );
        let mut select = sqlx::query(&sql);
        for value in padded(&values) {
            select = select.bind(value);
        }
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let rows = select.fetch_all(&self.0.readers).await.map_err(|error| store_error(operation, error))?;
        rows.iter().map(|row| entry(operation, row)).collect()
    }
}
