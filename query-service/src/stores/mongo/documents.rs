//! Documents as they are stored: ids as binary UUIDs, times as dates, so that an operator can read them.

use mongodb::bson::{
    Binary, Bson, DateTime, Document, deserialize_from_bson, doc, serialize_to_bson, spec::BinarySubtype,
};
use shared_events::{Minute, Place, Reservation, ReservationId, RoomId, TimeZone, Timestamp, UserId};
use uuid::Uuid;

use super::packing::{pack, pack_wide, unpack, unpack_wide};
use crate::{
    read_models::{
        HistoryDoc, HistoryKind, ParkedMessage, ReservationDoc, RoomDoc, Status, UsageDays, UsageDoc,
        UsageHours, UsageKey,
        usage::{DAYS, HOURS},
    },
    stores::StoreError,
};

/// Stays are found by the weeks that they touch: one or two entries in an index for most of them, and a search of a
/// day or a month reads little else.
const MINUTES_OF_WEEK: i64 = 7 * 24 * 60;

/// The number of the week, counted from 1970, in which a minute lies.
pub(super) fn week(minute: Minute) -> i64 {
    minute.epoch_minutes().div_euclid(MINUTES_OF_WEEK)
}

/// The week of the last minute before `end`.
pub(super) fn last_week(end: Minute) -> i64 {
    (end.epoch_minutes() - 1).div_euclid(MINUTES_OF_WEEK)
}

pub(super) fn uuid(id: Uuid) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: id.as_bytes().to_vec() })
}

pub(super) fn date(minute: Minute) -> Bson {
    moment(minute.start())
}

pub(super) fn moment(time: Timestamp) -> Bson {
    Bson::DateTime(DateTime::from_millis(time.epoch_millis()))
}

/// Versions stay far below 2^63.
pub(super) fn number(value: u64) -> Bson {
    Bson::Int64(i64::try_from(value).unwrap_or(i64::MAX))
}

fn bytes(bytes: Vec<u8>) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes })
}

pub(super) fn usage_id(key: UsageKey) -> String {
    format!("{}/{}/{}", key.room, key.year, key.zone)
}

pub(super) fn from_room(room: &RoomDoc) -> Result<Document, StoreError> {
    let settings = serialize_to_bson(&room.settings)
        .map_err(|error| StoreError::Unreadable { collection: "rooms", reason: error.to_string() })?;
    Ok(doc! {
        "_id": uuid(room.room.0),
        "version": number(room.version),
        "revision": i64::from(room.revision),
        "retired": room.retired,
        "settings": settings,
    })
}

fn from_values(reservation: &Reservation) -> Document {
    let mut values = doc! {
        "revision": i64::from(reservation.revision),
        "room": uuid(reservation.room.0),
        "timeZone": reservation.time_zone.to_string(),
        "from": date(reservation.from),
        "to": date(reservation.to),
        "people": i64::from(reservation.people),
        "user": reservation.reserved_by.0.as_str(),
    };
    if let Some(title) = &reservation.title {
        values.insert("title", title.as_str());
    }
    if let Some(reserved_for) = &reservation.reserved_for {
        values.insert("reservedFor", reserved_for.as_str());
    }
    values
}

pub(super) fn from_reservation(doc: &ReservationDoc) -> Document {
    let reservation = &doc.reservation;
    let mut stored = doc! {
        "_id": uuid(reservation.id.0),
        "rank": number(doc.rank()),
        "live": doc.is_live(),
        "weeks": (week(reservation.from)..=last_week(reservation.to)).collect::<Vec<_>>(),
    };
    if let Some(version) = doc.version {
        stored.insert("version", number(version));
    }
    stored.extend(from_values(reservation));
    stored
}

pub(super) fn from_history(entry: &HistoryDoc) -> Document {
    let mut reservation = doc! { "id": uuid(entry.reservation.id.0) };
    reservation.extend(from_values(&entry.reservation));
    let mut stored = doc! {
        "_id": entry.id(),
        "room": uuid(entry.room.0),
        "version": number(entry.version),
        "user": entry.user.0.as_str(),
        "at": moment(entry.at),
        "what": match entry.what {
            HistoryKind::Made => "made",
            HistoryKind::Changed => "changed",
            HistoryKind::Moved => "moved",
            HistoryKind::Cancelled => "cancelled",
        },
        "reservation": reservation,
    };
    if let Some(place) = &entry.previous {
        let previous = doc! {
            "room": uuid(place.room.0),
            "timeZone": place.time_zone.to_string(),
            "from": date(place.from),
            "to": date(place.to),
        };
        stored.insert("previous", previous);
    }
    stored
}

pub(super) fn from_usage(usage: &UsageDoc) -> Document {
    doc! {
        "_id": usage_id(usage.key),
        "version": number(usage.version),
        "room": uuid(usage.key.room.0),
        "year": usage.key.year,
        "zone": usage.key.zone.to_string(),
        "hours": bytes(pack(&usage.hours)),
        "minutes": bytes(pack_wide(&usage.minutes)),
        "starts": bytes(pack_wide(&usage.starts)),
    }
}

pub(super) fn from_parked(message: &ParkedMessage) -> Document {
    let headers: Vec<Document> = message
        .headers
        .iter()
        .map(|(name, value)| doc! { "name": name.as_str(), "value": bytes(value.clone()) })
        .collect();
    doc! {
        "_id": uuid(message.room.0),
        "version": number(message.version),
        "reason": message.reason.as_str(),
        "at": moment(message.at),
        "headers": headers,
        "payload": bytes(message.payload.clone()),
    }
}

/// Reads fields of a stored document.
pub(super) struct Stored<'a> {
    pub(super) collection: &'static str,
    pub(super) doc: &'a Document,
}

impl Stored<'_> {
    fn unreadable(&self, field: &str) -> StoreError {
        let id = self.doc.get("_id").map(ToString::to_string).unwrap_or_default();
        StoreError::Unreadable { collection: self.collection, reason: format!("{id}: field {field}") }
    }

    fn field<T>(&self, name: &str, read: impl FnOnce(&Bson) -> Option<T>) -> Result<T, StoreError> {
        self.doc.get(name).and_then(read).ok_or_else(|| self.unreadable(name))
    }

    pub(super) fn integer<T: TryFrom<i64>>(&self, name: &str) -> Result<T, StoreError> {
        self.field(name, |value| match value {
            Bson::Int32(value) => T::try_from(i64::from(*value)).ok(),
            Bson::Int64(value) => T::try_from(*value).ok(),
            _ => None,
        })
    }

    fn flag(&self, name: &str) -> Result<bool, StoreError> {
        self.field(name, Bson::as_bool)
    }

    pub(super) fn text(&self, name: &str) -> Result<String, StoreError> {
        self.field(name, |value| value.as_str().map(str::to_owned))
    }

    fn optional_text(&self, name: &str) -> Result<Option<String>, StoreError> {
        if self.doc.contains_key(name) { self.text(name).map(Some) } else { Ok(None) }
    }

    pub(super) fn uuid(&self, name: &str) -> Result<Uuid, StoreError> {
        self.field(name, |value| match value {
            Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes }) => Uuid::from_slice(bytes).ok(),
            _ => None,
        })
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.field(name, |value| match value {
            Bson::Binary(binary) => Some(binary.bytes.clone()),
            _ => None,
        })
    }

    /// A packed table with a value for each day.
    fn days(&self, name: &str) -> Result<Vec<u16>, StoreError> {
        self.field(name, |value| match value {
            Bson::Binary(binary) => unpack_wide(&binary.bytes, DAYS),
            _ => None,
        })
    }

    /// A packed table with a value for each hour of each day.
    fn hours(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.field(name, |value| match value {
            Bson::Binary(binary) => unpack(&binary.bytes, DAYS * HOURS),
            _ => None,
        })
    }

    fn moment(&self, name: &str) -> Result<Timestamp, StoreError> {
        self.field(name, |value| match value {
            Bson::DateTime(time) => Some(Timestamp::from_epoch_millis(time.timestamp_millis())),
            _ => None,
        })
    }

    fn minute(&self, name: &str) -> Result<Minute, StoreError> {
        self.moment(name).map(Timestamp::minute)
    }

    fn zone(&self, name: &str) -> Result<TimeZone, StoreError> {
        self.field(name, |value| value.as_str()?.parse().ok())
    }

    fn part(&self, name: &str) -> Result<Stored<'_>, StoreError> {
        match self.doc.get(name) {
            Some(Bson::Document(doc)) => Ok(Stored { collection: self.collection, doc }),
            _ => Err(self.unreadable(name)),
        }
    }

    fn values(&self, id: &str) -> Result<Reservation, StoreError> {
        Ok(Reservation {
            id: ReservationId(self.uuid(id)?),
            revision: self.integer("revision")?,
            room: RoomId(self.uuid("room")?),
            time_zone: self.zone("timeZone")?,
            from: self.minute("from")?,
            to: self.minute("to")?,
            people: self.integer("people")?,
            title: self.optional_text("title")?,
            reserved_for: self.optional_text("reservedFor")?,
            reserved_by: UserId(self.text("user")?),
        })
    }

    fn usage_key(&self) -> Result<UsageKey, StoreError> {
        Ok(UsageKey {
            room: RoomId(self.uuid("room")?),
            zone: self.zone("zone")?,
            year: self.integer("year")?,
        })
    }
}

pub(super) fn to_room(doc: &Document) -> Result<RoomDoc, StoreError> {
    let stored = Stored { collection: "rooms", doc };
    let settings = doc.get("settings").cloned().unwrap_or(Bson::Null);
    Ok(RoomDoc {
        room: RoomId(stored.uuid("_id")?),
        revision: stored.integer("revision")?,
        settings: deserialize_from_bson(settings).map_err(|_| stored.unreadable("settings"))?,
        retired: stored.flag("retired")?,
        version: stored.integer("version")?,
    })
}

pub(super) fn to_reservation(doc: &Document) -> Result<ReservationDoc, StoreError> {
    let stored = Stored { collection: "reservations", doc };
    Ok(ReservationDoc {
        reservation: stored.values("_id")?,
        status: if stored.flag("live")? { Status::Live } else { Status::Cancelled },
        version: if doc.contains_key("version") { Some(stored.integer("version")?) } else { None },
    })
}

pub(super) fn to_history(doc: &Document) -> Result<HistoryDoc, StoreError> {
    let stored = Stored { collection: "history", doc };
    let previous = if doc.contains_key("previous") {
        let place = stored.part("previous")?;
        Some(Place {
            room: RoomId(place.uuid("room")?),
            time_zone: place.zone("timeZone")?,
            from: place.minute("from")?,
            to: place.minute("to")?,
        })
    } else {
        None
    };
    Ok(HistoryDoc {
        room: RoomId(stored.uuid("room")?),
        version: stored.integer("version")?,
        user: UserId(stored.text("user")?),
        at: stored.moment("at")?,
        what: stored.field("what", |what| match what.as_str()? {
            "made" => Some(HistoryKind::Made),
            "changed" => Some(HistoryKind::Changed),
            "moved" => Some(HistoryKind::Moved),
            "cancelled" => Some(HistoryKind::Cancelled),
            _ => None,
        })?,
        reservation: stored.part("reservation")?.values("id")?,
        previous,
    })
}

pub(super) fn to_usage(doc: &Document) -> Result<UsageDoc, StoreError> {
    let UsageDays { key, minutes, starts } = to_usage_days(doc)?;
    let UsageHours { hours, .. } = to_usage_hours(doc)?;
    let version = Stored { collection: "usage", doc }.integer("version")?;
    Ok(UsageDoc { key, version, hours, minutes, starts })
}

pub(super) fn to_usage_days(doc: &Document) -> Result<UsageDays, StoreError> {
    let stored = Stored { collection: "usage", doc };
    Ok(UsageDays {
        key: stored.usage_key()?,
        minutes: stored.days("minutes")?,
        starts: stored.days("starts")?,
    })
}

pub(super) fn to_usage_hours(doc: &Document) -> Result<UsageHours, StoreError> {
    let stored = Stored { collection: "usage", doc };
    Ok(UsageHours { key: stored.usage_key()?, hours: stored.hours("hours")? })
}

pub(super) fn to_parked(doc: &Document) -> Result<ParkedMessage, StoreError> {
    let stored = Stored { collection: "parked", doc };
    let mut headers = Vec::new();
    for header in stored.field("headers", |value| value.as_array().cloned())? {
        let header = header.as_document().ok_or_else(|| stored.unreadable("headers"))?;
        let header = Stored { collection: "parked", doc: header };
        headers.push((header.text("name")?, header.bytes("value")?));
    }
    Ok(ParkedMessage {
        room: RoomId(stored.uuid("_id")?),
        version: stored.integer("version")?,
        reason: stored.text("reason")?,
        at: stored.moment("at")?,
        headers,
        payload: stored.bytes("payload")?,
    })
}
