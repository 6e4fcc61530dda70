//! Looks at documents in MongoDB.

use anyhow::Result;
use futures_util::TryStreamExt;
use mongodb::{
    Client, Collection,
    bson::{Binary, Bson, Document, doc, spec::BinarySubtype},
    options::{CollectionOptions, ReadConcern},
};
use shared_events::RoomId;

/// The `_id` of a document.
pub(crate) type Id = Bson;

/// The `_id` of a peer's document.
pub(crate) const fn document_id(id: String) -> Id {
    Bson::String(id)
}

/// The `_id` of an event's entry in our history.
pub(crate) fn history_id(room: RoomId, version: u64) -> Id {
    let bytes = [room.0.as_bytes().as_slice(), &version.to_be_bytes()].concat();
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes })
}

/// A collection, read with read concern `majority`.
#[derive(Clone, Debug)]
pub(crate) struct Documents(Collection<Document>);

impl Documents {
    /// Opens a collection, which need not exist yet.
    pub(crate) async fn open(url: &str, database: &str, collection: &str) -> Result<Self> {
        let options = CollectionOptions::builder().read_concern(ReadConcern::majority()).build();
        let database = Client::with_uri_str(url).await?.database(database);
        Ok(Self(database.collection_with_options(collection, options)))
    }

    /// The number of documents by the collection's metadata.
    pub(crate) async fn count(&self) -> Result<u64> {
        Ok(self.0.estimated_document_count().await?)
    }

    /// The number of documents, counted one by one.
    pub(crate) async fn recount(&self) -> Result<u64> {
        Ok(self.0.count_documents(doc! {}).await?)
    }

    /// The ids of these that exist.
    pub(crate) async fn present(&self, ids: &[Id]) -> Result<Vec<Id>> {
        let mut found =
            self.0.find(doc! { "_id": { "$in": ids.to_vec() } }).projection(doc! { "_id": 1 }).await?;
        let mut present = Vec::new();
        while let Some(mut document) = found.try_next().await? {
            present.extend(document.remove("_id"));
        }
        Ok(present)
    }

    pub(crate) async fn clear(&self) -> Result<()> {
        Ok(self.0.drop().await?)
    }
}
