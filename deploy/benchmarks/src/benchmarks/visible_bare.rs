//! From commit to visible at 50 events a second: our two services, against bare clients that do the same writes one after
//! the other.
//!
//! The bare chain commits one transaction of a command's rows. It sends one message, waits for its acknowledgement, and reads
//! the message in a consumer, and writes the documents of the event with one `bulkWrite`. It decides nothing, checks
//! nothing and could not survive a crash. Both sides are seen by the same probe.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result};
use query_service::{read_models::generation::FIRST, stores::mongo::prefix};
use system_tests::Namespace;

use super::visible::{Latencies, Ours, WARM_UP_SECONDS, each};
use crate::{
    connect::{
        mongo::{self, Documents},
        mysql::Commit,
    },
    figures::{Finding, Series, Target, number},
    kafka::{self, Echo},
    mongo::{
        bare_events::{BareEvents, room},
        read_models,
    },
    mysql::limit::{Transactions, sample},
    processor::Meter,
    rig::Rig,
    rounds::alternate,
    visibility_probe::{Schedule, VisibilityProbe},
    wall_clock::clock_micros,
};

const RATE: u64 = 50;

pub(crate) async fn against_the_bare_chain(rig: &Rig) -> Result<Vec<Finding>> {
    let seconds = rig.size(10, 4);
    let mut ours = Ours::start(rig).await?;
    let mut theirs = BareChain::start(rig, &ours).await?;
    theirs.run(2).await?;
    let (mut all, mut all_of_theirs) = (Vec::new(), Vec::new());
    let (mut our_costs, mut their_costs) = (Vec::new(), Vec::new());
    let events = RATE * (seconds + WARM_UP_SECONDS);
    alternate(
        rig.rounds,
        async |_| {
            let meter = Meter::start()?;
            all.push(ours.run(RATE, seconds).await?);
            our_costs.push(meter.for_each_of(events)?);
            Ok(all.last().map_or(0.0, |run| run.at(0.5)))
        },
        async |_| {
            let meter = Meter::start()?;
            all_of_theirs.push(theirs.run(seconds).await?);
            their_costs.push(meter.for_each_of(events)?);
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
        .with_costs(&our_costs, &their_costs)
    };
    Ok(vec![finding("p50", 0.5, Target::AtMost(1.25), 1.1), finding("p99", 0.99, Target::AtMost(1.5), 1.3)])
}

/// Bare clients of the three servers.
struct BareChain {
    transactions: Transactions,
    topic: Echo,
    documents: BareEvents,
    history: Documents,
    payload: Vec<u8>,
    next: u64,
    _namespace: Namespace,
}

impl BareChain {
    async fn start(rig: &Rig, ours: &Ours) -> Result<Self> {
        let (servers, ours) = (&rig.servers, &ours.target.namespace);
        let namespace = rig.namespace_without_tls("bare_chain").await?;
        command_service::operate::migrate(namespace.database_url()).await?;
        kafka::create_topic(&servers.brokers, &namespace.name).await?;
        read_models(&servers.mongodb, &namespace.name).await?;
        let sample = sample(&ours.database_url()).await?;
        let history = format!("{}history", prefix(FIRST));
        Ok(Self {
            payload: sample.payload.clone(),
            transactions: Transactions::open(&namespace.database_url(), sample).await?,
            topic: Echo::of(&servers.brokers, &namespace.name)?,
            documents: BareEvents::like(&servers.mongodb, &ours.name, &namespace.name).await?,
            history: Documents::open(&servers.mongodb, &namespace.name, &history).await?,
            next: 0,
            _namespace: namespace,
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
        self.topic.send(&room(event).to_string(), &self.payload).await?;
        self.documents.write(event..event + 1, true).await?;
        Ok(commit)
    }
}
