//! The free time of a room.

use std::collections::VecDeque;

use chrono::{Days, NaiveTime};
use shared_events::{
    Interval, Minute, RoomId, RoomSettings, Timestamp,
    room_rules::{open_on, resolve_local},
};

use super::{PageRequest, QueryError, RoomPage, version_of};
use crate::{
    progress::Progress,
    read_models::{local_time::local_date, reservation::with_buffers},
    stores::Queries,
};

/// Reservations that are read at a time.
const RESERVATIONS_AT_ONCE: usize = 500;

/// The longest intervals, within a given one, that stays can hold now: the room is open and not reserved. They are of whole
/// slots, from the running one on, and hold the shortest stay. Stays in them keep the longest stay.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FreeTime {
    /// The room.
    pub room: RoomId,
    /// The given interval.
    pub during: Interval,
}

impl FreeTime {
    /// One page of it as of `now`, in order of time, or `None` if there is no such room. A retired room has no free time.
    pub async fn run(
        &self,
        models: &dyn Queries,
        progress: &Progress,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Option<RoomPage<Interval>>, QueryError> {
        let after: Option<Minute> = page.after(self)?;
        let version = version_of(models, progress, self.room).await?;
        let Some(room) = models.room(self.room).await? else { return Ok(None) };
        // A page begins at the end of the last interval of the page before, but never in the past.
        let earliest = room.settings.earliest_start(now);
        let from = self.during.from.max(after.unwrap_or(self.during.from)).max(earliest);
        let rest = Interval { from, to: self.during.to };
        // Buffers of stays on either side may reach into the interval.
        let around = with_buffers(with_buffers(rest));
        let mut free = Vec::new();
        if !room.retired && rest.from < rest.to {
            let mut open = OpenTime::new(&room.settings, rest, now);
            // Closures may overlap one another and stays: each is cut out before the stays that begin after it.
            let closures = models.closures_in_rooms(&[self.room], around).await?;
            let mut closed = closures.iter().map(|doc| doc.closure.interval()).peekable();
            let mut last = None;
            while free.len() < page.to_read() {
                let found = models.live_in_room(self.room, around, last, RESERVATIONS_AT_ONCE).await?;
                for doc in &found {
                    let busy = doc.reservation.busy_interval();
                    while let Some(closed) = closed.next_if(|closed| closed.from <= busy.from) {
                        open.take_before(room.settings.barred_by(closed), &mut free);
                    }
                    open.take_before(room.settings.barred_by(busy), &mut free);
                }
                last = found.last().map(|doc| (doc.reservation.from, doc.reservation.id));
                if found.len() < RESERVATIONS_AT_ONCE {
                    for closed in closed.by_ref() {
                        open.take_before(room.settings.barred_by(closed), &mut free);
                    }
                    open.take_rest(page.to_read(), &mut free);
                    break;
                }
            }
        }
        let page = page.page(self, free, |interval| interval.to);
        Ok(Some(RoomPage { room: self.room, version, page }))
    }
}

/// The parts of an interval that stays can hold now, if these intervals are reserved, in order of time.
pub(super) fn free_between(
    settings: &RoomSettings,
    during: Interval,
    reserved: Vec<Interval>,
    now: Timestamp,
) -> Vec<Interval> {
    let mut free = Vec::new();
    if during.from < during.to {
        let mut open = OpenTime::new(settings, during, now);
        reserved.into_iter().for_each(|reserved| open.take_before(reserved, &mut free));
        open.take_rest(usize::MAX, &mut free);
    }
    free
}

/// The minutes of an interval in which a room is open by its present opening hours.
pub(super) fn open_minutes(settings: &RoomSettings, during: Interval) -> u64 {
    let mut open = OpenTime::new(settings, during, Timestamp::EARLIEST);
    let spans = std::iter::from_fn(|| open.next_span());
    spans.map(|span| span.minutes().unsigned_abs()).sum()
}

/// A room's open time. Reservations are cut out of it in order of time.
struct OpenTime<'a> {
    settings: &'a RoomSettings,
    /// The whole interval.
    during: Interval,
    /// The next local date whose open time goes to `spans`.
    date: Option<chrono::NaiveDate>,
    /// Open time that is not taken yet.
    spans: VecDeque<Interval>,
    now: Timestamp,
}

impl<'a> OpenTime<'a> {
    fn new(settings: &'a RoomSettings, during: Interval, now: Timestamp) -> Self {
        // The day before may be open past midnight.
        let date = local_date(settings.time_zone.0, during.from).checked_sub_days(Days::new(1));
        let mut open = Self { settings, during, date, spans: VecDeque::new(), now };
        if settings.opening_hours.is_none() {
            open.date = None;
            open.spans.push_back(during);
        }
        open
    }

    /// The next span of open time, joined with the adjoining ones.
    fn next_span(&mut self) -> Option<Interval> {
        let mut span = self.spans.pop_front().or_else(|| self.open_next())?;
        // The next day's span may adjoin this one.
        while let Some(next) = self.spans.pop_front().or_else(|| self.open_next()) {
            if next.from > span.to {
                self.spans.push_front(next);
                break;
            }
            span.to = span.to.max(next.to);
        }
        Some(span)
    }

    /// The first open time of the next day that opens.
    fn open_next(&mut self) -> Option<Interval> {
        let zone = self.settings.time_zone.0;
        let hours = self.settings.opening_hours.as_ref()?;
        loop {
            let date = self.date?;
            let begins = resolve_local(zone, date.and_time(NaiveTime::MIN), false);
            if begins.is_none_or(|begins| begins >= self.during.to.to_utc()) {
                self.date = None;
                return None;
            }
            self.date = date.checked_add_days(Days::new(1));
            self.spans.extend(open_on(hours, zone, date).filter_map(|open| open.intersection(self.during)));
            if let Some(open) = self.spans.pop_front() {
                return Some(open);
            }
        }
    }

    /// Moves the open time before a reservation to `free`, and drops the time that the reservation covers.
    fn take_before(&mut self, reserved: Interval, free: &mut Vec<Interval>) {
        while let Some(span) = self.next_span() {
            if span.from >= reserved.to {
                self.spans.push_front(span);
                return;
            }
            if let Some(before) =
                (Interval { from: span.from, to: span.to.min(reserved.from) }).intersection(span)
            {
                free.extend(self.settings.bookable_part(before, self.now));
            }
            if span.to > reserved.to {
                self.spans.push_front(Interval { from: reserved.to.max(span.from), to: span.to });
                return;
            }
        }
    }

    /// Moves the remaining open time to `free`, up to `wanted` intervals.
    fn take_rest(&mut self, wanted: usize, free: &mut Vec<Interval>) {
        while free.len() < wanted {
            let Some(span) = self.next_span() else { return };
            free.extend(self.settings.bookable_part(span, self.now));
        }
    }
}
