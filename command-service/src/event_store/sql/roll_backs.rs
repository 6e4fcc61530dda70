//! Plans of roll-backs.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Columns, Database, Statement, Value, read};
use crate::event_store::{RollBacks, StoreError};

#[async_trait]
impl<D: Database> RollBacks for D {
    async fn keep(&self, id: Uuid, part: u32, body: &[u8]) -> Result<(), StoreError> {
        let insert = format!("{} INTO roll_backs (id, part, body) VALUES (?,?,?)", D::INSERT_NEW);
        let insert = Statement::new(insert, [Value::Bytes(id.as_bytes()), part.into(), body.into()]);
        self.write("keep_plan", &insert).await.map(drop)
    }

    async fn parts(&self, id: Uuid) -> Result<Vec<Vec<u8>>, StoreError> {
        let select = "SELECT body FROM roll_backs WHERE id = ? ORDER BY part";
        let select = Statement::new(select, [Value::Bytes(id.as_bytes())]);
        read(self, "plan", select, |row| row.blob(0)).await
    }

    async fn steps(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        // A plan's head is an object.
        let select = Statement::new("SELECT body FROM roll_backs", []);
        let mut parts = read(self, "plans", select, |row| row.blob(0)).await?;
        parts.retain(|part| part.first() == Some(&b'['));
        Ok(parts)
    }
}
