//! Events that are relayed from MySQL's binary log, and the switches between it and the outbox.

use std::{sync::Arc, time::Duration};

use command_service::{
    binlog_relay::BinlogRelay,
    event_store::{Buckets, Mode, Phase, mysql::MySqlStore},
};
use service_kit::{clock::Clock, readiness::Readiness};
use shared_events::{RawEvent, RoomId};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    relay_rig::{Log, commit, relay},
    samples::event,
    servers::{Database, eventually},
};

/// A store, a log, and instances that relay.
struct Rig {
    database: Database,
    store: Arc<MySqlStore>,
    log: Log,
}

/// An instance that relays the outbox and, while it leads, the binary log.
struct Instance {
    leads: watch::Sender<Buckets>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    readiness: Readiness,
}

impl Rig {
    async fn new() -> Self {
        let database = Database::new().await;
        let store = Arc::new(database.open());
        Self { database, store, log: Log::default() }
    }

    fn instance(&self) -> Instance {
        self.instance_with(Buckets::ALL)
    }

    fn instance_with(&self, buckets: Buckets) -> Instance {
        let (leads, assigned) = watch::channel(buckets);
        let stop = CancellationToken::new();
        let clock = Clock::system();
        let readiness = Readiness::new(clock.clone());
        let component = readiness.component("relay");
        let log = self.log.over_another_connection();
        let binlog = BinlogRelay::new(self.database.open(), log, clock, component);
        let (outbox, ended) =
            (relay(Arc::new(self.database.open()), self.log.over_another_connection()), stop.clone());
        let tasks = vec![
            tokio::spawn(binlog.run(assigned, stop.clone())),
            tokio::spawn(async move {
                let mut outbox = outbox;
                while !ended.is_cancelled() {
                    outbox.step().await.unwrap();
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }),
        ];
        Instance { leads, stop, tasks, readiness }
    }

    async fn phase(&self) -> Phase {
        self.store.relay_state().await.unwrap().phase
    }

    /// Wants a mode and waits until the hand-over is done.
    async fn switch(&self, mode: Mode) {
        self.store.want_mode(mode).await.unwrap();
        eventually("the hand-over", async || self.phase().await == mode.phase()).await;
    }

    async fn commit(&self, events: Vec<RawEvent>) {
        commit(&*self.store, events).await;
    }

    /// Waits until the log has the versions of a room up to one, the first occurrences in order.
    async fn delivers(&self, room: RoomId, up_to: u64) {
        let first_occurrences = || {
            let mut seen = Vec::new();
            for version in self.log.of(room) {
                if !seen.contains(&version) {
                    seen.push(version);
                }
            }
            seen
        };
        eventually("all versions are delivered", async || first_occurrences().len() as u64 >= up_to).await;
        assert_eq!(first_occurrences(), (1..=up_to).collect::<Vec<_>>());
    }
}

impl Instance {
    async fn stop(mut self) {
        self.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            task.await.unwrap();
        }
    }
}

fn events(room: RoomId, versions: impl Iterator<Item = u64>) -> Vec<RawEvent> {
    versions.map(|version| event(room, version)).collect()
}

#[tokio::test]
async fn events_go_from_the_table_to_the_binary_log_and_back_without_a_gap() {
    let rig = Rig::new().await;
    // The binary log leaves trailing zeros of its id out.
    let room = RoomId("0190b6a8-7c4e-7000-8000-00000000ab00".parse().unwrap());
    rig.commit(events(room, 1..=3)).await;
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 4..=6)).await;
    rig.delivers(room, 6).await;
    assert!(rig.store.outbox_is_drained().await.unwrap(), "appends write no outbox rows");
    rig.switch(Mode::Table).await;
    rig.commit(events(room, 7..=9)).await;
    rig.delivers(room, 9).await;
    rig.switch(Mode::Log).await;
    one.stop().await;
    rig.commit(events(room, 10..=12)).await;
    let another = rig.instance();
    rig.delivers(room, 12).await;
    another.stop().await;
}
