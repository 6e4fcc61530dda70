//! Queries over the documents in memory.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::{Bound, RangeInclusive},
};

use async_trait::async_trait;
use shared_events::{
    ClosureId, Interval, Minute, ReservationId, RoomId, TimeZone, Timestamp, UserId, Version, names::sort_key,
};
use uuid::Uuid;

use super::{MemoryReadModels, documents::earliest_start};
use crate::{
    read_models::{
        Checkpoint, ClosureDoc, HistoryDoc, KindCount, Parked, ReservationDoc, RoomDoc, RoomDocuments,
        UsageDoc, history::Booked, usage::Month,
    },
    stores::{Checkpoints, Queries, RoomFilter, StoreError},
};

const FIRST_ID: Uuid = Uuid::nil();
const LAST_ID: Uuid = Uuid::max();

#[async_trait]
impl Queries for MemoryReadModels {
    async fn room(&self, room: RoomId) -> Result<Option<RoomDoc>, StoreError> {
        Ok(self.read().rooms.get(&room).cloned())
    }

    async fn rooms(&self, rooms: &[RoomId]) -> Result<Vec<RoomDoc>, StoreError> {
        let documents = self.read();
        Ok(rooms.iter().filter_map(|room| documents.rooms.get(room)).cloned().collect())
    }

    async fn rooms_by_name(
        &self,
        filter: &RoomFilter,
        after: Option<&(String, RoomId)>,
        limit: usize,
    ) -> Result<Vec<RoomDoc>, StoreError> {
        let documents = self.read();
        let after = after.map_or(Bound::Unbounded, |(name, room)| Bound::Excluded((sort_key(name), *room)));
        Ok(documents
            .rooms_by_name
            .range((after, Bound::Unbounded))
            .filter_map(|(_, room)| documents.rooms.get(room))
            .filter(|room| filter.matches(&room.settings))
            .take(limit)
            .cloned()
            .collect())
    }

    async fn rooms_by_id(
        &self,
        kind: Option<&str>,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<RoomDoc>, StoreError> {
        let documents = self.read();
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(documents
            .rooms
            .range((after, Bound::Unbounded))
            .map(|(_, room)| room)
            .filter(|room| kind.is_none_or(|kind| room.settings.kind == kind))
            .take(limit)
            .cloned()
            .collect())
    }

    async fn kinds(&self) -> Result<Vec<KindCount>, StoreError> {
        let documents = self.read();
        let mut counts = BTreeMap::<&str, u64>::new();
        for room in documents.rooms.values().filter(|room| !room.retired) {
            *counts.entry(&room.settings.kind).or_default() += 1;
        }
        let of_kind = |(kind, rooms): (&str, u64)| KindCount { kind: kind.to_owned(), rooms };
        let mut kinds: Vec<_> = counts.into_iter().map(of_kind).collect();
        kinds.sort_by_cached_key(KindCount::sort_key);
        Ok(kinds)
    }

    async fn parked_rooms(&self) -> Result<BTreeMap<RoomId, Parked>, StoreError> {
        let documents = self.read();
        let parked = |(room, checkpoint): (&RoomId, &Checkpoint)| Some((*room, checkpoint.parked.clone()?));
        Ok(documents.checkpoints.iter().filter_map(parked).collect())
    }

    async fn reservation(&self, reservation: ReservationId) -> Result<Option<ReservationDoc>, StoreError> {
        Ok(self.read().reservations.get(&reservation).cloned())
    }

    async fn live_in_room(
        &self,
        room: RoomId,
        during: Interval,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let documents = self.read();
        let after = after.map(|(from, id)| (room, from, id));
        Ok(documents
            .overlapping(room, during)
            .filter(|(key, _)| after.is_none_or(|after| *key > after))
            .take(limit)
            .map(|(_, doc)| doc.clone())
            .collect())
    }

    async fn live_in_rooms(
        &self,
        rooms: &[RoomId],
        during: &[Interval],
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let documents = self.read();
        let mut seen = HashSet::new();
        Ok(rooms
            .iter()
            .flat_map(|room| during.iter().flat_map(|interval| documents.overlapping(*room, *interval)))
            .filter(|(key, _)| seen.insert(*key))
            .map(|(_, doc)| doc.clone())
            .collect())
    }

    async fn live_in_some(
        &self,
        rooms: &[RoomId],
        during: Interval,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let documents = self.read();
        let found = rooms.iter().flat_map(|room| documents.overlapping(*room, during));
        Ok(found.take(limit).map(|(_, doc)| doc.clone()).collect())
    }

    async fn occupied(&self, rooms: &[(RoomId, Interval)]) -> Result<HashSet<RoomId>, StoreError> {
        let documents = self.read();
        let is_busy = |&&(room, during): &&(RoomId, Interval)| documents.busy(room, during);
        Ok(rooms.iter().filter(is_busy).map(|(room, _)| *room).collect())
    }

    async fn closures_in_rooms(
        &self,
        rooms: &[RoomId],
        during: Interval,
    ) -> Result<Vec<ClosureDoc>, StoreError> {
        let documents = self.read();
        let mut found: Vec<_> =
            documents.closures_during(rooms, during).filter(|doc| doc.is_live()).cloned().collect();
        found.sort_by_key(|doc| (doc.closure.from, doc.closure.id));
        Ok(found)
    }

    async fn closures_ever(&self, rooms: &[RoomId], during: Interval) -> Result<Vec<ClosureDoc>, StoreError> {
        Ok(self.read().closures_during(rooms, during).cloned().collect())
    }

    async fn closure(&self, closure: ClosureId) -> Result<Vec<ClosureDoc>, StoreError> {
        let documents = self.read();
        Ok(documents
            .closures
            .iter()
            .filter(|((_, id), _)| *id == closure)
            .map(|(_, doc)| doc.clone())
            .collect())
    }

    async fn live_of_user(
        &self,
        user: &UserId,
        from: Option<Minute>,
        to: Option<Minute>,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let documents = self.read();
        let earliest = (user.clone(), from.map_or(Minute::EARLIEST, earliest_start), ReservationId(FIRST_ID));
        let latest = (user.clone(), to.unwrap_or(Minute::LATEST), ReservationId(LAST_ID));
        let after = after.map(|(from, id)| (user.clone(), from, id));
        Ok(documents
            .live_by_user
            .range(earliest..=latest)
            .filter(|key| after.as_ref().is_none_or(|after| *key > after))
            .filter_map(|(_, _, id)| documents.reservations.get(id))
            .filter(|doc| from.is_none_or(|from| doc.reservation.to > from))
            .filter(|doc| to.is_none_or(|to| doc.reservation.from < to))
            .take(limit)
            .cloned()
            .collect())
    }

    async fn cancelled_of_user(
        &self,
        user: &UserId,
        after: Minute,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let documents = self.read();
        let wanted = |doc: &&ReservationDoc| {
            !doc.is_live() && doc.reservation.reserved_by == *user && doc.reservation.to > after
        };
        let mut found: Vec<_> = documents.reservations.values().filter(wanted).cloned().collect();
        found.sort_by_key(|doc| (doc.reservation.to, doc.reservation.id));
        found.truncate(limit);
        Ok(found)
    }

    async fn live_in_zone(
        &self,
        zone: TimeZone,
        from: Minute,
        after: Option<ReservationId>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let documents = self.read();
        let wanted = |doc: &&ReservationDoc| {
            let reservation = &doc.reservation;
            doc.is_live()
                && reservation.time_zone == zone
                && reservation.to > from
                && after.is_none_or(|after| reservation.id > after)
        };
        let mut found: Vec<_> = documents.reservations.values().filter(wanted).cloned().collect();
        found.sort_by_key(|doc| doc.reservation.id);
        found.truncate(limit);
        Ok(found)
    }

    async fn entries_of(&self, events: &[(RoomId, Version)]) -> Result<Vec<HistoryDoc>, StoreError> {
        let documents = self.read();
        Ok(events.iter().filter_map(|event| documents.history.get(event)).cloned().collect())
    }

    async fn history_of_user(
        &self,
        user: &UserId,
        after: Option<(Timestamp, RoomId, Version)>,
        limit: usize,
    ) -> Result<Vec<HistoryDoc>, StoreError> {
        let documents = self.read();
        let first = (user.clone(), Timestamp::from_epoch_millis(0), RoomId(FIRST_ID), Version::NONE);
        let end = match after {
            Some((at, room, version)) => Bound::Excluded((user.clone(), at, room, version)),
            None => Bound::Included((user.clone(), Minute::LATEST.start(), RoomId(LAST_ID), u64::MAX.into())),
        };
        Ok(documents
            .history_by_user
            .range((Bound::Included(first), end))
            .rev()
            .filter_map(|(_, _, room, version)| documents.history.get(&(*room, *version)))
            .take(limit)
            .cloned()
            .collect())
    }

    async fn usage(
        &self,
        rooms: &[RoomId],
        months: RangeInclusive<Month>,
    ) -> Result<Vec<UsageDoc>, StoreError> {
        Ok(self.read().usage_of(rooms, months).cloned().collect())
    }

    async fn bookings(&self, during: Interval) -> Result<HashMap<RoomId, Booked>, StoreError> {
        let mut bookings: HashMap<RoomId, Booked> = HashMap::new();
        for ((room, _), entry) in &self.read().history {
            bookings.entry(*room).or_default().add(Booked::by(entry, during));
        }
        Ok(bookings)
    }

    fn usage_positions(&self) -> &dyn Checkpoints {
        self
    }

    async fn documents_of(
        &self,
        room: RoomId,
        reservations: &[ReservationId],
    ) -> Result<RoomDocuments, StoreError> {
        Ok(self.read().of_room(room, reservations))
    }
}
