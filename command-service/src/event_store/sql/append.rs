//! The parts of an append that are the same in both databases: the order of its rows, and its statements.

use shared_events::{RawEvent, RoomId, Timestamp, Version};

use super::{Columns, Database, RowError, Statement, Value, read, statements::repeated};
use crate::{
    domain::{NameKey, RoomEntry},
    event_store::{
        AppendError, Group, KeyId, KeyKind, NewKey, Phase, Position, ReplacedKey, StoreError, WriterForm,
        bucket,
    },
};

pub(in crate::event_store) const OPERATION: &str = "append_events";

/// Changes a room of the directory, or adds it if there was nothing to change. A name that the room had before there were keys
/// stays without a unique key until it is changed.
pub(in crate::event_store) fn room_writes<'a>(entry: &'a RoomEntry, key: &'a NameKey) -> [Statement<'a>; 2] {
    let (key, name, kind) = (key.0.as_slice().into(), entry.name.as_str().into(), entry.kind.as_str().into());
    let (retired, room) = (entry.retired.into(), (&entry.room).into());
    // MySQL assigns from left to right: the name last.
    let update = "UPDATE rooms SET name_key = ?, keyed_name = CASE WHEN name = ? THEN keyed_name ELSE ? END, \
                  name = ?, kind = ?, retired = ? WHERE room = ?";
    let insert = "INSERT INTO rooms (name_key, keyed_name, name, kind, retired, room) VALUES (?,?,?,?,?,?)";
    [
        Statement::new(update, [key, name, name, name, kind, retired, room]),
        Statement::new(insert, [key, name, name, kind, retired, room]),
    ]
}

/// A group's events in the order in which they are written.
pub(in crate::event_store) struct Plan<'a> {
    /// By (room, version), so that groups that write the same rooms lock them in the same order.
    pub(in crate::event_store) events: Vec<PlannedEvent<'a>>,
    /// For each stream that exists already, the version before its first new one.
    pub(in crate::event_store) heads: Vec<(RoomId, Version)>,
}

pub(in crate::event_store) struct PlannedEvent<'a> {
    pub(in crate::event_store) event: &'a RawEvent,
    /// Index in [`Group::events`].
    index: usize,
    metadata: Vec<u8>,
}

impl<'a> Plan<'a> {
    /// Fails if a stream has a gap within the group.
    pub(in crate::event_store) fn new(group: &'a Group) -> Result<Self, AppendError> {
        let planned = |(index, event): (usize, &'a RawEvent)| {
            let metadata = serde_json::to_vec(&event.metadata);
            let metadata = metadata.map_err(|error| inconsistent(format!("metadata: {error}")))?;
            Ok(PlannedEvent { event, index, metadata })
        };
        let mut events = group.events.iter().enumerate().map(planned).collect::<Result<Vec<_>, _>>()?;
        events.sort_by_key(|planned| (planned.event.room, planned.event.version));
        let mut heads = Vec::new();
        for stream in events.chunk_by(|one, next| one.event.room == next.event.room) {
            let [PlannedEvent { event: first, .. }, later @ ..] = stream else { continue };
            let mut adjoining = stream.iter().zip(later);
            let head = first.version.previous();
            let head =
                head.filter(|_| adjoining.all(|(one, next)| next.event.version == one.event.version.next()));
            match head {
                Some(Version::NONE) => {}
                Some(head) => heads.push((first.room, head)),
                None => return Err(inconsistent("a stream has a gap within a group")),
            }
        }
        Ok(Self { events, heads })
    }
}

impl PlannedEvent<'_> {
    /// Its size in a statement, about.
    pub(in crate::event_store) fn bytes(&self) -> usize {
        self.event.payload.len() + self.metadata.len() + 64
    }
}

/// The state of the store in which a transaction begins.
pub(in crate::event_store) struct Begun {
    /// Epoch of the list of erased persons. It stays the same until the transaction ends.
    epoch: u64,
    /// Heads that must be there.
    expected: usize,
    /// Those of them that are there.
    found: u64,
    /// The store's time.
    pub(in crate::event_store) now: Timestamp,
    /// Whether the events get outbox rows. The phase stays the same until the transaction ends.
    pub(in crate::event_store) in_outbox: bool,
}

/// Reads the form of writing.
pub(in crate::event_store) async fn writer_form<D: Database>(database: &D) -> Result<WriterForm, StoreError> {
    const OPERATION: &str = "writer_form";
    let select = Statement::text(format!("SELECT {} FROM {} WHERE id = 1", D::mode(), D::STATE));
    let forms = read(database, OPERATION, select, |row| row.number(1)).await?;
    Ok(forms.first().copied().map_or(WriterForm::FIRST, WriterForm))
}

impl Begun {
    /// The statement that reads it. A version that is left out could never be filled later, so each stream must go on where
    /// it ends. (The unique key makes sure that no other writer has taken the next version.)
    pub(in crate::event_store) fn select<D: Database>(heads: &[(RoomId, Version)]) -> String {
        // Text, so that any number of heads is one statement. Numbers and hexadecimal digits need no escaping.
        let list: Vec<_> =
            heads.iter().map(|(room, version)| format!("(x'{}',{version})", room.0.simple())).collect();
        let found = match list.as_slice() {
            [] => "0".to_owned(),
            list => format!(
                "(SELECT COUNT(*) FROM events WHERE (stream_id, version) IN ({}{}))",
                D::ROW_LIST,
                list.join(",")
            ),
        };
        format!("SELECT epoch, {found}, {}, {} FROM {} WHERE id = 1", D::NOW, D::mode(), D::STATE)
    }

    pub(in crate::event_store) fn read(rows: &[impl Columns], expected: usize) -> Result<Self, AppendError> {
        let row = rows.first().ok_or_else(|| inconsistent("there is no list of erased persons"))?;
        let read = || {
            let now = row.time(2)?;
            let (phase, form) = (row.text(3)?, row.number(4)?);
            Ok((
                Self { epoch: row.number(0)?, expected, found: row.count(1)?, now, in_outbox: true },
                phase,
                form,
            ))
        };
        let (begun, phase, form) = read().map_err(|RowError(detail)| inconsistent(detail))?;
        if form > WriterForm::KNOWN.0 {
            return Err(of_a_later_build(format!("the store needs the form of writing {form}")));
        }
        let phase: Phase = phase.parse().map_err(of_a_later_build)?;
        Ok(Self { in_outbox: phase.has_outbox_rows(), ..begun })
    }

    /// The same state, if the group can be written in it.
    pub(in crate::event_store) fn check(self, group: &Group) -> Result<Self, AppendError> {
        if self.epoch != group.erasures {
            Err(AppendError::Erased)
        } else if usize::try_from(self.found) != Ok(self.expected) {
            Err(inconsistent("the version before a stream's first new one is not there"))
        } else {
            Ok(self)
        }
    }

    /// Inserts the outbox rows of a group.
    pub(in crate::event_store) fn insert_outbox(
        &self,
        events: &[PlannedEvent<'_>],
        positions: &[Position],
    ) -> Option<TextStatement> {
        let row = |planned: &PlannedEvent<'_>| {
            let position = positions.get(planned.index);
            position.map(|position| format!("({position},{})", bucket(planned.event.room)))
        };
        let events = if self.in_outbox { events } else { &[] };
        let rows: Vec<_> = events.iter().filter_map(row).collect();
        TextStatement::new("outbox (position, bucket)", &rows, "version")
    }
}

/// Inserts events, recorded now or at their own later times. The database assigns positions in the order of the rows.
pub(in crate::event_store) fn insert_events<'a>(
    events: &'a [PlannedEvent<'_>],
    now: Timestamp,
) -> Statement<'a> {
    let values = repeated("(?,?,?,?,?,?)", events.len());
    let sql = format!(
        "INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) VALUES {values}"
    );
    let row = move |PlannedEvent { event, metadata, .. }: &'a PlannedEvent<'_>| -> [Value<'a>; 6] {
        [
            (&event.room).into(),
            event.version.into(),
            event.event_type.as_ref().into(),
            event.payload.as_slice().into(),
            metadata.as_slice().into(),
            event.recorded_at.max(now).epoch_millis().into(),
        ]
    };
    Statement { sql, values: events.iter().flat_map(row).collect() }
}

/// Notes the positions of inserted events in the order of the group.
pub(in crate::event_store) fn place(
    positions: &mut [Position],
    events: &[PlannedEvent<'_>],
    first: u64,
    step: u64,
) {
    let mut position = first;
    for event in events {
        if let Some(slot) = positions.get_mut(event.index) {
            *slot = position.into();
        }
        position += step;
    }
}

/// A statement without values.
pub(in crate::event_store) struct TextStatement {
    pub(in crate::event_store) sql: String,
    /// The meaning of a duplicate in it.
    pub(in crate::event_store) unique: &'static str,
}

impl TextStatement {
    fn new(table: &str, rows: &[String], unique: &'static str) -> Option<Self> {
        let sql = || format!("INSERT INTO {table} VALUES {}", rows.join(","));
        (!rows.is_empty()).then(|| Self { sql: sql(), unique })
    }
}

/// The table of the records of a kind.
pub(super) const fn key_table(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Request => "idempotency_keys",
        KeyKind::ImportLine => "import_keys",
    }
}

/// Inserts the idempotency records of this kind of a group, in the order of their ids.
pub(in crate::event_store) fn insert_keys(
    kind: KeyKind,
    keys: &[NewKey],
    positions: &[Position],
    now: Timestamp,
) -> Option<TextStatement> {
    let mut keys: Vec<_> = keys.iter().filter(|key| key.kind == kind).collect();
    keys.sort_by_key(|key| key.id);
    let position_of = |event: Option<usize>| {
        event.and_then(|at| positions.get(at)).map_or_else(|| "NULL".to_owned(), Position::to_string)
    };
    let row = |key: &&NewKey| {
        let (id, fingerprint) = (hexadecimal(&key.id.0), hexadecimal(&key.fingerprint));
        let (position, other) = (position_of(key.event), position_of(key.other_event));
        let outcome = key.outcome.as_deref().map_or_else(|| "NULL".to_owned(), hexadecimal);
        format!("({id},{fingerprint},{position},{other},{outcome},{})", now.epoch_millis())
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    let table = format!("{} (id, fingerprint, position, other_position, outcome, made_at)", key_table(kind));
    TextStatement::new(&table, &rows, "key")
}

/// Deletes the idempotency records that records of this group replace, in the order of their ids. Where another writer was
/// first, nothing is deleted, and the insert of the new record finds a duplicate.
pub(in crate::event_store) fn delete_replaced_keys(keys: &[NewKey]) -> Option<TextStatement> {
    let mut keys: Vec<_> = keys.iter().filter_map(|key| Some((key.id, key.replaces.as_ref()?))).collect();
    keys.sort_by_key(|(id, _)| *id);
    let row = |(id, replaced): &(KeyId, &ReplacedKey)| {
        let (id, fingerprint) = (hexadecimal(&id.0), hexadecimal(&replaced.fingerprint));
        format!(
            "(id = {id} AND fingerprint = {fingerprint} AND outcome = {})",
            hexadecimal(&replaced.outcome)
        )
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    let table = key_table(KeyKind::ImportLine);
    let sql = || format!("DELETE FROM {table} WHERE {}", rows.join(" OR "));
    (!rows.is_empty()).then(|| TextStatement { sql: sql(), unique: "key" })
}

/// Bytes as a literal.
fn hexadecimal(bytes: &[u8]) -> String {
    let mut literal = String::with_capacity(2 * bytes.len() + 3);
    literal.push_str("x'");
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    literal.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
    literal.push('\'');
    literal
}

/// Instances of the later build can go on.
fn of_a_later_build(why: String) -> AppendError {
    AppendError::Transient(StoreError::Unavailable { operation: OPERATION, source: why.into() })
}

fn inconsistent(detail: impl Into<String>) -> AppendError {
    AppendError::Permanent(StoreError::Inconsistent { operation: OPERATION, detail: detail.into() })
}
