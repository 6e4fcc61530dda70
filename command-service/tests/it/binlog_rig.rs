//! Helpers of the tests of the binary log: a store, a log, and instances that relay.

use std::{collections::HashSet, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use command_service::{
    binlog_relay::BinlogRelay,
    event_store::{Buckets, Leases as _, Mode, Outbox as _, Phase, mysql::MySqlStore},
    outbox::{BucketAssigner, LeaseOptions, assignment, handoff, keep_leases},
};
use service_kit::{clock::Clock, readiness::Readiness};
use shared_events::{RawEvent, RoomId};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    own_mysql::OwnMySql,
    relay_rig::{Log, commit, relay},
    samples::event,
    servers::{Database, PATIENCE, eventually},
};

/// A store, a log, and instances that relay.
pub(crate) struct Rig {
    pub(crate) database: Database,
    pub(crate) store: Arc<MySqlStore>,
    pub(crate) log: Log,
}

/// An instance that relays the outbox and, while it leads, the binary log.
pub(crate) struct Instance {
    pub(crate) leads: BucketAssigner,
    stop: CancellationToken,
    task: JoinHandle<()>,
    pub(crate) readiness: Readiness,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let database = Database::new().await;
        let store = Arc::new(database.open());
        Self { database, store, log: Log::default() }
    }

    /// A rig on a server of the test's own.
    pub(crate) async fn on(server: &OwnMySql) -> Self {
        let database = Database { url: format!("{}/events_of_a_test", server.url) };
        let store = Arc::new(database.open());
        store.migrate().await.unwrap();
        Self { database, store, log: Log::default() }
    }

    /// The same database on another server, and the same log.
    pub(crate) fn copied_to(&self, server: &OwnMySql) -> Self {
        let database = Database { url: format!("{}/events_of_a_test", server.url) };
        Self { store: Arc::new(database.open()), database, log: self.log.over_another_connection() }
    }

    pub(crate) fn instance(&self) -> Instance {
        self.instance_with(Buckets::ALL)
    }

    pub(crate) fn instance_with(&self, buckets: Buckets) -> Instance {
        self.start(buckets, self.database.open(), u64::MAX)
    }

    /// An instance that dies when it was polled so often: as by a kill, wherever it is.
    pub(crate) fn instance_that_dies(&self, polls: u64) -> Instance {
        self.start(Buckets::ALL, self.database.open(), polls)
    }

    /// An instance that uses another user of the database.
    pub(crate) fn instance_as(&self, user: &str, password: &str) -> Instance {
        let (_, place) = self.database.url.rsplit_once('@').unwrap();
        let url = format!("mysql://{user}:{password}@{place}");
        self.start(Buckets::ALL, MySqlStore::open(url.as_str(), 4, None, None).unwrap(), u64::MAX)
    }

    fn start(&self, buckets: Buckets, store: MySqlStore, polls: u64) -> Instance {
        let (leads, assigned) = assignment(buckets);
        let leadership = leads.leadership();
        let stop = CancellationToken::new();
        let clock = Clock::system();
        let readiness = Readiness::new(clock.clone());
        let component = readiness.component("relay");
        let log = self.log.over_another_connection();
        let binlog = BinlogRelay::new(store, log, clock, component, leadership, None);
        let outbox = relay(Arc::new(self.database.open()), self.log.over_another_connection());
        let (committed, handed) = handoff();
        let relaying = stop.clone();
        let works = async move {
            let _open = committed;
            tokio::join!(binlog.run(relaying.clone()), outbox.run(assigned, handed, relaying));
        };
        let task = tokio::spawn(async move {
            let (mut works, mut left) = (pin!(works), polls);
            poll_fn(|context| {
                if left == 0 {
                    return Poll::Ready(());
                }
                left -= 1;
                works.as_mut().poll(context)
            })
            .await;
        });
        Instance { leads, stop, task, readiness }
    }

    /// An instance that shares the work with others by leases, and has a log of its own.
    pub(crate) fn member(&self, name: &str, store: MySqlStore, log: &Log) -> Member {
        let (assigner, assigned) = assignment(Buckets::NONE);
        let (stop, clock) = (CancellationToken::new(), Clock::system());
        let readiness = Readiness::new(clock.clone());
        let [mode, kafka] = ["relay", "kafka"].map(|name| readiness.component(name));
        let leadership = assigner.leadership();
        let binlog = BinlogRelay::new(store, log.clone(), clock, mode, leadership, None);
        let relay = relay(Arc::new(self.database.open()), log.clone());
        let (committed, handed) = handoff();
        let options = LeaseOptions { holder: name.to_owned(), takeover: Duration::from_secs(1) };
        let (leases, reached) = (Arc::new(self.database.open()), log.clone());
        let (relaying, keeping) = (stop.clone(), stop.clone());
        let tasks = vec![
            tokio::spawn(binlog.run(stop.clone())),
            tokio::spawn(async move {
                let _open = committed;
                relay.run(assigned, handed, relaying).await;
            }),
            tokio::spawn(async move {
                keep_leases(leases, options, assigner, kafka, || reached.reach(), keeping).await;
            }),
        ];
        Member { stop, tasks }
    }

    /// The holder of bucket 0.
    pub(crate) async fn leader(&self) -> Option<String> {
        let table = self.store.leases().await.unwrap();
        table.buckets[0].holder.clone()
    }

    pub(crate) async fn phase(&self) -> Phase {
        self.store.relay_state().await.unwrap().phase
    }

    /// Wants a mode and waits until the hand-over is done.
    pub(crate) async fn switch(&self, mode: Mode) {
        self.store.want_mode(mode).await.unwrap();
        eventually("the hand-over", async || self.phase().await == mode.phase()).await;
    }

    pub(crate) async fn commit(&self, events: Vec<RawEvent>) {
        commit(&*self.store, events).await;
    }

    /// Waits until the log has the versions of a room up to one, the first occurrences in order.
    pub(crate) async fn delivers(&self, room: RoomId, up_to: u64) {
        let first_occurrences = || {
            let mut seen = HashSet::new();
            self.log.of(room).into_iter().filter(|version| seen.insert(*version)).collect::<Vec<_>>()
        };
        eventually("all versions are delivered", async || first_occurrences().len() as u64 >= up_to).await;
        assert_eq!(first_occurrences(), (1..=up_to).collect::<Vec<_>>());
    }
}

/// An instance that shares the work with others.
pub(crate) struct Member {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Member {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

impl Instance {
    /// Waits until it has died.
    pub(crate) async fn dies(self) {
        assert!(timeout(PATIENCE, self.task).await.is_ok(), "it was not polled often enough");
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

pub(crate) fn events(room: RoomId, versions: impl Iterator<Item = u64>) -> Vec<RawEvent> {
    versions.map(|version| event(room, version)).collect()
}
