//! The slots of a room: where they begin and end when clocks change.

use crate::time_zone::Tz;
use chrono::{DateTime, LocalResult, NaiveDateTime, TimeZone as _};

use super::open_time::resolve_local;
use crate::time::Minute;

/// The minutes of a day whose clocks don't change.
pub(super) const DAY: u32 = 24 * 60;

/// Slots of one length. A slot begins when clocks show a multiple of its length after midnight, and ends as the next begins.
///
/// If clocks skip its beginning, a slot begins right after: slots of a day begin with a date's first instant. If clocks repeat
/// its beginning, it begins again only where whole slots are repeated.
#[derive(Clone, Copy)]
pub(super) struct Slots {
    pub(super) zone: Tz,
    /// Length in minutes, a divisor of [`DAY`].
    pub(super) minutes: u32,
}

impl Slots {
    /// Whether a slot begins at this minute.
    pub(super) fn begin_at(self, at: Minute) -> bool {
        let show = |at| shown(self.zone, at);
        let (shown, length) = (show(at), i64::from(self.minutes));
        if shown.rem_euclid(length) == 0 {
            match self.zone.from_local_datetime(&label(shown)) {
                LocalResult::Ambiguous(first, second) if first.to_utc() < at.to_utc() => {
                    second.signed_duration_since(first).num_minutes() % length == 0
                }
                _ => true,
            }
        } else {
            let without_change = at.plus(-1).map_or(shown, |before| show(before) + 1);
            shown - shown.rem_euclid(length) >= without_change
        }
    }

    /// The beginning of the slot that has this minute.
    pub(super) fn begin_of(self, at: Minute) -> Minute {
        let since = shown(self.zone, at).rem_euclid(i64::from(self.minutes));
        self.find(at, -since, -1).unwrap_or(Minute::EARLIEST)
    }

    /// The first beginning of a slot at this minute or after it.
    pub(super) fn begin_from(self, at: Minute) -> Minute {
        if self.begin_at(at) {
            return at;
        }
        let until = (-shown(self.zone, at)).rem_euclid(i64::from(self.minutes));
        self.find(at, until, 1).unwrap_or(Minute::LATEST)
    }

    /// The next beginning in a direction. It is `minutes` away if clocks don't change until then.
    fn find(self, at: Minute, minutes: i64, step: i64) -> Option<Minute> {
        let near = at.plus(minutes).ok()?;
        if shown(self.zone, near) == shown(self.zone, at) + minutes && self.begin_at(near) {
            return Some(near);
        }
        // A slot is as long as a day at most, and clocks repeat a few hours at most.
        (0..=2 * i64::from(DAY))
            .filter_map(|minutes| at.plus(minutes * step).ok())
            .find(|at| self.begin_at(*at))
    }
}

/// The minute this many local dates later at the same time of day. From a date's first instant it is a date's first instant. A
/// repeated time is the earlier one, or the `later` one.
pub(super) fn days_after(zone: Tz, from: Minute, days: u32, later: bool) -> Option<Minute> {
    let (day, shown) = (i64::from(DAY), shown(zone, from));
    let is_first = Slots { zone, minutes: DAY }.begin_at(from);
    let time = if is_first { shown.div_euclid(day) * day } else { shown };
    let after = resolve_local(zone, label(time + i64::from(days) * day), later && !is_first)?;
    Minute::from_utc(after.to_utc()).ok()
}

/// The date and time that clocks show, in minutes since 1970-01-01T00:00.
fn shown(zone: Tz, at: Minute) -> i64 {
    at.to_utc().with_timezone(&zone).naive_local().and_utc().timestamp().div_euclid(60)
}

/// The date and time of these minutes.
fn label(minutes: i64) -> NaiveDateTime {
    DateTime::from_timestamp(minutes * 60, 0).unwrap_or_default().naive_utc()
}
