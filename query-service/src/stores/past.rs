//! Reads of the past.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use shared_events::{ReservationId, RoomId, Timestamp, Version};

use super::StoreError;
use crate::read_models::{AsOf, HistoryDoc, history::LastEntries};

/// Rooms and reservations of the past, from the events that made them.
#[async_trait]
pub trait Past: Send + Sync + 'static {
    /// The version of the last event of a room that was recorded up to a moment, and when it was recorded.
    async fn version_at(
        &self,
        room: RoomId,
        at: Timestamp,
    ) -> Result<Option<(Version, Timestamp)>, StoreError>;

    /// The event of a room with this version.
    async fn entry(&self, room: RoomId, version: Version) -> Result<Option<HistoryDoc>, StoreError>;

    /// The last event up to a state that changed the room itself.
    async fn last_change(&self, room: RoomId, at: AsOf<Version>) -> Result<Option<HistoryDoc>, StoreError>;

    /// Of each reservation that had or got time in a room in these weeks, the last event up to a version that touched
    /// one of these weeks.
    async fn last_entries(
        &self,
        room: RoomId,
        weeks: RangeInclusive<i64>,
        version: Version,
    ) -> Result<LastEntries, StoreError>;

    /// The events of a room up to a version that are about closures, in order.
    async fn closure_entries(&self, room: RoomId, version: Version) -> Result<Vec<HistoryDoc>, StoreError>;

    /// The events of the last revision of a reservation that was recorded up to a moment. A move has two.
    async fn last_revision(
        &self,
        reservation: ReservationId,
        at: Timestamp,
    ) -> Result<Vec<HistoryDoc>, StoreError>;

    /// The events of a reservation from a revision on, by revision. A move has two.
    async fn revisions(
        &self,
        reservation: ReservationId,
        from: u32,
        limit: usize,
    ) -> Result<Vec<HistoryDoc>, StoreError>;
}
