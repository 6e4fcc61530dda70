//! Recurrence rules: the part of RFC 5545 that series use.
//!
//! A rule gives local dates. Each occurrence has the times of day of the first one, as clocks in the room's zone show them:
//!
//! - A time that clocks show twice is the earlier one.
//! - A time that clocks skip is the end of the skipped part. An occurrence of which clocks skip all does not take place.
//!
//! So of two occurrences the later one by the clock is never the earlier one in time, and those that do not overlap by the clock
//! never overlap.

use std::{collections::BTreeSet, str::FromStr};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use shared_events::{Interval, Minute, room_rules::resolve_local, time_zone::Tz};

/// Most occurrences of a series, with its exceptions.
pub const MOST_OCCURRENCES: usize = 400;

/// Why a rule can't be used, as the continuation of a sentence that begins with "the recurrence".
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum InvalidRecurrence {
    /// A part of the rule is unknown, has an impossible value, or comes twice.
    #[error("has a part that can't be used: {part}")]
    Part {
        /// The part.
        part: String,
    },
    /// There is no `FREQ`.
    #[error("has no FREQ")]
    NoFrequency,
    /// It needs one of `COUNT` and `UNTIL`.
    #[error("needs one of COUNT and UNTIL")]
    End,
    /// There are too many occurrences.
    #[error("has more than 400 occurrences")]
    TooMany,
    /// The date of `from` is none of its dates.
    #[error("does not contain the date of `from`")]
    NotTheFirst,
    /// Exceptions leave nothing.
    #[error("has no occurrence that is no exception")]
    Nothing,
    /// An occurrence begins before the one before it ends.
    #[error("has occurrences that overlap, the first on {date}")]
    Overlapping {
        /// The local date of the later one.
        date: NaiveDate,
    },
}

/// A recurrence rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recurrence {
    frequency: Frequency,
    interval: u32,
    end: End,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Frequency {
    Daily,
    /// On these days after Monday; without any, on that of the first occurrence.
    Weekly(BTreeSet<u32>),
    /// On these days of the month, counted from its end if negative; without any, on that of the first occurrence.
    MonthlyOnDay(BTreeSet<i32>),
    /// On the n-th of a weekday, counted from the month's end if negative; on each one if `n` is 0.
    MonthlyOnWeekday(BTreeSet<(i32, u32)>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Count(usize),
    /// The last local date.
    Date(NaiveDate),
    /// The last moment at which an occurrence may begin.
    Moment(DateTime<Utc>),
}

/// The value of an RRULE property: `FREQ=WEEKLY;BYDAY=TU,TH;INTERVAL=2;COUNT=20`.
impl FromStr for Recurrence {
    type Err = InvalidRecurrence;

    fn from_str(text: &str) -> Result<Self, InvalidRecurrence> {
        let text = text.to_ascii_uppercase();
        let mut parts: Vec<(&str, &str)> = Vec::new();
        for part in text.split(';') {
            let unusable = || InvalidRecurrence::Part { part: part.chars().take(40).collect() };
            let (name, value) = part.split_once('=').ok_or_else(unusable)?;
            let known = matches!(name, "FREQ" | "INTERVAL" | "COUNT" | "UNTIL" | "BYDAY" | "BYMONTHDAY");
            if !known || parts.iter().any(|(other, _)| *other == name) {
                return Err(unusable());
            }
            parts.push((name, value));
        }
        let value_of = |name: &str| parts.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        let unusable = |name: &str| {
            let value: String = value_of(name).unwrap_or_default().chars().take(40).collect();
            InvalidRecurrence::Part { part: format!("{name}={value}") }
        };
        let number = |name: &str| {
            let read = |text: &str| text.parse().ok().filter(|number| (1..=1000_u32).contains(number));
            value_of(name).map(|text| read(text).ok_or_else(|| unusable(name))).transpose()
        };
        let (by_day, by_month_day) = (value_of("BYDAY"), value_of("BYMONTHDAY"));
        let frequency = match (value_of("FREQ").ok_or(InvalidRecurrence::NoFrequency)?, by_day, by_month_day)
        {
            ("DAILY", None, None) => Frequency::Daily,
            ("WEEKLY", days, None) => {
                let days = days.map_or(Some(BTreeSet::new()), |days| days.split(',').map(weekday).collect());
                Frequency::Weekly(days.ok_or_else(|| unusable("BYDAY"))?)
            }
            ("MONTHLY", Some(days), None) => {
                let days: Option<_> = days.split(',').map(nth_weekday).collect();
                Frequency::MonthlyOnWeekday(days.ok_or_else(|| unusable("BYDAY"))?)
            }
            ("MONTHLY", None, days) => {
                let day = |text: &str| text.parse().ok().filter(|day: &i32| (1..=31).contains(&day.abs()));
                let days = days.map_or(Some(BTreeSet::new()), |days| days.split(',').map(day).collect());
                Frequency::MonthlyOnDay(days.ok_or_else(|| unusable("BYMONTHDAY"))?)
            }
            ("DAILY" | "WEEKLY", _, Some(_)) => return Err(unusable("BYMONTHDAY")),
            ("DAILY" | "MONTHLY", Some(_), _) => return Err(unusable("BYDAY")),
            _ => return Err(unusable("FREQ")),
        };
        let end = match (number("COUNT")?, value_of("UNTIL")) {
            (Some(count), None) => End::Count(usize::try_from(count).unwrap_or(usize::MAX)),
            (None, Some(until)) => until_of(until).ok_or_else(|| unusable("UNTIL"))?,
            (Some(_), Some(_)) | (None, None) => return Err(InvalidRecurrence::End),
        };
        if matches!(end, End::Count(count) if count > MOST_OCCURRENCES) {
            return Err(InvalidRecurrence::TooMany);
        }
        Ok(Self { frequency, interval: number("INTERVAL")?.unwrap_or(1), end })
    }
}

/// Days after Monday.
fn weekday(text: &str) -> Option<u32> {
    let days = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
    u32::try_from(days.iter().position(|day| *day == text)?).ok()
}

/// `2TU`, `-1FR` or `MO`.
fn nth_weekday(text: &str) -> Option<(i32, u32)> {
    let (nth, day) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let nth =
        if nth.is_empty() { 0 } else { nth.parse().ok().filter(|nth: &i32| (1..=5).contains(&nth.abs()))? };
    Some((nth, weekday(day)?))
}

/// A date, or a time in UTC.
fn until_of(text: &str) -> Option<End> {
    if text.len() == "20261231".len() {
        return NaiveDate::parse_from_str(text, "%Y%m%d").ok().map(End::Date);
    }
    let time = text.strip_suffix('Z').filter(|time| time.len() == "20261231T230000".len())?;
    NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%S").ok().map(|time| End::Moment(time.and_utc()))
}

impl Recurrence {
    /// The occurrences without the exceptions, in order. The first one has exactly the given interval.
    ///
    /// # Errors
    /// If the rule does not fit the first occurrence, or there are too many occurrences or none.
    pub(crate) fn occurrences(
        &self,
        first: Interval,
        zone: Tz,
        exceptions: &BTreeSet<NaiveDate>,
    ) -> Result<Vec<Interval>, InvalidRecurrence> {
        let [begins, ends] =
            [first.from, first.to].map(|minute| minute.to_utc().with_timezone(&zone).naive_local());
        let dates = self.dates(begins.date(), |date| on(date, begins, begins, zone))?;
        let mut occurrences: Vec<Interval> = Vec::with_capacity(dates.len());
        for date in dates.into_iter().filter(|date| !exceptions.contains(date)) {
            let occurrence = if date == begins.date() {
                Some(first)
            } else {
                let at = |time| Minute::from_utc(on(date, begins, time, zone)?).ok();
                at(begins).zip(at(ends)).map(|(from, to)| Interval { from, to })
            };
            let Some(occurrence) = occurrence.filter(|occurrence| occurrence.from < occurrence.to) else {
                continue;
            };
            if occurrences.last().is_some_and(|last| occurrence.from < last.to) {
                return Err(InvalidRecurrence::Overlapping { date });
            }
            occurrences.push(occurrence);
        }
        if occurrences.is_empty() { Err(InvalidRecurrence::Nothing) } else { Ok(occurrences) }
    }

    /// The local dates, from the first one on.
    fn dates(
        &self,
        first: NaiveDate,
        begins: impl Fn(NaiveDate) -> Option<DateTime<Utc>>,
    ) -> Result<Vec<NaiveDate>, InvalidRecurrence> {
        let ended = |date: &NaiveDate| match self.end {
            End::Count(_) => false,
            End::Date(last) => *date > last,
            End::Moment(last) => begins(*date).is_none_or(|begins| begins > last),
        };
        let most = match self.end {
            End::Count(count) => count,
            End::Date(_) | End::Moment(_) => MOST_OCCURRENCES + 1,
        };
        let from_first = (0..).map_while(|period| self.in_period(first, period)).flatten();
        let dates: Vec<NaiveDate> = from_first
            .filter(|date| *date >= first)
            .take_while(|date| date.year() <= 9999 && !ended(date))
            .take(most)
            .collect();
        if dates.len() > MOST_OCCURRENCES {
            Err(InvalidRecurrence::TooMany)
        } else if dates.first() == Some(&first) {
            Ok(dates)
        } else {
            Err(InvalidRecurrence::NotTheFirst)
        }
    }

    /// The dates of the n-th day, week or month, in order. `None` beyond the calendar.
    fn in_period(&self, first: NaiveDate, period: u32) -> Option<Vec<NaiveDate>> {
        let after = self.interval.checked_mul(period)?;
        if let Frequency::Daily = &self.frequency {
            return Some(vec![first.checked_add_days(Days::new(after.into()))?]);
        }
        if let Frequency::Weekly(days) = &self.frequency {
            let today = first.weekday().num_days_from_monday();
            let monday = first.checked_sub_days(Days::new(today.into()))?;
            let monday = monday.checked_add_days(Days::new(u64::from(after) * 7))?;
            let on = |day: u32| monday.checked_add_days(Days::new(day.into()));
            return if days.is_empty() {
                Some(vec![on(today)?])
            } else {
                days.iter().map(|day| on(*day)).collect()
            };
        }
        let month = first.with_day(1)?.checked_add_months(Months::new(after))?;
        let length = month.checked_add_months(Months::new(1))?.signed_duration_since(month).num_days();
        let length = i32::try_from(length).ok()?;
        let is_on = |date: &NaiveDate| {
            let day = i32::try_from(date.day()).unwrap_or_default();
            match &self.frequency {
                Frequency::MonthlyOnDay(days) if days.is_empty() => date.day() == first.day(),
                Frequency::MonthlyOnDay(days) => days.contains(&day) || days.contains(&(day - length - 1)),
                Frequency::MonthlyOnWeekday(days) => {
                    let weekday = date.weekday().num_days_from_monday();
                    [0, (day + 6) / 7, -((length - day) / 7 + 1)]
                        .iter()
                        .any(|nth| days.contains(&(*nth, weekday)))
                }
                Frequency::Daily | Frequency::Weekly(_) => false,
            }
        };
        Some(month.iter_days().take(usize::try_from(length).ok()?).filter(is_on).collect())
    }
}

/// The moment at which clocks show `time`, moved as many days as there are from the date of `begins` to `date`.
fn on(date: NaiveDate, begins: NaiveDateTime, time: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    shifted(time, date.signed_duration_since(begins.date()), zone)
}

/// The moment at which clocks show a time that is later by the clock.
pub(crate) fn shifted(time: NaiveDateTime, by: TimeDelta, zone: Tz) -> Option<DateTime<Utc>> {
    Some(resolve_local(zone, time.checked_add_signed(by)?, false)?.to_utc())
}

#[cfg(test)]
mod tests;
