//! Queries. Each is one command, and each but kinds uses an index.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use mongodb::{
    Cursor,
    bson::{Bson, Document, RawDocument, RawDocumentBuf, doc},
    options::Hint,
};
use shared_events::{
    ClosureId, Interval, Minute, ReservationId, RoomId, TimeZone, Timestamp, UserId, Version, names::sort_key,
};

use super::{
    MongoReadModels,
    conditions::{closures_during, ids, keeping_busy, overlapping},
    documents::{PARTS, date, history_id, moment, uuid},
    stored::{Stored, to_closure, to_history, to_reservation, to_room, to_usage},
};
use crate::{
    projections::LONGEST_STAY,
    read_models::{
        ClosureDoc, HistoryDoc, KindCount, Parked, ReservationDoc, RoomDoc, RoomDocuments, UsageDoc,
        history::{Booked, weeks},
        usage::Month,
    },
    stores::{Checkpoints, Queries, RoomFilter, StoreError},
};

/// Reservations that one command reads.
pub(super) const IDS_AT_ONCE: usize = 1000;

#[async_trait]
impl Queries for MongoReadModels {
    fn for_this_thread(&self) -> Option<Arc<dyn Queries>> {
        let own = self.connection.for_this_thread();
        let own = own.inspect_err(|error| tracing::warn!(%error, "a thread shares the connections"));
        Some(Arc::new(Self::over(own.ok()?, &self.prefix)))
    }

    async fn room(&self, room: RoomId) -> Result<Option<RoomDoc>, StoreError> {
        let found = self.rooms.collection.find_one(doc! { "_id": uuid(room.0) }).await?;
        found.as_deref().map(to_room).transpose()
    }

    async fn rooms(&self, rooms: &[RoomId]) -> Result<Vec<RoomDoc>, StoreError> {
        all(self.rooms.collection.find(doc! { "_id": { "$in": ids(rooms) } }).await?, to_room).await
    }

    async fn rooms_by_name(
        &self,
        filter: &RoomFilter,
        after: Option<&(String, RoomId)>,
        limit: usize,
    ) -> Result<Vec<RoomDoc>, StoreError> {
        let mut wanted = doc! { "form.retired": false };
        match filter.kinds.as_slice() {
            [] => {}
            [kind] => drop(wanted.insert("form.settings.kind", kind)),
            kinds => drop(wanted.insert("form.settings.kind", doc! { "$in": kinds })),
        }
        for (name, value) in [("building", &filter.building), ("floor", &filter.floor)] {
            if let Some(value) = value {
                wanted.insert(format!("form.settings.{name}"), value);
            }
        }
        if !filter.attributes.is_empty() {
            wanted.insert("form.settings.attributes", doc! { "$all": &filter.attributes });
        }
        if let Some(people) = filter.people {
            wanted.insert("form.settings.capacity", doc! { "$gte": i64::from(people) });
        }
        if let Some((name, room)) = after {
            let place = sort_key(name);
            wanted.insert("form.sort", doc! { "$gte": &place });
            let later = [
                doc! { "form.sort": { "$gt": &place } },
                doc! { "form.sort": &place, "_id": { "$gt": uuid(room.0) } },
            ];
            wanted.insert("$or", later.to_vec());
        }
        let order = doc! { "form.sort": 1, "_id": 1 };
        all(self.rooms.collection.find(wanted).sort(order).limit(bound(limit)).await?, to_room).await
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
            wanted.insert("form.settings.kind", kind);
        }
        all(self.rooms.collection.find(wanted).sort(doc! { "_id": 1 }).limit(bound(limit)).await?, to_room)
            .await
    }

    async fn kinds(&self) -> Result<Vec<KindCount>, StoreError> {
        let steps = [
            doc! { "$match": { "form.retired": false } },
            doc! { "$group": { "_id": "$form.settings.kind", "rooms": { "$sum": 1 } } },
        ];
        let to_kind = |doc: &RawDocument| {
            let stored = Stored::read("rooms", doc)?;
            Ok(KindCount { kind: stored.text("_id")?, rooms: stored.integer("rooms")? })
        };
        // All rooms count, and the server reads the grouped field faster from documents than from an index.
        let in_stored_order = Hint::Keys(doc! { "$natural": 1 });
        let groups = self.rooms.collection.aggregate(steps).hint(in_stored_order);
        let mut kinds = all(groups.with_type::<RawDocumentBuf>().await?, to_kind).await?;
        kinds.sort_by_cached_key(KindCount::sort_key);
        Ok(kinds)
    }

    async fn parked_rooms(&self) -> Result<BTreeMap<RoomId, Parked>, StoreError> {
        let all = self.all_checkpoints().await?.into_iter();
        Ok(all.filter_map(|(room, checkpoint)| Some((room, checkpoint.parked?))).collect())
    }

    async fn reservation(&self, reservation: ReservationId) -> Result<Option<ReservationDoc>, StoreError> {
        let found = self.reservations.collection.find_one(doc! { "_id": uuid(reservation.0) }).await?;
        found.as_deref().map(to_reservation).transpose()
    }

    async fn live_in_room(
        &self,
        room: RoomId,
        during: Interval,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        self.stays(overlapping(&[room], during), after, limit).await
    }

    async fn live_in_rooms(
        &self,
        rooms: &[RoomId],
        during: &[Interval],
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let of_each = during.iter().map(async |interval| {
            all(self.reservations.collection.find(overlapping(rooms, *interval)).await?, to_reservation).await
        });
        let found = try_join_all(of_each).await?.into_iter().flatten();
        let by_id: HashMap<_, _> = found.map(|doc| (doc.reservation.id, doc)).collect();
        Ok(by_id.into_values().collect())
    }

    async fn live_in_some(
        &self,
        rooms: &[RoomId],
        during: Interval,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let found = self.reservations.collection.find(overlapping(rooms, during)).limit(bound(limit));
        all(found.await?, to_reservation).await
    }

    async fn occupied(&self, rooms: &[(RoomId, Interval)]) -> Result<HashSet<RoomId>, StoreError> {
        // Rooms with the same buffers have the same interval.
        let mut by_interval: HashMap<Interval, Vec<RoomId>> = HashMap::new();
        for (room, during) in rooms {
            by_interval.entry(*during).or_default().push(*room);
        }
        let of_each = by_interval.iter().map(async |(during, rooms)| {
            // Few reservations have buffers: an index has those alone.
            let (stays, buffers) = tokio::try_join!(
                self.rooms_with(overlapping(rooms, *during)),
                self.rooms_with(keeping_busy(rooms, *during))
            )?;
            Ok::<_, StoreError>(stays.into_iter().chain(buffers))
        });
        Ok(try_join_all(of_each).await?.into_iter().flatten().collect())
    }

    async fn closures_in_rooms(
        &self,
        rooms: &[RoomId],
        during: Interval,
    ) -> Result<Vec<ClosureDoc>, StoreError> {
        let mut live = closures_during(rooms, during);
        live.insert("form.live", true);
        let found = self.closures.collection.find(live).sort(doc! { "form.from": 1, "form.closure": 1 });
        all(found.await?, to_closure).await
    }

    async fn closures_ever(&self, rooms: &[RoomId], during: Interval) -> Result<Vec<ClosureDoc>, StoreError> {
        all(self.closures.collection.find(closures_during(rooms, during)).await?, to_closure).await
    }

    async fn closure(&self, closure: ClosureId) -> Result<Vec<ClosureDoc>, StoreError> {
        all(self.closures.collection.find(doc! { "form.closure": uuid(closure.0) }).await?, to_closure).await
    }

    async fn live_of_user(
        &self,
        user: &UserId,
        from: Option<Minute>,
        to: Option<Minute>,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let mut wanted = doc! { "form.user": user.as_str(), "form.live": true };
        let mut begins = Document::new();
        if let Some(from) = from {
            // The index has begins: stays that begin earlier have ended.
            begins.insert("$gte", date(from.plus(-LONGEST_STAY).unwrap_or(Minute::EARLIEST)));
            wanted.insert("form.to", doc! { "$gt": date(from) });
        }
        begins.extend(to.map(|to| ("$lt".to_owned(), date(to).into())));
        if !begins.is_empty() {
            wanted.insert("form.from", begins);
        }
        self.stays(wanted, after, limit).await
    }

    async fn cancelled_of_user(
        &self,
        user: &UserId,
        after: Minute,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let wanted =
            doc! { "form.user": user.as_str(), "form.live": false, "form.to": { "$gt": date(after) } };
        let found = self.reservations.collection.find(wanted).sort(doc! { "form.to": 1, "_id": 1 });
        all(found.limit(bound(limit)).await?, to_reservation).await
    }

    async fn live_in_zone(
        &self,
        zone: TimeZone,
        from: Minute,
        after: Option<ReservationId>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let mut wanted =
            doc! { "form.live": true, "form.timeZone": zone.0.name(), "form.to": { "$gt": date(from) } };
        if let Some(after) = after {
            wanted.insert("_id", doc! { "$gt": uuid(after.0) });
        }
        let found = self.reservations.collection.find(wanted).sort(doc! { "_id": 1 });
        all(found.limit(bound(limit)).await?, to_reservation).await
    }

    async fn entries_of(&self, events: &[(RoomId, Version)]) -> Result<Vec<HistoryDoc>, StoreError> {
        let ids: Vec<_> = events.iter().map(|(room, version)| history_id(*room, *version)).collect();
        all(self.history.collection.find(doc! { "_id": { "$in": ids } }).await?, to_history).await
    }

    async fn history_of_user(
        &self,
        user: &UserId,
        after: Option<(Timestamp, RoomId, Version)>,
        limit: usize,
    ) -> Result<Vec<HistoryDoc>, StoreError> {
        let mut wanted = doc! { "people": user.as_str() };
        if let Some((at, room, version)) = after {
            let (at, id) = (moment(at), history_id(room, version));
            wanted.insert("at", doc! { "$lte": at });
            let earlier = vec![doc! { "at": { "$lt": at } }, doc! { "at": at, "_id": { "$lt": id } }];
            wanted.insert("$or", earlier);
        }
        let order = doc! { "at": -1, "_id": -1 };
        all(self.history.collection.find(wanted).sort(order).limit(bound(limit)).await?, to_history).await
    }

    async fn usage(
        &self,
        rooms: &[RoomId],
        months: RangeInclusive<Month>,
    ) -> Result<Vec<UsageDoc>, StoreError> {
        let months = doc! { "$gte": months.start().code(), "$lte": months.end().code() };
        let of_rooms = doc! { "form.room": { "$in": ids(rooms) }, "form.month": months };
        all(self.usage.collection.find(of_rooms).await?, |doc| to_usage(doc)?.unpack()).await
    }

    async fn bookings(&self, during: Interval) -> Result<HashMap<RoomId, Booked>, StoreError> {
        let weeks = weeks(during);
        let is = |what: &str| doc! { "$eq": ["$what", what] };
        let one_if = |condition: Document| doc! { "$sum": { "$cond": [condition, 1, 0] } };
        let lead = doc! { "$max": [0, { "$subtract": ["$reservation.from", "$at"] }] };
        let steps = [
            doc! { "$match": {
                PARTS: { "$elemMatch": { "$gte": weeks.start(), "$lte": weeks.end() } },
                "what": { "$in": ["made", "cancelled"] },
                "reservation.from": { "$gte": date(during.from), "$lt": date(during.to) },
            } },
            doc! { "$group": {
                "_id": "$reservation.room",
                "made": one_if(is("made")),
                "lead": { "$sum": { "$cond": [is("made"), lead, 0] } },
                "cancelled": one_if(is("cancelled")),
            } },
        ];
        let to_booked = |doc: &RawDocument| {
            let stored = Stored::read("history", doc)?;
            let number = |name: &str| stored.integer(name);
            let booked =
                Booked { made: number("made")?, lead_ms: number("lead")?, cancelled: number("cancelled")? };
            Ok((RoomId(stored.uuid("_id")?), booked))
        };
        let groups = self.history.collection.aggregate(steps).with_type::<RawDocumentBuf>().await?;
        Ok(all(groups, to_booked).await?.into_iter().collect())
    }

    fn usage_positions(&self) -> &dyn Checkpoints {
        &self.usage_positions
    }

    fn hasten_usage(&self, rooms: &[RoomId]) {
        self.usage_behind.hasten(rooms.iter().copied());
    }

    async fn documents_of(
        &self,
        room: RoomId,
        reservations: &[ReservationId],
    ) -> Result<RoomDocuments, StoreError> {
        // Usage first: of all documents, only usage can't be compared once it is counted further. It counts at least up to
        // a position that was read before it.
        let counted = self.usage_positions.checkpoint(room).await?.version;
        let of_room = doc! { "form.room": uuid(room.0) };
        let usage = all(self.usage.collection.find(of_room).await?, |doc| to_usage(doc)?.unpack()).await?;
        let of_room = doc! { "form.room": uuid(room.0) };
        let closures = all(self.closures.collection.find(of_room).await?, to_closure).await?;
        let stored = self.rooms.collection.find_one(doc! { "_id": uuid(room.0) }).await?;
        let ids = doc! { "$gte": history_id(room, Version::NONE), "$lte": history_id(room, u64::MAX.into()) };
        let history = all(self.history.collection.find(doc! { "_id": ids }).await?, to_history).await?;
        let known = history.iter().filter_map(HistoryDoc::reservation).map(|reservation| reservation.id);
        let wanted: BTreeSet<ReservationId> = known.chain(reservations.iter().copied()).collect();
        // Its live reservations through the index of schedules, then the others by id.
        let live = doc! { "form.room": uuid(room.0), "form.live": true };
        let mut found = all(self.reservations.collection.find(live).await?, to_reservation).await?;
        let ids: Vec<_> = wanted.iter().map(|id| uuid(id.0)).collect();
        for part in ids.chunks(IDS_AT_ONCE) {
            let wanted = doc! { "_id": { "$in": part.to_vec() } };
            found.extend(all(self.reservations.collection.find(wanted).await?, to_reservation).await?);
        }
        let room = stored.as_deref().map(to_room).transpose()?;
        Ok(RoomDocuments::new(room, found, closures, history, usage, counted))
    }
}

impl MongoReadModels {
    /// The rooms of these reservations.
    async fn rooms_with(&self, wanted: Document) -> Result<Vec<RoomId>, StoreError> {
        let steps = [doc! { "$match": wanted }, doc! { "$group": { "_id": "$form.room" } }];
        let to_id = |doc: &RawDocument| Ok(RoomId(Stored::read("reservations", doc)?.uuid("_id")?));
        all(self.reservations.collection.aggregate(steps).with_type::<RawDocumentBuf>().await?, to_id).await
    }

    /// Reservations by `from`, then id, after a place in that order.
    async fn stays(
        &self,
        mut wanted: Document,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        if let Some((from, id)) = after {
            // An index begins at this bound, whatever the other conditions on `from` are.
            let bound = doc! { "form.from": { "$gte": date(from) } };
            let later = vec![
                doc! { "form.from": { "$gt": date(from) } },
                doc! { "form.from": date(from), "_id": { "$gt": uuid(id.0) } },
            ];
            wanted.insert("$and", vec![bound, doc! { "$or": later }]);
        }
        let found = self.reservations.collection.find(wanted);
        all(found.sort(doc! { "form.from": 1, "_id": 1 }).limit(bound(limit)).await?, to_reservation).await
    }
}

pub(super) fn bound(limit: usize) -> i64 {
    // For MongoDB, 0 is no limit.
    i64::try_from(limit).unwrap_or(i64::MAX).max(1)
}

pub(super) async fn all<T>(
    mut cursor: Cursor<RawDocumentBuf>,
    read: impl Fn(&RawDocument) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    while cursor.advance().await? {
        found.push(read(cursor.current())?);
    }
    Ok(found)
}
