//! Several instances share the relaying of the binary log: one that can't read it, or that Kafka does
//! not answer, lets another lead.

use std::sync::atomic::Ordering;

use command_service::event_store::{Leases as _, Mode, Outbox as _, Phase, mysql::MySqlStore};
use service_kit::ids;
use sqlx::{Connection, Executor, MySqlConnection, Row};

use crate::{
    binlog_rig::{Member, Rig, events},
    relay_rig::{CutOff, Log},
    samples::new_room,
    servers::{eventually, mysql_url},
};

/// A user of the rig's database who may read the binary log until that is revoked.
struct User {
    name: String,
    admin: MySqlConnection,
}

const RIGHTS: &str = "REPLICATION SLAVE, REPLICATION CLIENT ON *.*";

impl User {
    async fn of(rig: &Rig) -> Self {
        let mut admin = MySqlConnection::connect(&mysql_url()).await.unwrap();
        let name = format!("u{}", &ids::new_id().simple().to_string()[..20]);
        let database = rig.database.url.rsplit_once('/').unwrap().1.to_owned();
        for statement in [
            format!("CREATE USER {name}@'%' IDENTIFIED BY 'secret'"),
            format!("GRANT ALL ON {database}.* TO {name}@'%'"),
            format!("GRANT {RIGHTS} TO {name}@'%'"),
        ] {
            admin.execute(statement.as_str()).await.unwrap();
        }
        Self { name, admin }
    }

    fn store(&self, rig: &Rig) -> MySqlStore {
        let (_, place) = rig.database.url.rsplit_once('@').unwrap();
        MySqlStore::open(format!("mysql://{}:secret@{place}", self.name), 4, None, None).unwrap()
    }

    /// Takes the right away, and ends the connection.
    async fn loses_the_right(&mut self) {
        let name = &self.name;
        self.admin.execute(format!("REVOKE {RIGHTS} FROM {name}@'%'").as_str()).await.unwrap();
        self.loses_the_connection().await;
    }

    /// Ends the connection that reads the log.
    async fn loses_the_connection(&mut self) {
        let name = &self.name;
        let reading = format!(
            "SELECT id FROM performance_schema.processlist WHERE user = '{name}' AND command LIKE 'Binlog Dump%'"
        );
        for row in self.admin.fetch_all(reading.as_str()).await.unwrap() {
            let id: u64 = row.get(0);
            self.admin.execute(format!("KILL {id}").as_str()).await.unwrap();
        }
    }

    async fn drop(mut self) {
        self.admin.execute(format!("DROP USER {}@'%'", self.name).as_str()).await.unwrap();
    }
}

/// Two instances that relay the binary log: `a` leads.
async fn two(rig: &Rig, stores: [MySqlStore; 2], logs: [&Log; 2]) -> [Member; 2] {
    let [store, another] = stores;
    let first = rig.member("a", store, logs[0]);
    eventually("the first leads", async || rig.leader().await.as_deref() == Some("a")).await;
    let second = rig.member("b", another, logs[1]);
    let shared = async || {
        let table = rig.store.leases().await.unwrap();
        table.buckets.iter().any(|lease| lease.holder.as_deref() == Some("b"))
    };
    eventually("both share the buckets", shared).await;
    rig.switch(Mode::Log).await;
    [first, second]
}

#[tokio::test]
async fn an_instance_that_cant_read_the_binary_log_any_more_lets_another_lead() {
    let rig = Rig::new().await;
    let mut user = User::of(&rig).await;
    let room = new_room();
    let [first, second] = two(&rig, [user.store(&rig), rig.database.open()], [&rig.log; 2]).await;
    rig.commit(events(room, 1..=3)).await;
    rig.delivers(room, 3).await;
    let before = rig.store.relay_state().await.unwrap();
    user.loses_the_right().await;
    rig.commit(events(room, 4..=6)).await;
    rig.delivers(room, 6).await;
    let after = rig.store.relay_state().await.unwrap();
    assert_eq!(rig.leader().await.as_deref(), Some("b"));
    assert_eq!((after.phase, after.epoch), (Phase::Log, before.epoch), "nothing was switched");
    eventually("the problem is over", async || {
        rig.store.relay_state().await.unwrap().place.problem.is_empty()
    })
    .await;
    first.stop().await;
    second.stop().await;
    user.drop().await;
}

#[tokio::test]
async fn the_table_takes_over_when_no_instance_can_read_the_binary_log() {
    let rig = Rig::new().await;
    let mut user = User::of(&rig).await;
    let room = new_room();
    let [first, second] = two(&rig, [user.store(&rig), user.store(&rig)], [&rig.log; 2]).await;
    user.loses_the_right().await;
    rig.commit(events(room, 1..=3)).await;
    rig.delivers(room, 3).await;
    assert_eq!(rig.phase().await, Phase::Table);
    first.stop().await;
    second.stop().await;
    user.drop().await;
}

#[tokio::test]
async fn a_leader_that_kafka_does_not_answer_lets_another_lead() {
    for how in [CutOff::IsSilent, CutOff::Fails, CutOff::TakesNothing] {
        let rig = Rig::new().await;
        let room = new_room();
        let log = rig.log.over_another_connection();
        let [first, second] = two(&rig, [rig.database.open(), rig.database.open()], [&log, &rig.log]).await;
        rig.commit(events(room, 1..=3)).await;
        rig.delivers(room, 3).await;
        *log.cut_off.lock().unwrap() = Some(how);
        rig.commit(events(room, 4..=6)).await;
        rig.delivers(room, 6).await;
        assert_eq!(rig.leader().await.as_deref(), Some("b"));
        assert_eq!(rig.phase().await, Phase::Log);
        first.stop().await;
        second.stop().await;
    }
}

/// Waits until the leader has beaten so often that a stall of it would be seen, or another leads.
async fn time_for_a_takeover(rig: &Rig) {
    let heartbeat = async || rig.store.leases().await.unwrap().members.get("a").copied();
    let before = heartbeat().await.unwrap();
    // One that leaves begins again at 1. It beats four times in the takeover time.
    eventually("the leader beats on", async || {
        heartbeat().await.is_some_and(|now| !(before..before + 12).contains(&now))
    })
    .await;
}

#[tokio::test]
async fn a_leader_goes_on_when_the_note_was_hidden_for_a_moment_and_lets_another_lead_when_it_stays_so() {
    let rig = Rig::new().await;
    let mut user = User::of(&rig).await;
    let room = new_room();
    let log = rig.log.over_another_connection();
    let [first, second] = two(&rig, [user.store(&rig), rig.database.open()], [&log, &rig.log]).await;
    rig.commit(events(room, 1..=3)).await;
    rig.delivers(room, 3).await;
    // The next reading begins at a barrier, so it sends nothing.
    rig.store.set_barrier(rig.store.relay_state().await.unwrap().epoch).await.unwrap();
    let passed = async || rig.store.relay_state().await.unwrap().place.anchor.starts_with("state ");
    eventually("the barrier is passed", passed).await;
    let lease = async || rig.store.leases().await.unwrap().buckets.swap_remove(0);
    let before = lease().await;

    let hide = |how| *log.cut_off.lock().unwrap() = how;
    hide(Some(CutOff::HidesItsNote));
    user.loses_the_connection().await;
    eventually("the note is hidden", async || log.unread.load(Ordering::Relaxed) > 0).await;
    hide(None);
    time_for_a_takeover(&rig).await;
    assert_eq!(lease().await, before, "it goes on although it has nothing to send");

    hide(Some(CutOff::HidesItsNote));
    user.loses_the_connection().await;
    rig.commit(events(room, 4..=6)).await;
    rig.delivers(room, 6).await;
    assert_eq!(rig.leader().await.as_deref(), Some("b"));
    assert_eq!(rig.phase().await, Phase::Log);
    first.stop().await;
    second.stop().await;
    user.drop().await;
}
