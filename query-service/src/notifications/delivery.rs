//! A delivery: one message for one subscription, with its attempts.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use service_kit::ids::new_id;
use shared_events::{
    Minute, RawEvent, Reservation, ReservationId, RoomId, SeriesId, TimeZone, Timestamp, Version,
};
use uuid::Uuid;

use super::{Carrier, Lead, Subscriber};

/// The pauses after failed attempts, as the Standard Webhooks specification proposes them. After the last one the delivery
/// has failed.
const PAUSES: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
];
/// How long a delivery is kept.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// The type of a message that a user asks for.
pub(super) const TEST: &str = "notifications.test";
/// The type of a reminder.
pub(super) const REMINDER: &str = "notifications.reminder";

/// One message for one subscription. It names no user. A webhook's holds ids and times alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The `webhook-id` or `Message-ID`: `{room}:{version}:{subscription}`. The same event makes the same id again. Of a
    /// reservation of a series, the command is in place of the version: what it does to a series is told once.
    pub id: String,
    /// The subscription.
    pub subscription: Uuid,
    /// The type of the message.
    pub message_type: String,
    /// The message, byte for byte as it is signed and sent.
    pub body: String,
    /// When it was filed.
    pub created: Timestamp,
    /// When it is deleted.
    pub expires: Timestamp,
    /// Where it stands.
    pub status: Status,
    /// When it is sent next, while it waits.
    pub due: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// The last attempt.
    pub last: Option<Answer>,
    /// The stay, if it is a reminder.
    pub reminds: Option<Reminds>,
}

/// What a reminder is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reminds {
    /// The reservation.
    pub reservation: ReservationId,
    /// Its revision. A later one replaces the reminder.
    pub revision: u32,
    /// When the stay begins. Then the reminder is of no use.
    pub until: Timestamp,
}

/// Where a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It waits for its first or next attempt.
    Waiting,
    /// The endpoint or mail server has taken it.
    Delivered,
    /// It was given up.
    Failed,
    /// A reminder that was not sent: its stay changed, was cancelled or began.
    Dropped,
}

/// What came of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// When the attempt ended.
    pub at: Timestamp,
    /// `HTTP 200` or `SMTP 250`, or why there was no answer. Holds nothing of the answer's body.
    pub text: String,
}

/// What an attempt says about the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is taken.
    Taken,
    /// Another attempt may succeed.
    Failed,
    /// No attempt will succeed.
    Refused,
    /// The endpoint wants no more messages, ever.
    Gone,
}

/// The outcome of an attempt.
pub(super) struct Outcome {
    pub(super) answer: Answer,
    pub(super) verdict: Verdict,
}

impl Status {
    const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Failed, Self::Dropped];

    /// The status as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }

    /// The status that is stored so.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A reservation as messages tell it.
#[derive(Serialize)]
struct Data<'a> {
    room: RoomId,
    version: Version,
    reservation: ReservationId,
    revision: u32,
    from: Minute,
    to: Minute,
    /// The series, of which one command may have changed more reservations.
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<SeriesId>,
    #[serde(flatten)]
    for_people: Option<ForPeople<'a>>,
}

/// What people read in a mail.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ForPeople<'a> {
    time_zone: TimeZone,
    title: Option<&'a str>,
    room_name: Option<&'a str>,
    /// All reservations of the series that the command has changed, by `from`, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    occurrences: Vec<Occurrence<'a>>,
}

/// A reservation of a series.
#[derive(Serialize)]
struct Occurrence<'a> {
    reservation: ReservationId,
    revision: u32,
    from: Minute,
    to: Minute,
    title: Option<&'a str>,
}

impl<'a> Occurrence<'a> {
    fn of(Reservation { id, revision, from, to, title, .. }: &'a Reservation) -> Self {
        let (reservation, revision, from, to) = (*id, *revision, *from, *to);
        Self { reservation, revision, from, to, title: title.as_deref() }
    }
}

/// What a message tells: a reservation after an event.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) event: &'a RawEvent,
    pub(super) reservation: &'a Reservation,
    pub(super) room_name: Option<&'a str>,
    /// The reservations of the series that the event's command has changed, this one too. Empty for one without a series.
    pub(super) of_series: &'a [&'a Reservation],
}

impl Told<'_> {
    fn occurrences(&self) -> Vec<Occurrence<'_>> {
        if self.of_series.len() < 2 {
            return Vec::new();
        }
        let mut occurrences: Vec<_> = self.of_series.iter().map(|of| Occurrence::of(of)).collect();
        occurrences.sort_unstable_by_key(|occurrence| occurrence.from);
        occurrences
    }

    fn body(&self, message_type: &str, to: &Subscriber) -> serde_json::Value {
        let Self { event, reservation, room_name, .. } = *self;
        let data = Data {
            room: event.room,
            version: event.version,
            reservation: reservation.id,
            revision: reservation.revision,
            from: reservation.from,
            to: reservation.to,
            series: reservation.series,
            for_people: (to.carrier == Carrier::Mails).then_some(ForPeople {
                time_zone: reservation.time_zone,
                title: reservation.title.as_deref(),
                room_name,
                occurrences: if message_type == REMINDER { Vec::new() } else { self.occurrences() },
            }),
        };
        json!({ "type": message_type, "timestamp": event.recorded_at.to_string(), "data": data })
    }

    /// The delivery of the event to a subscription.
    pub(super) fn delivery(&self, to: &Subscriber, now: Timestamp) -> Delivery {
        let message_type = &self.event.event_type;
        let id = match self.reservation.series {
            None => format!("{}:{}", self.event.id(), to.id),
            Some(_) => format!("{}:{}:{}", self.event.room, self.event.metadata.causation_id, to.id),
        };
        Delivery::due_now(id, to.id, message_type, &self.body(message_type, to), now)
    }

    /// The reminder of the stay, dropped at once if its time was over when the event was recorded.
    pub(super) fn reminder(&self, lead: Lead, to: &Subscriber, now: Timestamp) -> Delivery {
        let due = lead.before(self.reservation.from.start());
        let mut reminder = self.no_reminder(to.id, now);
        reminder.body = self.body(REMINDER, to).to_string();
        if due > self.event.recorded_at {
            (reminder.due, reminder.status) = (due, Status::Waiting);
        }
        reminder
    }

    /// Stands for a reminder that is never sent, and replaces those of earlier revisions.
    pub(super) fn no_reminder(&self, subscription: Uuid, now: Timestamp) -> Delivery {
        let Reservation { id, revision, from, .. } = *self.reservation;
        let until = from.start();
        let key = format!("reminder:{id}:{revision}:{subscription}");
        Delivery {
            status: Status::Dropped,
            expires: later(now.max(until), KEPT),
            reminds: Some(Reminds { reservation: id, revision, until }),
            ..Delivery::due_now(key, subscription, REMINDER, &serde_json::Value::Null, now)
        }
    }
}

impl Delivery {
    fn due_now(
        id: String,
        subscription: Uuid,
        message_type: &str,
        body: &serde_json::Value,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            subscription,
            message_type: message_type.to_owned(),
            body: body.to_string(),
            created: now,
            expires: later(now, KEPT),
            status: Status::Waiting,
            due: now,
            attempts: 0,
            last: None,
            reminds: None,
        }
    }

    /// Whether it comes too late to be of use.
    pub(super) fn is_useless(&self, now: Timestamp) -> bool {
        self.reminds.is_some_and(|reminds| reminds.until <= now)
    }

    /// The delivery after an attempt.
    #[must_use]
    pub(super) fn after(mut self, Outcome { answer, verdict }: Outcome) -> Self {
        let attempt = usize::try_from(self.attempts).unwrap_or(usize::MAX);
        self.attempts = self.attempts.saturating_add(1);
        self.status = match (verdict, PAUSES.get(attempt)) {
            (Verdict::Taken, _) => Status::Delivered,
            (Verdict::Failed | Verdict::Gone, Some(pause)) => {
                self.due = later(answer.at, with_jitter(*pause));
                Status::Waiting
            }
            (Verdict::Failed | Verdict::Gone, None) | (Verdict::Refused, _) => Status::Failed,
        };
        self.last = Some(answer);
        self
    }
}

/// A message by which a user tests an endpoint.
#[must_use]
pub fn test_of(subscription: Uuid, now: Timestamp) -> Delivery {
    let body =
        json!({ "type": TEST, "timestamp": now.to_string(), "data": { "subscription": subscription } });
    Delivery::due_now(format!("test:{}:{subscription}", new_id()), subscription, TEST, &body, now)
}

/// Lengthened at random by up to a tenth, so that an endpoint that comes back is not asked by all at once.
pub(super) fn with_jitter(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + rand::random::<f64>() / 10.0)
}

pub(super) fn later(time: Timestamp, by: Duration) -> Timestamp {
    let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_epoch_millis(time.epoch_millis().saturating_add(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_for_days_and_then_the_delivery_has_failed() {
        let start = Timestamp::from_epoch_millis(1_800_000_000_000);
        let mut delivery = test_of(new_id(), start);
        let mut attempts = 0;
        while delivery.status == Status::Waiting {
            let now = delivery.due;
            let answer = Answer { at: now, text: "HTTP 500".to_owned() };
            delivery = delivery.after(Outcome { answer, verdict: Verdict::Failed });
            attempts += 1;
            assert!(attempts == PAUSES.len() + 1 || delivery.due > now);
        }
        assert_eq!((delivery.status, delivery.attempts), (Status::Failed, 9));
        let days = (delivery.due.epoch_millis() - start.epoch_millis()) / 86_400_000;
        assert!((2..3).contains(&days), "{days} days");
        assert!(PAUSES.iter().sum::<Duration>() < KEPT);
    }
}
