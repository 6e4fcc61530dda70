//! Subscriptions, for the API.

use std::collections::HashSet;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::{
    bson::{Bson, DateTime, doc},
    options::ReturnDocument,
};
use shared_events::{Timestamp, UserId};
use uuid::Uuid;

use super::{
    MongoNotifications, date,
    stored::{DELETED, StoredSubscription, seal, state_text, to_bson},
};
use crate::{
    notifications::{Channel, Delivery, MOST_OF_A_USER, Secrets, State, Status, Subscription, Subscriptions},
    stores::{StoreError, Swap},
};

#[async_trait]
impl Subscriptions for MongoNotifications {
    async fn create(&self, subscription: &Subscription) -> Result<bool, StoreError> {
        self.subscriptions.insert_one(StoredSubscription::of(subscription, &self.keys)?).await?;
        // Counted afterwards: of two that are made at once, both see the other.
        let others = doc! { "user": subscription.user.as_str(), "state": { "$ne": DELETED } };
        let most = u64::try_from(MOST_OF_A_USER).unwrap_or(u64::MAX);
        if self.subscriptions.count_documents(others).await? <= most {
            return Ok(true);
        }
        self.delete(subscription.id).await?;
        Ok(false)
    }

    async fn of_user(&self, user: &UserId) -> Result<Vec<Subscription>, StoreError> {
        let filter = doc! { "user": user.as_str(), "state": { "$ne": DELETED } };
        let found: Vec<StoredSubscription> =
            self.subscriptions.find(filter).sort(doc! { "_id": 1 }).await?.try_collect().await?;
        found.iter().map(|stored| stored.open(&self.keys)).collect()
    }

    async fn find(&self, user: &UserId, id: Uuid) -> Result<Option<Subscription>, StoreError> {
        let filter = doc! { "_id": to_bson(id), "user": user.as_str(), "state": { "$ne": DELETED } };
        let found = self.subscriptions.find_one(filter).await?;
        found.map(|stored| stored.open(&self.keys)).transpose()
    }

    async fn set_secrets(&self, known: &Subscription, secrets: &Secrets) -> Result<Swap, StoreError> {
        // The ciphertext of the same secrets differs each time, so the stored one is read and compared.
        let filter = doc! { "_id": to_bson(known.id), "state": { "$ne": DELETED } };
        let Some(stored) = self.subscriptions.find_one(filter).await? else { return Ok(Swap::Moved) };
        let mut changed = stored.open(&self.keys)?;
        if changed.channel != known.channel {
            return Ok(Swap::Moved);
        }
        let Channel::Webhook(_, current) = &mut changed.channel else { return Ok(Swap::Moved) };
        current.clone_from(secrets);
        let sealed = seal(&self.keys, &changed)?;
        let same = doc! { "_id": to_bson(known.id), "sealed": stored.sealed };
        let update = doc! { "$set": { "sealed": sealed } };
        let changed = self.subscriptions.update_one(same, update).await?;
        Ok(Swap::from(changed.matched_count == 1))
    }

    async fn set_state(&self, id: Uuid, state: State, now: Timestamp) -> Result<(), StoreError> {
        let filter = doc! { "_id": to_bson(id), "state": { "$ne": DELETED } };
        let set = doc! {
            "state": state_text(state), "due": date(now), "pausedUntil": date(now), "failures": 0_i32,
            "failingSince": Bson::Null,
        };
        self.subscriptions.update_one(filter, doc! { "$set": set, "$inc": { "filed": 1_i64 } }).await?;
        Ok(())
    }

    async fn delete(&self, id: Uuid) -> Result<(), StoreError> {
        self.remove(id).await.map(drop)
    }

    async fn erase(&self, user: &UserId) -> Result<u64, StoreError> {
        let of_user = doc! { "user": user.as_str() };
        let found: Vec<StoredSubscription> = self.subscriptions.find(of_user).await?.try_collect().await?;
        let mut removed = 0;
        for stored in found {
            removed += self.remove(Uuid::from_bytes(stored.id.bytes())).await?;
        }
        Ok(removed + self.remove_orphans().await?)
    }

    async fn deliveries(
        &self,
        subscription: Uuid,
        status: Option<Status>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut filter = doc! { "subscription": to_bson(subscription) };
        if let Some(status) = status {
            filter.insert("status", status.as_str());
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let newest = doc! { "created": -1, "_id": -1 };
        let found: Vec<_> =
            self.deliveries.find(filter).sort(newest).limit(limit).await?.try_collect().await?;
        found.into_iter().map(super::stored::StoredDelivery::read).collect()
    }

    async fn redeliver(
        &self,
        subscription: Uuid,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        let filter = doc! { "_id": id, "subscription": to_bson(subscription) };
        let again =
            doc! { "$set": { "status": Status::Waiting.as_str(), "attempts": 0_i32, "due": date(now) } };
        let found =
            self.deliveries.find_one_and_update(filter, again).return_document(ReturnDocument::After).await?;
        let Some(found) = found else { return Ok(None) };
        self.make_due(&[subscription], now).await?;
        found.read().map(Some)
    }
}

impl MongoNotifications {
    /// Deletes deliveries without a subscription. Subscriptions are read last: one is stored before its deliveries.
    async fn remove_orphans(&self) -> Result<u64, StoreError> {
        let of = self.deliveries.distinct("subscription", doc! {}).await?;
        let known = self.subscriptions.distinct("_id", doc! {}).await?;
        let known: HashSet<&[u8]> = known.iter().filter_map(bytes).collect();
        let orphans: Vec<&Bson> =
            of.iter().filter(|id| bytes(id).is_some_and(|id| !known.contains(id))).collect();
        let deleted = self.deliveries.delete_many(doc! { "subscription": { "$in": orphans } }).await?;
        Ok(deleted.deleted_count)
    }

    /// Deletes a subscription. Marked first, it gets no more deliveries, and a deletion that was interrupted is begun again.
    async fn remove(&self, id: Uuid) -> Result<u64, StoreError> {
        let this = doc! { "_id": to_bson(id) };
        let deleted = doc! { "$set": { "state": DELETED, "due": Option::<DateTime>::None } };
        self.subscriptions.update_one(this.clone(), deleted).await?;
        let deliveries = self.deliveries.delete_many(doc! { "subscription": to_bson(id) }).await?;
        let subscription = self.subscriptions.delete_one(this).await?;
        Ok(deliveries.deleted_count + subscription.deleted_count)
    }
}

fn bytes(id: &Bson) -> Option<&[u8]> {
    match id {
        Bson::Binary(binary) => Some(&binary.bytes),
        _ => None,
    }
}
