//! Recounts the statistics from the record, minute by minute.

use std::collections::HashMap;

use anyhow::Context;
use chrono::{DateTime, Datelike, Timelike};

use crate::{
    plan::{Minute, Stay, ZONE},
    record::{Record, Reserved},
};

/// The weekday (Monday = 1) and hour of every minute of a span.
pub(crate) struct Calendar {
    first: Minute,
    /// The hour of the week of each minute.
    hours: Vec<u8>,
}

/// A weekday (Monday = 1) and an hour.
pub(crate) type Cell = (u32, u32);

const HOURS_OF_WEEK: usize = 7 * 24;

impl Calendar {
    /// The local time of each minute of a span.
    pub(crate) fn of(span: Stay) -> anyhow::Result<Self> {
        let hours = (span.from..span.to)
            .map(|minute| {
                let time = DateTime::from_timestamp(minute * 60, 0).context("outside of the calendar")?;
                let local = time.with_timezone(&ZONE);
                Ok(u8::try_from(local.weekday().num_days_from_monday() * 24 + local.hour())?)
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { first: span.from, hours })
    }

    /// The hours of the week of a part.
    fn hours(&self, part: Stay) -> Option<&[u8]> {
        let place = |minute: Minute| usize::try_from(minute - self.first).ok();
        self.hours.get(place(part.from)?..place(part.to)?)
    }
}

/// The expected popularity of a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Popularity {
    pub(crate) minutes: i64,
    pub(crate) reservations: u64,
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

/// Reserved minutes and reservations in the range, by room.
pub(crate) fn popularity(record: &Record, range: Stay, kind: Option<&str>) -> HashMap<String, Popularity> {
    let mut rooms = HashMap::<String, Popularity>::new();
    for (reserved, part) in parts(record, range, kind) {
        let room = rooms.entry(reserved.room.clone()).or_default();
        room.minutes += part.to - part.from;
        room.reservations += 1;
    }
    rooms
}

/// Reserved minutes in the range, by weekday and hour.
pub(crate) fn busiest(
    record: &Record,
    calendar: &Calendar,
    range: Stay,
    kind: Option<&str>,
) -> anyhow::Result<HashMap<Cell, i64>> {
    let mut minutes = [0_i64; HOURS_OF_WEEK];
    for (_, part) in parts(record, range, kind) {
        for hour in calendar.hours(part).context("a minute outside of the calendar")? {
            if let Some(minutes) = minutes.get_mut(usize::from(*hour)) {
                *minutes += 1;
            }
        }
    }
    let week = (1..=7).flat_map(|weekday| (0..24).map(move |hour| (weekday, hour)));
    Ok(week.zip(minutes).filter(|(_, minutes)| *minutes > 0).collect())
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
        };
        record.reservations.insert(0, night);
        let cells = busiest(&record, &Calendar::of(range).unwrap(), range, None).unwrap();
        assert_eq!(cells, HashMap::from([((7, 0), 60), ((7, 1), 90)]));
        let counted = popularity(&record, range, None);
        assert_eq!(counted["blue"], Popularity { minutes: 150, reservations: 1 });
    }
}
