//! Times of the contract: whole minutes for intervals, milliseconds for events, IANA time zones.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time_zone::{TimeZone, UtcOffset};

/// A whole minute in UTC from 1970-01-01T00:00Z on. In JSON: `2026-01-31T09:00:00Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

/// A moment in UTC, in milliseconds from 1970-01-01T00:00Z on. In JSON: `2026-01-31T09:00:00.123Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The error of a text that is not a time of the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text is not RFC 3339, or has no offset.
    #[error("not an RFC 3339 time with an offset, such as 2026-01-31T09:00:00Z")]
    NotRfc3339,
    /// The time has seconds or fractions.
    #[error("not a whole minute")]
    NotWholeMinute,
    /// The time is before the year 1970 or after the year 9999.
    #[error("not between the years 1970 and 9999")]
    OutOfRange,
}

/// The last minute of the year 9999. So every year has four digits.
const MAX_MINUTE: i64 = 4_223_371_680 - 1;

impl Minute {
    /// 1970-01-01T00:00Z.
    pub const EARLIEST: Self = Self(0);
    /// The last minute of the year 9999.
    pub const LATEST: Self = Self(MAX_MINUTE);

    /// The minute with this number since 1970-01-01T00:00Z.
    ///
    /// # Errors
    /// If it is outside the years 1970 to 9999.
    pub const fn from_epoch_minutes(minutes: i64) -> Result<Self, TimeError> {
        if minutes < 0 || minutes > MAX_MINUTE { Err(TimeError::OutOfRange) } else { Ok(Self(minutes)) }
    }

    /// Minutes since 1970-01-01T00:00Z.
    #[must_use]
    pub const fn epoch_minutes(self) -> i64 {
        self.0
    }

    /// The moment at which the minute begins.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 * 60_000)
    }

    /// The start of the minute as a chrono time.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        self.start().to_utc()
    }

    /// The minute of a chrono time, without its seconds.
    ///
    /// # Errors
    /// If it is outside the years 1970 to 9999.
    pub fn from_utc(time: DateTime<Utc>) -> Result<Self, TimeError> {
        Self::from_epoch_minutes(time.timestamp().div_euclid(60))
    }

    /// The minute this many minutes later, or earlier if negative.
    ///
    /// # Errors
    /// If it is outside the years 1970 to 9999.
    pub const fn plus(self, minutes: i64) -> Result<Self, TimeError> {
        Self::from_epoch_minutes(self.0.saturating_add(minutes))
    }
}

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z.
    pub const EARLIEST: Self = Self(0);

    /// The moment with this number of milliseconds since 1970-01-01T00:00Z, clamped to the years 1970 to 9999.
    #[must_use]
    pub const fn from_epoch_millis(millis: i64) -> Self {
        const MAX: i64 = MAX_MINUTE * 60_000 + 59_999;
        Self(match millis {
            ..0 => 0,
            MAX.. => MAX,
            _ => millis,
        })
    }

    /// Milliseconds since 1970-01-01T00:00Z.
    #[must_use]
    pub const fn epoch_millis(self) -> i64 {
        self.0
    }

    /// The time since `earlier`. Zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// The moment as a chrono time.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        // Every value is in chrono's range.
        DateTime::from_timestamp_millis(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// The minute of the moment.
    #[must_use]
    pub const fn minute(self) -> Minute {
        Minute(self.0 / 60_000)
    }
}

fn parse_rfc3339(text: &str) -> Result<DateTime<Utc>, TimeError> {
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|_| TimeError::NotRfc3339)
}

impl FromStr for Minute {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let time = parse_rfc3339(text)?;
        if time.second() != 0 || time.nanosecond() != 0 {
            return Err(TimeError::NotWholeMinute);
        }
        Self::from_utc(time)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let millis = parse_rfc3339(text)?.timestamp_millis();
        let time = Self::from_epoch_millis(millis);
        if time.0 == millis { Ok(time) } else { Err(TimeError::OutOfRange) }
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.to_utc();
        write!(f, "{:04}-{:02}-{:02}T{:02}:{:02}:00Z", t.year(), t.month(), t.day(), t.hour(), t.minute())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.to_utc();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )?;
        write!(f, ".{:03}Z", self.0 % 1000)
    }
}

macro_rules! text_serde {
    ($($name:ident: $expecting:literal),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    )*};
}
text_serde!(Minute: "an RFC 3339 time in whole minutes", Timestamp: "an RFC 3339 time", TimeZone: "an IANA time zone",
    UtcOffset: "an offset from UTC");

/// The half-open interval `[from, to)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Interval {
    /// First minute of the interval.
    pub from: Minute,
    /// First minute after the interval, later than `from`.
    pub to: Minute,
}

impl Interval {
    /// Whether both intervals share a minute.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }

    /// Elapsed minutes.
    #[must_use]
    pub const fn minutes(self) -> i64 {
        self.to.0 - self.from.0
    }

    /// The shared part, if any.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        let shared = Self { from: self.from.max(other.from), to: self.to.min(other.to) };
        (shared.from < shared.to).then_some(shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_reads_any_offset_and_writes_utc() {
        let minute: Minute = "2026-07-01T10:00:00+01:00".parse().unwrap();
        assert_eq!(minute.to_string(), "2026-07-01T09:00:00Z");
        assert_eq!(serde_json::to_string(&minute).unwrap(), "\"2026-07-01T09:00:00Z\"");
    }

    #[test]
    fn a_minute_refuses_seconds_missing_offsets_and_years_that_it_cannot_write() {
        assert_eq!("2026-07-01T10:00:01Z".parse::<Minute>(), Err(TimeError::NotWholeMinute));
        assert_eq!("2026-07-01T10:00:00".parse::<Minute>(), Err(TimeError::NotRfc3339));
        assert_eq!("1969-12-31T23:59:00Z".parse::<Minute>(), Err(TimeError::OutOfRange));
        assert_eq!("9999-12-31T23:59:00Z".parse::<Minute>().unwrap().epoch_minutes(), MAX_MINUTE);
    }

    #[test]
    fn a_timestamp_keeps_its_milliseconds() {
        let time: Timestamp = "2026-07-01T10:00:00.007Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-07-01T10:00:00.007Z");
    }

    #[test]
    fn adjoining_intervals_do_not_overlap() {
        let at = |n| Minute::from_epoch_minutes(n).unwrap();
        let a = Interval { from: at(10), to: at(20) };
        assert!(!a.overlaps(Interval { from: at(20), to: at(30) }));
        assert!(a.overlaps(Interval { from: at(19), to: at(30) }));
    }
}
