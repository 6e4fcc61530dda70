//! Cuts intervals along a zone's clock. Statistics count each minute at the local date and hour at which it begins.

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, TimeZone as _, Timelike};
use chrono_tz::Tz;
use shared_events::{Interval, Minute};

/// Minutes of an interval that fall into one local hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    /// Local date.
    pub date: NaiveDate,
    /// Hour that the local clock shows, 0 to 23.
    pub hour: u8,
    /// How many minutes, 1 to 60. An hour that is shown twice makes two cells.
    pub minutes: u8,
}

/// The cells of an interval in order of time.
pub fn cells(zone: Tz, interval: Interval) -> impl Iterator<Item = Cell> {
    let (mut at, end) = (interval.from.epoch_minutes(), interval.to.epoch_minutes());
    let mut local = instant(zone, at);
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let (date, hour) = (local.date_naive(), local.hour());
        let to_full_hour = i64::from(60 - local.minute());
        let mut minutes = to_full_hour.min(end - at);
        let mut next = instant(zone, at + minutes);
        if next.naive_local() - local.naive_local() != TimeDelta::minutes(minutes) {
            // The clocks change within this stretch: only the part before the change lies in this hour.
            minutes = (1..minutes)
                .find(|passed| {
                    instant(zone, at + passed).naive_local() - local.naive_local()
                        != TimeDelta::minutes(*passed)
                })
                .unwrap_or(minutes);
            next = instant(zone, at + minutes);
        }
        at += minutes;
        local = next;
        Some(Cell { date, hour: u8::try_from(hour).ok()?, minutes: u8::try_from(minutes).ok()? })
    })
}

/// The local date of a minute.
#[must_use]
pub fn local_date(zone: Tz, minute: Minute) -> NaiveDate {
    minute.to_utc().with_timezone(&zone).date_naive()
}

/// The local year of a minute.
#[must_use]
pub fn local_year(zone: Tz, minute: Minute) -> i32 {
    local_date(zone, minute).year()
}

/// From the first minute that has this local date to the first after the last one that has it. None where the zone
/// skipped that date, or it lies outside of the calendar. Where clocks go back over midnight two days share minutes'
/// span, though never a minute.
#[must_use]
pub fn day_span(zone: Tz, date: NaiveDate) -> Option<Interval> {
    // No zone is further than 26 hours from UTC or moves its clocks by more than a day at once.
    let noon = date.and_hms_opt(12, 0, 0)?.and_utc().timestamp().div_euclid(60);
    let has_date = |minute: i64| instant(zone, minute).date_naive() == date;
    // Both ends are looked for by the quarter of an hour, then by the minute.
    let window = (noon - 3 * 24 * 60)..(noon + 3 * 24 * 60);
    let mut quarters = window.step_by(15).filter(|minute| has_date(*minute));
    let first = quarters.next()?;
    let last = quarters.last().unwrap_or(first);
    let from = (first - 15..=first).find(|minute| has_date(*minute))?;
    let to = (last..=last + 15).rev().find(|minute| has_date(*minute))? + 1;
    Some(Interval {
        from: Minute::from_epoch_minutes(from.max(0)).ok()?,
        to: Minute::from_epoch_minutes(to).ok()?,
    })
}

/// The local dates of which every minute lies in an interval, as first and last one. None where there is none.
#[must_use]
pub fn whole_days(zone: Tz, interval: Interval) -> Option<(NaiveDate, NaiveDate)> {
    let last_minute = interval.to.plus(-1).ok()?;
    let is_whole = |date: NaiveDate| {
        day_span(zone, date).is_none_or(|span| interval.from <= span.from && span.to <= interval.to)
    };
    let one = Days::new(1);
    let mut first = local_date(zone, interval.from);
    let mut last = local_date(zone, last_minute);
    // At most a few steps: only dates at either end can be incomplete.
    while first <= last && !is_whole(first) {
        first = first.checked_add_days(one)?;
    }
    while first <= last && !is_whole(last) {
        last = last.checked_sub_days(one)?;
    }
    (first <= last).then_some((first, last))
}

/// The local time at which a minute since 1970 begins.
fn instant(zone: Tz, minute: i64) -> DateTime<Tz> {
    let utc = DateTime::from_timestamp(minute * 60, 0).unwrap_or(DateTime::UNIX_EPOCH);
    zone.from_utc_datetime(&utc.naive_utc())
}
