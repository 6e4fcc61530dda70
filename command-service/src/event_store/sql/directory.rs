//! The directory of rooms.

use async_trait::async_trait;
use shared_events::RoomId;

use super::{
    Columns, Database, Statement, Value, read,
    rows::entry,
    statements::{MAX_ROWS, list_length, padded, repeated},
};
use crate::{
    domain::{NameKey, RoomEntry},
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

    async fn rooms_named_like(
        &self,
        names: &[String],
        known: &[RoomId],
    ) -> Result<Vec<RoomEntry>, StoreError> {
        let keys: Vec<NameKey> = names.iter().map(|name| NameKey::of(name)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
        let rooms: Vec<&[u8]> = known.iter().map(|room| room.0.as_bytes().as_slice()).collect();
        let lists = [("name_key", &keys), ("room", &rooms)].into_iter().filter(|(_, list)| !list.is_empty());
        let one_of = |(column, list): (&str, &Vec<_>)| {
            format!("{column} IN ({})", repeated("?", list_length(list.len())))
        };
        let conditions: Vec<_> = lists.map(one_of).collect();
        if conditions.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT room, name, kind, retired FROM rooms WHERE retired = 0 AND ({}) ORDER BY seq",
            conditions.join(" OR ")
        );
        let select = Statement { sql, values: padded(&keys).chain(padded(&rooms)).map(Into::into).collect() };
        read(self, "rooms_named_like", select, entry).await
    }
}

fn case((room, key): &(RoomEntry, NameKey)) -> [Value<'_>; 3] {
    [(&room.room).into(), room.name.as_str().into(), key.0.as_slice().into()]
}

/// Computes the keys of names that have none, or one of another version of the rule. Of rooms whose names look alike already,
/// one gets a unique key, and the others keep their names without one.
pub(in crate::event_store) async fn fill_name_keys<D: Database>(database: &D) -> Result<(), StoreError> {
    const OPERATION: &str = "fill_name_keys";
    let select =
        "SELECT room, name, kind, retired, name_key, COALESCE(keyed_name = name, 0) FROM rooms ORDER BY seq";
    let rooms = read(database, OPERATION, Statement::new(select, []), |row| {
        Ok((entry(row)?, row.bytes(4)?.map(<[u8]>::to_vec), row.integer(5)?.is_some_and(|keyed| keyed != 0)))
    });
    let without_key = |(room, key, keyed): (RoomEntry, Option<Vec<u8>>, bool)| {
        let right = NameKey::of(&room.name);
        (!keyed || key.as_deref() != Some(right.0.as_slice())).then_some((room, right))
    };
    let rooms: Vec<_> = rooms.await?.into_iter().filter_map(without_key).collect();
    for piece in rooms.chunks(MAX_ROWS) {
        let (cases, list) =
            ("WHEN room = ? AND name = ? THEN ? ".repeat(piece.len()), repeated("?", piece.len()));
        let ids = || piece.iter().map(|(room, _)| Value::from(&room.room));
        let sql = format!(
            "UPDATE rooms SET keyed_name = NULL, name_key = CASE {cases}ELSE name_key END WHERE room IN ({list})"
        );
        let key = Statement { sql, values: piece.iter().flat_map(case).chain(ids()).collect() };
        database.write(OPERATION, &key).await?;
        let sql = format!("{} rooms SET keyed_name = name WHERE room IN ({list})", D::UPDATE_IF_UNIQUE);
        database.write(OPERATION, &Statement { sql, values: ids().collect() }).await?;
    }
    let select = "SELECT room, name, kind, retired FROM rooms WHERE retired = 0 AND keyed_name IS NULL";
    for room in read(database, OPERATION, Statement::new(select, []), entry).await? {
        tracing::warn!(room = %room.room, name = room.name, "another room has a name that looks like this one");
    }
    Ok(())
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
