//! All documents of one room, for comparisons.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::doc;
use shared_events::{ReservationId, RoomId};

use super::{
    MongoReadModels,
    documents::{history_id, uuid},
    reads::all,
    stored::{to_history, to_reservation, to_room, to_usage},
};
use crate::{
    read_models::{HistoryDoc, ReservationDoc, RoomDocuments},
    stores::StoreError,
};

/// Reservations that are asked for at once.
pub(super) const IDS_AT_ONCE: usize = 1000;

impl MongoReadModels {
    /// Usage is read first: it alone can't be compared when it has been counted further.
    pub(super) async fn read_documents_of(
        &self,
        room: RoomId,
        reservations: &[ReservationId],
    ) -> Result<RoomDocuments, StoreError> {
        let of_room = doc! { "form.room": uuid(room.0) };
        let usage = all(self.usage.collection.find(of_room).await?, |doc| to_usage(doc)?.unpack()).await?;
        let stored = self.rooms.collection.find_one(doc! { "_id": uuid(room.0) }).await?;
        let ids = doc! { "$gte": history_id(room, 0), "$lte": history_id(room, u64::MAX) };
        let history = all(self.history.collection.find(doc! { "_id": ids }).await?, to_history).await?;
        let known = history.iter().map(|entry| entry.reservation.id);
        let wanted: BTreeSet<ReservationId> = known.chain(reservations.iter().copied()).collect();
        let mut found = self.live_now(room).await?;
        found.extend(self.reservations_of(&wanted).await?);
        Ok(RoomDocuments {
            room: stored.as_deref().map(to_room).transpose()?,
            reservations: found,
            history: history.into_iter().map(|entry: HistoryDoc| (entry.version, entry)).collect(),
            usage: usage.into_iter().map(|usage| (usage.key.place(), usage)).collect(),
        })
    }

    /// The live reservations of a room, through the index of schedules.
    async fn live_now(&self, room: RoomId) -> Result<BTreeMap<ReservationId, ReservationDoc>, StoreError> {
        let live = doc! { "form.room": uuid(room.0), "form.live": true };
        let found = all(self.reservations.collection.find(live).await?, to_reservation).await?;
        Ok(found.into_iter().map(|doc| (doc.reservation.id, doc)).collect())
    }

    async fn reservations_of(
        &self,
        ids: &BTreeSet<ReservationId>,
    ) -> Result<BTreeMap<ReservationId, ReservationDoc>, StoreError> {
        let ids: Vec<_> = ids.iter().map(|id| uuid(id.0)).collect();
        let mut found = BTreeMap::new();
        for part in ids.chunks(IDS_AT_ONCE) {
            let wanted = doc! { "_id": { "$in": part.to_vec() } };
            let docs = all(self.reservations.collection.find(wanted).await?, to_reservation).await?;
            found.extend(docs.into_iter().map(|doc| (doc.reservation.id, doc)));
        }
        Ok(found)
    }
}
