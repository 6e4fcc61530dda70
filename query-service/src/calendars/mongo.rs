//! Calendars in MongoDB, in the database of notifications. No generation of read models has a part in it.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::{
    Collection, IndexModel,
    bson::{self, Binary, DateTime, doc, spec::BinarySubtype},
};
use serde::{Deserialize, Serialize};
use shared_events::{RoomId, Timestamp, UserId};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{Calendar, Calendars, MOST_CALENDARS};
use crate::stores::{StoreError, mongo::Connection};

const CALENDARS: &str = "calendars";

/// Calendars in MongoDB.
pub struct MongoCalendars {
    collection: Collection<StoredCalendar>,
    indexed: OnceCell<()>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredCalendar {
    #[serde(rename = "_id")]
    id: bson::Uuid,
    user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<bson::Uuid>,
    hash: Binary,
    created: DateTime,
}

impl MongoCalendars {
    /// Calendars in the database of a connection. The server is reached when something is asked of it.
    #[must_use]
    pub fn over(connection: &Connection) -> Self {
        Self { collection: connection.collection(CALENDARS), indexed: OnceCell::new() }
    }

    /// Creates the index if it is missing. Nothing is stored before.
    async fn index(&self) -> Result<(), StoreError> {
        let index = IndexModel::builder().keys(doc! { "user": 1, "_id": 1 }).build();
        self.indexed.get_or_try_init(async || self.collection.create_index(index).await.map(drop)).await?;
        Ok(())
    }
}

#[async_trait]
impl Calendars for MongoCalendars {
    async fn create(&self, calendar: &Calendar) -> Result<bool, StoreError> {
        self.index().await?;
        self.collection.insert_one(StoredCalendar::of(calendar)).await?;
        // Counted afterwards: of two that are made at once, both see the other.
        let of_user = doc! { "user": calendar.user.as_str() };
        let most = u64::try_from(MOST_CALENDARS).unwrap_or(u64::MAX);
        if self.collection.count_documents(of_user).await? <= most {
            return Ok(true);
        }
        self.delete(&calendar.user, calendar.id).await?;
        Ok(false)
    }

    async fn of_user(&self, user: &UserId) -> Result<Vec<Calendar>, StoreError> {
        let found = self.collection.find(doc! { "user": user.as_str() }).sort(doc! { "_id": 1 }).await?;
        let found: Vec<StoredCalendar> = found.try_collect().await?;
        found.into_iter().map(StoredCalendar::read).collect()
    }

    async fn find(&self, id: Uuid) -> Result<Option<Calendar>, StoreError> {
        let found = self.collection.find_one(doc! { "_id": to_bson(id) }).await?;
        found.map(StoredCalendar::read).transpose()
    }

    async fn delete(&self, user: &UserId, id: Uuid) -> Result<bool, StoreError> {
        let wanted = doc! { "_id": to_bson(id), "user": user.as_str() };
        Ok(self.collection.delete_one(wanted).await?.deleted_count == 1)
    }

    async fn erase(&self, user: &UserId) -> Result<u64, StoreError> {
        Ok(self.collection.delete_many(doc! { "user": user.as_str() }).await?.deleted_count)
    }
}

impl StoredCalendar {
    fn of(calendar: &Calendar) -> Self {
        Self {
            id: to_bson(calendar.id),
            user: calendar.user.as_str().to_owned(),
            room: calendar.room.map(|room| to_bson(room.0)),
            hash: Binary { subtype: BinarySubtype::Generic, bytes: calendar.hash.to_vec() },
            created: DateTime::from_millis(calendar.created.epoch_millis()),
        }
    }

    fn read(self) -> Result<Calendar, StoreError> {
        let id = self.id;
        let unreadable =
            |field: &str| StoreError::Unreadable { collection: CALENDARS, reason: format!("{id}: {field}") };
        Ok(Calendar {
            id: Uuid::from_bytes(id.bytes()),
            user: UserId::new(self.user).map_err(|_| unreadable("user"))?,
            room: self.room.map(|room| RoomId(Uuid::from_bytes(room.bytes()))),
            hash: self.hash.bytes.try_into().map_err(|_| unreadable("hash"))?,
            created: Timestamp::from_epoch_millis(self.created.timestamp_millis()),
        })
    }
}

fn to_bson(id: Uuid) -> bson::Uuid {
    bson::Uuid::from_bytes(id.into_bytes())
}
