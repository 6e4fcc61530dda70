//! Reads the binary log from a place on.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::StreamExt;
use mysql_async::{
    BinlogStream, BinlogStreamRequest,
    binlog::{
        EventType,
        events::{Event, EventData, RowsEventData},
    },
    prelude::Queryable,
};
use shared_events::{RoomId, Timestamp};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    BinlogError, Entry, Place, Source, Transaction, check, event_anchor,
    rows::{Cell, Shape},
};
use crate::event_store::{StoredEvent, mysql::MySqlStore};

/// The server sends a heartbeat when nothing else comes for this long.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Without a message for this long the connection is dead.
const SILENCE: Duration = Duration::from_secs(10);
/// Most entries of a batch. A transaction of any size comes in batches.
const BATCH: usize = 500;
/// Batches that are read ahead.
const AHEAD: usize = 4;

/// Reads the binary log in a task of its own. Dropping it ends the task.
#[derive(Debug)]
pub struct BinlogReader {
    batches: mpsc::Receiver<Result<Vec<Entry>, BinlogError>>,
    server_uuid: String,
    _task: AbortOnDropHandle<()>,
}

impl BinlogReader {
    /// The server that it reads.
    #[must_use]
    pub fn server_uuid(&self) -> &str {
        &self.server_uuid
    }

    /// Waits for the next entries. A cancelled wait loses nothing.
    ///
    /// # Errors
    /// If the log can't be read any further.
    pub async fn next(&mut self) -> Result<Vec<Entry>, BinlogError> {
        let ended = || BinlogError::Unavailable("its reader has ended".to_owned());
        self.batches.recv().await.unwrap_or_else(|| Err(ended()))
    }
}

impl MySqlStore {
    /// Reads the binary log from a place on. The first transaction that matters must be the one that the place names.
    ///
    /// # Errors
    /// If the server does not have the place, or does not let it be read.
    pub async fn read_binlog(&self, place: &Place) -> Result<BinlogReader, BinlogError> {
        let mut connection = self.replica().await?;
        let (server_uuid, has_gtids) = check(&mut connection).await?;
        let by_gtid = has_gtids && !place.gtids.is_empty();
        if by_gtid {
            let sql = "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed), GTID_SUBSET(@@GLOBAL.gtid_purged, ?)";
            let gtids = place.gtids.to_string();
            let known: Option<(u8, u8)> = connection.exec_first(sql, (&gtids, &gtids)).await?;
            match known {
                Some((1, 1)) => {}
                Some((1, _)) => {
                    return Err(BinlogError::Lost("the server has purged what comes after it".to_owned()));
                }
                _ => {
                    return Err(BinlogError::Forked(
                        "the server lacks transactions that were relayed".to_owned(),
                    ));
                }
            }
        } else if server_uuid != place.server_uuid {
            return Err(BinlogError::Forked(
                "another server answers, and it has no GTIDs to compare".to_owned(),
            ));
        }
        let settings = format!(
            "SET @source_heartbeat_period = {0}, @master_heartbeat_period = {0}, SESSION net_write_timeout = 600",
            HEARTBEAT.as_nanos()
        );
        connection.query_drop(settings).await?;
        // A twin with the same id would end this reader.
        let request = BinlogStreamRequest::new(rand::random_range(1 << 30..u32::MAX));
        let sids = place.gtids.sids().map_err(BinlogError::Unavailable)?;
        let request = if by_gtid {
            request.with_gtid().with_gtid_set(sids)
        } else {
            request.with_filename(place.file.as_bytes()).with_pos(place.file_position)
        };
        let database = connection.opts().db_name().unwrap_or_default().to_owned();
        let stream = connection.get_binlog_stream(request).await?;
        let (sender, batches) = mpsc::channel(AHEAD);
        let decoder = Decoder {
            database,
            anchor: place.anchor.clone(),
            tables: HashMap::new(),
            file: Arc::from(place.file.as_str()),
            position: place.file_position,
            start: place.file_position,
            gtid: None,
            found: String::new(),
            batch: Vec::new(),
        };
        let task = tokio::spawn(async move {
            if let Err(error) = decoder.run(stream, &sender).await {
                // Fails if the reader was dropped.
                drop(sender.send(Err(error)).await);
            }
        });
        Ok(BinlogReader { batches, server_uuid, _task: AbortOnDropHandle::new(task) })
    }
}

/// A table of the event store whose rows matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Table {
    Events,
    Mode,
    HeldRooms,
}

struct Decoder {
    database: String,
    /// What the first transaction that matters must hold. Empty once it was seen.
    anchor: String,
    /// The tables by the log's ids, with their shapes; `None` for those that don't matter.
    tables: HashMap<u64, Option<(Table, Shape)>>,
    file: Arc<str>,
    /// The end of the last event in the file.
    position: u64,
    /// The start of the open transaction.
    start: u64,
    gtid: Option<(Source, u64)>,
    /// The anchor of the open transaction, so far.
    found: String,
    batch: Vec<Entry>,
}

/// What can't be decoded will not be decodable later either.
fn undecodable(error: impl std::fmt::Display) -> BinlogError {
    BinlogError::Unfit(format!("a row of the binary log can't be decoded: {error}"))
}

impl Decoder {
    async fn run(
        mut self,
        mut stream: BinlogStream,
        batches: &mpsc::Sender<Result<Vec<Entry>, BinlogError>>,
    ) -> Result<(), BinlogError> {
        loop {
            let next = timeout(SILENCE, stream.next()).await;
            let silent = |_| BinlogError::Unavailable("the server is silent".to_owned());
            let ended = || BinlogError::Unavailable("the server has ended the log".to_owned());
            let event = next.map_err(silent)?.ok_or_else(ended)??;
            let ends = self.decode(&stream, &event)?;
            // Nothing goes out before the log is known to be the same.
            if (ends || self.batch.len() >= BATCH) && self.anchor.is_empty() && !self.batch.is_empty() {
                let batch = std::mem::take(&mut self.batch);
                if batches.send(Ok(batch)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// Decodes an event of the log. Returns whether it ends a transaction.
    fn decode(&mut self, stream: &BinlogStream, event: &Event) -> Result<bool, BinlogError> {
        let header = event.header();
        let kind = header.event_type().unwrap_or(EventType::UNKNOWN_EVENT);
        let before = self.position;
        // Events within a compressed transaction, and those that the server makes up, have no position.
        if header.log_pos() > 0 && kind != EventType::HEARTBEAT_EVENT {
            self.position = header.log_pos().into();
        }
        match kind {
            EventType::GTID_EVENT | EventType::ANONYMOUS_GTID_EVENT | EventType::GTID_TAGGED_LOG_EVENT => {
                self.start = before;
                self.gtid = gtid(event)?;
            }
            EventType::ROTATE_EVENT => {
                if let Some(EventData::RotateEvent(rotate)) = event.read_data().map_err(undecodable)? {
                    self.file = Arc::from(rotate.name().as_ref());
                    self.position = rotate.position();
                }
            }
            EventType::WRITE_ROWS_EVENT
            | EventType::UPDATE_ROWS_EVENT
            | EventType::WRITE_ROWS_EVENT_V1
            | EventType::UPDATE_ROWS_EVENT_V1 => {
                if let Some(EventData::RowsEvent(rows)) = event.read_data().map_err(undecodable)? {
                    self.rows(
                        stream,
                        &rows,
                        matches!(kind, EventType::WRITE_ROWS_EVENT | EventType::WRITE_ROWS_EVENT_V1),
                    )?;
                }
            }
            EventType::XID_EVENT => return self.end().map(|()| true),
            EventType::QUERY_EVENT => {
                if let Some(EventData::QueryEvent(query)) = event.read_data().map_err(undecodable)?
                    && query.query_raw() != b"BEGIN"
                {
                    return self.end().map(|()| true);
                }
            }
            EventType::INCIDENT_EVENT => {
                return Err(BinlogError::Lost("the server reports that its log has a gap".to_owned()));
            }
            _ => {}
        }
        Ok(false)
    }

    fn rows(
        &mut self,
        stream: &BinlogStream,
        rows: &RowsEventData<'_>,
        inserted: bool,
    ) -> Result<(), BinlogError> {
        let id = rows.table_id();
        if !self.tables.contains_key(&id) {
            let map = stream.get_tme(id).ok_or_else(|| undecodable("its table is not described"))?;
            let table = match (map.database_name().as_ref() == self.database, map.table_name().as_ref()) {
                (true, "events") => Some(Table::Events),
                (true, "relay_mode") => Some(Table::Mode),
                (true, "held_rooms") => Some(Table::HeldRooms),
                _ => None,
            };
            let shape = table.map(|table| Ok((table, Shape::of(map)?))).transpose();
            self.tables.insert(id, shape.map_err(|error: String| undecodable(error))?);
        }
        let Some(Some((table, shape))) = self.tables.get(&id) else { return Ok(()) };
        let (batch, found) = (&mut self.batch, &mut self.found);
        let mut last = None;
        let decoded = shape.each_row(rows, |cells| {
            match table {
                // An update masks a person: what is sent is masked by the list.
                Table::Events if !inserted => {}
                Table::Events => {
                    batch.push(Entry::Event(stored_event(cells)?));
                    last = Some(batch.len());
                }
                Table::Mode => {
                    let (entry, anchor) = state(cells)?;
                    *found = anchor;
                    batch.push(entry);
                }
                Table::HeldRooms => {
                    if let Some((entry, anchor)) = released(cells)? {
                        *found = anchor;
                        batch.push(entry);
                    }
                }
            }
            Ok(())
        });
        decoded.map_err(undecodable)?;
        if let Some(Some(Entry::Event(event))) = last.map(|last| self.batch.get(last - 1)) {
            self.found = event_anchor(event.position, event.room, event.version, &event.payload);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), BinlogError> {
        let anchor = std::mem::take(&mut self.found);
        if !anchor.is_empty() && !self.anchor.is_empty() {
            if self.anchor != anchor {
                return Err(BinlogError::Forked(format!(
                    "{:?} was relayed here, {anchor:?} is there",
                    self.anchor
                )));
            }
            self.anchor.clear();
        }
        let (file, start, gtid) = (Arc::clone(&self.file), self.start, self.gtid.take());
        self.batch.push(Entry::End(Transaction { file, start, gtid, anchor }));
        Ok(())
    }
}

fn gtid(event: &Event) -> Result<Option<(Source, u64)>, BinlogError> {
    let data = event.read_data().map_err(undecodable)?;
    let Some(EventData::GtidEvent(gtid)) = data else { return Ok(None) };
    let uuid = Uuid::from_bytes(gtid.sid());
    let source = gtid.tag().map_or_else(|| uuid.to_string(), |tag| format!("{uuid}:{tag}"));
    Ok(Some((source, gtid.gno())))
}

/// A row of `events`. Columns that were added behind the known ones, for a connector, are passed over.
fn stored_event(cells: &[Cell<'_>]) -> Result<StoredEvent, String> {
    let [position, room, version, event_type, payload, metadata, recorded_at, ..] = cells else {
        return Err("the table events has fewer than seven columns".to_owned());
    };
    Ok(StoredEvent {
        position: position.number()?.into(),
        room: RoomId(Uuid::from_bytes(room.fixed()?)),
        version: version.number()?.into(),
        event_type: event_type.text()?.to_owned(),
        payload: payload.bytes()?.to_vec(),
        metadata: metadata.bytes()?.to_vec(),
        recorded_at: Timestamp::from_epoch_millis(recorded_at.number()?.cast_signed()),
    })
}

/// A row of `relay_mode`: id, phase, mode_epoch, phase_since, wanted, barrier, barrier_no, ...
fn state(cells: &[Cell<'_>]) -> Result<(Entry, String), String> {
    let [_, phase, epoch, _, _, barrier, barrier_no, ..] = cells else {
        return Err("the table relay_mode has too few columns".to_owned());
    };
    let (phase, epoch, barrier) = (phase.text()?.parse()?, epoch.number()?, barrier.number()?.into());
    let anchor = format!("state {epoch} {}", barrier_no.number()?);
    Ok((Entry::State { phase, epoch, barrier }, anchor))
}

/// A row of `held_rooms`, if it is a release: room, position, reason, held_at, released_to.
fn released(cells: &[Cell<'_>]) -> Result<Option<(Entry, String)>, String> {
    let [room, _, _, _, released_to, ..] = cells else {
        return Err("the table held_rooms has too few columns".to_owned());
    };
    if *released_to == Cell::Null {
        return Ok(None);
    }
    let (room, up_to) = (RoomId(Uuid::from_bytes(room.fixed()?)), released_to.number()?.into());
    let anchor = format!("release {room} {up_to}");
    Ok(Some((Entry::Released { room, up_to }, anchor)))
}
