//! Files deliveries for the events that concern a subscription.

use std::time::Duration;

use shared_events::{RawEvent, Reservation, RoomId, Timestamp, UserId};

use super::{About, Delivery, Notifications, Subscriber, delivery::later};
use crate::stores::StoreError;

/// Counter: events that notify nobody, by `reason`.
const SKIPPED: &str = "notifications_skipped_total";
/// Counter: deliveries filed, those that were stored already too.
const FILED: &str = "notifications_filed_total";
/// An older event notifies nobody: what it tells is no news.
const NEWS_FOR: Duration = Duration::from_hours(24);
/// An event that was recorded later than this after its time is an imported one. Clocks of services differ by less.
const IMPORTED_AFTER: Duration = Duration::from_mins(5);
/// The correlation ids of a roll-back's commands begin so.
const ROLL_BACK: &str = "roll-back-";

/// Files deliveries. Filing an event again changes nothing.
#[derive(Clone)]
pub struct Teller(Notifications);

impl Teller {
    /// A teller that wakes the courier of its process.
    #[must_use]
    pub fn new(notifications: Notifications) -> Self {
        metrics::describe_counter!(SKIPPED, "Events that notify nobody, by reason.");
        metrics::describe_counter!(FILED, "Deliveries filed.");
        Self(notifications)
    }

    /// Files the deliveries of these events. Once it returns, they are stored.
    ///
    /// # Errors
    /// When the store can't be read or written. Some deliveries may be filed then: tell the events again.
    pub async fn tell(&self, events: &[RawEvent]) -> Result<(), StoreError> {
        let Notifications { store, wake, .. } = &self.0;
        let now = self.0.now();
        let news: Vec<News<'_>> = events.iter().filter_map(|event| news(event, now)).collect();
        if news.is_empty() {
            return Ok(());
        }
        let owners: Vec<UserId> = distinct(news.iter().filter_map(|news| news.owner().cloned()));
        let rooms: Vec<RoomId> = distinct(news.iter().map(|news| news.event.room));
        let subscribers = store.concerned(&owners, &rooms).await?;
        let mut deliveries = Vec::new();
        for news in &news {
            for subscriber in subscribers.iter().filter(|subscriber| news.concerns(subscriber)) {
                deliveries.push(Delivery::of(news.event, &news.reservation, subscriber.id, now));
            }
        }
        if !deliveries.is_empty() {
            store.file(&deliveries, now).await?;
            metrics::counter!(FILED).increment(deliveries.len() as u64);
            wake.notify_one();
        }
        Ok(())
    }
}

/// An event that somebody may want to know.
struct News<'a> {
    event: &'a RawEvent,
    reservation: Reservation,
    /// Of a move or a restored reservation, the half in the former room. The owner is told of the other half.
    is_moved_out: bool,
}

impl News<'_> {
    fn owner(&self) -> Option<&UserId> {
        (!self.is_moved_out).then_some(&self.reservation.reserved_by)
    }

    fn concerns(&self, subscriber: &Subscriber) -> bool {
        let is_about = match &subscriber.about {
            About::Mine => self.owner() == Some(&subscriber.user),
            About::Room(room) => self.event.room == *room,
        };
        is_about && self.event.recorded_at >= subscriber.created
    }
}

fn news(event: &RawEvent, now: Timestamp) -> Option<News<'_>> {
    let skipped = |reason: &'static str| {
        metrics::counter!(SKIPPED, "reason" => reason).increment(1);
        None
    };
    if later(event.recorded_at, NEWS_FOR) < now {
        return skipped("old");
    }
    if later(event.metadata.time, IMPORTED_AFTER) < event.recorded_at {
        return skipped("imported");
    }
    if event.metadata.correlation_id.starts_with(ROLL_BACK) {
        return skipped("roll-back");
    }
    match event.event() {
        Ok(decoded) => {
            let reservation = decoded.reservation()?.clone();
            let is_moved_out = reservation.room != event.room;
            Some(News { event, reservation, is_moved_out })
        }
        Err(why) => {
            tracing::warn!(event = event.id(), %why, "an event that can't be read notifies nobody");
            skipped("unreadable")
        }
    }
}

fn distinct<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}
