//! An interval as the hours of a zone's clock: whole ones are told by usage documents, broken ones by reservations.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use shared_events::{Interval, TimeZone};

use super::statistics::Frame;
use crate::read_models::local_time::{Cell, cells, day_span};

/// An interval's whole days, and the hours before and after them.
pub(super) struct Hours {
    zone: TimeZone,
    pub(super) frame: Frame,
    /// Local hours outside of the whole days that lie in the interval with all their minutes.
    pub(super) whole: BTreeSet<(NaiveDate, u8)>,
    /// The rest of the interval, in order of time: usually nothing, or the hour that an end of it cuts.
    pub(super) broken: Vec<Interval>,
}

impl Hours {
    pub(super) fn new(during: Interval, zone: TimeZone) -> Self {
        let frame = Frame::new(during, zone);
        let ends: Vec<(Interval, Cell)> = frame
            .ends()
            .into_iter()
            .flat_map(|end| placed(zone, end))
            .filter(|(_, cell)| !frame.is_whole(cell.date))
            .collect();
        let within = tally(ends.iter().map(|(_, cell)| *cell));
        let dates: BTreeSet<NaiveDate> = within.keys().map(|(date, _)| *date).collect();
        let all_of = |date| {
            let span = day_span(zone.0, date);
            span.into_iter().flat_map(move |span| cells(zone.0, span)).filter(move |cell| cell.date == date)
        };
        let complete = tally(dates.into_iter().flat_map(all_of));
        let whole: BTreeSet<(NaiveDate, u8)> = within
            .iter()
            .filter(|(hour, minutes)| complete.get(hour) == Some(minutes))
            .map(|(hour, _)| *hour)
            .collect();
        let mut broken: Vec<Interval> = Vec::new();
        for (at, _) in ends.iter().filter(|(_, cell)| !whole.contains(&(cell.date, cell.hour))) {
            match broken.last_mut() {
                Some(last) if last.to == at.from => last.to = at.to,
                _ => broken.push(*at),
            }
        }
        Self { zone, frame, whole, broken }
    }

    /// The minutes of a reservation that lie in broken hours.
    pub(super) fn refine(&self, reserved: Interval) -> impl Iterator<Item = Cell> {
        let shared = self.broken.iter().filter_map(move |broken| reserved.intersection(*broken));
        shared.flat_map(|shared| cells(self.zone.0, shared))
    }
}

/// The cells of an interval with where they are.
fn placed(zone: TimeZone, interval: Interval) -> impl Iterator<Item = (Interval, Cell)> {
    let mut from = interval.from;
    cells(zone.0, interval).map_while(move |cell| {
        let at = Interval { from, to: from.plus(i64::from(cell.minutes)).ok()? };
        from = at.to;
        Some((at, cell))
    })
}

/// Minutes of each local hour.
fn tally(cells: impl Iterator<Item = Cell>) -> BTreeMap<(NaiveDate, u8), u16> {
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
        joined(Hours::new(during, zone.parse().unwrap()).broken)
    }

    #[test]
    fn no_reservation_is_looked_up_where_both_ends_are_at_full_hours() {
        let during = interval("2026-06-10T09:00:00Z", "2026-06-12T17:00:00Z");
        assert_eq!(looked_up("Europe/Lisbon", during), []);
        assert_eq!(looked_up("Europe/Lisbon", interval("2026-06-10T09:00:00Z", "2026-06-10T10:00:00Z")), []);
        // Half past two and half past ten.
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
    fn broken_hours_of_several_zones_are_looked_up_together_at_each_end() {
        let during = interval("2026-06-10T09:10:00Z", "2026-06-12T17:05:00Z");
        let zones = ["Europe/Lisbon", "Asia/Kolkata", "Asia/Kathmandu"];
        let broken = zones.map(|zone| Hours::new(during, zone.parse().unwrap()).broken);
        let cut = [
            interval("2026-06-10T09:10:00Z", "2026-06-10T10:00:00Z"),
            interval("2026-06-12T16:15:00Z", "2026-06-12T17:05:00Z"),
        ];
        assert_eq!(joined(broken.concat()), cut);
    }
}
