//! Rooms and reservations of the past, in memory.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use shared_events::{ReservationId, RoomId, Timestamp, Version};
use uuid::Uuid;

use super::{MemoryReadModels, documents::Documents};
use crate::{
    read_models::{
        HistoryDoc, RoomDoc,
        history::{LastEntries, Part},
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

#[async_trait]
impl Past for MemoryReadModels {
    async fn version_at(&self, room: RoomId, at: Timestamp) -> Result<Option<Version>, StoreError> {
        let documents = self.read();
        let all = documents.history.range((room, Version::NONE)..=(room, u64::MAX.into()));
        Ok(all.rev().find(|(_, entry)| entry.recorded_at <= at).map(|((_, version), _)| *version))
    }

    async fn entry(&self, room: RoomId, version: Version) -> Result<Option<HistoryDoc>, StoreError> {
        Ok(self.read().history.get(&(room, version)).cloned())
    }

    async fn room_at(&self, room: RoomId, version: Version) -> Result<Option<RoomDoc>, StoreError> {
        let documents = self.read();
        let range = (room, Part::Settings, Version::NONE)..=(room, Part::Settings, version);
        let last = documents.history_by_part.range(range).next_back();
        let last = last.and_then(|(_, _, version)| documents.history.get(&(room, *version)));
        Ok(last.cloned().and_then(HistoryDoc::into_room))
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
            let range = (room, week, Version::NONE)..=(room, week, version);
            for (_, _, version) in documents.history_by_part.range(range) {
                if let Some(entry) = documents.history.get(&(room, *version)) {
                    last.add(entry.clone());
                }
            }
        }
        Ok(last)
    }

    async fn revision_at(
        &self,
        reservation: ReservationId,
        at: Timestamp,
    ) -> Result<Option<u32>, StoreError> {
        let documents = self.read();
        let last = of_reservation(&documents, reservation, 0).rev().find(|entry| entry.recorded_at <= at);
        Ok(last.and_then(HistoryDoc::reservation).map(|reservation| reservation.revision))
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
