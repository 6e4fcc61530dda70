//! Rooms and reservations of the past, in memory.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use shared_events::{ReservationId, RoomId, Timestamp, Version};
use uuid::Uuid;

use super::{MemoryReadModels, documents::Documents};
use crate::{
    read_models::{
        AsOf, HistoryDoc,
        history::{LastEntries, Part, last_revision},
    },
    stores::{Past, StoreError},
};

/// The events of a reservation, as places in the order of its revisions.
fn of_reservation(
    documents: &Documents,
    reservation: ReservationId,
    from: u32,
) -> impl DoubleEndedIterator<Item = &HistoryDoc> {
    let first = (reservation, from, RoomId(Uuid::nil()), Version::NONE);
    let last = (reservation, u32::MAX, RoomId(Uuid::max()), u64::MAX.into());
    let entries = documents.history_by_revision.range(first..=last);
    entries.filter_map(|(_, _, room, version)| documents.history.get(&(*room, *version)))
}

/// The events up to a version that touch a part of a room, in order.
fn of_part(
    documents: &Documents,
    room: RoomId,
    part: Part,
    version: Version,
) -> impl DoubleEndedIterator<Item = &HistoryDoc> {
    let places = documents.history_by_part.range((room, part, Version::NONE)..=(room, part, version));
    places.filter_map(move |(_, _, version)| documents.history.get(&(room, *version)))
}

#[async_trait]
impl Past for MemoryReadModels {
    async fn version_at(
        &self,
        room: RoomId,
        at: Timestamp,
    ) -> Result<Option<(Version, Timestamp)>, StoreError> {
        let documents = self.read();
        let all = documents.history.range((room, Version::NONE)..=(room, u64::MAX.into()));
        let last = all.rev().map(|(_, entry)| entry).find(|entry| entry.recorded_at <= at);
        Ok(last.map(|entry| (entry.version, entry.recorded_at)))
    }

    async fn entry(&self, room: RoomId, version: Version) -> Result<Option<HistoryDoc>, StoreError> {
        Ok(self.read().history.get(&(room, version)).cloned())
    }

    async fn last_change(&self, room: RoomId, at: AsOf<Version>) -> Result<Option<HistoryDoc>, StoreError> {
        let documents = self.read();
        let last = match at {
            AsOf::Number(version) => of_part(&documents, room, Part::Settings, version).next_back(),
            AsOf::Moment(at) => of_part(&documents, room, Part::Settings, u64::MAX.into())
                .rfind(|entry| entry.recorded_at <= at),
        };
        Ok(last.cloned())
    }

    async fn last_entries(
        &self,
        room: RoomId,
        weeks: RangeInclusive<i64>,
        version: Version,
    ) -> Result<LastEntries, StoreError> {
        let documents = self.read();
        let mut last = LastEntries::default();
        for week in weeks.map(Part::Week) {
            of_part(&documents, room, week, version).for_each(|entry| last.add(entry.clone()));
        }
        Ok(last)
    }

    async fn closure_entries(&self, room: RoomId, version: Version) -> Result<Vec<HistoryDoc>, StoreError> {
        Ok(of_part(&self.read(), room, Part::Closures, version).cloned().collect())
    }

    async fn last_revision(
        &self,
        reservation: ReservationId,
        at: Timestamp,
    ) -> Result<Vec<HistoryDoc>, StoreError> {
        let documents = self.read();
        Ok(last_revision(of_reservation(&documents, reservation, 0).rev().cloned(), at))
    }

    async fn revisions(
        &self,
        reservation: ReservationId,
        from: u32,
        limit: usize,
    ) -> Result<Vec<HistoryDoc>, StoreError> {
        let documents = self.read();
        Ok(of_reservation(&documents, reservation, from).take(limit).cloned().collect())
    }
}
