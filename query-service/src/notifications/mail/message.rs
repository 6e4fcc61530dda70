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

    /// The method of iTIP (RFC 5546), where calendars have to learn of it.
    const fn method(self) -> Option<&'static str> {
        match self {
            Self::Made | Self::Changed => Some("REQUEST"),
            Self::Cancelled => Some("CANCEL"),
            Self::Nears => None,
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
    let Some(method) = happened.method() else { return Ok(mail.singlepart(text)?) };
    let mut invitation = calendar();
    invitation.append_property(Property::new("METHOD", method));
    invitation.push(stay.event(happened, timestamp, sender, to));
    let calendar_type = ContentType::parse(&format!("text/calendar; method={method}; charset=utf-8"))?;
    let calendar_part = SinglePart::builder().header(calendar_type).body(invitation.to_string());
    Ok(mail.multipart(MultiPart::alternative().singlepart(text).singlepart(calendar_part))?)
}

impl Stay {
    fn room(&self) -> &str {
        self.room_name.as_deref().unwrap_or("a room")
    }

    fn subject(&self, happened: Happened) -> String {
        let (word, _) = happened.words();
        let from = local(self.from, self.time_zone.0);
        printable(&format!("{word}: {}, {from}", self.room())).into_owned()
    }

    fn text(&self, happened: Happened) -> String {
        let (_, sentence) = happened.words();
        let zone = self.time_zone.0;
        let mut lines = vec![sentence.to_owned(), String::new()];
        lines.push(format!("Room: {}", self.room()));
        lines.push(format!("From: {} ({zone})", local(self.from, zone)));
        lines.push(format!("To: {} ({zone})", local(self.to, zone)));
        lines.extend(self.title.as_ref().map(|title| format!("Title: {title}")));
        lines.push(format!("Reservation: {}", self.reservation));
        if let Some(series) = self.series.filter(|_| happened != Happened::Nears) {
            lines.push(format!("Series: {series}"));
            lines.push(
                "Other reservations of the series may be affected too. Your calendar has all of them."
                    .to_owned(),
            );
        }
        lines.iter().map(|line| format!("{}\r\n", printable(line))).collect()
    }

    fn event(&self, happened: Happened, changed: Timestamp, sender: &Mailbox, to: &Address) -> Event {
        let entry = Entry {
            id: self.reservation,
            revision: self.revision,
            from: self.from,
            to: self.to,
            is_cancelled: happened == Happened::Cancelled,
            changed,
            summary: self.title.as_deref().unwrap_or_else(|| self.room()),
            location: self.room_name.as_deref(),
        };
        let mut event = entry.event();
        event.add_property("ORGANIZER", format!("mailto:{}", sender.email));
        let mut attendee = Property::new("ATTENDEE", format!("mailto:{to}"));
        attendee.add_parameter("PARTSTAT", "ACCEPTED").add_parameter("RSVP", "FALSE");
        event.append_multi_property(attendee);
        event
    }
}

/// A time as people of the room read it.
fn local(minute: Minute, zone: Tz) -> String {
    minute.to_utc().with_timezone(&zone).format("%A %-d %B %Y, %H:%M").to_string()
}
