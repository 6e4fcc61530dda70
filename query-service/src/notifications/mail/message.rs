//! What a mail says.

use icalendar::{Component as _, Event, Property};
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};
use serde::Deserialize;
use shared_events::time_zone::Tz;
use shared_events::{Minute, ReservationId, SeriesId, TimeZone, Timestamp};

use super::super::delivery::{Delivery, REMINDER, TEST};
use crate::ics::{Entry, calendar, printable};

/// The message of a delivery about a reservation.
#[derive(Deserialize)]
struct Told {
    timestamp: Timestamp,
    data: Stay,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stay {
    reservation: ReservationId,
    revision: u32,
    from: Minute,
    to: Minute,
    time_zone: TimeZone,
    title: Option<String>,
    room_name: Option<String>,
    series: Option<SeriesId>,
    /// All reservations of the series that one command has changed, if there are several.
    #[serde(default)]
    occurrences: Vec<Occurrence>,
}

/// One reservation of several.
#[derive(Deserialize)]
struct Occurrence {
    reservation: ReservationId,
    revision: u32,
    from: Minute,
    to: Minute,
    title: Option<String>,
}

/// What has happened, by the type of the message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Happened {
    Made,
    Changed,
    Cancelled,
    /// It begins soon.
    Nears,
}

impl Happened {
    fn of(message_type: &str) -> Self {
        match message_type {
            "reservations.reservation-made.v1" => Self::Made,
            "reservations.reservation-cancelled.v1" => Self::Cancelled,
            REMINDER => Self::Nears,
            _ => Self::Changed,
        }
    }

    /// The first word of the subject, and the first sentence of the text.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Made => ("Reserved", "Your reservation is made."),
            Self::Changed => ("Changed", "Your reservation has changed."),
            Self::Cancelled => ("Cancelled", "Your reservation is cancelled."),
            Self::Nears => ("Reminder", "Your stay begins soon."),
        }
    }

    /// The same of several reservations of a series.
    const fn words_of_several(self) -> (&'static str, &'static str) {
        match self {
            Self::Made => ("Reserved", "Your reservations are made."),
            Self::Changed => ("Changed", "Your reservations have changed."),
            Self::Cancelled => ("Cancelled", "Your reservations are cancelled."),
            Self::Nears => self.words(),
        }
    }

    /// The method of iTIP (RFC 5546), where calendars have to learn of it. A request or a cancellation is of one `UID`, so
    /// several reservations are published: each by itself, with its status.
    const fn method(self, several: bool) -> Option<&'static str> {
        match self {
            Self::Nears => None,
            Self::Made | Self::Changed | Self::Cancelled if several => Some("PUBLISH"),
            Self::Made | Self::Changed => Some("REQUEST"),
            Self::Cancelled => Some("CANCEL"),
        }
    }
}

/// The mail of a delivery. Its `Message-ID` is the delivery's id, so it is the same in each attempt.
pub(super) fn compose(
    sender: &Mailbox,
    to: &Address,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<Message, Box<dyn std::error::Error + Send + Sync>> {
    let id = format!("<{}@{}>", delivery.id.replace(':', "."), sender.email.domain());
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let mail = Message::builder()
        .from(sender.clone())
        .to(Mailbox::new(None, to.clone()))
        .message_id(Some(id))
        .date(now.to_utc().into())
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
    if delivery.message_type == TEST {
        let text = "This is the message that you asked for. Notifications reach this address.\r\n";
        return Ok(mail.subject("Test of notifications").singlepart(SinglePart::plain(text.to_owned()))?);
    }
    let Told { timestamp, data: stay } = serde_json::from_str(&delivery.body)?;
    let happened = Happened::of(&delivery.message_type);
    let mail = mail.subject(stay.subject(happened));
    let text = SinglePart::plain(stay.text(happened));
    let Some(method) = happened.method(stay.is_several()) else { return Ok(mail.singlepart(text)?) };
    let mut invitation = calendar();
    invitation.append_property(Property::new("METHOD", method));
    stay.events(happened, timestamp, sender, to).into_iter().for_each(|event| _ = invitation.push(event));
    let calendar_type = ContentType::parse(&format!("text/calendar; method={method}; charset=utf-8"))?;
    let calendar_part = SinglePart::builder().header(calendar_type).body(invitation.to_string());
    Ok(mail.multipart(MultiPart::alternative().singlepart(text).singlepart(calendar_part))?)
}

impl Stay {
    fn room(&self) -> &str {
        self.room_name.as_deref().unwrap_or("a room")
    }

    /// Whether it is about several reservations of a series.
    const fn is_several(&self) -> bool {
        !self.occurrences.is_empty()
    }

    const fn words(&self, happened: Happened) -> (&'static str, &'static str) {
        if self.is_several() { happened.words_of_several() } else { happened.words() }
    }

    fn subject(&self, happened: Happened) -> String {
        let (word, _) = self.words(happened);
        let first = self.occurrences.first().map_or(self.from, |first| first.from);
        let others = self.occurrences.len().saturating_sub(1);
        let others = if others > 0 { format!(" and {others} more") } else { String::new() };
        let from = local(first, self.time_zone.0);
        printable(&format!("{word}: {}, {from}{others}", self.room())).into_owned()
    }

    fn text(&self, happened: Happened) -> String {
        let (_, sentence) = self.words(happened);
        let zone = self.time_zone.0;
        let mut lines = vec![sentence.to_owned(), String::new()];
        lines.push(format!("Room: {}", self.room()));
        if self.is_several() {
            lines.push(format!("Times: {zone}"));
            lines.extend(self.occurrences.iter().map(|of| {
                let title = of.title.as_ref().map(|title| format!(", {title}")).unwrap_or_default();
                format!("- {} to {}{title}", local(of.from, zone), local(of.to, zone))
            }));
        } else {
            lines.push(format!("From: {} ({zone})", local(self.from, zone)));
            lines.push(format!("To: {} ({zone})", local(self.to, zone)));
            lines.extend(self.title.as_ref().map(|title| format!("Title: {title}")));
            lines.push(format!("Reservation: {}", self.reservation));
        }
        if let Some(series) = self.series.filter(|_| happened != Happened::Nears) {
            lines.push(format!("Series: {series}"));
            lines.push(
                "Other reservations of the series may be affected too. Your calendar has all of them."
                    .to_owned(),
            );
        }
        lines.iter().map(|line| format!("{}\r\n", printable(line))).collect()
    }

    /// The entries: of one reservation an invitation that the owner has accepted, of several each by itself.
    fn events(&self, happened: Happened, changed: Timestamp, sender: &Mailbox, to: &Address) -> Vec<Event> {
        let entry = |id, revision, from, to, title: Option<&str>| {
            let entry = Entry {
                id,
                revision,
                from,
                to,
                is_cancelled: happened == Happened::Cancelled,
                changed,
                summary: title.unwrap_or_else(|| self.room()),
                location: self.room_name.as_deref(),
            };
            let mut event = entry.event();
            event.add_property("ORGANIZER", format!("mailto:{}", sender.email));
            event
        };
        if self.is_several() {
            let several = self.occurrences.iter();
            return several
                .map(|of| entry(of.reservation, of.revision, of.from, of.to, of.title.as_deref()))
                .collect();
        }
        let mut event = entry(self.reservation, self.revision, self.from, self.to, self.title.as_deref());
        let mut attendee = Property::new("ATTENDEE", format!("mailto:{to}"));
        attendee.add_parameter("PARTSTAT", "ACCEPTED").add_parameter("RSVP", "FALSE");
        event.append_multi_property(attendee);
        vec![event]
    }
}

/// A time as people of the room read it.
fn local(minute: Minute, zone: Tz) -> String {
    minute.to_utc().with_timezone(&zone).format("%A %-d %B %Y, %H:%M").to_string()
}
