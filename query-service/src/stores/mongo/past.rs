//! Rooms and reservations of the past, from the entries of history.
//!
//! In one room, and for one reservation, events are recorded in the order of their numbers. So the last one up to a moment
//! is found by its number, and no index has the time.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use mongodb::{
    bson::{Bson, Document, doc},
    options::Hint,
};
use shared_events::{ReservationId, RoomId, Timestamp, Version};

use super::{
    MongoReadModels,
    documents::{PARTS, history_id, moment, number, part, uuid},
    queries::{all, bound},
    stored::{to_history, to_recorded_revision, to_recorded_version},
};
use crate::{
    read_models::{
        AsOf, HistoryDoc,
        history::{LastEntries, Part, last_revision},
    },
    stores::{Past, StoreError},
};

/// A reservation with fewer events is read whole, in one step.
const FEW: usize = 16;
/// The numbers that one step of a search looks at.
const PROBES: u64 = 64;
/// Entries of weeks in one answer of the server, which would begin with 101. It ends an answer at 16 MB.
const ENTRIES: u32 = 5000;

/// The event with a number, and the time at which it was recorded.
type Recorded = (u64, Timestamp);

#[async_trait]
impl Past for MongoReadModels {
    async fn version_at(
        &self,
        room: RoomId,
        at: Timestamp,
    ) -> Result<Option<(Version, Timestamp)>, StoreError> {
        let of_room = up_to(room, u64::MAX.into());
        let mut search = Search::new(at, self.recorded_versions(of_room, number(PROBES)).await?);
        while let Some(versions) = search.next() {
            let ids: Vec<_> = versions.iter().map(|version| history_id(room, (*version).into())).collect();
            search.learn(self.recorded_versions(doc! { "$in": ids }, 0).await?);
        }
        Ok(search.below.map(|(version, recorded_at)| (version.into(), recorded_at)))
    }

    async fn entry(&self, room: RoomId, version: Version) -> Result<Option<HistoryDoc>, StoreError> {
        let found = self.history.collection.find_one(doc! { "_id": history_id(room, version) }).await?;
        found.as_deref().map(to_history).transpose()
    }

    async fn last_change(&self, room: RoomId, at: AsOf<Version>) -> Result<Option<HistoryDoc>, StoreError> {
        let mut wanted = doc! { PARTS: part(Part::Settings) };
        match at {
            AsOf::Number(version) => _ = wanted.insert("_id", up_to(room, version)),
            AsOf::Moment(at) => {
                wanted.insert("_id", up_to(room, u64::MAX.into()));
                wanted.insert("recordedAt", doc! { "$lte": moment(at) });
            }
        }
        // The index of ids has the same order, with all other events in between.
        let by_part = Hint::Keys(doc! { PARTS: 1, "_id": 1 });
        let last = self.history.collection.find_one(wanted).sort(doc! { "_id": -1 }).hint(by_part).await?;
        last.as_deref().map(to_history).transpose()
    }

    async fn last_entries(
        &self,
        room: RoomId,
        weeks: RangeInclusive<i64>,
        version: Version,
    ) -> Result<LastEntries, StoreError> {
        let weeks: Vec<Bson> = weeks.map(|week| part(Part::Week(week))).collect();
        let wanted = doc! { PARTS: { "$in": weeks }, "_id": up_to(room, version) };
        let mut found = self.history.collection.find(wanted).batch_size(ENTRIES).await?;
        let mut last = LastEntries::default();
        while found.advance().await? {
            last.add(to_history(found.current())?);
        }
        Ok(last)
    }

    async fn closure_entries(&self, room: RoomId, version: Version) -> Result<Vec<HistoryDoc>, StoreError> {
        let wanted = doc! { PARTS: part(Part::Closures), "_id": up_to(room, version) };
        // The index of ids has the same order, with all other events in between.
        let by_part = Hint::Keys(doc! { PARTS: 1, "_id": 1 });
        all(self.history.collection.find(wanted).sort(doc! { "_id": 1 }).hint(by_part).await?, to_history)
            .await
    }

    async fn last_revision(
        &self,
        reservation: ReservationId,
        at: Timestamp,
    ) -> Result<Vec<HistoryDoc>, StoreError> {
        let of_reservation = doc! { "reservation.id": uuid(reservation.0) };
        let newest = self.history.collection.find(of_reservation).sort(doc! { "reservation.revision": -1 });
        let newest = all(newest.limit(bound(FEW)).await?, to_history).await?;
        if newest.len() < FEW {
            return Ok(last_revision(newest, at));
        }
        match self.revision_at(reservation, at).await? {
            Some(revision) => Ok(last_revision(self.revisions(reservation, revision, 2).await?, at)),
            None => Ok(Vec::new()),
        }
    }

    async fn revisions(
        &self,
        reservation: ReservationId,
        from: u32,
        limit: usize,
    ) -> Result<Vec<HistoryDoc>, StoreError> {
        let revisions = doc! { "$gte": i64::from(from) };
        let wanted = doc! { "reservation.id": uuid(reservation.0), "reservation.revision": revisions };
        let found = self.history.collection.find(wanted).sort(doc! { "reservation.revision": 1 });
        all(found.limit(bound(limit)).await?, to_history).await
    }
}

impl MongoReadModels {
    /// The last revision of a reservation that was recorded up to a moment.
    async fn revision_at(
        &self,
        reservation: ReservationId,
        at: Timestamp,
    ) -> Result<Option<u32>, StoreError> {
        let all = doc! { "$gt": 0 };
        let mut search = Search::new(at, self.recorded_revisions(reservation, all, number(PROBES)).await?);
        while let Some(revisions) = search.next() {
            let revisions: Vec<i64> = revisions.into_iter().map(number).collect();
            search.learn(self.recorded_revisions(reservation, doc! { "$in": revisions }, 0).await?);
        }
        Ok(search.below.and_then(|(revision, _)| u32::try_from(revision).ok()))
    }

    /// The versions of these ids with their times, the highest first. No limit is 0.
    async fn recorded_versions(&self, ids: Document, limit: i64) -> Result<Vec<Recorded>, StoreError> {
        let found = self.history.collection.find(doc! { "_id": ids }).projection(doc! { "recordedAt": 1 });
        all(found.sort(doc! { "_id": -1 }).limit(limit).await?, to_recorded_version).await
    }

    /// These revisions of a reservation with their times, the highest first. No limit is 0.
    async fn recorded_revisions(
        &self,
        reservation: ReservationId,
        revisions: Document,
        limit: i64,
    ) -> Result<Vec<Recorded>, StoreError> {
        let wanted = doc! { "reservation.id": uuid(reservation.0), "reservation.revision": revisions };
        let only = doc! { "recordedAt": 1, "reservation.revision": 1 };
        let found = self.history.collection.find(wanted).projection(only);
        all(found.sort(doc! { "reservation.revision": -1 }).limit(limit).await?, to_recorded_revision).await
    }
}

/// The ids of a room's events up to a version.
fn up_to(room: RoomId, version: Version) -> Document {
    doc! { "$gte": history_id(room, Version::NONE), "$lte": history_id(room, version) }
}

/// The search for the last number that was recorded up to a moment.
struct Search {
    at: Timestamp,
    /// The highest number that was recorded up to the moment, as far as is known.
    below: Option<Recorded>,
    /// The lowest one that was recorded later, or the one after all.
    above: u64,
    /// What was left before the last step. A step that finds nothing is the last one.
    left: u64,
}

impl Search {
    /// `newest` are the events of the highest numbers.
    fn new(at: Timestamp, newest: Vec<Recorded>) -> Self {
        let above = newest.iter().map(|(number, _)| number + 1).max().unwrap_or_default();
        let mut search = Self { at, below: None, above, left: u64::MAX };
        search.learn(newest);
        search
    }

    fn learn(&mut self, found: Vec<Recorded>) {
        for (number, recorded_at) in found {
            if recorded_at <= self.at {
                self.below = self.below.max(Some((number, recorded_at)));
            } else {
                self.above = self.above.min(number);
            }
        }
    }

    /// The numbers to look at next: all that are left if they are few, or some at equal distances. `None` at the end. A number
    /// without an event, which an operator dropped, tells nothing.
    fn next(&mut self) -> Option<Vec<u64>> {
        let below = self.below.map_or(0, |(number, _)| number);
        let left = self.above.saturating_sub(below + 1);
        if left == 0 || self.left <= PROBES || left == self.left {
            return None;
        }
        self.left = left;
        let step = left.div_ceil(PROBES);
        let numbers = (1..=PROBES).map(|probe| below + probe * step);
        Some(numbers.take_while(|number| *number < self.above).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_up_to_a_moment_is_found_in_four_steps_also_where_numbers_are_missing() {
        let time =
            |number: u64| Timestamp::from_epoch_millis(i64::try_from(number / 5 * 5).unwrap_or_default());
        let exists = |number: &u64| *number >= 1 && *number <= 100_000 && number % 97 != 3;
        let newest: Vec<_> = (99_937..=100_000).filter(exists).map(|number| (number, time(number))).collect();
        for at in (0..200).chain((200..100_020).step_by(331)) {
            let mut search = Search::new(Timestamp::from_epoch_millis(at), newest.clone());
            let mut steps = 0;
            while let Some(numbers) = search.next() {
                search
                    .learn(numbers.into_iter().filter(exists).map(|number| (number, time(number))).collect());
                steps += 1;
            }
            let last = (1..=100_000).rev().filter(exists).find(|number| time(*number).epoch_millis() <= at);
            assert_eq!(search.below, last.map(|number| (number, time(number))), "{at}");
            assert!(steps <= 4, "{at}: {steps}");
        }
    }
}
