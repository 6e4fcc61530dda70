//! Brings the event store's tables up to date.

use service_kit::{
    clock::Clock,
    config::Secret,
    readiness::Readiness,
    retry::{Backoff, until_it_succeeds},
};
use tokio_util::sync::CancellationToken;

use crate::event_store::{StoreError, mysql::MySqlStore};

/// Brings the event store's tables up to date. Waits for the database.
///
/// # Errors
/// If the database refuses.
pub async fn migrate(url: impl Into<Secret>) -> anyhow::Result<()> {
    let store = MySqlStore::open(url, 1, None, None)?;
    let component = Readiness::new(Clock::system()).component("mysql");
    let never = CancellationToken::new();
    let migrated =
        until_it_succeeds(&component, &never, Backoff::for_server(), async || match store.migrate().await {
            Err(error @ StoreError::Unavailable { .. }) => Err(error),
            outcome => Ok(outcome),
        });
    migrated.await??;
    store.close().await;
    Ok(())
}
