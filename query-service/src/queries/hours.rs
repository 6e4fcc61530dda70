//! An interval as the hours of a zone's clock. Usage documents count whole hours; reservations tell broken ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use chrono::NaiveDate;
use shared_events::{Interval, Minute, TimeZone};

use crate::read_models::{
    local_time::{Cell, cells, day_span, local_hour, turned_back, whole_days},
    usage::{DAYS, HOURS, Month, place_of},
};

/// A local date, and an hour that the clock shows on it.
type Hour = (NaiveDate, u8);

/// An interval's whole days, and the hours before and after them.
pub(super) struct Hours {
    during: Interval,
    zone: TimeZone,
    /// The first and last local day that lies wholly in the interval.
    days: Option<(NaiveDate, NaiveDate)>,
    /// Local hours outside of these days that lie wholly in the interval.
    whole: BTreeSet<Hour>,
    /// Hours in several pieces, with another hour in between, where clocks go back. Usage can't tell which reservations go on
    /// in them.
    torn: BTreeSet<Hour>,
    /// The rest of the interval, in order of time: at most the hours that its ends cut, unless clocks change.
    broken: Vec<Interval>,
    /// The hour that begins with the interval, if usage counts the reservation that goes on in it.
    entered: Option<Hour>,
}

impl Hours {
    pub(super) fn new(during: Interval, zone: TimeZone) -> Self {
        let days = whole_days(zone.0, during);
        let ends: Vec<(Interval, Cell)> = ends(during, zone, days)
            .into_iter()
            .flat_map(|end| placed(zone, end))
            .filter(|(_, cell)| !is_among(days, cell.date))
            .collect();
        let within = tally(ends.iter().map(|(_, cell)| *cell));
        let dates: BTreeSet<NaiveDate> = within.keys().map(|(date, _)| *date).collect();
        let complete = tally(dates.iter().flat_map(|date| all_of(zone, *date)).map(|(_, cell)| cell));
        let turned = days.into_iter().flat_map(|(first, last)| turned_back(zone.0, first, last));
        let torn: BTreeSet<Hour> = turned.chain(dates).flat_map(|date| torn_of(zone, date)).collect();
        let whole: BTreeSet<Hour> = within
            .iter()
            .filter(|(hour, minutes)| complete.get(hour) == Some(minutes) && !torn.contains(hour))
            .map(|(hour, _)| *hour)
            .collect();
        let is_broken = |cell: &Cell| !whole.contains(&(cell.date, cell.hour));
        let mut pieces: Vec<Interval> =
            ends.into_iter().filter(|(_, cell)| is_broken(cell)).map(|(at, _)| at).collect();
        let torn_dates: BTreeSet<NaiveDate> =
            torn.iter().map(|(date, _)| *date).filter(|date| is_among(days, *date)).collect();
        for (at, cell) in torn_dates.into_iter().flat_map(|date| all_of(zone, date)) {
            if torn.contains(&(cell.date, cell.hour)) {
                pieces.push(at);
            }
        }
        pieces.sort_unstable_by_key(|piece| piece.from);
        let mut broken: Vec<Interval> = Vec::new();
        for piece in pieces {
            match broken.last_mut() {
                Some(last) if last.to == piece.from => last.to = piece.to,
                _ => broken.push(piece),
            }
        }
        let mut hours = Self { during, zone, days, whole, torn, broken, entered: None };
        hours.entered = Some(hours.hour_of(during)).filter(|hour| hours.is_whole(*hour));
        hours
    }

    /// The places of the whole hours in the tables of a month.
    pub(super) fn in_tables_of(&self, month: Month) -> impl Iterator<Item = Range<usize>> {
        let days = self.days.and_then(|(first, last)| {
            let first = if Month::of(first) < month { month.first()? } else { first };
            let end = if Month::of(last) > month { DAYS * HOURS } else { place_of(month, last, 0)? + HOURS };
            Some(place_of(month, first, 0)?..end)
        });
        let place = move |hour: &Hour| place_of(month, hour.0, hour.1);
        let days = days.into_iter().flat_map(move |days| without(days, self.torn.iter().filter_map(place)));
        days.chain(self.whole.iter().filter_map(place).map(|place| place..place + 1))
    }

    /// Whether usage counts a reservation that begins at this minute.
    pub(super) fn counts_from(&self, from: Minute) -> bool {
        self.during.from <= from
            && from < self.during.to
            && !self.broken.iter().any(|broken| broken.from <= from && from < broken.to)
    }

    /// The first minute of the interval.
    pub(super) const fn first(&self) -> Minute {
        self.during.from
    }

    /// The place of the interval's first hour in the tables of a month, if they count the reservation that goes on in it.
    pub(super) fn entered_in(&self, month: Month) -> Option<usize> {
        self.entered.and_then(|(date, hour)| place_of(month, date, hour))
    }

    /// The parts of the interval whose reservations must be read: the broken hours, and the first minute if usage does not
    /// count the reservation that goes on in it.
    pub(super) fn looked_up(&self) -> Vec<Interval> {
        let end = self.during.from.plus(1).unwrap_or(self.during.to);
        let first = Interval { from: self.during.from, to: end };
        let first = first.intersection(self.during).filter(|_| self.entered.is_none());
        first.into_iter().chain(self.broken.iter().copied()).collect()
    }

    /// The minutes of a reservation in broken hours.
    pub(super) fn refine(&self, reserved: Interval) -> impl Iterator<Item = Cell> {
        let shared = self.broken.iter().filter_map(move |broken| reserved.intersection(*broken));
        shared.flat_map(|shared| cells(self.zone.0, shared))
    }

    /// Whether a reservation overlaps the interval and usage does not count it. Usage counts it if it begins in a whole
    /// hour, or if it goes on in an `entered` hour.
    pub(super) fn counts_apart(&self, reserved: Interval) -> bool {
        let goes_on = reserved.from < self.during.from;
        let is_counted = if goes_on { self.entered.is_some() } else { self.is_whole(self.hour_of(reserved)) };
        reserved.overlaps(self.during) && !is_counted
    }

    /// The hour that the clock shows when an interval begins.
    fn hour_of(&self, interval: Interval) -> Hour {
        local_hour(self.zone.0, interval.from)
    }

    fn is_whole(&self, hour: Hour) -> bool {
        self.whole.contains(&hour) || (is_among(self.days, hour.0) && !self.torn.contains(&hour))
    }
}

/// The parts of a range between some places, which are in order.
fn without(range: Range<usize>, places: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let (mut parts, mut from) = (Vec::new(), range.start);
    for place in places.filter(|place| range.contains(place)) {
        parts.push(from..place);
        from = place + 1;
    }
    parts.push(from..range.end);
    parts
}

/// Whether a date is one of these days.
fn is_among(days: Option<(NaiveDate, NaiveDate)>, date: NaiveDate) -> bool {
    days.is_some_and(|(first, last)| first <= date && date <= last)
}

/// The parts of the interval before and after the whole days.
fn ends(during: Interval, zone: TimeZone, days: Option<(NaiveDate, NaiveDate)>) -> Vec<Interval> {
    let Some((first, last)) = days else { return vec![during] };
    let neighbour = |date: Option<NaiveDate>| date.and_then(|date| day_span(zone.0, date));
    let head_end = neighbour(first.pred_opt()).map_or(during.from, |span| span.to);
    let tail_start = neighbour(last.succ_opt()).map_or(during.to, |span| span.from);
    let head = Interval { from: during.from, to: head_end };
    let tail = Interval { from: tail_start, to: during.to };
    [head, tail].into_iter().filter_map(|end| end.intersection(during)).collect()
}

/// The cells of an interval, each with its own interval.
fn placed(zone: TimeZone, interval: Interval) -> impl Iterator<Item = (Interval, Cell)> {
    let mut from = interval.from;
    cells(zone.0, interval).map_while(move |cell| {
        let at = Interval { from, to: from.plus(i64::from(cell.minutes)).ok()? };
        from = at.to;
        Some((at, cell))
    })
}

/// The cells of a local date, each with its own interval.
fn all_of(zone: TimeZone, date: NaiveDate) -> impl Iterator<Item = (Interval, Cell)> {
    let span = day_span(zone.0, date);
    span.into_iter().flat_map(move |span| placed(zone, span)).filter(move |(_, cell)| cell.date == date)
}

/// The hours of a date that the clock shows with another hour in between.
fn torn_of(zone: TimeZone, date: NaiveDate) -> BTreeSet<Hour> {
    let (mut ends, mut torn) = (BTreeMap::new(), BTreeSet::new());
    for (at, cell) in all_of(zone, date) {
        if ends.insert(cell.hour, at.to).is_some_and(|end| end != at.from) {
            torn.insert((date, cell.hour));
        }
    }
    torn
}

/// Minutes of each local hour.
fn tally(cells: impl Iterator<Item = Cell>) -> BTreeMap<Hour, u16> {
    let mut minutes = BTreeMap::new();
    for cell in cells {
        *minutes.entry((cell.date, cell.hour)).or_default() += u16::from(cell.minutes);
    }
    minutes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queries::statistics::joined;

    fn interval(from: &str, to: &str) -> Interval {
        Interval { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    fn looked_up(zone: &str, during: Interval) -> Vec<Interval> {
        joined(Hours::new(during, zone.parse().unwrap()).looked_up(), 24 * 60)
    }

    #[test]
    fn no_reservation_is_looked_up_where_both_ends_are_at_full_hours() {
        let during = interval("2026-06-10T09:00:00Z", "2026-06-12T17:00:00Z");
        assert_eq!(looked_up("Europe/Lisbon", during), []);
        assert_eq!(looked_up("Europe/Lisbon", interval("2026-06-10T09:00:00Z", "2026-06-10T10:00:00Z")), []);
        // Half past two, and half past ten.
        let cut = [
            interval("2026-06-10T09:00:00Z", "2026-06-10T09:30:00Z"),
            interval("2026-06-12T16:30:00Z", "2026-06-12T17:00:00Z"),
        ];
        assert_eq!(looked_up("Asia/Kolkata", during), cut);
    }

    #[test]
    fn an_hour_that_the_clock_shows_twice_is_broken_when_one_of_them_is_outside() {
        // Lisbon goes back from 02:00 to 01:00 at 01:00 in UTC.
        let night = |from: &str| looked_up("Europe/Lisbon", interval(from, "2026-10-25T12:00:00Z"));
        assert_eq!(night("2026-10-25T00:00:00Z"), []);
        assert_eq!(night("2026-10-25T01:00:00Z"), [interval("2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z")]);
        assert_eq!(night("2026-10-25T02:00:00Z"), []);
    }

    #[test]
    fn hours_that_the_clock_shows_in_turn_are_looked_up_wherever_they_are() {
        // Troll goes back from 03:00 to 01:00 at 01:00 in UTC: 1, 2, 1, 2.
        let torn = [interval("2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z")];
        let during = interval("2026-10-01T00:00:00Z", "2026-11-02T00:00:00Z");
        assert_eq!(looked_up("Antarctica/Troll", during), torn);
        let hours = Hours::new(during, "Antarctica/Troll".parse().unwrap());
        let month = Month::of("2026-10-25".parse().unwrap());
        let places: Vec<_> =
            hours.in_tables_of(month).flatten().filter(|place| place / HOURS == 24).collect();
        assert_eq!(places, [vec![24 * HOURS], (24 * HOURS + 3..25 * HOURS).collect()].concat());
        assert_eq!(
            looked_up("Antarctica/Troll", interval("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z")),
            torn
        );
    }

    #[test]
    fn broken_hours_of_several_zones_are_looked_up_together_at_each_end() {
        let during = interval("2026-06-10T09:10:00Z", "2026-06-12T17:05:00Z");
        let zones = ["Europe/Lisbon", "Asia/Kolkata", "Asia/Kathmandu"];
        let broken = zones.map(|zone| Hours::new(during, zone.parse().unwrap()).looked_up());
        let cut = [
            interval("2026-06-10T09:10:00Z", "2026-06-10T10:00:00Z"),
            interval("2026-06-12T16:15:00Z", "2026-06-12T17:05:00Z"),
        ];
        assert_eq!(joined(broken.concat(), 24 * 60), cut);
    }

    #[test]
    fn what_goes_on_from_before_is_looked_up_where_the_first_hour_comes_in_two_pieces() {
        // Until 2011 St John's went back at one minute after midnight: the 1st, an hour of October again, the 1st again.
        let from_midnight = interval("2009-11-01T02:30:00Z", "2009-11-10T03:30:00Z");
        let first_minute = interval("2009-11-01T02:30:00Z", "2009-11-01T02:31:00Z");
        assert_eq!(looked_up("America/St_Johns", from_midnight)[0].from, first_minute.from);
        let a_day_later = Interval { from: "2009-11-02T03:30:00Z".parse().unwrap(), ..from_midnight };
        assert_eq!(looked_up("America/St_Johns", a_day_later), []);
    }
}
