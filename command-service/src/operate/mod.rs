//! What an operator asks and does at the command line, beside the running services. It speaks with the event store alone.

mod migrate;
mod outbox;
mod release_room;

pub use migrate::migrate;
pub use outbox::outbox;
pub use release_room::{ReleaseRoomArgs, release_room};
use secrecy::{ExposeSecret, SecretString};

use crate::event_store::mysql::MySqlStore;

/// The store, if it answers and has its tables.
async fn open(url: &SecretString) -> anyhow::Result<MySqlStore> {
    let store = MySqlStore::open(url.expose_secret(), 1, None)
        .map_err(|error| anyhow::Error::from(error).context("MYSQL_URL can't be used"))?;
    store.check().await.map_err(|error| {
        anyhow::Error::from(error).context("the database does not answer, or has no tables of this service")
    })?;
    Ok(store)
}
