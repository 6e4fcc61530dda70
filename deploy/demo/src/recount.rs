//! Recounts the statistics from the record, minute by minute.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use chrono::DateTime;

use crate::{
    plan::{Minute, Stay, ZONE},
    record::{Record, Reserved},
};

/// The local hour of every minute of a span.
pub(crate) struct Calendar {
    first: Minute,
    /// Local dates since 1970 times 24, plus the hour that the clock shows.
    hours: Vec<u32>,
}

/// What is reserved in a local hour: minutes, then reservations and their people, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) minutes: i64,
    pub(crate) reservations: i64,
    pub(crate) people: i64,
}

/// What is reserved by day and hour.
pub(crate) type Busiest = BTreeMap<(String, u32), Counts>;

impl Calendar {
    /// The local time of each minute of a span.
    pub(crate) fn of(span: Stay) -> anyhow::Result<Self> {
        let hours = (span.from..span.to)
            .map(|minute| {
                let time = DateTime::from_timestamp(minute * 60, 0).context("outside of the calendar")?;
                let local = time.with_timezone(&ZONE).naive_local();
                Ok(u32::try_from(local.and_utc().timestamp().div_euclid(3600))?)
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { first: span.from, hours })
    }

    /// The local hours of a part.
    fn hours(&self, part: Stay) -> Option<&[u32]> {
        let place = |minute: Minute| usize::try_from(minute - self.first).ok();
        self.hours.get(place(part.from)?..place(part.to)?)
    }
}

/// The expected popularity of a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Popularity {
    pub(crate) minutes: i64,
    pub(crate) reservations: u64,
    pub(crate) people: u64,
}

/// The part of a reservation that lies in a range.
fn cut(reserved: &Reserved, range: Stay) -> Option<Stay> {
    let part = Stay { from: reserved.stay.from.max(range.from), to: reserved.stay.to.min(range.to) };
    (part.from < part.to).then_some(part)
}

/// The live reservations of a kind, or of all, with their parts in the range.
fn parts<'a>(
    record: &'a Record,
    range: Stay,
    kind: Option<&'a str>,
) -> impl Iterator<Item = (&'a Reserved, Stay)> {
    let of_kind = move |reserved: &&Reserved| {
        kind.is_none_or(|kind| record.rooms.get(&reserved.room).is_some_and(|room| room.kind == kind))
    };
    record.live().filter(of_kind).filter_map(move |reserved| Some((reserved, cut(reserved, range)?)))
}

/// Reserved minutes, reservations and people in the range, by room.
pub(crate) fn popularity(record: &Record, range: Stay, kind: Option<&str>) -> HashMap<String, Popularity> {
    let mut rooms = HashMap::<String, Popularity>::new();
    for (reserved, part) in parts(record, range, kind) {
        let room = rooms.entry(reserved.room.clone()).or_default();
        room.minutes += part.to - part.from;
        room.reservations += 1;
        room.people += u64::from(reserved.people);
    }
    rooms
}

/// Bookings of stays that begin in a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bookings {
    pub(crate) reservations: u64,
    pub(crate) cancelled: u64,
    pub(crate) made: u64,
    pub(crate) lead_ms: i64,
}

/// Bookings of stays that begin in the range, by kind.
pub(crate) fn bookings(record: &Record, range: Stay, kind: Option<&str>) -> BTreeMap<String, Bookings> {
    let mut kinds = BTreeMap::<String, Bookings>::new();
    let is_within = |from: Minute| range.from <= from && from < range.to;
    for reserved in record.reservations.values() {
        let of_room = record.rooms.get(&reserved.room).map(|room| room.kind.as_str());
        let Some(of_room) = of_room.filter(|of_room| kind.is_none_or(|kind| kind == *of_room)) else {
            continue;
        };
        let mut counted = Bookings::default();
        if is_within(reserved.stay.from) {
            (counted.reservations, counted.cancelled) = (u64::from(reserved.live), u64::from(!reserved.live));
        }
        let (at, from) = reserved.made;
        if is_within(from) {
            (counted.made, counted.lead_ms) = (1, (from * 60_000 - at).max(0));
        }
        if counted != Bookings::default() {
            let sum = kinds.entry(of_room.to_owned()).or_default();
            sum.reservations += counted.reservations;
            sum.cancelled += counted.cancelled;
            sum.made += counted.made;
            sum.lead_ms += counted.lead_ms;
        }
    }
    kinds
}

/// What is reserved in each local hour of the range.
pub(crate) fn by_hour(
    record: &Record,
    calendar: &Calendar,
    range: Stay,
    kind: Option<&str>,
) -> anyhow::Result<HashMap<u32, Counts>> {
    let mut counts = HashMap::<u32, Counts>::new();
    for (reserved, part) in parts(record, range, kind) {
        let hours = calendar.hours(part).context("a minute outside of the calendar")?;
        // An hour that the clock shows twice is still one.
        for minutes in hours.chunk_by(|one, next| one == next) {
            let Some(hour) = minutes.first() else { continue };
            let of_hour = counts.entry(*hour).or_default();
            of_hour.minutes += i64::try_from(minutes.len())?;
            of_hour.reservations += 1;
            of_hour.people += i64::from(reserved.people);
        }
    }
    Ok(counts)
}

/// All 168 hours of the week, Monday being day 1.
pub(crate) fn by_weekday(hours: &HashMap<u32, Counts>) -> Busiest {
    let week =
        (1..=7).flat_map(|day: u8| (0..24).map(move |hour| ((day.to_string(), hour), Counts::default())));
    let mut busiest: Busiest = week.collect();
    for (hour, counts) in hours {
        // 1970 began on a Thursday.
        let weekday = (hour / 24 + 3) % 7 + 1;
        let sum = busiest.entry((weekday.to_string(), hour % 24)).or_default();
        sum.minutes += counts.minutes;
        sum.reservations += counts.reservations;
        sum.people += counts.people;
    }
    busiest
}

/// The hours of each date.
pub(crate) fn by_date(hours: &HashMap<u32, Counts>) -> anyhow::Result<Busiest> {
    let date = |hour: u32| {
        let begin =
            DateTime::from_timestamp(i64::from(hour / 24) * 86_400, 0).context("outside of the calendar")?;
        anyhow::Ok(begin.date_naive().to_string())
    };
    hours.iter().map(|(hour, counts)| Ok(((date(*hour)?, hour % 24), *counts))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::minute;

    #[test]
    fn an_hour_that_daylight_saving_repeats_adds_up() {
        let range = Stay {
            from: minute("2015-10-25T00:00:00+01:00").unwrap(),
            to: minute("2015-10-26T00:00:00+00:00").unwrap(),
        };
        let mut record = Record::default();
        let night = Reserved {
            id: "night".into(),
            room: "blue".into(),
            user: "PRT-Transient".into(),
            people: 1,
            stay: Stay { from: range.from - 60, to: range.from + 150 },
            revision: 1,
            live: true,
            made: (0, range.from - 60),
        };
        record.reservations.insert(0, night);
        let hours = by_hour(&record, &Calendar::of(range).unwrap(), range, None).unwrap();
        let of = |minutes| Counts { minutes, reservations: 1, people: 1 };
        let date = || "2015-10-25".to_owned();
        assert_eq!(by_date(&hours).unwrap(), Busiest::from([((date(), 0), of(60)), ((date(), 1), of(90))]));
        let week = by_weekday(&hours);
        assert_eq!((week.len(), week[&("7".to_owned(), 1)]), (168, of(90)));
        let counted = popularity(&record, range, None);
        assert_eq!(counted["blue"], Popularity { minutes: 150, reservations: 1, people: 1 });
    }
}
