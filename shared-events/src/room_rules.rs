//! The rules of a room. The command service applies them to a reservation, the query service to availability.

use chrono::DateTime;

use self::slots::{DAY, Slots, days_after};
use crate::{
    reservation_events::Reservation,
    room_events::{MaxAhead, RoomSettings},
    time::{Interval, Minute, Timestamp},
};

mod open_time;
mod slots;

pub use open_time::{open_on, resolve_local};

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
        /// Shortest stay: whole days of 1440 are local days, others elapsed minutes.
        minutes: u32,
    },
    /// The stay is too long.
    #[error("the longest stay is {minutes} minutes")]
    LongestStay {
        /// Longest stay: whole days of 1440 are local days, others elapsed minutes.
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
    /// The caller has none of the roles that may book the room.
    #[error("the room can be booked by other roles only")]
    BookableBy,
    /// The owner has too many reservations ahead in the room.
    #[error("one person may have {limit} reservations ahead in the room")]
    ReservationsAhead {
        /// Most reservations.
        limit: u32,
    },
    /// The owner has too many minutes ahead in the room.
    #[error("one person may have {limit} minutes ahead in the room")]
    MinutesAhead {
        /// Most minutes.
        limit: u32,
    },
}

/// What an owner has ahead in a room: stays that have not ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ahead {
    /// Number of reservations.
    pub reservations: u64,
    /// All their minutes.
    pub minutes: u64,
}

impl Ahead {
    /// The same with one more stay.
    #[must_use]
    pub const fn and(self, stay: Interval) -> Self {
        Self { reservations: self.reservations + 1, minutes: self.minutes + stay.minutes().unsigned_abs() }
    }
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
            Self::BookableBy => "bookableBy",
            Self::ReservationsAhead { .. } => "maxAhead.reservations",
            Self::MinutesAhead { .. } => "maxAhead.minutes",
        }
    }

    /// The rule's limit, if it is a number.
    #[must_use]
    pub const fn limit(self) -> Option<u32> {
        match self {
            Self::Capacity { limit } | Self::ReservationsAhead { limit } | Self::MinutesAhead { limit } => {
                Some(limit)
            }
            Self::Slot { minutes } | Self::ShortestStay { minutes } | Self::LongestStay { minutes } => {
                Some(minutes)
            }
            Self::DaysAhead { days } => Some(days),
            Self::OpeningHours | Self::BookableBy => None,
        }
    }
}

impl RoomSettings {
    /// Checks that one of these roles may book the room. An administrator may book every room.
    ///
    /// # Errors
    /// [`BrokenRule::BookableBy`].
    pub fn check_roles(&self, is_admin: bool, roles: &[String]) -> Result<(), BrokenRule> {
        let may = is_admin
            || self.bookable_by.is_empty()
            || roles.iter().any(|role| self.bookable_by.contains(role));
        if may { Ok(()) } else { Err(BrokenRule::BookableBy) }
    }

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
        self.check_slots(stay)?;
        self.check_shortest(stay)?;
        self.check_longest(stay)?;
        match &self.opening_hours {
            Some(hours) if !open_time::is_open(hours, self.time_zone.0, stay) => {
                Err(BrokenRule::OpeningHours)
            }
            _ => Ok(()),
        }
    }

    /// The time that a new stay keeps busy: with the buffers before and after it, as far as the contract has times.
    #[must_use]
    pub fn busy(&self, stay: Interval) -> Interval {
        let minutes = |buffer: Option<u32>| i64::from(buffer.unwrap_or_default());
        Interval {
            from: stay.from.plus(-minutes(self.buffer_before)).unwrap_or(Minute::EARLIEST),
            to: stay.to.plus(minutes(self.buffer_after)).unwrap_or(Minute::LATEST),
        }
    }

    /// The time in which no new stay may lie because the room is busy or closed: the stay's own buffers end and begin there.
    #[must_use]
    pub fn barred_by(&self, busy: Interval) -> Interval {
        let minutes = |buffer: Option<u32>| i64::from(buffer.unwrap_or_default());
        Interval {
            from: busy.from.plus(-minutes(self.buffer_after)).unwrap_or(Minute::EARLIEST),
            to: busy.to.plus(minutes(self.buffer_before)).unwrap_or(Minute::LATEST),
        }
    }

    /// The time that a changed stay keeps busy. An end that takes no more time than before keeps no more buffer than before: a
    /// buffer that has grown refuses nothing that only gives time back.
    #[must_use]
    pub fn busy_after_change(&self, before: &Reservation, stay: Interval) -> Interval {
        let (new, old) = (self.busy(stay), before.busy_interval());
        Interval {
            from: if stay.from < before.from { new.from } else { new.from.max(old.from) },
            to: if stay.to > before.to { new.to } else { new.to.min(old.to) },
        }
    }

    /// Checks a stay that only gives back time of `held` against slots and shortest stay: no other rule can refuse that. A rule
    /// that `held` breaks doesn't count.
    ///
    /// # Errors
    /// The first rule that `stay` breaks and `held` keeps.
    pub fn check_shortened(&self, held: Interval, stay: Interval) -> Result<(), BrokenRule> {
        if self.check_slots(held).is_ok() {
            self.check_slots(stay)?;
        }
        if self.check_shortest(held).is_ok() {
            self.check_shortest(stay)?;
        }
        Ok(())
    }

    /// The earliest minute at which a stay may begin now: with slots that of the running slot, else the next full minute.
    #[must_use]
    pub fn earliest_start(&self, now: Timestamp) -> Minute {
        let minute = now.minute();
        match self.slots() {
            Some(slots) => slots.begin_of(minute),
            None if minute.start() < now => minute.plus(1).unwrap_or(minute),
            None => minute,
        }
    }

    /// The earliest minute at or after this one at which a stay may begin by the slots.
    #[must_use]
    pub fn start_from(&self, at: Minute) -> Minute {
        self.slots().map_or(at, |slots| slots.begin_from(at))
    }

    /// The end of a stay of this length. A multiple of 1440 counts local days, another number elapsed minutes. `None` after the
    /// year 9999.
    #[must_use]
    pub fn end_of_stay(&self, from: Minute, minutes: u32) -> Option<Minute> {
        self.after(from, minutes, false)
    }

    /// The next minute after this one at which the room opens, within nine days.
    #[must_use]
    pub fn opens_after(&self, at: Minute) -> Option<Minute> {
        let (hours, zone) = (self.opening_hours.as_ref()?, self.time_zone.0);
        let first = at.to_utc().with_timezone(&zone).date_naive();
        let spans = first.iter_days().take(9).flat_map(|date| open_on(hours, zone, date));
        spans.map(|open| open.from).find(|opens| *opens > at)
    }

    /// The part of a free interval that stays can hold now: whole slots, for at least the shortest stay, from a date that is
    /// not too far ahead. `None` if no stay fits.
    #[must_use]
    pub fn bookable_part(&self, free: Interval, now: Timestamp) -> Option<Interval> {
        let part = match self.slots() {
            Some(slots) => Interval { from: slots.begin_from(free.from), to: slots.begin_of(free.to) },
            None => free,
        };
        let fits = part.from < part.to
            && self.check_shortest(part).is_ok()
            && self.check_days_ahead(part.from, now).is_ok();
        fits.then_some(part)
    }

    /// Checks what an owner would have ahead in the room.
    ///
    /// # Errors
    /// [`BrokenRule::ReservationsAhead`] or [`BrokenRule::MinutesAhead`].
    pub fn check_ahead(&self, ahead: Ahead) -> Result<(), BrokenRule> {
        let Some(MaxAhead { reservations, minutes }) = self.max_ahead else { return Ok(()) };
        if let Some(limit) = reservations.filter(|limit| ahead.reservations > u64::from(*limit)) {
            return Err(BrokenRule::ReservationsAhead { limit });
        }
        match minutes.filter(|limit| ahead.minutes > u64::from(*limit)) {
            Some(limit) => Err(BrokenRule::MinutesAhead { limit }),
            None => Ok(()),
        }
    }

    fn slots(&self) -> Option<Slots> {
        let minutes = self.slot_minutes.filter(|minutes| *minutes > 1)?;
        Some(Slots { zone: self.time_zone.0, minutes })
    }

    fn check_slots(&self, stay: Interval) -> Result<(), BrokenRule> {
        match self.slots() {
            Some(slots) if !slots.begin_at(stay.from) || !slots.begin_at(stay.to) => {
                Err(BrokenRule::Slot { minutes: slots.minutes })
            }
            _ => Ok(()),
        }
    }

    fn check_shortest(&self, stay: Interval) -> Result<(), BrokenRule> {
        match self.min_minutes {
            Some(minutes) if self.after(stay.from, minutes, false).is_none_or(|end| stay.to < end) => {
                Err(BrokenRule::ShortestStay { minutes })
            }
            _ => Ok(()),
        }
    }

    fn check_longest(&self, stay: Interval) -> Result<(), BrokenRule> {
        match self.max_minutes {
            Some(minutes) if self.after(stay.from, minutes, true).is_some_and(|end| end < stay.to) => {
                Err(BrokenRule::LongestStay { minutes })
            }
            _ => Ok(()),
        }
    }

    /// The end of a stay of this length. Whole days are local days, other lengths elapsed minutes. `None` after the year 9999.
    fn after(&self, from: Minute, minutes: u32, later: bool) -> Option<Minute> {
        if minutes > 0 && minutes.is_multiple_of(DAY) {
            days_after(self.time_zone.0, from, minutes / DAY, later)
        } else {
            from.plus(i64::from(minutes)).ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opening_hours::{OpenDay, OpeningHours, OpeningSpan};

    fn room() -> RoomSettings {
        RoomSettings {
            name: "Blue".into(),
            kind: "meeting".into(),
            capacity: 4,
            time_zone: "Europe/Lisbon".parse().unwrap(),
            opening_hours: None,
            slot_minutes: None,
            min_minutes: None,
            max_minutes: None,
            buffer_before: None,
            buffer_after: None,
            max_days_ahead: None,
            building: None,
            floor: None,
            attributes: Vec::new(),
            bookable_by: Vec::new(),
            max_ahead: None,
        }
    }

    fn stay(from: &str, to: &str) -> Interval {
        Interval { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    #[test]
    fn a_stay_through_midnight_needs_spans_that_adjoin() {
        let open = |opens, closes| OpenDay::from(OpeningSpan::new(opens, closes).unwrap());
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
        let open = || OpenDay::from(OpeningSpan::new(0, 1440).unwrap());
        let mut settings = room();
        // Samoa had no 30 December 2011.
        settings.time_zone = "Pacific/Apia".parse().unwrap();
        settings.opening_hours =
            Some(OpeningHours { thursday: open(), friday: open(), saturday: open(), ..Default::default() });
        let through = stay("2011-12-29T22:00:00-10:00", "2011-12-31T02:00:00+14:00");
        assert_eq!(settings.check_stay(through), Ok(()));
        settings.opening_hours = Some(OpeningHours {
            thursday: open(),
            friday: OpeningSpan::new(0, 60).unwrap().into(),
            ..Default::default()
        });
        assert_eq!(settings.check_stay(through), Err(BrokenRule::OpeningHours));
    }

    #[test]
    fn slots_follow_the_local_clock_where_the_offset_is_not_a_whole_hour() {
        let mut settings = room();
        settings.time_zone = "Asia/Kathmandu".parse().unwrap();
        settings.slot_minutes = Some(60);
        assert_eq!(settings.check_stay(stay("2026-01-01T00:15:00Z", "2026-01-01T01:15:00Z")), Ok(()));
        let off = settings.check_stay(stay("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"));
        assert_eq!(off, Err(BrokenRule::Slot { minutes: 60 }));
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
