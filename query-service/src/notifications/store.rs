//! The ports of the notifications' store, by role, with two adapters.

use async_trait::async_trait;
use shared_events::{ReservationId, RoomId, Timestamp, UserId};
use uuid::Uuid;

use super::{About, Carrier, Delivery, Lead, Reason, Secrets, State, Status, Subscription};
use crate::stores::{StoreError, Swap};

/// Subscriptions, for the API.
#[async_trait]
pub trait Subscriptions: Send + Sync + 'static {
    /// Stores a new subscription, unless its user has [`MOST_OF_A_USER`](super::MOST_OF_A_USER). Returns whether it did.
    async fn create(&self, subscription: &Subscription) -> Result<bool, StoreError>;

    /// A user's subscriptions, oldest first.
    async fn of_user(&self, user: &UserId) -> Result<Vec<Subscription>, StoreError>;

    /// One subscription of a user.
    async fn find(&self, user: &UserId, id: Uuid) -> Result<Option<Subscription>, StoreError>;

    /// Replaces the secrets of a webhook, if they are still those of `known`.
    async fn set_secrets(&self, known: &Subscription, secrets: &Secrets) -> Result<Swap, StoreError>;

    /// Enables or disables a subscription. Enabled, it is served at once.
    async fn set_state(&self, id: Uuid, state: State, now: Timestamp) -> Result<(), StoreError>;

    /// Deletes a subscription with its deliveries.
    async fn delete(&self, id: Uuid) -> Result<(), StoreError>;

    /// Deletes all subscriptions of a user with their deliveries, and deliveries without a subscription: those of a mail may
    /// have been filed while it was deleted. Returns the number of documents.
    async fn erase(&self, user: &UserId) -> Result<u64, StoreError>;

    /// The latest deliveries of a subscription, newest first; those of one status if it is given.
    async fn deliveries(
        &self,
        subscription: Uuid,
        status: Option<Status>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Makes a delivery due again, whatever its status. `None`: there is no such delivery of this subscription.
    async fn redeliver(
        &self,
        subscription: Uuid,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError>;
}

/// Queues of deliveries, one for each subscription.
#[async_trait]
pub trait Queues: Send + Sync + 'static {
    /// The enabled subscriptions that are about these owners' reservations, about these rooms, or about any kind of rooms.
    async fn concerned(&self, owners: &[UserId], rooms: &[RoomId]) -> Result<Vec<Subscriber>, StoreError>;

    /// Files deliveries, then makes their queues due. A delivery whose id is stored stays as it is.
    async fn file(&self, deliveries: &[Delivery], now: Timestamp) -> Result<(), StoreError>;

    /// The subscriptions that have reminders of these reservations.
    async fn reminded(
        &self,
        reservations: &[ReservationId],
    ) -> Result<Vec<(Uuid, ReservationId)>, StoreError>;

    /// Of a subscription's waiting reminders of a reservation, drops all but that of the latest revision.
    async fn drop_older_reminders(&self, reminded: &[(Uuid, ReservationId)]) -> Result<(), StoreError>;

    /// Of the queues of these carriers, claims the one that has been due for longest and that nobody holds, until a time.
    async fn claim(
        &self,
        carriers: &[Carrier],
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Claim>, StoreError>;

    /// The deliveries of a subscription that are due, oldest first.
    async fn due(
        &self,
        subscription: Uuid,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Records the outcome of an attempt, unless the delivery no longer waits.
    async fn record(&self, delivery: &Delivery) -> Result<(), StoreError>;

    /// Gives a claimed queue back. It is due again when its next delivery is, and not before `paused_until`.
    async fn release(&self, claim: &Claim, release: &Release) -> Result<(), StoreError>;
}

/// All of the store.
pub trait NotificationStore: Subscriptions + Queues {}

impl<T: Subscriptions + Queues> NotificationStore for T {}

/// A subscription, as far as it matters for filing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscriber {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// The events that it is about.
    pub about: About,
    /// The kind of its channel.
    pub carrier: Carrier,
    /// How long before each stay it reminds.
    pub remind: Option<Lead>,
    /// When it was made.
    pub created: Timestamp,
}

/// A claimed queue.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The subscription, as it was then.
    pub subscription: Subscription,
    /// Who claimed it.
    pub holder: Uuid,
    /// When the queue became due.
    pub due: Timestamp,
    /// How often something was filed before. If more is filed meanwhile, the queue is due again at once.
    pub filed: i64,
    /// The failed attempts since the last success.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
}

/// What a courier leaves behind.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// The failed attempts since the last success.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// The endpoint rests until then.
    pub paused_until: Timestamp,
    /// Why the endpoint's answers disable the subscription, if they do.
    pub disable: Option<Reason>,
}
