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
        let weekday = usize::try_from(first.weekday().num_days_from_monday()).ok()?;
        Some((index(first)?..=index(last)?, weekday))
    }

    /// What usage documents don't tell: before and after the whole days. The first part has the interval's first
    /// minute in any case, for the sake of stays that began before it.
    pub(super) fn ends(&self) -> [Option<Interval>; 2] {
        let Some((first, last)) = self.whole else { return [Some(self.during), None] };
        let after_first_minute = self.during.from.plus(1).unwrap_or(self.during.to);
        let neighbour = |date: Option<NaiveDate>| date.and_then(|date| day_span(self.zone.0, date));
        let head_end =
            neighbour(first.pred_opt()).map_or(after_first_minute, |span| span.to.max(after_first_minute));
        let tail_start = neighbour(last.succ_opt()).map_or(self.during.to, |span| span.from);
        [
            Interval { from: self.during.from, to: head_end }.intersection(self.during),
            Interval { from: tail_start, to: self.during.to }.intersection(self.during),
        ]
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

/// Frames of one interval, made when a zone first turns up.
pub(super) struct Frames {
    during: Interval,
    frames: HashMap<TimeZone, Frame>,
}

impl Frames {
    pub(super) fn new(during: Interval) -> Self {
        Self { during, frames: HashMap::new() }
    }

    pub(super) fn of(&mut self, zone: TimeZone) -> Frame {
        *self.frames.entry(zone).or_insert_with(|| Frame::new(self.during, zone))
    }

    /// Reservations of these rooms at the ends of the interval, in the zones that turned up so far.
    pub(super) async fn at_the_ends(
        &self,
        models: &dyn ReadModels,
        rooms: &[RoomId],
    ) -> Result<Vec<ReservationDoc>, QueryError> {
        let mut heads: Option<Interval> = None;
        let mut tails: Option<Interval> = None;
        let widen = |all: &mut Option<Interval>, one: Option<Interval>| {
            *all = match (*all, one) {
                (Some(a), Some(b)) => Some(Interval { from: a.from.min(b.from), to: a.to.max(b.to) }),
                (a, b) => a.or(b),
            };
        };
        for frame in self.frames.values() {
            let [head, tail] = frame.ends();
            widen(&mut heads, head);
            widen(&mut tails, tail);
        }
        let ends: Vec<Interval> = [heads, tails].into_iter().flatten().collect();
        if ends.is_empty() { Ok(Vec::new()) } else { Ok(models.live_in_rooms(rooms, &ends).await?) }
    }
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
