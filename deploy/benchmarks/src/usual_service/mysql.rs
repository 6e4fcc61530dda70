//! One transaction for each command: read the head; insert event, outbox row and idempotency record; commit.

use std::str::FromStr;

use command_service::{
    config::Config,
    event_store::{KeyId, bucket},
};
use secrecy::ExposeSecret;
use shared_events::{RawEvent, Version};
use sqlx::{
    Executor, MySqlPool, Row,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};

/// Most attempts of a command while others write the same room.
const ATTEMPTS: usize = 100;

/// A pool that its clones share.
#[derive(Clone)]
pub(super) struct Store(MySqlPool);

impl Store {
    /// Keeps all connections and does not test them before use.
    pub(super) fn open(config: &Config) -> sqlx::Result<Self> {
        let options = MySqlConnectOptions::from_str(config.mysql_url.current().expose_secret())?;
        let pool = MySqlPoolOptions::new()
            .max_connections(config.mysql_connections)
            .min_connections(config.mysql_connections)
            .test_before_acquire(false)
            .idle_timeout(None)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute("SET SESSION transaction_isolation = 'READ-COMMITTED'").await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Ok(Self(pool))
    }

    /// Commits the event as the room's next one. Returns its version.
    pub(super) async fn commit(
        &self,
        event: &mut RawEvent,
        key: KeyId,
        fingerprint: [u8; 16],
    ) -> sqlx::Result<u64> {
        let metadata =
            serde_json::to_vec(&event.metadata).map_err(|error| sqlx::Error::Encode(error.into()))?;
        for _ in 0..ATTEMPTS {
            match self.attempt(event, &metadata, key, fingerprint).await {
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() || is_deadlock(&*error) => {}
                outcome => return outcome,
            }
        }
        Err(sqlx::Error::PoolTimedOut)
    }

    async fn attempt(
        &self,
        event: &mut RawEvent,
        metadata: &[u8],
        key: KeyId,
        fingerprint: [u8; 16],
    ) -> sqlx::Result<u64> {
        let room = event.room.0.as_bytes().as_slice();
        let mut transaction = self.0.begin().await?;
        let head =
            sqlx::query("SELECT CAST(COALESCE(MAX(version), 0) AS UNSIGNED) FROM events WHERE stream_id = ?")
                .bind(room)
                .fetch_one(&mut *transaction)
                .await?;
        event.version = Version::from(head.try_get::<u64, _>(0)?).next();
        let position = sqlx::query(
            "INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) VALUES (?,?,?,?,?,?)",
        )
        .bind(room)
        .bind(event.version.get())
        .bind(event.event_type.as_ref())
        .bind(event.payload.as_slice())
        .bind(metadata)
        .bind(event.recorded_at.epoch_millis())
        .execute(&mut *transaction)
        .await?
        .last_insert_id();
        sqlx::query("INSERT INTO outbox (position, bucket) VALUES (?,?)")
            .bind(position)
            .bind(bucket(event.room))
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO idempotency_keys (id, fingerprint, position, made_at) VALUES (?,?,?,?)")
            .bind(key.0.as_slice())
            .bind(fingerprint.as_slice())
            .bind(position)
            .bind(event.recorded_at.epoch_millis())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(event.version.get())
    }
}

fn is_deadlock(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().as_deref() == Some("40001")
}
