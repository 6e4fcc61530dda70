//! The directory of rooms.

use async_trait::async_trait;

use super::{MySqlStore, session::Statement};
use crate::{
    domain::RoomEntry,
    event_store::{
        RoomDirectory, StoreError,
        insert_plan::{list_length, padded, repeated},
        rows::entry,
    },
};

#[async_trait]
impl RoomDirectory for MySqlStore {
    async fn directory(&self) -> Result<Vec<RoomEntry>, StoreError> {
        const SQL: &str = "/* directory */ SELECT room, name, kind, retired FROM rooms ORDER BY seq";
        let answer = self.run("directory", Statement::new(SQL)).await?;
        answer.rows.iter().map(|row| entry("directory", row)).collect()
    }

    async fn rooms_of_kinds(&self, kinds: &[String]) -> Result<Vec<RoomEntry>, StoreError> {
        let condition = "NOT retired AND kind";
        self.read_rooms("rooms_of_kinds", condition, kinds).await
    }

    async fn rooms_named(&self, names: &[String]) -> Result<Vec<RoomEntry>, StoreError> {
        self.read_rooms("rooms_named", "live_name", names).await
    }
}

impl MySqlStore {
    async fn read_rooms(
        &self,
        operation: &'static str,
        condition: &str,
        values: &[String],
    ) -> Result<Vec<RoomEntry>, StoreError> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let list = repeated("?", list_length(values.len()));
        let mut select = Statement::new(format!(
            "/* {operation} */ SELECT room, name, kind, retired FROM rooms WHERE {condition} IN ({list}) ORDER BY seq"
        ));
        for value in padded(&values) {
            select = select.bind(value);
        }
        let answer = self.run(operation, select).await?;
        answer.rows.iter().map(|row| entry(operation, row)).collect()
    }
}
