//! What is visible in MongoDB.

use std::collections::HashSet;

use anyhow::Result;
use futures_util::TryStreamExt;
use mongodb::{
    Client, Collection,
    bson::{Document, doc},
    options::{CollectionOptions, ReadConcern},
};

/// A collection, read with majority concern.
#[derive(Clone, Debug)]
pub(crate) struct Documents(Collection<Document>);

impl Documents {
    /// A collection that may not be there yet.
    ///
    /// # Errors
    /// When the URL is not one.
    pub(crate) async fn open(url: &str, database: &str, collection: &str) -> Result<Self> {
        let options = CollectionOptions::builder().read_concern(ReadConcern::majority()).build();
        let database = Client::with_uri_str(url).await?.database(database);
        Ok(Self(database.collection_with_options(collection, options)))
    }

    /// How many there are, from the collection's own count.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn count(&self) -> Result<u64> {
        Ok(self.0.estimated_document_count().await?)
    }

    /// How many there are, counted one by one.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn recount(&self) -> Result<u64> {
        Ok(self.0.count_documents(doc! {}).await?)
    }

    /// Which of these ids are there.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn present(&self, ids: &[String]) -> Result<HashSet<String>> {
        let mut found = self.0.find(doc! { "_id": { "$in": ids } }).projection(doc! { "_id": 1 }).await?;
        let mut present = HashSet::new();
        while let Some(document) = found.try_next().await? {
            present.insert(document.get_str("_id")?.to_owned());
        }
        Ok(present)
    }

    /// Removes all of them.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn clear(&self) -> Result<()> {
        Ok(self.0.drop().await?)
    }
}
