//! Columns of SQLite's rows.

use sqlx::{Decode, Row, Sqlite, Type, sqlite::SqliteRow};

use super::unsigned;
use crate::event_store::{StoreError, rows::Columns};

impl Columns for SqliteRow {
    fn number(&self, operation: &'static str, column: usize) -> Result<u64, StoreError> {
        get(operation, self, column).map(unsigned)
    }

    fn integer(&self, operation: &'static str, column: usize) -> Result<i64, StoreError> {
        get(operation, self, column)
    }

    fn text(&self, operation: &'static str, column: usize) -> Result<String, StoreError> {
        get(operation, self, column)
    }

    fn bytes(&self, operation: &'static str, column: usize) -> Result<Option<&[u8]>, StoreError> {
        get(operation, self, column)
    }
}

fn get<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(
    operation: &'static str,
    row: &'r SqliteRow,
    column: usize,
) -> Result<T, StoreError> {
    row.try_get(column).map_err(|source| StoreError::Failed { operation, source: Box::new(source) })
}
