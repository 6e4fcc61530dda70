//! Notifications in memory, for the embedded default. They live as long as the process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use shared_events::{ReservationId, RoomId, Timestamp, UserId};
use uuid::Uuid;

use super::{
    About, Carrier, Channel, Claim, Delivery, MOST_OF_A_USER, Queues, Release, Secrets, State, Status,
    Subscriber, Subscription, Subscriptions,
};
use crate::stores::{StoreError, Swap};

/// Deliveries that are kept. The oldest go first.
const MOST_DELIVERIES: usize = 10_000;

/// Subscriptions and deliveries in memory.
#[derive(Debug, Default)]
pub struct MemoryNotifications(Mutex<Documents>);

#[derive(Debug, Default)]
struct Documents {
    /// In the order in which they were made: ids grow.
    queues: BTreeMap<Uuid, Queue>,
    /// By the number of their filing.
    deliveries: BTreeMap<u64, Delivery>,
    filed: u64,
}

#[derive(Debug)]
struct Queue {
    subscription: Subscription,
    due: Option<Timestamp>,
    held: Option<(Uuid, Timestamp)>,
    paused_until: Timestamp,
    filed: i64,
    failures: u32,
    failing_since: Option<Timestamp>,
}

impl Queue {
    fn of(subscription: Subscription) -> Self {
        let paused_until = Timestamp::EARLIEST;
        Self { subscription, due: None, held: None, paused_until, filed: 0, failures: 0, failing_since: None }
    }

    fn is_due_at(&mut self, now: Timestamp) {
        let due = now.max(self.paused_until);
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
        self.filed += 1;
    }
}

impl Documents {
    fn of(&self, subscription: Uuid) -> impl DoubleEndedIterator<Item = &Delivery> {
        self.deliveries.values().filter(move |delivery| delivery.subscription == subscription)
    }

    fn next_due(&self, subscription: Uuid) -> Option<Timestamp> {
        let waiting = self.of(subscription).filter(|delivery| delivery.status == Status::Waiting);
        waiting.map(|delivery| delivery.due).min()
    }

    fn delete(&mut self, subscription: Uuid) -> u64 {
        let before = self.queues.len() + self.deliveries.len();
        self.queues.remove(&subscription);
        self.deliveries.retain(|_, delivery| delivery.subscription != subscription);
        (before - self.queues.len() - self.deliveries.len()) as u64
    }
}

impl MemoryNotifications {
    fn documents(&self) -> MutexGuard<'_, Documents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Subscriptions for MemoryNotifications {
    async fn create(&self, subscription: &Subscription) -> Result<bool, StoreError> {
        let mut documents = self.documents();
        let of_user = documents.queues.values().filter(|queue| queue.subscription.user == subscription.user);
        if of_user.count() >= MOST_OF_A_USER {
            return Ok(false);
        }
        documents.queues.insert(subscription.id, Queue::of(subscription.clone()));
        Ok(true)
    }

    async fn of_user(&self, user: &UserId) -> Result<Vec<Subscription>, StoreError> {
        let documents = self.documents();
        let subscriptions = documents.queues.values().map(|queue| &queue.subscription);
        Ok(subscriptions.filter(|subscription| subscription.user == *user).cloned().collect())
    }

    async fn find(&self, user: &UserId, id: Uuid) -> Result<Option<Subscription>, StoreError> {
        let documents = self.documents();
        let found = documents.queues.get(&id).map(|queue| &queue.subscription);
        Ok(found.filter(|subscription| subscription.user == *user).cloned())
    }

    async fn set_secrets(&self, known: &Subscription, secrets: &Secrets) -> Result<Swap, StoreError> {
        let mut documents = self.documents();
        let found = documents.queues.get_mut(&known.id).map(|queue| &mut queue.subscription);
        match found.filter(|found| found.channel == known.channel).map(|found| &mut found.channel) {
            Some(Channel::Webhook(_, stored)) => {
                stored.clone_from(secrets);
                Ok(Swap::Done)
            }
            Some(Channel::Mail(_)) | None => Ok(Swap::Moved),
        }
    }

    async fn set_state(&self, id: Uuid, state: State, now: Timestamp) -> Result<(), StoreError> {
        if let Some(queue) = self.documents().queues.get_mut(&id) {
            queue.subscription.state = state;
            (queue.failures, queue.failing_since, queue.paused_until) = (0, None, now);
            queue.is_due_at(now);
        }
        Ok(())
    }

    async fn delete(&self, id: Uuid) -> Result<(), StoreError> {
        self.documents().delete(id);
        Ok(())
    }

    async fn erase(&self, user: &UserId) -> Result<u64, StoreError> {
        let ids: Vec<Uuid> = self.of_user(user).await?.iter().map(|subscription| subscription.id).collect();
        let mut documents = self.documents();
        let deleted: u64 = ids.into_iter().map(|id| documents.delete(id)).sum();
        let Documents { queues, deliveries, .. } = &mut *documents;
        let before = deliveries.len();
        deliveries.retain(|_, delivery| queues.contains_key(&delivery.subscription));
        Ok(deleted + (before - deliveries.len()) as u64)
    }

    async fn deliveries(
        &self,
        subscription: Uuid,
        status: Option<Status>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let documents = self.documents();
        let wanted = |delivery: &&Delivery| status.is_none_or(|status| delivery.status == status);
        Ok(documents.of(subscription).rev().filter(wanted).take(limit).cloned().collect())
    }

    async fn redeliver(
        &self,
        subscription: Uuid,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        let mut documents = self.documents();
        let mut all = documents.deliveries.values_mut();
        let found = all.find(|delivery| delivery.subscription == subscription && delivery.id == id);
        let Some(found) = found else { return Ok(None) };
        (found.status, found.attempts, found.due) = (Status::Waiting, 0, now);
        let delivery = found.clone();
        if let Some(queue) = documents.queues.get_mut(&subscription) {
            queue.is_due_at(now);
        }
        Ok(Some(delivery))
    }
}

#[async_trait]
impl Queues for MemoryNotifications {
    async fn concerned(&self, owners: &[UserId], rooms: &[RoomId]) -> Result<Vec<Subscriber>, StoreError> {
        let documents = self.documents();
        let subscriptions = documents.queues.values().map(|queue| &queue.subscription);
        let concerned = subscriptions.filter(|subscription| {
            let is_about = match &subscription.about {
                About::Mine => owners.contains(&subscription.user),
                About::Room(room) => rooms.contains(room),
                About::Kind(_) => true,
            };
            is_about && subscription.state == State::Enabled
        });
        let subscriber = |subscription: &Subscription| Subscriber {
            id: subscription.id,
            user: subscription.user.clone(),
            about: subscription.about.clone(),
            carrier: subscription.channel.carrier(),
            remind: subscription.remind,
            created: subscription.created,
        };
        Ok(concerned.map(subscriber).collect())
    }

    async fn file(&self, deliveries: &[Delivery], now: Timestamp) -> Result<(), StoreError> {
        let mut documents = self.documents();
        documents.deliveries.retain(|_, delivery| delivery.expires > now);
        for delivery in deliveries {
            if documents.deliveries.values().any(|stored| stored.id == delivery.id) {
                continue;
            }
            documents.filed += 1;
            let place = documents.filed;
            documents.deliveries.insert(place, delivery.clone());
            if documents.deliveries.len() > MOST_DELIVERIES {
                documents.deliveries.pop_first();
            }
            if let Some(queue) = documents.queues.get_mut(&delivery.subscription) {
                queue.is_due_at(now);
            }
        }
        Ok(())
    }

    async fn reminded(
        &self,
        reservations: &[ReservationId],
    ) -> Result<Vec<(Uuid, ReservationId)>, StoreError> {
        let documents = self.documents();
        let reminded = documents.deliveries.values().filter_map(|delivery| {
            let reservation = delivery.reminds?.reservation;
            reservations.contains(&reservation).then_some((delivery.subscription, reservation))
        });
        Ok(reminded.collect())
    }

    async fn drop_older_reminders(&self, reminded: &[(Uuid, ReservationId)]) -> Result<(), StoreError> {
        let mut documents = self.documents();
        for (subscription, reservation) in reminded {
            let revision = |delivery: &Delivery| {
                let reminds = delivery.reminds.filter(|reminds| reminds.reservation == *reservation)?;
                (delivery.subscription == *subscription).then_some(reminds.revision)
            };
            let latest = documents.deliveries.values().filter_map(revision).max();
            for delivery in documents.deliveries.values_mut() {
                let is_older = revision(delivery).is_some_and(|revision| Some(revision) < latest);
                if is_older && delivery.status == Status::Waiting {
                    delivery.status = Status::Dropped;
                }
            }
        }
        Ok(())
    }

    async fn claim(
        &self,
        carriers: &[Carrier],
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Claim>, StoreError> {
        let mut documents = self.documents();
        let claimable = documents.queues.values_mut().filter(|queue| {
            queue.subscription.state == State::Enabled
                && carriers.contains(&queue.subscription.channel.carrier())
                && queue.due.is_some_and(|due| due <= now)
                && queue.held.is_none_or(|(_, until)| until <= now)
        });
        let Some(queue) = claimable.min_by_key(|queue| queue.due) else { return Ok(None) };
        queue.held = Some((holder, until));
        Ok(Some(Claim {
            subscription: queue.subscription.clone(),
            holder,
            due: queue.due.unwrap_or(now),
            filed: queue.filed,
            failures: queue.failures,
            failing_since: queue.failing_since,
        }))
    }

    async fn due(
        &self,
        subscription: Uuid,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let documents = self.documents();
        let is_due = |delivery: &&Delivery| delivery.status == Status::Waiting && delivery.due <= now;
        let mut due: Vec<&Delivery> = documents.of(subscription).filter(is_due).collect();
        due.sort_by_key(|delivery| delivery.due);
        Ok(due.into_iter().take(limit).cloned().collect())
    }

    async fn record(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let mut documents = self.documents();
        let mut all = documents.deliveries.values_mut();
        let waiting = |stored: &&mut Delivery| stored.id == delivery.id && stored.status == Status::Waiting;
        if let Some(stored) = all.find(waiting) {
            stored.clone_from(delivery);
        }
        Ok(())
    }

    async fn release(&self, claim: &Claim, release: &Release) -> Result<(), StoreError> {
        let mut documents = self.documents();
        let next = documents.next_due(claim.subscription.id);
        let Some(queue) = documents.queues.get_mut(&claim.subscription.id) else { return Ok(()) };
        if queue.held.is_none_or(|(holder, _)| holder != claim.holder) {
            return Ok(());
        }
        queue.held = None;
        queue.due = next.map(|next| next.max(release.paused_until));
        queue.paused_until = release.paused_until;
        (queue.failures, queue.failing_since) = (release.failures, release.failing_since);
        if let Some(reason) = release.disable {
            queue.subscription.state = State::Disabled(reason);
        }
        Ok(())
    }
}
