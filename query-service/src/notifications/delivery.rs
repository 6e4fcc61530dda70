//! A delivery: one message for one subscription, with its attempts.

use std::time::Duration;

use serde_json::json;
use service_kit::ids::new_id;
use shared_events::{RawEvent, Reservation, Timestamp};
use uuid::Uuid;

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
const TEST: &str = "notifications.test";

/// One message for one subscription. It holds ids and times, and no user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The `webhook-id`: `{room}:{version}:{subscription}`. The same event makes the same id again.
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
}

/// Where a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It waits for its first or next attempt.
    Waiting,
    /// The endpoint has taken it.
    Delivered,
    /// It was given up.
    Failed,
}

/// The outcome of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// When the attempt ended.
    pub at: Timestamp,
    /// `HTTP 200`, or why there was no answer. Holds nothing of the answer's body.
    pub text: String,
}

impl Status {
    const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Failed];

    /// The status as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The status that is stored so.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl Delivery {
    /// The delivery of an event to a subscription.
    pub(super) fn of(event: &RawEvent, about: &Reservation, subscription: Uuid, now: Timestamp) -> Self {
        let body = json!({
            "type": event.event_type,
            "timestamp": event.recorded_at.to_string(),
            "data": {
                "room": event.room,
                "version": event.version,
                "reservation": about.id,
                "revision": about.revision,
                "from": about.from,
                "to": about.to,
            },
        });
        Self::due_now(format!("{}:{subscription}", event.id()), subscription, &event.event_type, &body, now)
    }

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
        }
    }

    /// The delivery after an attempt.
    #[must_use]
    pub(super) fn after(mut self, was_taken: bool, answer: Answer) -> Self {
        let attempt = usize::try_from(self.attempts).unwrap_or(usize::MAX);
        self.attempts = self.attempts.saturating_add(1);
        self.status = match PAUSES.get(attempt) {
            _ if was_taken => Status::Delivered,
            Some(pause) => {
                self.due = later(answer.at, with_jitter(*pause));
                Status::Waiting
            }
            None => Status::Failed,
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
            delivery = delivery.after(false, Answer { at: now, text: "HTTP 500".to_owned() });
            attempts += 1;
            assert!(attempts == PAUSES.len() + 1 || delivery.due > now);
        }
        assert_eq!((delivery.status, delivery.attempts), (Status::Failed, 9));
        let days = (delivery.due.epoch_millis() - start.epoch_millis()) / 86_400_000;
        assert!((2..3).contains(&days), "{days} days");
        assert!(PAUSES.iter().sum::<Duration>() < KEPT);
    }
}
