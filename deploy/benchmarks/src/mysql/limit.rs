//! The limit of the event store: bare multi-row inserts of the rows that commands write.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use sqlx::{Connection, Executor, MySqlConnection};
use uuid::Uuid;

use crate::figures::{Spread, number};

/// Payload and metadata of an event that a command wrote.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) payload: Vec<u8>,
    pub(crate) metadata: Vec<u8>,
}

/// Reads the last event.
pub(crate) async fn sample(database_url: &str) -> Result<Sample> {
    let mut connection = MySqlConnection::connect(database_url).await?;
    let (payload, metadata) =
        sqlx::query_as("SELECT payload, metadata FROM events ORDER BY position DESC LIMIT 1")
            .fetch_one(&mut connection)
            .await?;
    Ok(Sample { payload, metadata })
}

/// What bare clients inserted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inserted {
    pub(crate) events: u64,
    /// Events per second.
    pub(crate) rate: f64,
}

/// Inserts events with outbox rows and idempotency records. Each writer commits `group` events in one transaction.
/// The tables must exist.
pub(crate) async fn insert(
    database_url: &str,
    writers: usize,
    group: usize,
    during: Duration,
    sample: &Sample,
) -> Result<Inserted> {
    let written = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let (url, sample, written) = (database_url.to_owned(), sample.clone(), Arc::clone(&written));
        tasks.spawn(async move {
            let mut transactions = Transactions::open(&url, sample).await?;
            while started.elapsed() < during {
                transactions.commit_group(group).await?;
                written.fetch_add(group as u64, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    let events = written.load(Ordering::Relaxed);
    Ok(Inserted { events, rate: number(events) / started.elapsed().as_secs_f64() })
}

/// The median time of one transaction with the rows of one command, in milliseconds.
pub(crate) async fn median_transaction_ms(
    database_url: &str,
    during: Duration,
    sample: &Sample,
) -> Result<f64> {
    let mut transactions = Transactions::open(database_url, sample.clone()).await?;
    let mut times = Vec::new();
    let started = Instant::now();
    while started.elapsed() < during {
        let begun = Instant::now();
        transactions.commit().await?;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Spread::of(&times).median)
}

/// One connection that commits the rows of one command at a time.
pub(crate) struct Transactions {
    connection: MySqlConnection,
    streams: Vec<Uuid>,
    next: usize,
    sample: Sample,
}

impl Transactions {
    pub(crate) async fn open(database_url: &str, sample: Sample) -> Result<Self> {
        let mut connection = MySqlConnection::connect(database_url).await?;
        connection.execute("SET SESSION transaction_isolation = 'READ-COMMITTED'").await?;
        // As many streams as there are rooms in the other side.
        let streams = (0..500).map(|_| unique()).collect();
        Ok(Self { connection, streams, next: 0, sample })
    }

    pub(crate) async fn commit(&mut self) -> Result<()> {
        self.commit_group(1).await
    }

    async fn commit_group(&mut self, rows: usize) -> Result<()> {
        insert_group(&mut self.connection, &self.streams, self.next, rows, &self.sample).await?;
        self.next += rows;
        Ok(())
    }
}

/// One transaction, like the group commit of as many commands.
async fn insert_group(
    connection: &mut MySqlConnection,
    streams: &[Uuid],
    first: usize,
    group: usize,
    sample: &Sample,
) -> Result<()> {
    let mut rows: Vec<(Uuid, u64)> = (first..first + group)
        .filter_map(|number| {
            let stream = streams.get(number % streams.len())?;
            Some((*stream, (number / streams.len()) as u64 + 1))
        })
        .collect();
    rows.sort_unstable();
    connection.execute("START TRANSACTION").await?;
    let values = vec!["(?,?,?,?,?,?)"; rows.len()].join(",");
    let sql = format!(
        "INSERT INTO events (stream_id, version, type, payload, metadata, recorded_at) VALUES {values}"
    );
    let mut insert = sqlx::query(&sql);
    for (stream, version) in &rows {
        insert = insert
            .bind(stream.as_bytes().as_slice())
            .bind(version)
            .bind("reservations.reservation-made.v1")
            .bind(sample.payload.as_slice())
            .bind(sample.metadata.as_slice())
            .bind(1_790_000_000_000_i64);
    }
    let first_position = insert.execute(&mut *connection).await?.last_insert_id();
    let positions = (first_position..).take(rows.len());
    let outbox: Vec<String> = positions.clone().map(|position| format!("({position},1)")).collect();
    let sql = format!("INSERT INTO outbox (position, bucket) VALUES {}", outbox.join(","));
    connection.execute(sql.as_str()).await?;
    let values = vec!["(?,?,?,1790000000000)"; rows.len()].join(",");
    let sql = format!("INSERT INTO idempotency_keys (id, fingerprint, position, made_at) VALUES {values}");
    let mut keys: Vec<(Uuid, u64)> = positions.map(|position| (unique(), position)).collect();
    keys.sort_unstable();
    let mut insert = sqlx::query(&sql);
    for (key, position) in &keys {
        insert = insert.bind(key.as_bytes().as_slice()).bind(key.as_bytes().as_slice()).bind(position);
    }
    insert.execute(&mut *connection).await?;
    connection.execute("COMMIT").await?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "ids of rows that nobody reads")]
fn unique() -> Uuid {
    Uuid::new_v4()
}
