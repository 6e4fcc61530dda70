//! Validation of texts, settings and intervals. HTTP and import validate before they make a command; a decision validates
//! the result of a change again.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared_events::{
    Interval, MaxAhead, RoomSettings,
    names::{LOOK_ALIKE_VERSION, is_blank, look_alike, normal_form},
    room_events::{MOST_BUFFER_MINUTES, MOST_WORDS},
};

/// Most characters of a name, a kind, a title or a guest.
pub(crate) const MAX_TEXT_CHARS: usize = 200;
/// Longest stay in minutes, whatever the room's rules: 366 days.
pub(crate) const MAX_STAY_MINUTES: i64 = 366 * 24 * 60;
const MINUTES_PER_DAY: u32 = 24 * 60;

/// A setting that is not valid.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{field} {reason}")]
pub struct InvalidSetting {
    /// Name of the setting in JSON.
    pub field: Cow<'static, str>,
    /// What is wrong; continues a sentence that starts with the field's name.
    pub reason: Cow<'static, str>,
}

/// An interval that is not valid for a stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InvalidInterval {
    /// `from` is not before `to`.
    #[error("`from` must lie before `to`")]
    FromNotBeforeTo,
    /// Longer than `MAX_STAY_MINUTES`.
    #[error("no stay is longer than 366 days")]
    TooLong,
}

/// The key that names which look alike share, and others do not: a hash of [`look_alike`], and of the version of its rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NameKey(pub [u8; 16]);

impl NameKey {
    /// The key of a name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let hash = Sha256::new_with_prefix([LOOK_ALIKE_VERSION]).chain_update(look_alike(name)).finalize();
        let mut key = [0; 16];
        key.copy_from_slice(hash.get(..16).unwrap_or(&[0; 16]));
        Self(key)
    }
}

/// Checks a text: at most 200 characters, no control characters, and not without a visible one. It may be empty.
///
/// # Errors
/// What is wrong; continues a sentence that starts with the field's name.
pub fn check_text(text: &str) -> Result<(), &'static str> {
    // Counting stops early, so a text of many megabytes costs nothing.
    if text.chars().nth(MAX_TEXT_CHARS).is_some() {
        Err("has more than 200 characters")
    } else if text.chars().any(char::is_control) {
        Err("has control characters")
    } else if !text.is_empty() && is_blank(text) {
        Err("has no visible character")
    } else {
        Ok(())
    }
}

/// Checks a name or a kind: a text in its [normal form](normal_form) and not empty.
///
/// # Errors
/// What is wrong; continues a sentence that starts with the field's name.
pub(crate) fn check_name(text: &str) -> Result<(), &'static str> {
    check_text(text)?;
    if text.is_empty() {
        Err("is empty")
    } else if normal_form(text) != text {
        Err("has white space at its ends or is not in Unicode normalization form C")
    } else {
        Ok(())
    }
}

/// Checks attributes or roles: names without commas, which separate them in queries, each once and in order.
fn check_words(words: &[String]) -> Result<(), &'static str> {
    if words.len() > MOST_WORDS {
        return Err("has more than 32 words");
    }
    if words.iter().any(|word| word.contains(',')) {
        return Err("has a word with a comma");
    }
    words.iter().try_for_each(|word| check_name(word))?;
    if words.is_sorted_by(|one, next| one < next) { Ok(()) } else { Err("is not in order") }
}

/// Checks settings, each alone and all together.
///
/// # Errors
/// The first setting that is not valid.
pub(crate) fn validate_settings(settings: &RoomSettings) -> Result<(), InvalidSetting> {
    let invalid = |field: &'static str, reason: &'static str| {
        Err(InvalidSetting { field: field.into(), reason: reason.into() })
    };
    if let Err(reason) = check_name(&settings.name) {
        return invalid("name", reason);
    }
    if let Err(reason) = check_name(&settings.kind) {
        return invalid("kind", reason);
    }
    for (field, text) in [("building", &settings.building), ("floor", &settings.floor)] {
        if let Some(Err(reason)) = text.as_deref().map(check_name) {
            return invalid(field, reason);
        }
    }
    for (field, words) in [("attributes", &settings.attributes), ("bookableBy", &settings.bookable_by)] {
        if let Err(reason) = check_words(words) {
            return invalid(field, reason);
        }
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
    for (field, minutes) in [("bufferBefore", settings.buffer_before), ("bufferAfter", settings.buffer_after)]
    {
        if minutes.is_some_and(|minutes| minutes > MOST_BUFFER_MINUTES) {
            return invalid(field, "must be at most 1440, the minutes of a day");
        }
    }
    if settings.max_ahead.is_some_and(|most| most == MaxAhead::default()) {
        return invalid("maxAhead", "has no limit; null removes it");
    }
    if let (Some(min), Some(max)) = (settings.min_minutes, settings.max_minutes)
        && min > max
    {
        return invalid("minMinutes", "must not be more than maxMinutes");
    }
    Ok(())
}

/// Checks the interval of a stay: `from` before `to`, at most 366 days.
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
