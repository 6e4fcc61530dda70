//! Settings that contradict each other: no stay ever keeps both.

use shared_events::{OpeningHours, RoomSettings};

use super::values::{InvalidSetting, MAX_STAY_MINUTES};

const DAY: i64 = 24 * 60;
const WEEK: i64 = 7 * DAY;

/// Checks that some stay keeps all rules of a room in a week without a change of clocks. Each setting is valid by itself.
///
/// # Errors
/// Two settings that no stay keeps.
pub(crate) fn check_bookable(settings: &RoomSettings) -> Result<(), InvalidSetting> {
    let contradiction = |field: &'static str, reason: String| {
        Err(InvalidSetting { field: field.into(), reason: reason.into() })
    };
    let [min, max, slot] = [settings.min_minutes, settings.max_minutes, settings.slot_minutes];
    let slot = i64::from(slot.unwrap_or(1));
    let max = max.map_or(MAX_STAY_MINUTES, i64::from);
    let shortest = i64::from(min.unwrap_or(1));
    if shortest > MAX_STAY_MINUTES {
        return contradiction("minMinutes", "is more than 366 days, the longest stay of any room".into());
    }
    if slot > max {
        return contradiction("slotMinutes", "contradicts maxMinutes: no stay is as short as that".into());
    }
    // Stays are whole slots.
    let whole = (shortest + slot - 1) / slot * slot;
    if whole > max {
        let reason = "contradicts maxMinutes: no multiple of slotMinutes lies between them";
        return contradiction("minMinutes", reason.into());
    }
    let Some(hours) = &settings.opening_hours else { return Ok(()) };
    match longest_stay(hours, slot) {
        None => Ok(()),
        Some(_) if open_spans(hours).is_empty() => {
            contradiction("openingHours", "has no open day, so that no stay fits".into())
        }
        Some(longest) if longest < slot => contradiction(
            "slotMinutes",
            "contradicts openingHours: the room is never open for a whole slot".into(),
        ),
        Some(longest) if longest < whole => {
            let reason = format!("contradicts openingHours: the longest stay in them is {longest} minutes");
            contradiction("minMinutes", reason)
        }
        Some(_) => Ok(()),
    }
}

/// The longest stay of whole slots in open time. `None` if the room is always open.
fn longest_stay(hours: &OpeningHours, slot: i64) -> Option<i64> {
    // Two weeks, so that a span that goes on from Sunday to Monday is seen whole.
    let week = open_spans(hours);
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (opens, closes) in
        week.iter().copied().chain(week.iter().map(|(opens, closes)| (opens + WEEK, closes + WEEK)))
    {
        match joined.last_mut() {
            Some(last) if opens <= last.1 => last.1 = last.1.max(closes),
            _ => joined.push((opens, closes)),
        }
    }
    if joined.iter().any(|(opens, closes)| closes - opens > WEEK) {
        return None;
    }
    let whole = |(opens, closes): (i64, i64)| closes / slot * slot - (opens + slot - 1) / slot * slot;
    Some(joined.into_iter().map(whole).max().unwrap_or(0))
}

/// Open time in minutes after the beginning of Monday, in order.
fn open_spans(hours: &OpeningHours) -> Vec<(i64, i64)> {
    let days = [
        &hours.monday,
        &hours.tuesday,
        &hours.wednesday,
        &hours.thursday,
        &hours.friday,
        &hours.saturday,
        &hours.sunday,
    ];
    let mut spans = Vec::new();
    for (day, begins) in days.into_iter().zip((0..).step_by(24 * 60)) {
        let in_week = |minutes: u16| begins + i64::from(minutes);
        spans.extend(day.spans().iter().map(|span| (in_week(span.opens()), in_week(span.closes()))));
    }
    spans
}
