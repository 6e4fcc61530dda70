//! Rows of the binary log. Decodes the column types that the tables have, and nothing else: the driver's own rows allocate
//! a description of every column for every row.

use mysql_async::{
    binlog::events::{RowsEventData, TableMapEvent},
    consts::ColumnType,
};

/// A value of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Cell<'a> {
    Null,
    /// An integer of any width, with its sign lost.
    Number(u64),
    /// A text, or bytes.
    Bytes(&'a [u8]),
}

impl<'a> Cell<'a> {
    pub(super) fn number(&self) -> Result<u64, String> {
        match self {
            Self::Number(number) => Ok(*number),
            other => Err(format!("a number is expected, and not {other:?}")),
        }
    }

    pub(super) fn bytes(&self) -> Result<&'a [u8], String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            other => Err(format!("bytes are expected, and not {other:?}")),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|error| error.to_string())
    }

    /// The value of a `BINARY(N)`. The log leaves out the zeros at its end, as `Field_string::pack` of MySQL does.
    pub(super) fn fixed<const N: usize>(&self) -> Result<[u8; N], String> {
        let bytes = self.bytes()?;
        let mut fixed = [0; N];
        let filled = fixed.get_mut(..bytes.len());
        filled.ok_or_else(|| format!("{N} bytes are expected, and not {self:?}"))?.copy_from_slice(bytes);
        Ok(fixed)
    }
}

/// How the columns of a table are encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Shape(Vec<Encoding>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
    /// A little-endian integer of so many bytes.
    Integer(usize),
    /// Bytes behind a little-endian length of so many bytes.
    Prefixed(usize),
}

impl Shape {
    /// The shape of a table, or the first column that can't be decoded.
    pub(super) fn of(table: &TableMapEvent<'_>) -> Result<Self, String> {
        let columns = usize::try_from(table.columns_count()).map_err(|error| error.to_string())?;
        let encoding = |column| {
            let meta = table.get_column_metadata(column).unwrap_or_default();
            let byte = |at: usize| meta.get(at).copied().map_or(0, usize::from);
            let kind = table.get_column_type(column).map_err(|error| error.to_string())?;
            Ok(match kind {
                Some(ColumnType::MYSQL_TYPE_TINY) => Encoding::Integer(1),
                Some(ColumnType::MYSQL_TYPE_SHORT) => Encoding::Integer(2),
                Some(ColumnType::MYSQL_TYPE_LONG) => Encoding::Integer(4),
                Some(ColumnType::MYSQL_TYPE_LONGLONG) => Encoding::Integer(8),
                Some(ColumnType::MYSQL_TYPE_BLOB) => Encoding::Prefixed(byte(0)),
                // The longest length, in bytes, decides the width of the prefix.
                Some(ColumnType::MYSQL_TYPE_VARCHAR | ColumnType::MYSQL_TYPE_VAR_STRING) => {
                    Encoding::Prefixed(if byte(0) | byte(1) << 8 > 255 { 2 } else { 1 })
                }
                // Lengths above 255 have bits in the type.
                Some(ColumnType::MYSQL_TYPE_STRING) if byte(0) & 0x30 == 0x30 => Encoding::Prefixed(1),
                Some(ColumnType::MYSQL_TYPE_STRING) => Encoding::Prefixed(2),
                other => return Err(format!("column {column} has the type {other:?}")),
            })
        };
        (0..columns).map(encoding).collect::<Result<_, _>>().map(Self)
    }

    /// Calls `each` with the last image of each row: what it is after an insert or update.
    pub(super) fn each_row(
        &self,
        event: &RowsEventData<'_>,
        mut each: impl FnMut(&[Cell<'_>]) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut images = 0;
        for columns in [event.columns_before_image(), event.columns_after_image()].into_iter().flatten() {
            images += 1;
            if columns.iter().take(self.0.len()).any(|there| !*there) {
                return Err("a row is not whole: binlog_row_image is not FULL".to_owned());
            }
        }
        let mut bytes = event.rows_data();
        let mut cells = Vec::with_capacity(self.0.len());
        while !bytes.is_empty() {
            for _ in 0..images {
                cells.clear();
                let nulls = take(&mut bytes, self.0.len().div_ceil(8))?;
                for (column, encoding) in self.0.iter().enumerate() {
                    let null = nulls.get(column / 8).is_some_and(|byte| byte >> (column % 8) & 1 == 1);
                    cells.push(if null { Cell::Null } else { encoding.read(&mut bytes)? });
                }
            }
            each(&cells)?;
        }
        Ok(())
    }
}

impl Encoding {
    fn read<'a>(self, bytes: &mut &'a [u8]) -> Result<Cell<'a>, String> {
        Ok(match self {
            Self::Integer(width) => Cell::Number(integer(take(bytes, width)?)),
            Self::Prefixed(width) => {
                let length =
                    usize::try_from(integer(take(bytes, width)?)).map_err(|error| error.to_string())?;
                Cell::Bytes(take(bytes, length)?)
            }
        })
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or("a row ends too early")?;
    *bytes = rest;
    Ok(taken)
}

fn integer(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
