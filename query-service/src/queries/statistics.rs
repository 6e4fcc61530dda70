//! What both statistics share: whole local days come from usage documents.

use std::collections::HashMap;

use chrono::{Datelike, NaiveDate};
use shared_events::{Interval, RoomId, TimeZone};

use super::{QueryError, ROOMS_AT_ONCE};
use crate::{
    read_models::{
        ReservationDoc, RoomDoc, UsageKey,
        local_time::{Cell, cells, day_span, local_date, whole_days},
        usage::DAYS,
    },
    stores::ReadModels,
};

/// An interval as a zone's calendar sees it.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    during: Interval,
    zone: TimeZone,
    /// First and last of the local days that lie in it with all their minutes.
    whole: Option<(NaiveDate, NaiveDate)>,
}

impl Frame {
    pub(super) fn new(during: Interval, zone: TimeZone) -> Self {
        Self { during, zone, whole: whole_days(zone.0, during) }
    }

    pub(super) fn is_whole(&self, date: NaiveDate) -> bool {
        self.whole.is_some_and(|(first, last)| first <= date && date <= last)
    }

    /// The days of a usage document that are whole, as indexes into its tables, with the first one's weekday
    /// (Monday is 0).
    pub(super) fn days_of(&self, key: UsageKey) -> Option<(std::ops::RangeInclusive<usize>, usize)> {
        let (first, last) = self.whole?;
        let first = first.max(NaiveDate::from_ymd_opt(key.year, 1, 1)?);
        let last = last.min(NaiveDate::from_ymd_opt(key.year, 12, 31)?);
        let index = |date: NaiveDate| usize::try_from(date.ordinal0()).ok().filter(|day| *day < DAYS);
        if first > last {
            return None;
        }
        Some((index(first)?..=index(last)?, weekday(first)))
    }

    /// What usage documents don't tell: before and after the whole days. The first part has the interval's first
    /// minute in any case, for the sake of stays that began before it.
    pub(super) fn ends(&self) -> Vec<Interval> {
        let Some((first, last)) = self.whole else { return vec![self.during] };
        let after_first_minute = self.during.from.plus(1).unwrap_or(self.during.to);
        let neighbour = |date: Option<NaiveDate>| date.and_then(|date| day_span(self.zone.0, date));
        let head_end =
            neighbour(first.pred_opt()).map_or(after_first_minute, |span| span.to.max(after_first_minute));
        let tail_start = neighbour(last.succ_opt()).map_or(self.during.to, |span| span.from);
        let head = Interval { from: self.during.from, to: head_end };
        let tail = Interval { from: tail_start, to: self.during.to };
        [head, tail].into_iter().filter_map(|end| end.intersection(self.during)).collect()
    }

    /// The minutes of a reservation that lie in the interval, but in none of its whole days.
    pub(super) fn refine(&self, reserved: Interval) -> impl Iterator<Item = Cell> {
        let frame = *self;
        let shared = reserved
            .intersection(self.during)
            .unwrap_or(Interval { from: self.during.from, to: self.during.from });
        cells(self.zone.0, shared).filter(move |cell| !frame.is_whole(cell.date))
    }

    /// Whether a reservation overlaps the interval without beginning on one of its whole days.
    pub(super) fn counts_apart(&self, reserved: Interval) -> bool {
        reserved.overlaps(self.during) && !self.is_whole(local_date(self.zone.0, reserved.from))
    }
}

/// How each zone sees one interval, made when the zone first turns up.
pub(super) struct ByZone<T> {
    during: Interval,
    make: fn(Interval, TimeZone) -> T,
    zones: HashMap<TimeZone, T>,
}

impl<T> ByZone<T> {
    pub(super) fn new(during: Interval, make: fn(Interval, TimeZone) -> T) -> Self {
        Self { during, make, zones: HashMap::new() }
    }

    pub(super) fn of(&mut self, zone: TimeZone) -> &T {
        self.zones.entry(zone).or_insert_with(|| (self.make)(self.during, zone))
    }

    /// Reservations of these rooms in `parts` of the interval, as the zones that turned up so far see them. Some others
    /// may be among them.
    pub(super) async fn reservations(
        &self,
        models: &dyn ReadModels,
        rooms: &[RoomId],
        parts: impl Fn(&T) -> Vec<Interval>,
    ) -> Result<Vec<ReservationDoc>, QueryError> {
        let parts = joined(self.zones.values().flat_map(parts).collect());
        if parts.is_empty() { Ok(Vec::new()) } else { Ok(models.live_in_rooms(rooms, &parts).await?) }
    }
}

/// How far apart intervals may be to be looked up as one, in minutes.
const TOGETHER: i64 = 24 * 60;

/// The same time in few intervals, for several zones cut much the same.
pub(super) fn joined(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable_by_key(|one| one.from);
    let mut joined: Vec<Interval> = Vec::new();
    for one in intervals {
        match joined.last_mut() {
            Some(last) if one.from.epoch_minutes() - last.to.epoch_minutes() < TOGETHER => {
                last.to = last.to.max(one.to);
            }
            _ => joined.push(one),
        }
    }
    joined
}

/// Monday is 0.
pub(super) fn weekday(date: NaiveDate) -> usize {
    usize::try_from(date.weekday().num_days_from_monday()).unwrap_or_default()
}

/// Local years that any zone may see in an interval.
pub(super) fn years(during: Interval) -> std::ops::RangeInclusive<i32> {
    let year = |date: Option<NaiveDate>| date.map_or(1970, |date| date.year());
    year(during.from.to_utc().date_naive().pred_opt())..=year(during.to.to_utc().date_naive().succ_opt())
}

/// Rooms that statistics are about, retired ones too, a bounded number at a time.
pub(super) struct RoomBatches<'a> {
    kind: Option<&'a str>,
    after: Option<RoomId>,
    complete: bool,
}

impl<'a> RoomBatches<'a> {
    pub(super) fn new(kind: Option<&'a str>) -> Self {
        Self { kind, after: None, complete: false }
    }

    pub(super) async fn next(&mut self, models: &dyn ReadModels) -> Result<Option<Vec<RoomDoc>>, QueryError> {
        if self.complete {
            return Ok(None);
        }
        let rooms = models.rooms_by_id(self.kind, self.after, ROOMS_AT_ONCE).await?;
        self.complete = rooms.len() < ROOMS_AT_ONCE;
        self.after = rooms.last().map(|room| room.room);
        Ok((!rooms.is_empty()).then_some(rooms))
    }
}
