//! Reservations as iCalendar events (RFC 5545), for mails and calendar feeds.
//!
//! Times are in UTC, so no calendar needs a definition of a time zone.

use std::borrow::Cow;

use icalendar::{Calendar, Component as _, Event, EventLike as _, EventStatus, Property};
use shared_events::{Minute, ReservationId, Timestamp};

/// One form of a reservation, as an entry of a calendar.
///
/// All its forms have one `UID`, the reservation's id (RFC 7986, 5.3), so that a calendar shows the latest one alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) id: ReservationId,
    /// The revision of this form, which gives `SEQUENCE`.
    pub(crate) revision: u32,
    pub(crate) from: Minute,
    pub(crate) to: Minute,
    pub(crate) is_cancelled: bool,
    /// When the reservation got this form: `DTSTAMP`.
    pub(crate) changed: Timestamp,
    pub(crate) summary: &'a str,
    pub(crate) location: Option<&'a str>,
}

impl Entry<'_> {
    /// The entry as `VEVENT`.
    pub(crate) fn event(&self) -> Event {
        let mut event = Event::with_uid(&self.id.to_string());
        event
            .sequence(self.revision.saturating_sub(1))
            .timestamp(self.changed.to_utc())
            .starts(self.from.to_utc())
            .ends(self.to.to_utc())
            .summary(&printable(self.summary))
            .status(if self.is_cancelled { EventStatus::Cancelled } else { EventStatus::Confirmed });
        if let Some(location) = self.location {
            event.location(&printable(location));
        }
        event
    }
}

/// A calendar without entries.
pub(crate) fn calendar() -> Calendar {
    let mut calendar = Calendar::empty();
    for (name, value) in
        [("VERSION", "2.0"), ("PRODID", "-//room-reservations//EN"), ("CALSCALE", "GREGORIAN")]
    {
        calendar.append_property(Property::new(name, value));
    }
    calendar
}

/// The text without control characters, which a calendar can't hold.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    match text.contains(char::is_control) {
        true => text.replace(char::is_control, " ").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry<'static> {
        Entry {
            id: "0198d3a7-1c44-7d20-a5f3-00003f97571e".parse().unwrap(),
            revision: 3,
            from: "2027-03-28T09:30:00+02:00".parse().unwrap(),
            to: "2027-03-28T11:00:00+02:00".parse().unwrap(),
            is_cancelled: false,
            changed: "2027-01-15T08:00:00.999Z".parse().unwrap(),
            summary: "Planning",
            location: Some("Blue"),
        }
    }

    fn lines(entry: &Entry<'_>) -> Vec<String> {
        let text = calendar().push(entry.event()).to_string();
        assert!(text.lines().all(|line| line.len() <= 75), "{text}");
        text.replace("\r\n ", "").split_terminator("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn an_entry_has_one_uid_its_sequence_and_times_in_utc() {
        let expected = [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//room-reservations//EN",
            "CALSCALE:GREGORIAN",
            "BEGIN:VEVENT",
            "DTEND:20270328T090000Z",
            "DTSTAMP:20270115T080000Z",
            "DTSTART:20270328T073000Z",
            "LOCATION:Blue",
            "SEQUENCE:2",
            "STATUS:CONFIRMED",
            "SUMMARY:Planning",
            "UID:0198d3a7-1c44-7d20-a5f3-00003f97571e",
            "END:VEVENT",
            "END:VCALENDAR",
        ];
        assert_eq!(lines(&entry()), expected);
        let cancelled = lines(&Entry { is_cancelled: true, location: None, ..entry() });
        assert!(cancelled.contains(&"STATUS:CANCELLED".to_owned()), "{cancelled:?}");
        assert!(!cancelled.iter().any(|line| line.starts_with("LOCATION")), "{cancelled:?}");
    }

    #[test]
    fn no_text_ends_its_line_or_begins_another_property() {
        let summary = "a;b,c\\d\r\nATTENDEE:mailto:eve@example.org\u{0}\u{85}\t";
        let lines = lines(&Entry { summary, location: Some("ä".repeat(200).as_str()), ..entry() });
        assert!(
            lines.contains(&r"SUMMARY:a\;b\,c\\d  ATTENDEE:mailto:eve@example.org   ".to_owned()),
            "{lines:?}"
        );
        assert!(lines.contains(&format!("LOCATION:{}", "ä".repeat(200))), "{lines:?}");
        assert_eq!(lines.len(), 15);
    }
}
