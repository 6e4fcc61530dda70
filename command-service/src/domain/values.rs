//! Values that mean something by themselves: texts, settings, intervals. HTTP and import check them before there is a
//! command; what a change leaves is checked again when it is decided.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use shared_events::{Interval, RoomSettings};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Most characters of a name, a kind, a title or a guest.
pub const MAX_TEXT_CHARS: usize = 200;
/// Longest stay in minutes, whatever the room's rules: 366 days.
pub const MAX_STAY_MINUTES: i64 = 366 * 24 * 60;
const MINUTES_PER_DAY: u32 = 24 * 60;

/// A setting that has no meaning.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{field} {reason}")]
pub struct InvalidSetting {
    /// The setting, as it is named in JSON.
    pub field: Cow<'static, str>,
    /// What is wrong, to be read after the field's name.
    pub reason: Cow<'static, str>,
}

/// A stay that has no meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InvalidInterval {
    /// It ends before it begins, or is empty.
    #[error("`from` must lie before `to`")]
    FromNotBeforeTo,
    /// It is longer than any stay may be.
    #[error("no stay is longer than 366 days")]
    TooLong,
}

/// The one form of a name or a kind, so that what looks the same is the same: without white space at its ends, in Unicode
/// normalization form C. Names are given this form before there is a command.
#[must_use]
pub fn normalise(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// Whether a text can be kept: at most 200 characters, none of them a control character.
///
/// # Errors
/// What is wrong, to be read after the field's name.
pub fn check_text(text: &str) -> Result<(), &'static str> {
    // Counting stops early, so that a text of many megabytes costs nothing.
    if text.chars().nth(MAX_TEXT_CHARS).is_some() {
        Err("has more than 200 characters")
    } else if text.chars().any(char::is_control) {
        Err("has control characters")
    } else {
        Ok(())
    }
}

/// Whether a text can be a name or a kind: a text that is not empty and has the form that [`normalise`] gives.
///
/// # Errors
/// What is wrong, to be read after the field's name.
pub fn check_name(text: &str) -> Result<(), &'static str> {
    check_text(text)?;
    if text.is_empty() {
        Err("is empty")
    } else if normalise(text) != text {
        Err("has white space at its ends or is not in Unicode normalization form C")
    } else {
        Ok(())
    }
}

/// Whether settings mean something, each by itself and all together.
///
/// # Errors
/// The first setting that does not.
pub fn validate_settings(settings: &RoomSettings) -> Result<(), InvalidSetting> {
    let invalid = |field: &'static str, reason: &'static str| {
        Err(InvalidSetting { field: field.into(), reason: reason.into() })
    };
    if let Err(reason) = check_name(&settings.name) {
        return invalid("name", reason);
    }
    if let Err(reason) = check_name(&settings.kind) {
        return invalid("kind", reason);
    }
    if settings.capacity == 0 {
        return invalid("capacity", "must be at least 1");
    }
    if settings.slot_minutes.is_some_and(|slot| slot == 0 || !MINUTES_PER_DAY.is_multiple_of(slot)) {
        return invalid("slotMinutes", "must divide 1440, the minutes of a day");
    }
    if settings.min_minutes == Some(0) {
        return invalid("minMinutes", "must be at least 1");
    }
    if settings.max_minutes == Some(0) {
        return invalid("maxMinutes", "must be at least 1");
    }
    if let (Some(min), Some(max)) = (settings.min_minutes, settings.max_minutes)
        && min > max
    {
        return invalid("minMinutes", "must not be more than maxMinutes");
    }
    Ok(())
}

/// Whether an interval can be a stay: `from` before `to`, at most 366 days.
///
/// # Errors
/// What is wrong with it.
pub fn check_interval(stay: Interval) -> Result<(), InvalidInterval> {
    if stay.from >= stay.to {
        Err(InvalidInterval::FromNotBeforeTo)
    } else if stay.minutes() > MAX_STAY_MINUTES {
        Err(InvalidInterval::TooLong)
    } else {
        Ok(())
    }
}
