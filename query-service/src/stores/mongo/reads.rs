//! The port, answered by MongoDB: writes are in their own modules, each read here is one command and uses an index.

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::{
    Cursor,
    bson::{Bson, Document, doc},
};
use shared_events::{Envelope, Interval, Minute, ReservationId, RoomId, Timestamp, UserId};

use super::{
    MongoReadModels,
    documents::{
        Stored, date, last_week, moment, number, to_history, to_parked, to_reservation, to_room,
        to_usage_days, to_usage_hours, uuid, week,
    },
};
use crate::{
    read_models::{
        Checkpoint, HistoryDoc, KindCount, ParkedMessage, ReservationDoc, RoomDoc, UsageDays, UsageHours,
    },
    stores::{Applied, ReadModels, RoomFilter, StoreError},
};

#[async_trait]
impl ReadModels for MongoReadModels {
    async fn checkpoints(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Checkpoint>, StoreError> {
        self.read_checkpoints(rooms).await
    }

    async fn apply(&self, batch: &[Envelope]) -> Result<Applied, StoreError> {
        self.apply_batch(batch).await
    }

    async fn park(&self, message: &ParkedMessage) -> Result<bool, StoreError> {
        self.park_room(message).await
    }

    async fn parked_message(&self, room: RoomId) -> Result<Option<ParkedMessage>, StoreError> {
        self.parked.find_one(doc! { "_id": uuid(room.0) }).await?.as_ref().map(to_parked).transpose()
    }

    async fn room(&self, room: RoomId) -> Result<Option<RoomDoc>, StoreError> {
        self.rooms.find_one(doc! { "_id": uuid(room.0) }).await?.as_ref().map(to_room).transpose()
    }

    async fn rooms_by_name(
        &self,
        filter: RoomFilter<'_>,
        after: Option<&(String, RoomId)>,
        limit: usize,
    ) -> Result<Vec<RoomDoc>, StoreError> {
        let mut wanted = doc! { "retired": false };
        if let Some(kind) = filter.kind {
            wanted.insert("settings.kind", kind);
        }
        if let Some(people) = filter.people {
            wanted.insert("settings.capacity", doc! { "$gte": i64::from(people) });
        }
        if let Some((name, room)) = after {
            wanted.insert("settings.name", doc! { "$gte": name });
            let later = [
                doc! { "settings.name": { "$gt": name } },
                doc! { "settings.name": name, "_id": { "$gt": uuid(room.0) } },
            ];
            wanted.insert("$or", later.to_vec());
        }
        let order = doc! { "settings.name": 1, "_id": 1 };
        all(self.rooms.find(wanted).sort(order).limit(bound(limit)).await?, to_room).await
    }

    async fn rooms_by_id(
        &self,
        kind: Option<&str>,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<RoomDoc>, StoreError> {
        let after = after.map_or(Bson::MinKey, |room| uuid(room.0));
        let mut wanted = doc! { "_id": { "$gt": after } };
        if let Some(kind) = kind {
            wanted.insert("settings.kind", kind);
        }
        all(self.rooms.find(wanted).sort(doc! { "_id": 1 }).limit(bound(limit)).await?, to_room).await
    }

    async fn kinds(&self, after: Option<&str>, limit: usize) -> Result<Vec<KindCount>, StoreError> {
        let mut wanted = doc! { "retired": false };
        if let Some(after) = after {
            wanted.insert("settings.kind", doc! { "$gt": after });
        }
        let steps = [
            doc! { "$match": wanted },
            doc! { "$group": { "_id": "$settings.kind", "rooms": { "$sum": 1 } } },
            doc! { "$sort": { "_id": 1 } },
            doc! { "$limit": bound(limit) },
        ];
        let to_kind = |doc: &Document| {
            let stored = Stored { collection: "rooms", doc };
            Ok(KindCount { kind: stored.text("_id")?, rooms: stored.integer("rooms")? })
        };
        all(self.rooms.aggregate(steps).await?, to_kind).await
    }

    async fn reservation(&self, reservation: ReservationId) -> Result<Option<ReservationDoc>, StoreError> {
        let found = self.reservations.find_one(doc! { "_id": uuid(reservation.0) }).await?;
        found.as_ref().map(to_reservation).transpose()
    }

    async fn live_in_room(
        &self,
        room: RoomId,
        during: Interval,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let mut wanted = overlapping(&[room], during);
        later_stays(&mut wanted, after);
        let order = doc! { "from": 1, "_id": 1 };
        all(self.reservations.find(wanted).sort(order).limit(bound(limit)).await?, to_reservation).await
    }

    async fn live_in_rooms(
        &self,
        rooms: &[RoomId],
        during: &[Interval],
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let mut found: HashMap<ReservationId, ReservationDoc> = HashMap::new();
        for interval in during {
            let cursor = self.reservations.find(overlapping(rooms, *interval)).await?;
            for doc in all(cursor, to_reservation).await? {
                found.insert(doc.reservation.id, doc);
            }
        }
        Ok(found.into_values().collect())
    }

    async fn occupied(&self, rooms: &[RoomId], during: Interval) -> Result<HashSet<RoomId>, StoreError> {
        let steps = [doc! { "$match": overlapping(rooms, during) }, doc! { "$group": { "_id": "$room" } }];
        let to_id = |doc: &Document| Ok(RoomId(Stored { collection: "reservations", doc }.uuid("_id")?));
        Ok(all(self.reservations.aggregate(steps).await?, to_id).await?.into_iter().collect())
    }

    async fn live_of_user(
        &self,
        user: &UserId,
        from: Option<Minute>,
        to: Option<Minute>,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let mut wanted = doc! { "user": user.0.as_str(), "live": true };
        if let Some(from) = from {
            wanted.insert("to", doc! { "$gt": date(from) });
        }
        if let Some(to) = to {
            wanted.insert("from", doc! { "$lt": date(to) });
        }
        later_stays(&mut wanted, after);
        let order = doc! { "from": 1, "_id": 1 };
        all(self.reservations.find(wanted).sort(order).limit(bound(limit)).await?, to_reservation).await
    }

    async fn history_of_user(
        &self,
        user: &UserId,
        after: Option<(Timestamp, RoomId, u64)>,
        limit: usize,
    ) -> Result<Vec<HistoryDoc>, StoreError> {
        let mut wanted = doc! { "user": user.0.as_str() };
        if let Some((at, room, version)) = after {
            let (at, room) = (moment(at), uuid(room.0));
            wanted.insert("at", doc! { "$lte": at.clone() });
            let earlier = vec![
                doc! { "at": { "$lt": at.clone() } },
                doc! { "at": at.clone(), "room": { "$lt": room.clone() } },
                doc! { "at": at, "room": room, "version": { "$lt": number(version) } },
            ];
            wanted.insert("$or", earlier);
        }
        let order = doc! { "at": -1, "room": -1, "version": -1 };
        all(self.history.find(wanted).sort(order).limit(bound(limit)).await?, to_history).await
    }

    async fn usage_days(
        &self,
        rooms: &[RoomId],
        years: RangeInclusive<i32>,
    ) -> Result<Vec<UsageDays>, StoreError> {
        let found = self.usage.find(usage_of(rooms, &years)).projection(doc! { "hours": 0 }).await?;
        all(found, to_usage_days).await
    }

    async fn usage_hours(
        &self,
        rooms: &[RoomId],
        years: RangeInclusive<i32>,
    ) -> Result<Vec<UsageHours>, StoreError> {
        let without = doc! { "minutes": 0, "starts": 0 };
        all(self.usage.find(usage_of(rooms, &years)).projection(without).await?, to_usage_hours).await
    }
}

/// Live reservations of rooms that overlap an interval, found by the weeks that both touch.
fn overlapping(rooms: &[RoomId], during: Interval) -> Document {
    doc! {
        "room": { "$in": ids(rooms) },
        "live": true,
        "weeks": { "$elemMatch": { "$gte": week(during.from), "$lte": last_week(during.to) } },
        "from": { "$lt": date(during.to) },
        "to": { "$gt": date(during.from) },
    }
}

/// Narrows a search to what comes after a place in the order of `from` and id.
fn later_stays(wanted: &mut Document, after: Option<(Minute, ReservationId)>) {
    let Some((from, id)) = after else { return };
    // The bound lets an index begin there, whatever else is asked of `from`.
    let later = vec![
        doc! { "from": { "$gt": date(from) } },
        doc! { "from": date(from), "_id": { "$gt": uuid(id.0) } },
    ];
    wanted.insert("$and", vec![doc! { "from": { "$gte": date(from) } }, doc! { "$or": later }]);
}

fn usage_of(rooms: &[RoomId], years: &RangeInclusive<i32>) -> Document {
    doc! { "room": { "$in": ids(rooms) }, "year": { "$gte": *years.start(), "$lte": *years.end() } }
}

fn ids(rooms: &[RoomId]) -> Vec<Bson> {
    rooms.iter().map(|room| uuid(room.0)).collect()
}

fn bound(limit: usize) -> i64 {
    // MongoDB takes 0 for no limit at all.
    i64::try_from(limit).unwrap_or(i64::MAX).max(1)
}

async fn all<T>(
    mut cursor: Cursor<Document>,
    read: impl Fn(&Document) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    while let Some(document) = cursor.try_next().await? {
        found.push(read(&document)?);
    }
    Ok(found)
}
