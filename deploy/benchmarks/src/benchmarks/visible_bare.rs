//! From commit to visible at 50 events a second: our two services, against bare clients that do the same writes one after
//! the other.
//!
//! The bare chain commits one transaction of a command's rows, sends one message and waits for its acknowledgement, reads
//! the message in a consumer, and writes the documents of the event with one `bulkWrite`. It decides nothing, checks
//! nothing and could not survive a crash. Both sides are seen by the same probe.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, ensure};
use mongodb::{
    Client,
    bson::{Binary, Bson, Document, doc, spec::BinarySubtype},
};
use query_service::{read_models::generation::FIRST, stores::mongo::prefix};
use rdkafka::{
    ClientConfig,
    consumer::{Consumer, StreamConsumer},
    producer::{FutureProducer, FutureRecord},
};
use shared_events::RoomId;
use system_tests::Namespace;
use uuid::Uuid;

use super::visible::{Latencies, Ours, WARM_UP_SECONDS, each};
use crate::{
    connect::{
        mongo::{self, Documents},
        mysql::Commit,
    },
    figures::{Finding, Series, Target, number},
    kafka,
    mongo::read_models,
    mysql::limit::{Sample, Transactions, sample},
    rig::Rig,
    rounds::alternate,
    visibility_probe::{Schedule, VisibilityProbe},
    wall_clock::clock_micros,
};

const RATE: u64 = 50;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn against_the_bare_chain(rig: &Rig) -> Result<Vec<Finding>> {
    let seconds = rig.size(10, 4);
    let mut ours = Ours::start(rig).await?;
    let mut theirs = BareChain::start(rig, &ours).await?;
    theirs.run(2).await?;
    let (mut all, mut all_of_theirs) = (Vec::new(), Vec::new());
    alternate(
        rig.rounds,
        async |_| {
            all.push(ours.run(RATE, seconds).await?);
            Ok(all.last().map_or(0.0, |run| run.at(0.5)))
        },
        async |_| {
            all_of_theirs.push(theirs.run(seconds).await?);
            Ok(all_of_theirs.last().map_or(0.0, |run| run.at(0.5)))
        },
    )
    .await?;
    ours.target.check().await?;
    let finding = |name: &str, quantile: f64, target: Target, aim: f64| {
        let of = |who: &str, runs: &[Latencies]| {
            Series::new(&format!("{who}, {name} at {RATE}/s"), "ms", each(runs, quantile))
        };
        Finding::new(
            &format!("visible-bare-{name}"),
            "bare clients, one write after the other",
            target,
            aim,
            of("ours", &all),
            of("bare chain", &all_of_theirs),
        )
    };
    Ok(vec![finding("p50", 0.5, Target::AtMost(1.25), 1.1), finding("p99", 0.99, Target::AtMost(1.5), 1.3)])
}

/// Bare clients of the three servers.
struct BareChain {
    transactions: Transactions,
    producer: FutureProducer,
    consumer: StreamConsumer,
    mongodb: Client,
    namespace: Namespace,
    history: Documents,
    /// Documents of events of ours, of which only the ids are changed.
    reservation: Document,
    entry: Document,
    payload: Vec<u8>,
    next: u64,
}

impl BareChain {
    async fn start(rig: &Rig, ours: &Ours) -> Result<Self> {
        let namespace = rig.namespace_without_tls("bare_chain").await?;
        command_service::operate::migrate(namespace.database_url()).await?;
        kafka::create_topic(&rig.servers.brokers, &namespace.name).await?;
        read_models(&rig.servers.mongodb, &namespace.name).await?;
        let of_ours: Sample = sample(&ours.target.namespace.database_url()).await?;
        let mongodb = Client::with_uri_str(&rig.servers.mongodb).await?;
        let theirs = mongodb.database(&ours.target.namespace.name);
        let one = async |name: &str| {
            let of = theirs.collection::<Document>(&format!("{}{name}", prefix(FIRST)));
            of.find_one(doc! {}).sort(doc! { "_id": -1 }).await?.context("a document of ours")
        };
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &rig.servers.brokers)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("socket.nagle.disable", "true")
            .create()?;
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", &rig.servers.brokers)
            .set("group.id", format!("{}-bare", namespace.name))
            .set("enable.auto.commit", "false")
            .set("fetch.min.bytes", "1")
            .set("socket.nagle.disable", "true")
            .set("auto.offset.reset", "earliest")
            .create()?;
        consumer.subscribe(&[namespace.name.as_str()])?;
        let history = format!("{}history", prefix(FIRST));
        Ok(Self {
            transactions: Transactions::open(&namespace.database_url(), of_ours.clone()).await?,
            producer,
            consumer,
            history: Documents::open(&rig.servers.mongodb, &namespace.name, &history).await?,
            reservation: one("reservations").await?,
            entry: one("history").await?,
            mongodb,
            namespace,
            payload: of_ours.payload,
            next: 0,
        })
    }

    async fn run(&mut self, seconds: u64) -> Result<Latencies> {
        let first = self.next;
        let counted_from = first + WARM_UP_SECONDS * RATE;
        let end = counted_from + seconds * RATE;
        let ids = Box::new(|number| mongo::history_id(room(number), 1));
        let probe = VisibilityProbe::begin(self.history.clone(), ids, first, Schedule::of(RATE));
        let start = tokio::time::Instant::now();
        let mut commits = HashMap::new();
        for event in first..end {
            let due = start + Duration::from_secs_f64(number(event - first) / number(RATE));
            tokio::time::sleep_until(due).await;
            commits.insert(event, self.one_after_the_other(event).await?);
        }
        self.next = end;
        let mut latencies = Latencies::new()?;
        for (event, seen) in probe.end(end).await?.into_iter().filter(|(event, _)| *event >= counted_from) {
            latencies.note(*commits.get(&event).context("a commit")?, seen)?;
        }
        Ok(latencies)
    }

    async fn one_after_the_other(&mut self, event: u64) -> Result<Commit> {
        let sent = clock_micros();
        self.transactions.commit().await?;
        let commit = Commit { sent, answered: clock_micros() };
        let key = room(event).to_string();
        let record = FutureRecord::to(&self.namespace.name).key(&key).payload(&self.payload);
        self.producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
        let message = tokio::time::timeout(PATIENCE, self.consumer.recv()).await??;
        drop(message);
        self.write(event).await?;
        Ok(commit)
    }

    /// Writes the reservation, the entry, and a checkpoint.
    async fn write(&mut self, event: u64) -> Result<()> {
        let of = |name: &str| format!("{}.{}{name}", self.namespace.name, prefix(FIRST));
        let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: room(event).0.as_bytes().to_vec() };
        self.reservation.insert("_id", uuid);
        self.entry.insert("_id", mongo::history_id(room(event), 1));
        let checkpoint = format!("v.{:02x}.bare", event % 256);
        let command = doc! {
            "bulkWrite": 1,
            "ops": [
                { "insert": 0, "document": self.reservation.clone() },
                { "insert": 1, "document": self.entry.clone() },
                {
                    "update": 2, "filter": { "_id": i64::try_from(event % 4)? },
                    "updateMods": { "$set": { checkpoint: i64::try_from(event)? } },
                },
            ],
            "nsInfo": [{ "ns": of("reservations") }, { "ns": of("history") }, { "ns": of("checkpoints") }],
            "ordered": true,
            "writeConcern": { "w": "majority", "j": true },
        };
        let answer = self.mongodb.database("admin").run_command(command).await?;
        ensure!(answer.get("nErrors") == Some(&Bson::Int32(0)), "the documents are not written: {answer}");
        Ok(())
    }
}

/// A room with one event.
fn room(event: u64) -> RoomId {
    RoomId(Uuid::from_u128(u128::from(event) << 64 | 0xba5e))
}
