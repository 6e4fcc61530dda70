//! Queues of deliveries. Each write is one statement that decides by itself whether it still applies.

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use mongodb::{
    bson::{Bson, doc},
    error::{Error, ErrorKind},
    options::ReturnDocument,
};
use shared_events::{ReservationId, RoomId, Timestamp, UserId};
use uuid::Uuid;

use super::{
    MongoNotifications, date,
    stored::{ENABLED, StoredAnswer, StoredDelivery, StoredSubscription, carrier_text, from_bson, to_bson},
    time,
};
use crate::{
    notifications::{Carrier, Claim, Delivery, Queues, Release, Status, Subscriber},
    stores::StoreError,
};

/// The server's code for a document whose id is stored.
const DUPLICATE_KEY: i32 = 11000;
/// Stays whose reminders are compared at a time.
const STAYS: usize = 16;

#[async_trait]
impl Queues for MongoNotifications {
    async fn concerned(&self, owners: &[UserId], rooms: &[RoomId]) -> Result<Vec<Subscriber>, StoreError> {
        let owners: Vec<&str> = owners.iter().map(UserId::as_str).collect();
        let rooms: Vec<_> = rooms.iter().map(|room| to_bson(room.0)).collect();
        let about = doc! { "$or": [
            { "user": { "$in": owners }, "room": Bson::Null, "kind": Bson::Null },
            { "room": { "$in": rooms } },
            // Every text.
            { "kind": { "$gte": "" } },
        ], "state": ENABLED };
        let found: Vec<StoredSubscription> = self.subscriptions.find(about).await?.try_collect().await?;
        found.iter().map(StoredSubscription::subscriber).collect()
    }

    async fn file(&self, deliveries: &[Delivery], now: Timestamp) -> Result<(), StoreError> {
        let stored: Vec<StoredDelivery> = deliveries.iter().map(StoredDelivery::of).collect();
        match self.deliveries.insert_many(stored).ordered(false).await {
            Ok(_) => {}
            Err(error) if only_duplicates(&error) => {}
            Err(error) => return Err(error.into()),
        }
        // Afterwards, and for known deliveries too: who filed them may have died before this.
        let mut subscriptions: Vec<Uuid> = deliveries.iter().map(|delivery| delivery.subscription).collect();
        subscriptions.sort_unstable();
        subscriptions.dedup();
        self.make_due(&subscriptions, now).await
    }

    async fn reminded(
        &self,
        reservations: &[ReservationId],
    ) -> Result<Vec<(Uuid, ReservationId)>, StoreError> {
        let ids: Vec<_> = reservations.iter().map(|reservation| to_bson(reservation.0)).collect();
        let of_them = doc! { "reminds.reservation": { "$in": ids } };
        let found: Vec<StoredDelivery> = self.deliveries.find(of_them).await?.try_collect().await?;
        let reminded = found.iter().filter_map(|stored| {
            Some((from_bson(stored.subscription), ReservationId(from_bson(stored.reminds?.reservation))))
        });
        Ok(reminded.collect())
    }

    async fn drop_older_reminders(&self, reminded: &[(Uuid, ReservationId)]) -> Result<(), StoreError> {
        stream::iter(reminded.iter().copied())
            .map(|(subscription, reservation)| self.drop_all_but_latest(subscription, reservation))
            .buffer_unordered(STAYS)
            .try_collect()
            .await
    }

    async fn claim(
        &self,
        carriers: &[Carrier],
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Claim>, StoreError> {
        let carriers: Vec<_> = carriers.iter().map(|carrier| carrier_text(*carrier)).collect();
        let due = doc! { "state": ENABLED, "carrier": { "$in": carriers }, "due": { "$lte": date(now) }, "heldUntil": { "$lte": date(now) } };
        let hold = doc! { "$set": { "heldUntil": date(until), "holder": to_bson(holder) } };
        let found = self
            .subscriptions
            .find_one_and_update(due, hold)
            .sort(doc! { "due": 1 })
            .return_document(ReturnDocument::After)
            .await?;
        found.map(|stored| stored.claim(&self.keys)).transpose()
    }

    async fn due(
        &self,
        subscription: Uuid,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let due = doc! {
            "subscription": to_bson(subscription), "status": Status::Waiting.as_str(), "due": { "$lte": date(now) },
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found: Vec<StoredDelivery> =
            self.deliveries.find(due).sort(doc! { "due": 1 }).limit(limit).await?.try_collect().await?;
        found.into_iter().map(StoredDelivery::read).collect()
    }

    async fn record(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let waiting = doc! { "_id": delivery.id.as_str(), "status": Status::Waiting.as_str() };
        let last = delivery.last.as_ref().map(|last| {
            let StoredAnswer { at, text } = StoredAnswer::of(last);
            doc! { "at": at, "text": text }
        });
        let outcome = doc! {
            "status": delivery.status.as_str(), "due": date(delivery.due), "attempts": delivery.attempts, "last": last,
        };
        self.deliveries.update_one(waiting, doc! { "$set": outcome }).await?;
        Ok(())
    }

    async fn release(&self, claim: &Claim, release: &Release) -> Result<(), StoreError> {
        let id = to_bson(claim.subscription.id);
        let waiting = doc! { "subscription": id, "status": Status::Waiting.as_str() };
        let next = self.deliveries.find_one(waiting).sort(doc! { "due": 1 }).await?;
        let next = next.map(|next| date(time(next.due).max(release.paused_until)));
        let mut set = doc! {
            "heldUntil": date(Timestamp::EARLIEST),
            "pausedUntil": date(release.paused_until),
            "failures": release.failures,
            "failingSince": release.failing_since.map(date),
            "due": next,
        };
        if let Some(reason) = release.disable {
            set.insert("state", reason.as_str());
        }
        let held = doc! { "_id": id, "holder": to_bson(claim.holder) };
        let mut unchanged = held.clone();
        unchanged.insert("filed", claim.filed);
        let released = self.subscriptions.update_one(unchanged, doc! { "$set": set.clone() }).await?;
        if released.matched_count == 0 {
            // Something was filed meanwhile, which the search may have missed.
            set.insert("due", date(release.paused_until));
            self.subscriptions.update_one(held, doc! { "$set": set }).await?;
        }
        Ok(())
    }
}

impl MongoNotifications {
    /// Both of two that file reminders of one stay at once do this afterwards, so the later one sees both.
    async fn drop_all_but_latest(
        &self,
        subscription: Uuid,
        reservation: ReservationId,
    ) -> Result<(), StoreError> {
        let of_both = doc! {
            "reminds.reservation": to_bson(reservation.0), "subscription": to_bson(subscription),
        };
        let newest = doc! { "reminds.revision": -1 };
        let latest = self.deliveries.find_one(of_both.clone()).sort(newest).await?;
        let Some(latest) = latest.and_then(|latest| latest.reminds) else { return Ok(()) };
        let mut older = of_both;
        older.insert("status", Status::Waiting.as_str());
        older.insert("reminds.revision", doc! { "$lt": latest.revision });
        let dropped = doc! { "$set": { "status": Status::Dropped.as_str() } };
        self.deliveries.update_many(older, dropped).await?;
        Ok(())
    }

    /// Makes queues due, those of resting endpoints after their rest.
    pub(super) async fn make_due(&self, subscriptions: &[Uuid], now: Timestamp) -> Result<(), StoreError> {
        let ids: Vec<_> = subscriptions.iter().map(|id| to_bson(*id)).collect();
        let rested = doc! { "$max": [date(now), "$pausedUntil"] };
        let update = vec![doc! { "$set": {
            "due": { "$min": ["$due", rested] }, "filed": { "$add": ["$filed", 1_i64] },
        } }];
        self.subscriptions.update_many(doc! { "_id": { "$in": ids } }, update).await?;
        Ok(())
    }
}

/// Whether all that failed is what was stored before.
fn only_duplicates(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::InsertMany(failed) => {
            failed.write_concern_error.is_none()
                && failed
                    .write_errors
                    .as_ref()
                    .is_some_and(|errors| errors.iter().all(|error| error.code == DUPLICATE_KEY))
        }
        _ => false,
    }
}
