//! When a room is open.

use crate::time_zone::Tz;
use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _,
};

use crate::{
    opening_hours::OpeningHours,
    time::{Interval, Minute},
};

/// Whether the room is open for all of the stay. Spans join at midnight, also across dates that the zone skipped.
pub(super) fn is_open(hours: &OpeningHours, zone: Tz, stay: Interval) -> bool {
    let mut open_until = stay.from;
    // Spans of the day before may go on.
    let date = stay.from.to_utc().with_timezone(&zone).date_naive();
    let mut day = date.checked_sub_days(Days::new(1));
    while open_until < stay.to {
        let Some(today) = day else { return false };
        let begins = resolve_local(zone, today.and_time(NaiveTime::MIN), false);
        if begins.is_none_or(|begins| begins > open_until.to_utc()) {
            return false;
        }
        for open in open_on(hours, zone, today) {
            if open.from <= open_until {
                open_until = open_until.max(open.to);
            }
        }
        day = today.checked_add_days(Days::new(1));
    }
    true
}

/// The intervals in which a room is open by the spans of a local date, in order. None if it is closed, or clocks skip all spans.
///
/// The room opens when clocks first show `opens`. It closes after they last show the minute before `closes`. So a repeated hour
/// within the span counts twice, and one right after it not at all. If clocks skip a time, it opens or closes right after.
pub fn open_on(hours: &OpeningHours, zone: Tz, day: NaiveDate) -> impl Iterator<Item = Interval> {
    let local = move |minutes: u16| {
        day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::minutes(i64::from(minutes)))
    };
    hours.on(day.weekday()).iter().filter_map(move |span| {
        let opens = resolve_local(zone, local(span.opens())?, false)?;
        let last_minute = local(span.closes() - 1)?;
        let closes = match zone.from_local_datetime(&last_minute).latest() {
            Some(shown) => shown.checked_add_signed(TimeDelta::minutes(1))?,
            None => resolve_local(zone, last_minute, true)?,
        };
        let open = Interval {
            from: Minute::from_utc(opens.to_utc()).ok()?,
            to: Minute::from_utc(closes.to_utc()).ok()?,
        };
        (open.from < open.to).then_some(open)
    })
}

/// The moment at which a zone's clocks show a date and time. A repeated time is the earlier one, or the `later` one. A skipped
/// time is the end of the skipped part.
#[must_use]
pub fn resolve_local(zone: Tz, local: NaiveDateTime, later: bool) -> Option<DateTime<Tz>> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) => Some(time),
        LocalResult::Ambiguous(first, second) => Some(if later { second } else { first }),
        // Clocks skip at most a few hours, or a whole day where a zone crossed the date line.
        LocalResult::None => (1..=25 * 60).find_map(|minutes| {
            zone.from_local_datetime(&local.checked_add_signed(TimeDelta::minutes(minutes))?).earliest()
        }),
    }
}
