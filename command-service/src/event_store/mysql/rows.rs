//! Columns of MySQL's rows.

use sqlx::{Decode, MySql, Row, Type, mysql::MySqlRow};

use crate::event_store::{StoreError, rows::Columns};

impl Columns for MySqlRow {
    fn number(&self, operation: &'static str, column: usize) -> Result<u64, StoreError> {
        get(operation, self, column)
    }

    fn integer(&self, operation: &'static str, column: usize) -> Result<i64, StoreError> {
        get(operation, self, column)
    }

    /// Read as bytes: the driver takes columns with a binary collation for bytes.
    fn text(&self, operation: &'static str, column: usize) -> Result<String, StoreError> {
        String::from_utf8(get(operation, self, column)?)
            .map_err(|error| StoreError::Inconsistent { operation, detail: error.to_string() })
    }

    fn bytes(&self, operation: &'static str, column: usize) -> Result<Option<&[u8]>, StoreError> {
        get(operation, self, column)
    }
}

/// A column of a row.
pub(super) fn get<'r, T: Decode<'r, MySql> + Type<MySql>>(
    operation: &'static str,
    row: &'r MySqlRow,
    column: usize,
) -> Result<T, StoreError> {
    row.try_get(column).map_err(|source| StoreError::Failed { operation, source: Box::new(source) })
}

/// A column of the first row; `None` when it is NULL or there is no row.
pub(super) fn first<'r, T: Decode<'r, MySql> + Type<MySql>>(
    operation: &'static str,
    rows: &'r [MySqlRow],
    column: usize,
) -> Result<Option<T>, StoreError> {
    rows.first().map_or(Ok(None), |row| get(operation, row, column))
}
