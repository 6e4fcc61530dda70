//! Removing a room, so that its events make it again.

use async_trait::async_trait;
use mongodb::bson::{Bson, doc};
use shared_events::{ReservationId, RoomId, Version};

use super::{
    MongoReadModels,
    documents::{history_id, uuid},
    queries::IDS_AT_ONCE,
};
use crate::stores::{Repair, StoreError};

#[async_trait]
impl Repair for MongoReadModels {
    async fn forget_checkpoint(&self, room: RoomId) -> Result<(), StoreError> {
        self.checkpoints.forget(&[room]).await
    }

    /// Finds documents by indexes only, because the partition waits. The usage position
    /// goes last: an owner that writes usage meanwhile may claim only documents that are there.
    async fn delete_documents(&self, room: RoomId, reservations: &[ReservationId]) -> Result<(), StoreError> {
        let _nobody_writes_usage = self.usage_behind.writing.lock().await;
        self.usage_behind.forget(room);
        self.rooms.collection.delete_one(doc! { "_id": uuid(room.0) }).await?;
        let of_room = uuid(room.0);
        let live = doc! { "form.room": of_room.clone(), "form.live": true };
        self.reservations.collection.delete_many(live).await?;
        for part in reservations.chunks(IDS_AT_ONCE) {
            let ids: Vec<Bson> = part.iter().map(|id| uuid(id.0)).collect();
            let here = doc! { "_id": { "$in": ids }, "form.room": of_room.clone() };
            self.reservations.collection.delete_many(here).await?;
        }
        self.closures.collection.delete_many(doc! { "form.room": of_room.clone() }).await?;
        self.usage.collection.delete_many(doc! { "form.room": of_room }).await?;
        let entries =
            doc! { "$gte": history_id(room, Version::NONE), "$lte": history_id(room, u64::MAX.into()) };
        self.history.collection.delete_many(doc! { "_id": entries }).await?;
        self.usage_positions.forget(&[room]).await
    }
}
