//! The registry of generations: a document for each, and one that names the live generation of a form.

use std::sync::Arc;

use async_trait::async_trait;
use mongodb::{
    Collection,
    bson::{Document, RawDocumentBuf, doc},
};
use shared_events::{Erasures, Timestamp, UserId};

use super::{
    Connection, DROPPED, FORM, MongoReadModels,
    checkpoints::Group,
    documents::moment,
    erasures::{List, mask_dropped, mask_generation},
    requests::is_duplicate,
    stored::Stored,
};
use crate::{
    read_models::generation::{Generation, Registry, State, Totals},
    stores::{ErasureList, StoreError, Swap},
};

/// The collection of the registry.
const REGISTRY: &str = "generations";
/// Collections of a generation, whose names begin with its prefix.
const COLLECTIONS: [&str; 9] = [
    "rooms",
    "reservations",
    "closures",
    "history",
    "usage",
    "usage_positions",
    "checkpoints",
    "parked",
    "requests",
];

/// The generations of read models in a database. Every method fails when the server can't be reached.
#[derive(Clone, Debug)]
pub struct Generations {
    connection: Connection,
    registry: Collection<RawDocumentBuf>,
    erasures: Arc<List>,
}

/// The prefix of a generation's collections.
#[must_use]
pub fn prefix(number: u32) -> String {
    format!("g{number}_")
}

/// The id of the document that names the live generation.
fn pointer() -> String {
    format!("live-{FORM}")
}

impl Generations {
    /// The generations of a database.
    #[must_use]
    pub fn over(connection: Connection) -> Self {
        let (registry, erasures) = (connection.collection(REGISTRY), Arc::new(List::of(&connection)));
        Self { connection, registry, erasures }
    }

    /// The whole registry.
    pub async fn read(&self) -> Result<Registry, StoreError> {
        let mut registry = Registry { form: FORM, ..Registry::default() };
        let mut found =
            self.registry.find(doc! { "form": { "$exists": true } }).sort(doc! { "_id": 1 }).await?;
        while found.advance().await? {
            registry.generations.push(to_generation(found.current())?);
        }
        // Read last: the generation that it names was recorded before.
        if let Some(pointer) = self.registry.find_one(doc! { "_id": pointer() }).await? {
            let stored = Stored::read(REGISTRY, &pointer)?;
            registry.live = Some(stored.integer("live")?);
            registry.before = if stored.has("before") { Some(stored.integer("before")?) } else { None };
            registry.served = stored.integers("served")?;
        }
        Ok(registry)
    }

    /// Makes and shows the first generation of an empty registry. Services that try at once find the same one. If there
    /// are other generations, events were projected before, and only a rebuild makes a complete one.
    pub async fn ensure_first(&self, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let registry = self.read().await?;
            if registry.live.is_some() {
                return Ok(());
            }
            let first = registry.ours().find(|generation| generation.first);
            if let Some(number) = first.map(|generation| generation.number) {
                self.insert(doc! { "_id": pointer(), "live": number, "served": [number] }).await?;
            } else if !registry.generations.is_empty() {
                return Ok(());
            } else {
                self.record(registry.next_number(), State::Following, true, now, None).await?;
            }
        }
    }

    /// The generation of an unfinished rebuild, or else a new one.
    pub async fn begin(&self, now: Timestamp) -> Result<Generation, StoreError> {
        loop {
            let registry = self.read().await?;
            if let Some(unfinished) = registry.unfinished() {
                return Ok(unfinished.clone());
            }
            self.record(registry.next_number(), State::Building, false, now, None).await?;
        }
    }

    /// A new generation for the events up to a moment. Gives its number.
    pub async fn begin_frozen(&self, now: Timestamp, until: Timestamp) -> Result<u32, StoreError> {
        loop {
            let number = self.read().await?.next_number();
            if self.record(number, State::Building, false, now, Some(until)).await? == Swap::Done {
                return Ok(number);
            }
        }
    }

    /// Takes a generation from one state to another.
    pub async fn advance(&self, number: u32, from: State, to: State) -> Result<Swap, StoreError> {
        let filter = doc! { "_id": number, "state": from.word() };
        let changed = self.registry.update_one(filter, doc! { "$set": { "state": to.word() } }).await?;
        Ok((changed.matched_count == 1).into())
    }

    /// Shows generation `to` from now on, where `from` is live.
    pub async fn flip(&self, from: Option<u32>, to: u32) -> Result<Swap, StoreError> {
        let Some(from) = from else {
            return self.insert(doc! { "_id": pointer(), "live": to, "served": [to] }).await;
        };
        let change = doc! { "$set": { "live": to, "before": from }, "$addToSet": { "served": to } };
        let changed = self.registry.update_one(doc! { "_id": pointer(), "live": from }, change).await?;
        Ok((changed.matched_count == 1).into())
    }

    /// The read models of a generation. Missing collections and indexes are made.
    pub async fn models(&self, number: u32) -> Result<MongoReadModels, StoreError> {
        MongoReadModels::open(self.connection.clone(), &prefix(number)).await
    }

    /// The read models of a generation that nobody writes. Nothing is made, so a dropped one stays dropped.
    #[must_use]
    pub fn frozen_models(&self, number: u32) -> MongoReadModels {
        MongoReadModels::over(self.connection.clone(), &prefix(number))
    }

    /// Removes a generation's collections.
    pub async fn drop_collections(&self, number: u32) -> Result<(), StoreError> {
        for name in COLLECTIONS {
            self.connection.collection::<Document>(&format!("{}{name}", prefix(number))).drop().await?;
        }
        Ok(())
    }

    /// Masks a person of the list in all generations, fed or not, and returns the number of documents that named them.
    /// After an error some may be masked.
    pub async fn mask(&self, user: &UserId, list: &Erasures) -> Result<u64, StoreError> {
        let mut masked = mask_dropped(&self.connection.collection(DROPPED), user, list).await?;
        for generation in self.read().await?.generations {
            masked += mask_generation(&self.connection, &prefix(generation.number), user, list).await?;
        }
        Ok(masked)
    }

    /// The totals of a generation's checkpoints.
    pub async fn totals(&self, number: u32) -> Result<Totals, StoreError> {
        let checkpoints =
            self.connection.collection::<RawDocumentBuf>(&format!("{}checkpoints", prefix(number)));
        let mut groups = checkpoints.find(doc! {}).await?;
        let mut totals = Totals::default();
        while groups.advance().await? {
            for version in Group::read(groups.current())?.versions() {
                totals.rooms += 1;
                totals.events += version.unwrap_or_default().get();
            }
        }
        Ok(totals)
    }

    async fn record(
        &self,
        number: u32,
        state: State,
        first: bool,
        now: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<Swap, StoreError> {
        let made_at = moment(now);
        let (form, state) = (FORM, state.word());
        let mut generation =
            doc! { "_id": number, "form": form, "state": state, "first": first, "madeAt": made_at };
        if let Some(until) = until {
            generation.insert("until", moment(until));
        }
        self.insert(generation).await
    }

    async fn insert(&self, document: Document) -> Result<Swap, StoreError> {
        match self.registry.clone_with_type().insert_one(document).await {
            Ok(_) => Ok(Swap::Done),
            Err(error) if is_duplicate(&error) => Ok(Swap::Moved),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl ErasureList for Generations {
    async fn erasures(&self) -> Result<Option<Arc<Erasures>>, StoreError> {
        self.erasures.read().await
    }

    async fn keep_erasures(
        &self,
        known: Option<&Erasures>,
        list: &Arc<Erasures>,
    ) -> Result<Swap, StoreError> {
        self.erasures.keep(known, list).await
    }
}

fn to_generation(document: &mongodb::bson::RawDocument) -> Result<Generation, StoreError> {
    let stored = Stored::read(REGISTRY, document)?;
    let word = stored.text("state")?;
    Ok(Generation {
        number: stored.integer("_id")?,
        form: stored.integer("form")?,
        state: State::of_word(&word).ok_or_else(|| StoreError::Unreadable {
            collection: REGISTRY,
            reason: format!("the state {word}"),
        })?,
        first: stored.flag("first")?,
        made_at: stored.moment("madeAt")?,
        until: if stored.has("until") { Some(stored.moment("until")?) } else { None },
    })
}
