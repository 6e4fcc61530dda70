//! Stored documents: ids are binary UUIDs and times are dates, so that an operator can read them. They are written as
//! bytes, without trees of values.
//!
//! All guarded values lie in one field, `form`, whose first value grows with each form of the document. `$max` keeps the
//! newer form, because it compares embedded documents field by field.

use mongodb::bson::{
    Binary, Bson, DateTime, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf,
    raw::{CStr, RawBinaryRef, cstr},
    serialize_to_raw_document_buf,
    spec::BinarySubtype,
};
use shared_events::{
    Closure, Minute, Offsets, Place, Reservation, RoomId, Timestamp, Version, names::sort_key,
};
use uuid::Uuid;

use super::packing::{pack, pack_people, unpack, unpack_people};
use crate::{
    read_models::{
        Change, ClosureDoc, HistoryDoc, HistoryKind, ParkedMessage, ReservationDoc, RoomDoc, Rules, UsageDoc,
        UsageKey,
        history::{Part, weeks},
        usage::{DAYS, HOURS},
    },
    stores::StoreError,
};

pub(super) fn uuid(id: Uuid) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: id.as_bytes().to_vec() })
}

fn raw_uuid(id: &Uuid) -> RawBsonRef<'_> {
    RawBsonRef::Binary(RawBinaryRef { subtype: BinarySubtype::Uuid, bytes: id.as_bytes() })
}

pub(super) fn date(minute: Minute) -> DateTime {
    moment(minute.start())
}

pub(super) fn moment(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.epoch_millis())
}

/// Versions stay far below 2^63.
pub(super) fn number(value: impl Into<u64>) -> i64 {
    i64::try_from(value.into()).unwrap_or(i64::MAX)
}

fn raw_bytes(bytes: &[u8]) -> RawBsonRef<'_> {
    RawBsonRef::Binary(RawBinaryRef { subtype: BinarySubtype::Generic, bytes })
}

/// The guarded field.
pub(super) const FORM: &CStr = cstr!("form");
const ID: &CStr = cstr!("_id");

/// A document that only its newer form replaces.
#[derive(Debug)]
pub(super) struct Guarded {
    /// Only `_id`, which finds the document.
    id: RawDocumentBuf,
    /// Begins with a number that grows with each form.
    form: RawDocumentBuf,
}

impl Guarded {
    /// `newness` grows with each form of the document.
    fn new<'a>(id: impl Into<RawBsonRef<'a>>, count: &CStr, newness: impl Into<u64>) -> Self {
        let (mut id_alone, mut form) = (RawDocumentBuf::new(), RawDocumentBuf::new());
        id_alone.append(ID, id.into());
        form.append(count, number(newness));
        Self { id: id_alone, form }
    }

    /// The whole document, for a command that inserts it.
    pub(super) fn document(&self) -> RawDocumentBuf {
        let mut document = self.id.clone();
        document.append(FORM, RawBsonRef::Document(&self.form));
        document
    }

    /// The statement of an update command that leaves the newer of two forms.
    pub(super) fn statement(&self) -> RawDocumentBuf {
        let mut statement = RawDocumentBuf::new();
        statement.append(cstr!("q"), RawBsonRef::Document(self.filter()));
        statement.append(cstr!("u"), RawBsonRef::Document(&self.update()));
        statement.append(cstr!("upsert"), true);
        statement
    }

    /// The filter that finds the document.
    pub(super) fn filter(&self) -> &RawDocument {
        &self.id
    }

    /// The update that leaves the newer of two forms.
    pub(super) fn update(&self) -> RawDocumentBuf {
        let (mut newer, mut update) = (RawDocumentBuf::new(), RawDocumentBuf::new());
        newer.append(FORM, RawBsonRef::Document(&self.form));
        update.append(cstr!("$max"), RawBsonRef::Document(&newer));
        update
    }
}

pub(super) fn usage_id(key: UsageKey) -> String {
    format!("{}/{}/{}", key.room, key.month, key.zone)
}

pub(super) fn from_room(room: &RoomDoc) -> Result<Guarded, StoreError> {
    let mut guarded = Guarded::new(raw_uuid(&room.room.0), cstr!("version"), room.version);
    guarded.form.append(cstr!("sort"), sort_key(&room.settings.name));
    append_room(&mut guarded.form, room)?;
    Ok(guarded)
}

fn append_room(stored: &mut RawDocumentBuf, room: &RoomDoc) -> Result<(), StoreError> {
    let settings = serialize_to_raw_document_buf(&room.settings)
        .map_err(|error| StoreError::Unreadable { collection: "rooms", reason: error.to_string() })?;
    stored.append(cstr!("revision"), i64::from(room.revision));
    stored.append(cstr!("retired"), room.retired);
    stored.append(cstr!("recordedAt"), moment(room.recorded_at));
    stored.append(cstr!("settings"), settings);
    Ok(())
}

fn append_place(stored: &mut RawDocumentBuf, place: Place) {
    stored.append(cstr!("room"), raw_uuid(&place.room.0));
    stored.append(cstr!("timeZone"), place.time_zone.0.name());
    stored.append(cstr!("from"), date(place.from));
    stored.append(cstr!("to"), date(place.to));
}

fn append_values(stored: &mut RawDocumentBuf, reservation: &Reservation) {
    stored.append(cstr!("revision"), i64::from(reservation.revision));
    append_place(stored, reservation.place());
    if let Some(Offsets { from, to }) = reservation.offsets {
        stored.append(cstr!("fromOffset"), from.seconds());
        stored.append(cstr!("toOffset"), to.seconds());
    }
    if let Some(busy) = reservation.busy {
        stored.append(cstr!("busyFrom"), date(busy.from));
        stored.append(cstr!("busyTo"), date(busy.to));
    }
    stored.append(cstr!("people"), i64::from(reservation.people));
    stored.append(cstr!("user"), reservation.reserved_by.as_str());
    if let Some(title) = &reservation.title {
        stored.append(cstr!("title"), title.as_str());
    }
    if let Some(reserved_for) = &reservation.reserved_for {
        stored.append(cstr!("reservedFor"), reserved_for.as_str());
    }
    if let Some(booked_by) = &reservation.booked_by {
        stored.append(cstr!("bookedBy"), booked_by.as_str());
    }
    if let Some(series) = &reservation.series {
        stored.append(cstr!("series"), raw_uuid(&series.0));
    }
}

pub(super) fn from_reservation(doc: &ReservationDoc) -> Guarded {
    let reservation = &doc.reservation;
    let mut guarded = Guarded::new(raw_uuid(&reservation.id.0), cstr!("rank"), doc.rank());
    guarded.form.append(cstr!("live"), doc.is_live());
    // A stay is indexed by the weeks that it keeps busy: most have one or two entries, and a search of a day or a month reads
    // little else.
    let mut touched = RawArrayBuf::new();
    for week in weeks(reservation.busy_interval()) {
        touched.push(week);
    }
    guarded.form.append(cstr!("weeks"), touched);
    if let Some(version) = doc.version {
        guarded.form.append(cstr!("version"), number(version));
    }
    append_values(&mut guarded.form, reservation);
    guarded
}

/// A closure's document: its id is the room and the closure.
pub(super) fn from_closure(doc: &ClosureDoc) -> Guarded {
    let Closure { id, room, .. } = &doc.closure;
    let bytes = [room.0.as_bytes().as_slice(), id.0.as_bytes()].concat();
    let mut guarded = Guarded::new(raw_bytes(&bytes), cstr!("version"), doc.version);
    guarded.form.append(cstr!("live"), doc.is_live());
    if let Some(at) = doc.lifted_at {
        guarded.form.append(cstr!("liftedAt"), moment(at));
    }
    append_closure(&mut guarded.form, &doc.closure);
    guarded
}

fn append_closure(stored: &mut RawDocumentBuf, closure: &Closure) {
    stored.append(cstr!("closure"), raw_uuid(&closure.id.0));
    stored.append(cstr!("room"), raw_uuid(&closure.room.0));
    stored.append(cstr!("from"), date(closure.from));
    stored.append(cstr!("to"), date(closure.to));
    stored.append(cstr!("reason"), closure.reason.as_str());
    if let Some(kind) = &closure.kind {
        stored.append(cstr!("kind"), kind.as_str());
    }
    stored.append(cstr!("all"), closure.all);
}

/// An entry's id: the room and version of its event, most significant byte first, so that ids sort by both.
pub(super) fn history_id(room: RoomId, version: Version) -> Binary {
    let bytes = [room.0.as_bytes().as_slice(), &version.get().to_be_bytes()].concat();
    Binary { subtype: BinarySubtype::Generic, bytes }
}

/// Bytes of the room in an entry's id.
pub(super) const ROOM_ID: usize = 16;

/// The field of an entry with the parts of its room that its event touches.
pub(super) const PARTS: &str = "parts";

/// A part of a room, as it is stored: a number or a word.
pub(super) fn part(part: Part) -> Bson {
    match part {
        Part::Settings => Bson::String("settings".to_owned()),
        Part::Closures => Bson::String("closures".to_owned()),
        Part::Week(week) => Bson::Int64(week),
    }
}

pub(super) fn from_history(entry: &HistoryDoc) -> Result<RawDocumentBuf, StoreError> {
    let mut stored = RawDocumentBuf::new();
    stored.append(ID, history_id(entry.room, entry.version));
    // The first one did it. Entries that are in nobody's history are hidden from the index of people.
    let mut people = RawArrayBuf::new();
    entry.people().for_each(|person| people.push(person.as_str()));
    if people.is_empty() {
        stored.append(cstr!("by"), entry.by.as_str());
    } else {
        stored.append(cstr!("people"), people);
    }
    stored.append(cstr!("at"), moment(entry.at));
    stored.append(cstr!("recordedAt"), moment(entry.recorded_at));
    let mut parts = RawArrayBuf::new();
    for touched in entry.parts() {
        match touched {
            Part::Settings => parts.push("settings"),
            Part::Closures => parts.push("closures"),
            Part::Week(week) => parts.push(week),
        }
    }
    stored.append(cstr!("parts"), parts);
    let (what, reservation, previous) = match &entry.change {
        Change::Reservation { what, reservation, previous } => (what, reservation, previous),
        Change::Room(form) => {
            let mut room = RawDocumentBuf::new();
            append_room(&mut room, form)?;
            stored.append(cstr!("room"), room);
            return Ok(stored);
        }
        Change::Closure { closure, lifted } => {
            let mut values = RawDocumentBuf::new();
            append_closure(&mut values, closure);
            stored.append(cstr!("closure"), values);
            stored.append(cstr!("lifted"), *lifted);
            return Ok(stored);
        }
    };
    let what = match what {
        HistoryKind::Made => "made",
        HistoryKind::Changed => "changed",
        HistoryKind::Moved => "moved",
        HistoryKind::Cancelled => "cancelled",
        HistoryKind::Restored => "restored",
    };
    stored.append(cstr!("what"), what);
    let mut values = RawDocumentBuf::new();
    values.append(cstr!("id"), raw_uuid(&reservation.id.0));
    append_values(&mut values, reservation);
    stored.append(cstr!("reservation"), values);
    if let Some(place) = previous {
        let mut previous = RawDocumentBuf::new();
        append_place(&mut previous, *place);
        stored.append(cstr!("previous"), previous);
    }
    Ok(stored)
}

/// A usage document with packed tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PackedUsage {
    pub(super) key: UsageKey,
    pub(super) rules: Rules,
    pub(super) version: Version,
    pub(super) minutes: Vec<u8>,
    pub(super) stays: Vec<u8>,
    pub(super) people: Vec<u8>,
}

impl PackedUsage {
    pub(super) fn pack(usage: &UsageDoc) -> Self {
        Self {
            key: usage.key,
            rules: usage.rules.clone(),
            version: usage.version,
            minutes: pack(&usage.minutes),
            stays: pack(&usage.stays),
            people: pack_people(&usage.people),
        }
    }

    pub(super) fn unpack(&self) -> Result<UsageDoc, StoreError> {
        let table = |packed| unpack(packed, DAYS * HOURS).ok_or_else(|| unreadable_table(self.key));
        Ok(UsageDoc {
            key: self.key,
            rules: self.rules.clone(),
            version: self.version,
            minutes: table(&self.minutes)?,
            stays: table(&self.stays)?,
            people: unpack_people(&self.people).ok_or_else(|| unreadable_table(self.key))?,
        })
    }

    /// Whether it is counted by the rules of this process.
    pub(super) fn is_current(&self) -> bool {
        self.rules == self.key.rules()
    }

    pub(super) fn guarded(&self) -> Guarded {
        let mut guarded = Guarded::new(usage_id(self.key).as_str(), cstr!("version"), self.version);
        guarded.form.append(cstr!("room"), raw_uuid(&self.key.room.0));
        guarded.form.append(cstr!("month"), self.key.month.code());
        guarded.form.append(cstr!("zone"), self.key.zone.0.name());
        guarded.form.append(cstr!("rules"), self.rules.as_str());
        guarded.form.append(cstr!("minutes"), raw_bytes(&self.minutes));
        guarded.form.append(cstr!("stays"), raw_bytes(&self.stays));
        guarded.form.append(cstr!("people"), raw_bytes(&self.people));
        guarded
    }
}

fn unreadable_table(key: UsageKey) -> StoreError {
    StoreError::Unreadable { collection: "usage", reason: format!("{}: a packed table", usage_id(key)) }
}

pub(super) fn from_parked(message: &ParkedMessage) -> RawDocumentBuf {
    let mut headers = RawArrayBuf::new();
    for (name, value) in &message.headers {
        let mut header = RawDocumentBuf::new();
        header.append(cstr!("name"), name.as_str());
        header.append(cstr!("value"), raw_bytes(value));
        headers.push(header);
    }
    let mut stored = RawDocumentBuf::new();
    stored.append(ID, raw_uuid(&message.room.0));
    stored.append(cstr!("version"), number(message.version));
    stored.append(cstr!("reason"), message.reason.as_str());
    stored.append(cstr!("at"), moment(message.at));
    stored.append(cstr!("headers"), headers);
    stored.append(cstr!("payload"), raw_bytes(&message.payload));
    stored
}
