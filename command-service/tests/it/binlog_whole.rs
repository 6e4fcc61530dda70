//! The program relays the binary log to Kafka: it is killed anywhere, and its database is put back to an older copy.

use std::{collections::HashSet, time::Duration};

use command_service::{
    binlog_relay::ABORT_POINTS,
    event_store::{Mode, Phase},
};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use shared_events::{RoomId, Timestamp};
use sqlx::Executor as _;
use tokio::time::timeout;

use crate::{
    binlog_rig::{Rig, events},
    own_mysql::{Direction, OwnMySql},
    primary_switch::messages,
    relay::{assert_in_order, read_topic},
    samples::{event, new_room},
    serve::{Running, keys},
    servers::{PATIENCE, Topic, brokers, eventually},
};

const BETWEEN_COMMITS: Duration = Duration::from_millis(50);

/// What a program needs.
struct Program {
    _folder: tempfile::TempDir,
    jwks: String,
    topic: Topic,
}

impl Program {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let jwks = keys(folder.path());
        Self { _folder: folder, jwks, topic: Topic::missing() }
    }

    fn start(&self, rig: &Rig, abort_at: Option<&str>) -> Running {
        let brokers = brokers();
        let mut settings = vec![
            ("MYSQL_URL", rig.database.url.as_str()),
            ("KAFKA_BROKERS", &brokers),
            ("KAFKA_TOPIC", &self.topic.options.topic),
            ("JWKS_FILE", &self.jwks),
            // The next one has the leases of the one before at once.
            ("INSTANCE_ID", "one"),
            ("LEASE_SECONDS", "1"),
        ];
        settings.extend(abort_at.map(|point| ("FAIL_POINT", point)));
        Running::start(&settings)
    }

    /// Leaves the database in the mode `log`, without any instance, at a place that is lost.
    async fn loses_the_log(&self, rig: &Rig) {
        while rig.phase().await != Phase::Log {
            let _killed = self.start(rig, None);
            let is_log = async || {
                // Again and again: a refusal makes the leader wait for a minute.
                rig.store.want_mode(Mode::Log).await.unwrap();
                rig.phase().await == Phase::Log
            };
            eventually("the mode log", is_log).await;
        }
        // What the killed leader has asked for changes nothing from here on.
        rig.store.lead().await.unwrap();
        assert_eq!(rig.phase().await, Phase::Log);
        // As if the server had purged the files after the place.
        let lost = "UPDATE relay_place SET gtids = '', file = 'binlog.000000', file_position = 4";
        rig.database.connect().await.execute(lost).await.unwrap();
    }

    /// The ids of the messages, with their partitions, once there are so many different ones.
    async fn messages(&self, count: usize) -> Vec<(i32, String)> {
        let (options, mut seen) = (self.topic.options.clone(), HashSet::new());
        let reading = move || {
            read_topic(&options, |read| {
                seen.extend(read.last().map(|(_, id)| id.clone()));
                seen.len() >= count
            })
        };
        tokio::task::spawn_blocking(reading).await.unwrap()
    }

    /// What is noted beside the topic.
    async fn note(&self) -> String {
        let topic = self.topic.options.topic.clone();
        let reading = move || {
            let client: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", brokers())
                .set("group.id", format!("{topic}-relay"))
                .create()
                .unwrap();
            let mut offsets = rdkafka::TopicPartitionList::new();
            offsets.add_partition(&topic, 0);
            let noted = client.committed_offsets(offsets, PATIENCE).unwrap();
            noted.find_partition(&topic, 0).unwrap().metadata().to_owned()
        };
        tokio::task::spawn_blocking(reading).await.unwrap()
    }
}

#[tokio::test]
async fn a_database_that_was_put_back_while_all_instances_were_down_is_not_relayed() {
    let mut server = OwnMySql::start().await;
    let rig = Rig::on(&server).await;
    let (room, program) = (new_room(), Program::new());
    let is_noted = async |version: u64| {
        let what = format!(" {room} {version} ");
        eventually("the event is noted", async || program.note().await.contains(&what)).await;
    };
    let service = program.start(&rig, None);
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 1..=3)).await;
    is_noted(3).await;
    drop(service);
    server.end().await;
    server.copy_data(Direction::Aside);
    server.begin().await;
    let rig = Rig::on(&server).await;
    let service = program.start(&rig, None);
    rig.commit(events(room, 4..=6)).await;
    is_noted(6).await;
    drop(service);

    server.end().await;
    server.copy_data(Direction::Back);
    server.begin().await;
    let rig = Rig::on(&server).await;
    // The same versions at the same positions, a moment later.
    let mut again = events(room, 4..=8);
    for event in &mut again {
        event.recorded_at = Timestamp::from_epoch_millis(event.recorded_at.epoch_millis() + 1);
    }
    rig.commit(again).await;
    let sent = messages(&program.topic);
    let service = program.start(&rig, None);
    let not_ready =
        async || service.ready().await.1["components"]["relay"].to_string().contains("another history");
    eventually("the service is not ready", not_ready).await;
    assert_eq!(rig.phase().await, Phase::Log);
    assert_eq!(messages(&program.topic), sent, "nothing is sent from the older copy");
    // An operator has looked at it.
    rig.switch(Mode::Table).await;
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 9..=9)).await;
    program.messages(9).await;
}

#[tokio::test]
async fn a_leader_that_is_killed_at_any_step_loses_and_misorders_nothing() {
    let rig = Rig::new().await;
    let program = Program::new();
    let rooms: Vec<RoomId> = (0..3).map(|_| new_room()).collect();
    let mut version = 0;
    for point in ABORT_POINTS {
        if point.ends_with("refilling") {
            program.loses_the_log(&rig).await;
        }
        let mut service = program.start(&rig, Some(point));
        // Under load, the mode changes there and back until the process is at the point.
        let killed = async {
            while timeout(BETWEEN_COMMITS, service.ended()).await.is_err() {
                version += 1;
                rig.commit(rooms.iter().map(|room| event(*room, version)).collect()).await;
                match rig.phase().await {
                    Phase::Table => rig.store.want_mode(Mode::Log).await.unwrap(),
                    Phase::Log => rig.store.want_mode(Mode::Table).await.unwrap(),
                    _ => {}
                }
            }
        };
        assert!(timeout(PATIENCE, killed).await.is_ok(), "{point} is not reached");
    }
    let service = program.start(&rig, None);
    rig.switch(Mode::Table).await;
    let all = usize::try_from(version).unwrap() * rooms.len();
    assert_in_order(&program.messages(all).await);
    drop(service);
}
