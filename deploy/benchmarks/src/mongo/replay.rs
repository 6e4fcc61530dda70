//! The limit of queries: the driver alone sends the commands of the read models and does not decode the answers.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mongodb::{
    Client, Database,
    bson::{Document, RawDocumentBuf, doc},
    event::{EventHandler, command::CommandEvent},
    options::ClientOptions,
};
use query_service::{
    read_models::generation::FIRST,
    stores::mongo::{Connection, MongoReadModels, prefix},
};
use tokio::{task::JoinSet, time::Instant};

/// The commands that one request sends to MongoDB.
pub(crate) type Commands = Vec<RawDocumentBuf>;

/// Read models that record the read commands they send.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) models: MongoReadModels,
    sent: Arc<Mutex<Vec<Document>>>,
}

impl Recorder {
    pub(crate) async fn open(url: &str, database: &str) -> Result<Self> {
        let sent: Arc<Mutex<Vec<Document>>> = Arc::default();
        let mut options = ClientOptions::parse(url).await?;
        let record = Arc::clone(&sent);
        options.command_event_handler = Some(EventHandler::callback(move |event| {
            if let CommandEvent::Started(started) = event
                && ["find", "aggregate"].contains(&started.command_name.as_str())
            {
                record.lock().unwrap_or_else(PoisonError::into_inner).push(started.command);
            }
        }));
        let models =
            MongoReadModels::open(Connection::with_options(options, database)?, &prefix(FIRST)).await?;
        Ok(Self { models, sent })
    }

    /// The commands since the last call, without the fields that the driver adds.
    pub(crate) fn take(&self) -> Result<Commands> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner));
        let without = |mut command: Document| {
            for added in ["lsid", "$db", "$clusterTime", "$readPreference"] {
                command.remove(added);
            }
            Ok(RawDocumentBuf::try_from(&command)?)
        };
        sent.into_iter().map(without).collect()
    }
}

/// Sends the commands of all requests again and again, with a number of tasks. Returns requests per second.
pub(crate) async fn rate(
    url: &str,
    database: &str,
    requests: Arc<Vec<Commands>>,
    tasks: usize,
    during: Duration,
) -> Result<f64> {
    let mut options = ClientOptions::parse(url).await?;
    (options.min_pool_size, options.max_pool_size) = (Some(u32::try_from(tasks)?), Some(64));
    let database = Client::with_options(options)?.database(database);
    database.run_command(doc! { "ping": 1 }).await?;
    let next = Arc::new(AtomicUsize::new(0));
    // Opens the connections first.
    run(&database, &requests, &next, tasks, Duration::from_millis(300)).await?;
    run(&database, &requests, &next, tasks, during).await
}

async fn run(
    database: &Database,
    requests: &Arc<Vec<Commands>>,
    next: &Arc<AtomicUsize>,
    tasks: usize,
    during: Duration,
) -> Result<f64> {
    let started = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let (database, requests, next) = (database.clone(), Arc::clone(requests), Arc::clone(next));
        running.spawn(async move {
            let mut done = 0_u32;
            while started.elapsed() < during {
                let number = next.fetch_add(1, Ordering::Relaxed) % requests.len();
                for command in requests.get(number).context("a request")? {
                    let mut answer = database.run_raw_cursor_command(command.clone()).await?;
                    let mut bytes = 0;
                    while answer.advance().await? {
                        bytes += answer.current().as_bytes().len();
                    }
                    std::hint::black_box(bytes);
                }
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0;
    while let Some(task) = running.join_next().await {
        done += task??;
    }
    ensure!(done > 0, "no request was answered");
    Ok(f64::from(done) / started.elapsed().as_secs_f64())
}
