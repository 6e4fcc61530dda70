//! Notifications in a MongoDB database of their own. No generation of read models has a part in it.

mod queues;
mod sealing;
mod stored;
mod subscriptions;

use std::time::Duration;

use mongodb::{
    Collection, IndexModel,
    bson::{DateTime, doc},
    options::IndexOptions,
};
use shared_events::Timestamp;

pub use self::sealing::Keys;
use self::stored::{StoredDelivery, StoredSubscription};
use crate::stores::{StoreError, mongo::Connection};

/// Subscriptions and deliveries in MongoDB.
#[derive(Clone)]
pub struct MongoNotifications {
    subscriptions: Collection<StoredSubscription>,
    deliveries: Collection<StoredDelivery>,
    keys: Keys,
}

impl MongoNotifications {
    /// Notifications in the database of a connection. The server is reached when something is asked of it.
    #[must_use]
    pub fn over(connection: &Connection, keys: Keys) -> Self {
        Self {
            subscriptions: connection.collection("subscriptions"),
            deliveries: connection.collection("deliveries"),
            keys,
        }
    }

    /// Creates the indexes that are missing. The queue works without them, slowly.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub async fn create_indexes(&self) -> Result<(), StoreError> {
        let index = |keys| IndexModel::builder().keys(keys).build();
        let of_subscriptions = [
            index(doc! { "user": 1 }),
            index(doc! { "room": 1 }),
            index(doc! { "kind": 1 }),
            // Queues in the order in which they are claimed.
            index(doc! { "state": 1, "carrier": 1, "due": 1 }),
        ];
        let forget = IndexOptions::builder().expire_after(Duration::ZERO).build();
        let of_reminders = IndexOptions::builder().sparse(true).build();
        let of_deliveries = [
            // What is due of a queue.
            index(doc! { "subscription": 1, "status": 1, "due": 1 }),
            index(doc! { "subscription": 1, "created": -1 }),
            IndexModel::builder().keys(doc! { "reminds.reservation": 1 }).options(of_reminders).build(),
            IndexModel::builder().keys(doc! { "expires": 1 }).options(forget).build(),
        ];
        self.subscriptions.create_indexes(of_subscriptions).await?;
        self.deliveries.create_indexes(of_deliveries).await?;
        Ok(())
    }
}

fn date(time: Timestamp) -> DateTime {
    DateTime::from_millis(time.epoch_millis())
}

fn time(date: DateTime) -> Timestamp {
    Timestamp::from_epoch_millis(date.timestamp_millis())
}
