//! Conditions of queries.

use mongodb::bson::{Bson, Document, doc};
use shared_events::{Interval, RoomId};

use super::documents::{date, uuid};
use crate::read_models::history::weeks;

/// Live reservations of rooms that overlap an interval, found by the weeks that both touch.
pub(super) fn overlapping(rooms: &[RoomId], during: Interval) -> Document {
    let weeks = weeks(during);
    doc! {
        "form.room": { "$in": ids(rooms) },
        "form.live": true,
        "form.weeks": { "$elemMatch": { "$gte": weeks.start(), "$lte": weeks.end() } },
        "form.from": { "$lt": date(during.to) },
        "form.to": { "$gt": date(during.from) },
    }
}

/// Closures of rooms that overlap an interval, lifted ones too.
pub(super) fn closures_during(rooms: &[RoomId], during: Interval) -> Document {
    doc! {
        "form.room": { "$in": ids(rooms) },
        "form.from": { "$lt": date(during.to) },
        "form.to": { "$gt": date(during.from) },
    }
}

/// Live reservations with buffers that keep rooms busy in an interval.
pub(super) fn keeping_busy(rooms: &[RoomId], during: Interval) -> Document {
    let weeks = weeks(during);
    doc! {
        "form.room": { "$in": ids(rooms) },
        "form.live": true,
        "form.weeks": { "$elemMatch": { "$gte": weeks.start(), "$lte": weeks.end() } },
        "form.busyFrom": { "$exists": true, "$lt": date(during.to) },
        "form.busyTo": { "$gt": date(during.from) },
    }
}

pub(super) fn ids(rooms: &[RoomId]) -> Vec<Bson> {
    rooms.iter().map(|room| uuid(room.0)).collect()
}
