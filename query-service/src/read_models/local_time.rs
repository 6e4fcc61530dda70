//! Cuts intervals along a zone's clock. Statistics count each minute at the local date and hour at which it begins.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, TimeZone as _, Timelike};
use shared_events::time_zone::Tz;
use shared_events::{Interval, Minute};

/// Minutes of an interval that fall into one local hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    /// Local date.
    pub date: NaiveDate,
    /// Hour that the local clock shows, 0 to 23.
    pub hour: u8,
    /// The minutes, 1 to 60. An hour that is shown twice makes two cells.
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

/// No zone's clock differs from UTC by more.
const FURTHEST: Days = Days::new(2);

/// The local date of a minute.
#[must_use]
pub fn local_date(zone: Tz, minute: Minute) -> NaiveDate {
    minute.to_utc().with_timezone(&zone).date_naive()
}

/// The local date of a minute, and the hour that the clock shows.
#[must_use]
pub fn local_hour(zone: Tz, minute: Minute) -> (NaiveDate, u8) {
    let local = minute.to_utc().with_timezone(&zone);
    (local.date_naive(), u8::try_from(local.hour()).unwrap_or_default())
}

/// Those of these dates around which a zone's clock goes back.
#[must_use]
pub fn turned_back(zone: Tz, first: NaiveDate, last: NaiveDate) -> Vec<NaiveDate> {
    // The clock's lead over UTC at noon. No clock is further from UTC than two days.
    let lead = |date: NaiveDate| {
        let noon = date.and_hms_opt(12, 0, 0)?;
        Some(zone.from_utc_datetime(&noon).naive_local() - noon)
    };
    let Some(begin) = first.checked_sub_days(FURTHEST) else { return Vec::new() };
    let end = last.checked_add_days(FURTHEST).unwrap_or(last);
    let leads: Vec<_> = begin.iter_days().take_while(|date| *date <= end).filter_map(lead).collect();
    let goes_back =
        |leads: &[TimeDelta]| leads.windows(2).any(|two| matches!(two, [one, next] if next < one));
    let near = leads.windows(5).zip(first.iter_days());
    near.filter(|(leads, _)| goes_back(leads)).map(|(_, date)| date).collect()
}

/// The interval from the first to the last minute of a local date. `None` if the zone skips the date, or it is outside of
/// the calendar. If clocks go back over midnight, the intervals of two days overlap, though they share no minute.
#[must_use]
pub fn day_span(zone: Tz, date: NaiveDate) -> Option<Interval> {
    // No zone is further than 26 hours from UTC or moves its clocks by more than a day at once.
    let noon = date.and_hms_opt(12, 0, 0)?.and_utc().timestamp().div_euclid(60);
    let has_date = |minute: i64| instant(zone, minute).date_naive() == date;
    // Both ends are searched by quarters of an hour, then by minutes.
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

/// The first and last local date that lies wholly in an interval. `None` if there is none.
#[must_use]
pub fn whole_days(zone: Tz, interval: Interval) -> Option<(NaiveDate, NaiveDate)> {
    let last_minute = interval.to.plus(-1).ok()?;
    let is_whole = |date: NaiveDate| {
        day_span(zone, date).is_none_or(|span| interval.from <= span.from && span.to <= interval.to)
    };
    let one = Days::new(1);
    let mut first = local_date(zone, interval.from);
    let mut last = local_date(zone, last_minute);
    // A few steps at most: only dates at the ends can be incomplete.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(from: &str, minutes: i64) -> Interval {
        let from: Minute = from.parse().unwrap();
        Interval { from, to: from.plus(minutes).unwrap() }
    }

    /// The cells of an interval, found minute by minute and with adjoining ones joined.
    fn counted(zone: Tz, interval: Interval) -> Vec<(NaiveDate, u8, u32)> {
        let mut counted: Vec<(NaiveDate, u8, u32)> = Vec::new();
        for minute in interval.from.epoch_minutes()..interval.to.epoch_minutes() {
            let local = Minute::from_epoch_minutes(minute).unwrap().to_utc().with_timezone(&zone);
            let key = (local.date_naive(), u8::try_from(local.hour()).unwrap());
            join(&mut counted, key, 1);
        }
        counted
    }

    fn join(cells: &mut Vec<(NaiveDate, u8, u32)>, (date, hour): (NaiveDate, u8), minutes: u32) {
        match cells.last_mut() {
            Some(last) if (last.0, last.1) == (date, hour) => last.2 += minutes,
            _ => cells.push((date, hour, minutes)),
        }
    }

    #[test]
    fn cells_are_those_that_a_clock_shows_minute_by_minute() {
        for (zone, from) in [
            ("Europe/Lisbon".parse().unwrap(), "2026-03-28T20:13:00Z"),
            ("Europe/Lisbon".parse().unwrap(), "2026-10-24T20:13:00Z"),
            ("Australia/Lord_Howe".parse().unwrap(), "2026-04-04T10:01:00Z"),
            ("Australia/Lord_Howe".parse().unwrap(), "2026-10-03T10:01:00Z"),
            // Clocks changed one minute after midnight.
            ("America/St_Johns".parse().unwrap(), "2005-10-30T00:07:00Z"),
            ("Asia/Kathmandu".parse().unwrap(), "2026-12-31T12:00:00Z"),
            // An offset of 44 minutes and 30 seconds, until 1972.
            ("Africa/Monrovia".parse().unwrap(), "1972-01-06T12:00:00Z"),
            // The date line was crossed: 30 December 2011 never was.
            ("Pacific/Apia".parse().unwrap(), "2011-12-29T12:00:00Z"),
        ] {
            let interval = interval(from, 2500);
            let mut joined = Vec::new();
            for cell in cells(zone, interval) {
                join(&mut joined, (cell.date, cell.hour), u32::from(cell.minutes));
            }
            assert_eq!(joined, counted(zone, interval), "{zone} {from}");
        }
    }

    #[test]
    fn a_day_is_whole_when_no_minute_of_it_is_missing() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let lisbon = "Europe/Lisbon".parse().unwrap();
        // The night on which clocks go back: 25 hours.
        let day = interval("2026-10-24T23:00:00Z", 25 * 60);
        assert_eq!(day_span(lisbon, date("2026-10-25")), Some(day));
        assert_eq!(whole_days(lisbon, day), Some((date("2026-10-25"), date("2026-10-25"))));
        assert_eq!(whole_days(lisbon, Interval { to: day.to.plus(-1).unwrap(), ..day }), None);
        assert_eq!(whole_days(lisbon, Interval { from: day.from.plus(1).unwrap(), ..day }), None);
        // Clocks went back over midnight: one minute of the 30th, an hour of the 29th again, then the 30th.
        let st_johns = "America/St_Johns".parse().unwrap();
        let saturday = day_span(st_johns, date("2005-10-29")).unwrap();
        let sunday = day_span(st_johns, date("2005-10-30")).unwrap();
        assert!(saturday.overlaps(sunday));
        assert_eq!(whole_days(st_johns, saturday), Some((date("2005-10-29"), date("2005-10-29"))));
        assert_eq!(whole_days(st_johns, Interval { to: sunday.from, ..saturday }), None);
        // A date that never was is no obstacle.
        let apia = "Pacific/Apia".parse().unwrap();
        assert_eq!(day_span(apia, date("2011-12-30")), None);
        let both = interval("2011-12-29T10:00:00Z", 2 * 1440);
        assert_eq!(whole_days(apia, both), Some((date("2011-12-29"), date("2011-12-31"))));
    }
}
