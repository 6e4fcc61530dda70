//! The rules of a room. The command service applies them to a reservation, the query service to availability.

use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _,
    Timelike,
};
use chrono_tz::Tz;

use crate::{
    room_events::{OpeningHours, RoomSettings},
    time::{Interval, Minute, Timestamp},
};

/// A broken rule of a room, with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    /// There are too many people.
    #[error("the room takes at most {limit} people")]
    Capacity {
        /// Most people.
        limit: u32,
    },
    /// The stay begins or ends between two slots.
    #[error("stays begin and end on multiples of {minutes} minutes after local midnight")]
    Slot {
        /// Length of a slot.
        minutes: u32,
    },
    /// The stay is too short.
    #[error("the shortest stay is {minutes} minutes")]
    ShortestStay {
        /// Shortest stay in elapsed minutes.
        minutes: u32,
    },
    /// The stay is too long.
    #[error("the longest stay is {minutes} minutes")]
    LongestStay {
        /// Longest stay in elapsed minutes.
        minutes: u32,
    },
    /// The stay begins too far ahead.
    #[error("stays begin at most {days} days ahead")]
    DaysAhead {
        /// Local dates ahead of today.
        days: u32,
    },
    /// A part of the stay is outside the opening hours.
    #[error("the room is not open for all of the stay")]
    OpeningHours,
}

impl BrokenRule {
    /// The rule's name in answers: its setting.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capacity { .. } => "capacity",
            Self::Slot { .. } => "slotMinutes",
            Self::ShortestStay { .. } => "minMinutes",
            Self::LongestStay { .. } => "maxMinutes",
            Self::DaysAhead { .. } => "maxDaysAhead",
            Self::OpeningHours => "openingHours",
        }
    }

    /// The rule's limit, if it is a number.
    #[must_use]
    pub const fn limit(self) -> Option<u32> {
        match self {
            Self::Capacity { limit } => Some(limit),
            Self::Slot { minutes } | Self::ShortestStay { minutes } | Self::LongestStay { minutes } => {
                Some(minutes)
            }
            Self::DaysAhead { days } => Some(days),
            Self::OpeningHours => None,
        }
    }
}

impl RoomSettings {
    /// Checks the number of people.
    ///
    /// # Errors
    /// [`BrokenRule::Capacity`].
    pub const fn check_people(&self, people: u32) -> Result<(), BrokenRule> {
        if people > self.capacity { Err(BrokenRule::Capacity { limit: self.capacity }) } else { Ok(()) }
    }

    /// Checks a stay against slots, shortest stay, longest stay and opening hours.
    ///
    /// # Errors
    /// The first broken rule, in this order.
    pub fn check_stay(&self, stay: Interval) -> Result<(), BrokenRule> {
        let zone = self.time_zone.0;
        if let Some(minutes) = self.slot_minutes.filter(|minutes| *minutes > 1) {
            let on_slot = |time: Minute| {
                let local = time.to_utc().with_timezone(&zone);
                (local.hour() * 60 + local.minute()).is_multiple_of(minutes)
            };
            if !on_slot(stay.from) || !on_slot(stay.to) {
                return Err(BrokenRule::Slot { minutes });
            }
        }
        if let Some(minutes) = self.min_minutes.filter(|minutes| stay.minutes() < i64::from(*minutes)) {
            return Err(BrokenRule::ShortestStay { minutes });
        }
        if let Some(minutes) = self.max_minutes.filter(|minutes| stay.minutes() > i64::from(*minutes)) {
            return Err(BrokenRule::LongestStay { minutes });
        }
        match &self.opening_hours {
            Some(hours) if !is_open(hours, zone, stay) => Err(BrokenRule::OpeningHours),
            _ => Ok(()),
        }
    }

    /// Checks that a stay from `from` begins not too many local dates ahead of `now`.
    ///
    /// # Errors
    /// [`BrokenRule::DaysAhead`].
    pub fn check_days_ahead(&self, from: Minute, now: Timestamp) -> Result<(), BrokenRule> {
        let Some(days) = self.max_days_ahead else { return Ok(()) };
        let date = |time: DateTime<chrono::Utc>| time.with_timezone(&self.time_zone.0).date_naive();
        let ahead = date(from.to_utc()).signed_duration_since(date(now.to_utc())).num_days();
        if ahead > i64::from(days) { Err(BrokenRule::DaysAhead { days }) } else { Ok(()) }
    }
}

/// Whether the room is open for all of the stay. Spans join at midnight, also across dates that the zone skipped.
fn is_open(hours: &OpeningHours, zone: Tz, stay: Interval) -> bool {
    let mut open_until = stay.from;
    let mut day = stay.from.to_utc().with_timezone(&zone).date_naive();
    while open_until < stay.to {
        let Some(next) = day.checked_add_days(Days::new(1)) else { return false };
        match open_on(hours, zone, day) {
            Some(open) if open.from <= open_until => open_until = open_until.max(open.to),
            _ if is_skipped(zone, day, next) => {}
            _ => return false,
        }
        day = next;
    }
    true
}

/// Whether a zone skipped a whole day, as when it crossed the date line.
fn is_skipped(zone: Tz, day: NaiveDate, next: NaiveDate) -> bool {
    let begins = |day: NaiveDate| resolve_local(zone, day.and_time(NaiveTime::MIN), false);
    begins(day) == begins(next)
}

/// The interval in which a room is open on a local date. `None` if it is closed, or clocks skip all of its span.
///
/// The room opens when clocks first show `opens`. It closes after they last show the minute before `closes`. So a repeated hour
/// within the span counts twice, and one right after it not at all. If clocks skip a time, it opens or closes right after.
#[must_use]
pub fn open_on(hours: &OpeningHours, zone: Tz, day: NaiveDate) -> Option<Interval> {
    let span = hours.on(day.weekday())?;
    let local = |minutes: u16| {
        day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::minutes(i64::from(minutes)))
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{room_events::OpeningSpan, time::TimeZone};

    fn room() -> RoomSettings {
        RoomSettings {
            name: "Blue".into(),
            kind: "meeting".into(),
            capacity: 4,
            time_zone: TimeZone(chrono_tz::Europe::Lisbon),
            opening_hours: None,
            slot_minutes: None,
            min_minutes: None,
            max_minutes: None,
            max_days_ahead: None,
        }
    }

    fn stay(from: &str, to: &str) -> Interval {
        Interval { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    #[test]
    fn a_stay_through_midnight_needs_spans_that_adjoin() {
        let open = |opens, closes| Some(OpeningSpan::new(opens, closes).unwrap());
        let friday_to_saturday = stay("2026-01-02T22:00:00Z", "2026-01-03T02:00:00Z");
        let mut settings = room();
        settings.opening_hours =
            Some(OpeningHours { friday: open(480, 1440), saturday: open(0, 120), ..Default::default() });
        assert_eq!(settings.check_stay(friday_to_saturday), Ok(()));
        settings.opening_hours =
            Some(OpeningHours { friday: open(480, 1439), saturday: open(0, 120), ..Default::default() });
        assert_eq!(settings.check_stay(friday_to_saturday), Err(BrokenRule::OpeningHours));
    }

    #[test]
    fn a_room_that_is_always_open_has_no_gap_where_the_clocks_skip_a_day() {
        let open = OpeningSpan::new(0, 1440).ok();
        let mut settings = room();
        // Samoa had no 30 December 2011.
        settings.time_zone = TimeZone(chrono_tz::Pacific::Apia);
        settings.opening_hours =
            Some(OpeningHours { thursday: open, friday: open, saturday: open, ..Default::default() });
        let through = stay("2011-12-29T22:00:00-10:00", "2011-12-31T02:00:00+14:00");
        assert_eq!(settings.check_stay(through), Ok(()));
        settings.opening_hours =
            Some(OpeningHours { thursday: open, friday: OpeningSpan::new(0, 60).ok(), ..Default::default() });
        assert_eq!(settings.check_stay(through), Err(BrokenRule::OpeningHours));
    }

    #[test]
    fn slots_follow_the_local_clock_where_the_offset_is_not_a_whole_hour() {
        let mut settings = room();
        settings.time_zone = TimeZone(chrono_tz::Asia::Kathmandu);
        settings.slot_minutes = Some(60);
        assert_eq!(settings.check_stay(stay("2026-01-01T00:15:00Z", "2026-01-01T01:15:00Z")), Ok(()));
        let off = settings.check_stay(stay("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"));
        assert_eq!(off, Err(BrokenRule::Slot { minutes: 60 }));
    }

    #[test]
    fn the_night_on_which_clocks_go_back_has_an_hour_more() {
        let mut settings = room();
        settings.max_minutes = Some(24 * 60);
        let day = stay("2026-10-25T00:00:00+01:00", "2026-10-26T00:00:00+00:00");
        assert_eq!(settings.check_stay(day), Err(BrokenRule::LongestStay { minutes: 1440 }));
    }

    #[test]
    fn days_ahead_count_local_dates() {
        let mut settings = room();
        settings.max_days_ahead = Some(1);
        let late: Timestamp = "2026-06-01T22:59:00Z".parse().unwrap();
        assert_eq!(settings.check_days_ahead("2026-06-02T22:59:00Z".parse().unwrap(), late), Ok(()));
        let over = settings.check_days_ahead("2026-06-02T23:00:00Z".parse().unwrap(), late);
        assert_eq!(over, Err(BrokenRule::DaysAhead { days: 1 }));
    }
}
