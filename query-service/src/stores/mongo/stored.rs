//! Reads stored documents from their bytes.

use mongodb::bson::{
    Bson, RawBsonRef, RawDocument, deserialize_from_slice, raw::RawBinaryRef, spec::BinarySubtype,
};
use shared_events::{
    Closure, ClosureId, Interval, Minute, Offsets, Place, Reservation, ReservationId, RoomId, SeriesId,
    TimeZone, Timestamp, UserId, Version, time_zone::UtcOffset,
};
use uuid::Uuid;

use super::documents::{FORM, PackedUsage, ROOM_ID};
use crate::{
    read_models::{
        Change, ClosureDoc, HistoryDoc, HistoryKind, ParkedMessage, ReservationDoc, RoomDoc, Rules, Status,
        UsageKey, usage::Month,
    },
    stores::StoreError,
};

/// The fields of a stored document, from one pass over its bytes.
pub(super) struct Stored<'a> {
    collection: &'static str,
    fields: Vec<(&'a str, RawBsonRef<'a>)>,
}

impl<'a> Stored<'a> {
    pub(super) fn read(collection: &'static str, document: &'a RawDocument) -> Result<Self, StoreError> {
        let mut fields = Vec::with_capacity(16);
        for field in document {
            let (name, value) =
                field.map_err(|error| StoreError::Unreadable { collection, reason: error.to_string() })?;
            fields.push((name.as_str(), value));
        }
        Ok(Self { collection, fields })
    }

    fn unreadable(&self, field: &str) -> StoreError {
        let id = self.get("_id").map(|id| format!("{id:?}")).unwrap_or_default();
        StoreError::Unreadable { collection: self.collection, reason: format!("{id}: field {field}") }
    }

    fn get(&self, name: &str) -> Option<RawBsonRef<'a>> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| *value)
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a str, RawBsonRef<'a>)> {
        self.fields.iter().copied()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn field<T>(&self, name: &str, read: impl FnOnce(RawBsonRef<'a>) -> Option<T>) -> Result<T, StoreError> {
        self.get(name).and_then(read).ok_or_else(|| self.unreadable(name))
    }

    pub(super) fn integer<T: TryFrom<i64>>(&self, name: &str) -> Result<T, StoreError> {
        self.field(name, to_integer)
    }

    /// The version of a room's stream.
    pub(super) fn version(&self) -> Result<Version, StoreError> {
        self.integer::<u64>("version").map(Version::from)
    }

    /// A list of integers.
    pub(super) fn integers<T: TryFrom<i64>>(&self, name: &str) -> Result<Vec<T>, StoreError> {
        let list = self.field(name, RawBsonRef::as_array)?;
        let read = |value: Result<_, _>| value.ok().and_then(to_integer);
        list.into_iter().map(|value| read(value).ok_or_else(|| self.unreadable(name))).collect()
    }

    /// The document's id, whatever it is.
    pub(super) fn id(&self) -> Result<Bson, StoreError> {
        self.field("_id", |id| Bson::try_from(id).ok())
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, StoreError> {
        self.field(name, RawBsonRef::as_bool)
    }

    fn str(&self, name: &str) -> Result<&'a str, StoreError> {
        self.field(name, RawBsonRef::as_str)
    }

    pub(super) fn text(&self, name: &str) -> Result<String, StoreError> {
        self.str(name).map(str::to_owned)
    }

    fn optional_text(&self, name: &str) -> Result<Option<String>, StoreError> {
        if self.has(name) { self.text(name).map(Some) } else { Ok(None) }
    }

    pub(super) fn uuid(&self, name: &str) -> Result<Uuid, StoreError> {
        self.field(name, |value| match value.as_binary()? {
            RawBinaryRef { subtype: BinarySubtype::Uuid, bytes } => Uuid::from_slice(bytes).ok(),
            _ => None,
        })
    }

    fn bytes(&self, name: &str) -> Result<&'a [u8], StoreError> {
        self.field(name, |value| value.as_binary().map(|binary| binary.bytes))
    }

    pub(super) fn moment(&self, name: &str) -> Result<Timestamp, StoreError> {
        self.field(name, |value| Some(Timestamp::from_epoch_millis(value.as_datetime()?.timestamp_millis())))
    }

    fn minute(&self, name: &str) -> Result<Minute, StoreError> {
        self.moment(name).map(Timestamp::minute)
    }

    fn zone(&self, name: &str) -> Result<TimeZone, StoreError> {
        self.field(name, |value| value.as_str()?.parse().ok())
    }

    /// The first of a list of users.
    fn first_user(&self, name: &str) -> Result<UserId, StoreError> {
        self.field(name, |list| UserId::new(list.as_array()?.into_iter().next()?.ok()?.as_str()?).ok())
    }

    fn user(&self, name: &str) -> Result<UserId, StoreError> {
        self.field(name, |value| UserId::new(value.as_str()?).ok())
    }

    pub(super) fn part(&self, name: &str) -> Result<Stored<'a>, StoreError> {
        Stored::read(self.collection, self.field(name, RawBsonRef::as_document)?)
    }

    /// The fields, each a document, by name.
    pub(super) fn parts(&self) -> Result<Vec<(&'a str, Stored<'a>)>, StoreError> {
        let part = |(name, value): &(&'a str, RawBsonRef<'a>)| {
            let document = value.as_document().ok_or_else(|| self.unreadable(name))?;
            Ok((*name, Stored::read(self.collection, document)?))
        };
        self.fields.iter().map(part).collect()
    }

    /// The room and version of an entry's event.
    fn event(&self) -> Result<(RoomId, Version), StoreError> {
        self.field("_id", |id| {
            let (room, version) = id.as_binary()?.bytes.split_first_chunk::<ROOM_ID>()?;
            Some((RoomId(Uuid::from_bytes(*room)), u64::from_be_bytes(version.try_into().ok()?).into()))
        })
    }

    /// The guarded field.
    fn form(&self) -> Result<Stored<'a>, StoreError> {
        self.part(FORM.as_str())
    }

    fn place(&self) -> Result<Place, StoreError> {
        Ok(Place {
            room: RoomId(self.uuid("room")?),
            time_zone: self.zone("timeZone")?,
            from: self.minute("from")?,
            to: self.minute("to")?,
        })
    }

    fn busy(&self) -> Result<Interval, StoreError> {
        Ok(Interval { from: self.minute("busyFrom")?, to: self.minute("busyTo")? })
    }

    fn offsets(&self) -> Result<Offsets, StoreError> {
        let offset =
            |name: &str| UtcOffset::from_seconds(self.integer(name)?).map_err(|_| self.unreadable(name));
        Ok(Offsets { from: offset("fromOffset")?, to: offset("toOffset")? })
    }

    fn values(&self, id: Uuid) -> Result<Reservation, StoreError> {
        let Place { room, time_zone, from, to } = self.place()?;
        Ok(Reservation {
            id: ReservationId(id),
            revision: self.integer("revision")?,
            room,
            time_zone,
            from,
            to,
            offsets: if self.has("fromOffset") { Some(self.offsets()?) } else { None },
            busy: if self.has("busyFrom") { Some(self.busy()?) } else { None },
            people: self.integer("people")?,
            title: self.optional_text("title")?,
            reserved_for: self.optional_text("reservedFor")?,
            reserved_by: self.user("user")?,
            booked_by: if self.has("bookedBy") { Some(self.user("bookedBy")?) } else { None },
            series: if self.has("series") { Some(SeriesId(self.uuid("series")?)) } else { None },
        })
    }

    fn room(&self, room: RoomId, version: Version) -> Result<RoomDoc, StoreError> {
        let settings = self.field("settings", RawBsonRef::as_document)?;
        Ok(RoomDoc {
            room,
            revision: self.integer("revision")?,
            settings: deserialize_from_slice(settings.as_bytes()).map_err(|_| self.unreadable("settings"))?,
            retired: self.flag("retired")?,
            version,
            recorded_at: self.moment("recordedAt")?,
        })
    }

    fn closure(&self) -> Result<Closure, StoreError> {
        Ok(Closure {
            id: ClosureId(self.uuid("closure")?),
            room: RoomId(self.uuid("room")?),
            from: self.minute("from")?,
            to: self.minute("to")?,
            reason: self.text("reason")?,
            kind: self.optional_text("kind")?,
            all: self.flag("all")?,
        })
    }

    fn usage_key(&self) -> Result<UsageKey, StoreError> {
        Ok(UsageKey { room: RoomId(self.uuid("room")?), zone: self.zone("zone")?, month: self.month()? })
    }

    fn month(&self) -> Result<Month, StoreError> {
        Month::of_code(self.integer("month")?).ok_or_else(|| self.unreadable("month"))
    }

    /// Older documents have none.
    fn rules(&self) -> Result<Rules, StoreError> {
        Ok(Rules::stored(if self.has("rules") { self.str("rules")? } else { "" }))
    }
}

/// A zone, a month, and rules by which usage of both is counted.
pub(super) fn to_rules(doc: &RawDocument) -> Result<(TimeZone, Month, Rules), StoreError> {
    let group = Stored::read("usage", doc)?.part("_id")?;
    Ok((group.zone("zone")?, group.month()?, group.rules()?))
}

fn to_integer<T: TryFrom<i64>>(value: RawBsonRef<'_>) -> Option<T> {
    match value {
        RawBsonRef::Int32(value) => T::try_from(i64::from(value)).ok(),
        RawBsonRef::Int64(value) => T::try_from(value).ok(),
        _ => None,
    }
}

pub(super) fn to_room(doc: &RawDocument) -> Result<RoomDoc, StoreError> {
    let stored = Stored::read("rooms", doc)?;
    let form = stored.form()?;
    form.room(RoomId(stored.uuid("_id")?), form.version()?)
}

pub(super) fn to_reservation(doc: &RawDocument) -> Result<ReservationDoc, StoreError> {
    let stored = Stored::read("reservations", doc)?;
    let form = stored.form()?;
    Ok(ReservationDoc {
        reservation: form.values(stored.uuid("_id")?)?,
        status: if form.flag("live")? { Status::Live } else { Status::Cancelled },
        version: if form.has("version") { Some(form.version()?) } else { None },
    })
}

pub(super) fn to_closure(doc: &RawDocument) -> Result<ClosureDoc, StoreError> {
    let form = Stored::read("closures", doc)?.form()?;
    let lifted_at = if form.has("liftedAt") { Some(form.moment("liftedAt")?) } else { None };
    Ok(ClosureDoc { closure: form.closure()?, lifted_at, version: form.version()? })
}

pub(super) fn to_history(doc: &RawDocument) -> Result<HistoryDoc, StoreError> {
    let stored = Stored::read("history", doc)?;
    let (room, version) = stored.event()?;
    let change = if stored.has("room") {
        Change::Room(Box::new(stored.part("room")?.room(room, version)?))
    } else if stored.has("closure") {
        let closure = Box::new(stored.part("closure")?.closure()?);
        Change::Closure { closure, lifted: stored.flag("lifted")? }
    } else {
        let reservation = stored.part("reservation")?;
        Change::Reservation {
            what: stored.field("what", |what| match what.as_str()? {
                "made" => Some(HistoryKind::Made),
                "changed" => Some(HistoryKind::Changed),
                "moved" => Some(HistoryKind::Moved),
                "cancelled" => Some(HistoryKind::Cancelled),
                "restored" => Some(HistoryKind::Restored),
                _ => None,
            })?,
            reservation: reservation.values(reservation.uuid("id")?)?,
            previous: if stored.has("previous") { Some(stored.part("previous")?.place()?) } else { None },
        }
    };
    let by = if stored.has("people") { stored.first_user("people") } else { stored.user("by") }?;
    let (at, recorded_at) = (stored.moment("at")?, stored.moment("recordedAt")?);
    Ok(HistoryDoc { room, version, by, at, recorded_at, change })
}

/// The version of an entry, and when its event was recorded.
pub(super) fn to_recorded_version(doc: &RawDocument) -> Result<(u64, Timestamp), StoreError> {
    let stored = Stored::read("history", doc)?;
    Ok((stored.event()?.1.get(), stored.moment("recordedAt")?))
}

/// The revision of an entry's reservation, and when its event was recorded.
pub(super) fn to_recorded_revision(doc: &RawDocument) -> Result<(u64, Timestamp), StoreError> {
    let stored = Stored::read("history", doc)?;
    Ok((stored.part("reservation")?.integer("revision")?, stored.moment("recordedAt")?))
}

pub(super) fn to_usage(doc: &RawDocument) -> Result<PackedUsage, StoreError> {
    let form = Stored::read("usage", doc)?.form()?;
    Ok(PackedUsage {
        key: form.usage_key()?,
        rules: form.rules()?,
        version: form.version()?,
        minutes: form.bytes("minutes")?.to_vec(),
        stays: form.bytes("stays")?.to_vec(),
        people: form.bytes("people")?.to_vec(),
    })
}

pub(super) fn to_parked(doc: &RawDocument) -> Result<ParkedMessage, StoreError> {
    let stored = Stored::read("parked", doc)?;
    let mut headers = Vec::new();
    for header in stored.field("headers", RawBsonRef::as_array)? {
        let header = header.ok().and_then(RawBsonRef::as_document);
        let header = Stored::read("parked", header.ok_or_else(|| stored.unreadable("headers"))?)?;
        headers.push((header.text("name")?, header.bytes("value")?.to_vec()));
    }
    Ok(ParkedMessage {
        room: RoomId(stored.uuid("_id")?),
        version: stored.version()?,
        reason: stored.text("reason")?,
        at: stored.moment("at")?,
        headers,
        payload: stored.bytes("payload")?.to_vec(),
    })
}
