//! What is free in a room.

use std::collections::VecDeque;

use chrono::{Days, NaiveTime};
use shared_events::{
    Interval, Minute, RoomId, RoomSettings, Timestamp, Version,
    room_rules::{open_on, resolve_local},
};

use super::{Page, PageRequest, QueryError, version_of};
use crate::{progress::Progress, read_models::local_time::local_date, stores::Queries};

/// How many reservations are read at a time.
const RESERVATIONS_AT_ONCE: usize = 500;

/// The longest intervals within another in which a room is open, not reserved and not in the past. How long or when
/// in them one may stay is told by the room's other rules.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FreeTime {
    /// Which room.
    pub room: RoomId,
    /// When.
    pub during: Interval,
}

/// One page of a room's free intervals.
#[derive(Clone, Debug)]
pub struct FreeIntervals {
    /// Which room.
    pub room: RoomId,
    /// The version of the room's stream that is shown at least.
    pub version: Version,
    /// The intervals in order of time.
    pub page: Page<Interval>,
}

impl FreeTime {
    /// One page of it as of `now`; none where there is no such room, nothing in it where it is retired.
    ///
    /// # Errors
    /// When the cursor is not this query's, or the read models can't be read.
    pub async fn run(
        &self,
        models: &dyn Queries,
        progress: &Progress,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Option<FreeIntervals>, QueryError> {
        let after: Option<Minute> = page.after(self)?;
        let version = version_of(models, progress, self.room).await?;
        let Some(room) = models.room(self.room).await? else { return Ok(None) };
        // A page begins where the last interval of the page before ended, never in the past.
        let from = self.during.from.max(after.unwrap_or(self.during.from)).max(first_minute_from(now));
        let rest = Interval { from, to: self.during.to };
        let mut free = Vec::new();
        if !room.retired && rest.from < rest.to {
            let mut open = OpenTime::new(&room.settings, rest);
            let mut last = None;
            while free.len() < page.to_read() {
                let found = models.live_in_room(self.room, rest, last, RESERVATIONS_AT_ONCE).await?;
                for doc in &found {
                    open.take_before(doc.reservation.interval(), &mut free);
                }
                last = found.last().map(|doc| (doc.reservation.from, doc.reservation.id));
                if found.len() < RESERVATIONS_AT_ONCE {
                    open.take_rest(page.to_read(), &mut free);
                    break;
                }
            }
        }
        let page = page.page(self, free, |interval| interval.to);
        Ok(Some(FreeIntervals { room: self.room, version, page }))
    }
}

/// The first minute that does not begin before a moment: the earliest at which a stay may still begin.
pub(super) fn first_minute_from(now: Timestamp) -> Minute {
    let minute = now.minute();
    if minute.start() < now { minute.plus(1).unwrap_or(minute) } else { minute }
}

/// Open time of a room, of which reservations are cut off in order of time.
struct OpenTime<'a> {
    settings: &'a RoomSettings,
    /// What is left to look at; days that are not yet in `spans` are in it.
    rest: Interval,
    /// The next local date to open.
    date: Option<chrono::NaiveDate>,
    spans: VecDeque<Interval>,
}

impl<'a> OpenTime<'a> {
    fn new(settings: &'a RoomSettings, during: Interval) -> Self {
        // The day before may be open over midnight where clocks go back.
        let date = local_date(settings.time_zone.0, during.from).checked_sub_days(Days::new(1));
        let mut open = Self { settings, rest: during, date, spans: VecDeque::new() };
        if settings.opening_hours.is_none() {
            open.date = None;
            open.spans.push_back(during);
        }
        open
    }

    /// The next span of open time, joined with those that adjoin it.
    fn next_span(&mut self) -> Option<Interval> {
        let mut span = self.spans.pop_front().or_else(|| self.open_next())?;
        // A span ends for sure only when a later one begins after it.
        while let Some(next) = self.spans.pop_front().or_else(|| self.open_next()) {
            if next.from > span.to {
                self.spans.push_front(next);
                break;
            }
            span.to = span.to.max(next.to);
        }
        Some(span)
    }

    /// The open time of the next day that has any.
    fn open_next(&mut self) -> Option<Interval> {
        let zone = self.settings.time_zone.0;
        let hours = self.settings.opening_hours.as_ref()?;
        loop {
            let date = self.date?;
            let begins = resolve_local(zone, date.and_time(NaiveTime::MIN), false);
            if begins.is_none_or(|begins| begins >= self.rest.to.to_utc()) {
                self.date = None;
                return None;
            }
            self.date = date.checked_add_days(Days::new(1));
            let open = open_on(hours, zone, date).and_then(|open| open.intersection(self.rest));
            if open.is_some() {
                return open;
            }
        }
    }

    /// Moves what is open before a reservation to `free`, and drops what the reservation covers.
    fn take_before(&mut self, reserved: Interval, free: &mut Vec<Interval>) {
        while let Some(span) = self.next_span() {
            if span.from >= reserved.to {
                self.spans.push_front(span);
                return;
            }
            if let Some(before) =
                (Interval { from: span.from, to: span.to.min(reserved.from) }).intersection(span)
            {
                free.push(before);
            }
            if span.to > reserved.to {
                self.spans.push_front(Interval { from: reserved.to.max(span.from), to: span.to });
                return;
            }
        }
    }

    /// Moves what is left to `free`, as far as it is wanted.
    fn take_rest(&mut self, wanted: usize, free: &mut Vec<Interval>) {
        while free.len() < wanted {
            let Some(span) = self.next_span() else { return };
            free.push(span);
        }
    }
}
