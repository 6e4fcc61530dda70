//! The schedules of all rooms.

use std::collections::HashMap;

use chrono::{Days, NaiveDate};
use shared_events::{Closure, Interval, Minute, RoomId, TimeZone, Version};

use super::{Page, PageRequest, QueryError, seen_of};
use crate::{
    progress::Progress,
    read_models::{ReservationDoc, RoomDoc, local_time::day_span},
    stores::{Queries, RoomFilter},
};

/// Most reservations of a page. A page has fewer rooms if they have more, and at least one room.
const MOST_RESERVATIONS: usize = 12_000;

/// Rooms that can be booked, by name, each with what is reserved on some dates of its own calendar.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Schedules {
    /// The first date.
    pub date: NaiveDate,
    /// The number of dates.
    pub days: u8,
    /// Only these rooms.
    pub filter: RoomFilter,
}

/// A room, and what is reserved in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomSchedule {
    /// The room.
    pub room: RoomDoc,
    /// The version of its stream that the schedule shows at least.
    pub version: Version,
    /// From the first minute of the first date to the last one of the last date.
    pub during: Interval,
    /// Live reservations that overlap this interval, by `from`.
    pub reservations: Vec<ReservationDoc>,
    /// Closures that overlap it, by `from`.
    pub closures: Vec<Closure>,
}

impl Schedules {
    /// One page of them. It reads the rooms, then all their reservations at once.
    pub async fn run(
        &self,
        models: &dyn Queries,
        progress: &Progress,
        page: &PageRequest,
    ) -> Result<Page<RoomSchedule>, QueryError> {
        let after: Option<(RoomId, String)> = page.after(self)?;
        let after = after.map(|(id, name)| (name, id));
        let rooms = models.rooms_by_name(&self.filter, after.as_ref(), page.to_read()).await?;
        let ids: Vec<RoomId> = rooms.iter().take(page.limit).map(|room| room.room).collect();
        let seen = seen_of(models, progress, &ids).await?;
        let mut spans: HashMap<TimeZone, Interval> = HashMap::new();
        for room in &rooms {
            let zone = room.settings.time_zone;
            spans.entry(zone).or_insert_with(|| self.during(zone));
        }
        let during = |room: &RoomDoc| spans.get(&room.settings.time_zone).copied().unwrap_or(NEVER);
        let (fitting, found) = read(models, &ids, around(spans.values())).await?;
        let mut by_room: HashMap<RoomId, Vec<ReservationDoc>> = HashMap::new();
        for doc in found {
            by_room.entry(doc.reservation.room).or_default().push(doc);
        }
        let mut closures_of: HashMap<RoomId, Vec<Closure>> = HashMap::new();
        for doc in models.closures_in_rooms(&ids, around(spans.values())).await? {
            closures_of.entry(doc.closure.room).or_default().push(doc.closure);
        }
        let schedules = rooms.into_iter().map(|room| {
            let during = during(&room);
            let mut reservations = by_room.remove(&room.room).unwrap_or_default();
            reservations.retain(|doc| doc.reservation.interval().intersection(during).is_some());
            reservations.sort_unstable_by_key(|doc| (doc.reservation.from, doc.reservation.id));
            let mut closures = closures_of.remove(&room.room).unwrap_or_default();
            closures.retain(|closure| closure.interval().intersection(during).is_some());
            let version = seen.get(&room.room).copied().unwrap_or_default().version;
            RoomSchedule { room, version, during, reservations, closures }
        });
        let page = PageRequest { limit: fitting.min(page.limit), cursor: None };
        let place = |schedule: &RoomSchedule| (schedule.room.room, schedule.room.settings.name.clone());
        Ok(page.page(self, schedules.collect(), place))
    }

    /// The dates in a zone. Empty if the zone skips all of them.
    fn during(&self, zone: TimeZone) -> Interval {
        let span = |date: Option<NaiveDate>| date.and_then(|date| day_span(zone.0, date));
        let dates = || (0..u64::from(self.days)).map(|day| self.date.checked_add_days(Days::new(day)));
        match (dates().find_map(span), dates().rev().find_map(span)) {
            (Some(first), Some(last)) => Interval { from: first.from, to: last.to },
            _ => {
                span(self.date.pred_opt()).map_or(NEVER, |before| Interval { from: before.to, to: before.to })
            }
        }
    }
}

/// An interval without minutes.
const NEVER: Interval = Interval { from: Minute::EARLIEST, to: Minute::EARLIEST };

/// One interval around all of these.
fn around<'a>(spans: impl Iterator<Item = &'a Interval>) -> Interval {
    let both = |one: Interval, other: Interval| Interval {
        from: one.from.min(other.from),
        to: one.to.max(other.to),
    };
    spans.copied().reduce(both).unwrap_or(NEVER)
}

/// The reservations of so many of these rooms as fit into a page, and the number of these rooms.
pub(super) async fn read(
    models: &dyn Queries,
    rooms: &[RoomId],
    during: Interval,
) -> Result<(usize, Vec<ReservationDoc>), QueryError> {
    let mut fitting = rooms.len();
    loop {
        let some = rooms.get(..fitting).unwrap_or_default();
        let found = models.live_in_some(some, during, MOST_RESERVATIONS + 1).await?;
        // A week of one room has less.
        if found.len() <= MOST_RESERVATIONS || fitting <= 1 {
            return Ok((fitting, found));
        }
        fitting /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_begin_and_end_as_the_clock_shows_them_and_may_be_skipped() {
        let during = |date: &str, days, zone: &str| {
            let query = Schedules { date: date.parse().unwrap(), days, filter: RoomFilter::default() };
            query.during(zone.parse().unwrap())
        };
        let interval =
            |from: &str, to: &str| Interval { from: from.parse().unwrap(), to: to.parse().unwrap() };
        for (date, days, zone, from, to) in [
            ("2026-10-25", 1, "Europe/Lisbon", "2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z"),
            ("2027-03-28", 1, "Atlantic/Azores", "2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"),
            ("2011-12-30", 1, "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"),
            ("2011-12-29", 3, "Pacific/Apia", "2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z"),
        ] {
            assert_eq!(during(date, days, zone), interval(from, to), "{date} {zone}");
        }
    }
}
