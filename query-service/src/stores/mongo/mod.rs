//! Read models in MongoDB.
//!
//! Every write decides by itself whether it still applies, so that several owners may write at once. No sessions,
//! transactions or change streams are needed. All reads and writes go to the primary, with majority concern.

mod batch;
mod batch_writes;
mod checkpoints;
mod commands;
mod conditions;
mod connection;
mod documents;
mod erasures;
mod generations;
mod joint_writes;
mod ordered_writes;
mod packing;
mod parking;
mod past;
mod queries;
mod repair;
mod requests;
mod stored;
mod usage;
mod usage_behind;

use std::sync::Arc;

use mongodb::{
    IndexModel,
    bson::{Document, doc},
    options::IndexOptions,
};

use self::{
    checkpoints::RoomVersions, commands::Target, documents::PARTS, erasures::List, joint_writes::JointWrites,
    usage_behind::UsageBehind,
};
pub use self::{
    connection::{Connection, MongoSettings},
    generations::{Generations, prefix},
};
use super::StoreError;

/// The form of the documents that this program reads and writes. Another form is another generation: programs of
/// either show their own.
pub const FORM: u32 = 4;

/// The collection of events that operators left out: read models that are made again leave them out too.
const DROPPED: &str = "dropped_events";

/// One generation of read models in a database.
#[derive(Clone, Debug)]
pub struct MongoReadModels {
    connection: Connection,
    prefix: String,
    rooms: Target,
    reservations: Target,
    closures: Target,
    history: Target,
    usage: Target,
    checkpoints: RoomVersions,
    /// The version up to which the stored usage of each room counts.
    usage_positions: RoomVersions,
    parked: Target,
    /// Events that are left out, of all generations.
    dropped: Target,
    requests: Target,
    /// Who was erased, of all generations.
    erasures: Arc<List>,
    usage_behind: Arc<UsageBehind>,
    joint_writes: Arc<JointWrites>,
}

impl MongoReadModels {
    /// Opens the read models whose collections begin with `prefix`, and makes the collections and indexes that are
    /// missing.
    ///
    /// # Errors
    /// When the server can't be reached, or collections can't be prepared.
    pub async fn open(connection: Connection, prefix: &str) -> Result<Self, StoreError> {
        let models = Self::over(connection, prefix);
        models.create_indexes().await?;
        models.checkpoints.create().await?;
        models.usage_positions.create().await?;
        Ok(models)
    }

    /// Read models whose collections are there.
    fn over(connection: Connection, prefix: &str) -> Self {
        let target = |name: &str| connection.target(&format!("{prefix}{name}"));
        Self {
            prefix: prefix.to_owned(),
            rooms: target("rooms"),
            reservations: target("reservations"),
            closures: target("closures"),
            history: target("history"),
            usage: target("usage"),
            checkpoints: RoomVersions(target("checkpoints")),
            usage_positions: RoomVersions(target("usage_positions")),
            parked: target("parked"),
            requests: target("requests"),
            dropped: connection.target(DROPPED),
            erasures: Arc::new(List::of(&connection)),
            usage_behind: Arc::default(),
            joint_writes: Arc::default(),
            connection,
        }
    }

    /// One index for each order in which the queries read.
    async fn create_indexes(&self) -> Result<(), StoreError> {
        let index = |keys: Document| IndexModel::builder().keys(keys).build();
        let only = |filter: Document, keys: Document| {
            let options = IndexOptions::builder().partial_filter_expression(filter).build();
            IndexModel::builder().keys(keys).options(options).build()
        };
        let live = |keys: Document| only(doc! { "form.live": true }, keys);
        let having = |field: &str, keys: Document| only(doc! { field: { "$exists": true } }, keys);
        let of_rooms = [
            index(doc! { "form.retired": 1, "form.sort": 1, "_id": 1 }),
            index(doc! { "form.retired": 1, "form.settings.kind": 1, "form.sort": 1, "_id": 1 }),
            index(doc! { "form.settings.kind": 1, "_id": 1 }),
        ];
        let with_buffers = doc! { "form.live": true, "form.busyFrom": { "$exists": true } };
        let busy = doc! { "form.room": 1, "form.weeks": 1, "form.busyFrom": 1, "form.busyTo": 1 };
        let of_reservations = [
            only(doc! { "form.live": false }, doc! { "form.user": 1, "form.to": 1, "_id": 1 }),
            only(with_buffers, busy),
            having("form.bookedBy", doc! { "form.bookedBy": 1 }),
            live(doc! { "form.room": 1, "form.weeks": 1, "form.from": 1, "form.to": 1 }),
            live(doc! { "form.user": 1, "form.from": 1, "_id": 1 }),
        ];
        let of_closures = [index(doc! { "form.room": 1, "form.to": 1 }), index(doc! { "form.closure": 1 })];
        let of_history = [
            index(doc! { "people": 1, "at": -1, "_id": -1 }),
            index(doc! { "reservation.id": 1, "reservation.revision": 1 }),
            index(doc! { PARTS: 1, "_id": 1 }),
            // For erasures alone.
            having("reservation.bookedBy", doc! { "reservation.bookedBy": 1 }),
            having("by", doc! { "by": 1 }),
            having("by", doc! { "reservation.user": 1 }),
        ];
        let of_usage = [index(doc! { "form.room": 1, "form.month": 1 })];
        self.rooms.collection.create_indexes(of_rooms).await?;
        self.reservations.collection.create_indexes(of_reservations).await?;
        self.closures.collection.create_indexes(of_closures).await?;
        self.history.collection.create_indexes(of_history).await?;
        self.usage.collection.create_indexes(of_usage).await?;
        self.erasures.create_index().await?;
        Ok(())
    }
}

impl From<mongodb::error::Error> for StoreError {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Backend(Box::new(error))
    }
}
