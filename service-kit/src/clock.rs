//! The only source of the current time.
//!
//! Every decision by "now" asks a [`Clock`]. Timers and time-outs use the monotonic `Instant`, which a clock does not change.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// In place of a time: the clock runs with the system's.
const RUNNING: i64 = i64::MIN;

/// The current time, in UTC and whole milliseconds. Clones show the same time and move together.
#[derive(Debug, Clone)]
pub struct Clock(Arc<State>);

#[derive(Debug)]
struct State {
    /// Milliseconds added to the system's time.
    offset_ms: AtomicI64,
    /// Time of a stopped clock, in milliseconds since the epoch, or [`RUNNING`].
    stands_at_ms: AtomicI64,
}

impl Clock {
    /// The system's time.
    #[must_use]
    pub fn system() -> Self {
        Self::with_offset(0)
    }

    /// The system's time plus `seconds`, which may be negative.
    #[must_use]
    pub fn with_offset(seconds: i64) -> Self {
        Self(Arc::new(State {
            offset_ms: AtomicI64::new(seconds.saturating_mul(1000)),
            stands_at_ms: AtomicI64::new(RUNNING),
        }))
    }

    /// A clock stopped at `time`. [`Clock::set`] and [`Clock::advance`] move it.
    #[must_use]
    pub fn standing_at(time: DateTime<Utc>) -> Self {
        let clock = Self::system();
        clock.set(time);
        clock
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let stands_at = self.0.stands_at_ms.load(Ordering::Relaxed);
        if stands_at != RUNNING {
            return DateTime::from_timestamp_millis(stands_at).unwrap_or_default();
        }
        let offset = TimeDelta::try_milliseconds(self.0.offset_ms.load(Ordering::Relaxed));
        let system = system_now();
        // An offset that leaves the calendar is ignored.
        offset.and_then(|offset| system.checked_add_signed(offset)).unwrap_or(system)
    }

    /// The current time as milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now().timestamp_millis()
    }

    /// Stops the clock at `time`.
    pub fn set(&self, time: DateTime<Utc>) {
        self.0.stands_at_ms.store(time.timestamp_millis(), Ordering::Relaxed);
    }

    /// Moves the clock by `by`, stopped or running.
    pub fn advance(&self, by: TimeDelta) {
        let ms = by.num_milliseconds();
        if self.0.stands_at_ms.load(Ordering::Relaxed) == RUNNING {
            self.0.offset_ms.fetch_add(ms, Ordering::Relaxed);
        } else {
            self.0.stands_at_ms.fetch_add(ms, Ordering::Relaxed);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that all others take the time from")]
fn system_now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_moved_together() {
        let clock = Clock::standing_at(DateTime::from_timestamp_millis(1_000).unwrap());
        let other = clock.clone();
        clock.advance(TimeDelta::seconds(2));
        assert_eq!(other.now_ms(), 3_000);
        other.set(DateTime::from_timestamp_millis(7).unwrap());
        assert_eq!(clock.now_ms(), 7);
    }

    #[test]
    fn an_offset_shifts_the_running_time() {
        let (system, shifted) = (Clock::system(), Clock::with_offset(86_400));
        let ahead = shifted.now() - system.now();
        assert!((ahead - TimeDelta::days(1)).num_seconds().abs() <= 1, "{ahead}");
        shifted.advance(TimeDelta::days(1));
        assert!((shifted.now() - system.now()).num_hours() >= 47);
    }

    #[test]
    fn an_absurd_offset_does_not_panic() {
        let _ = Clock::with_offset(i64::MAX).now();
        let _ = Clock::with_offset(i64::MIN).now();
    }

    #[test]
    fn the_time_has_whole_milliseconds() {
        assert_eq!(Clock::system().now().timestamp_subsec_nanos() % 1_000_000, 0);
    }
}
