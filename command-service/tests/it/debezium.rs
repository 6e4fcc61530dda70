//! The hand-over to Debezium's connector is refused before anything is changed. The worker that is named never answers.

use std::process::Output;

use command_service::{
    event_store::{Mode, Outbox as _, Phase, Release},
    outbox::Undelivered,
};
use sqlx::Executor;
use tokio::process::Command;

use crate::{
    binlog_rig::{Rig, events},
    own_mysql::OwnMySql,
    samples::{event, new_room},
    servers::{brokers, eventually},
};

const NO_WORKER: &str = "http://127.0.0.1:1";

/// Runs `command-service relay ARGUMENTS`.
async fn relay(rig: &Rig, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_command-service"))
        .env_clear()
        .env("MYSQL_URL", &rig.database.url)
        .env("KAFKA_BROKERS", brokers())
        .arg("relay")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

/// Asks for the connector. It must be refused with this reason.
async fn is_refused(rig: &Rig, reason: &str) {
    let refused = relay(rig, &["mode", "debezium", "--connect-url", NO_WORKER, "--wait", "20"]).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains(reason), "{reason}: {refused:?}");
}

/// The same, and the table stays in use.
async fn is_refused_at_once(rig: &Rig, reason: &str) {
    is_refused(rig, reason).await;
    let state = rig.store.relay_state().await.unwrap();
    assert_eq!((state.wanted, state.phase, state.epoch), (Mode::Table, Phase::Table, 0), "{reason}");
}

#[tokio::test]
async fn the_connector_is_refused_without_its_columns_with_a_held_room_and_beside_an_older_build() {
    let rig = Rig::new().await;
    is_refused_at_once(&rig, "run `command-service relay prepare-debezium` first").await;
    rig.store.add_header_columns().await.unwrap();
    let unnamed = relay(&rig, &["mode", "debezium"]).await;
    let said = String::from_utf8_lossy(&unnamed.stderr);
    assert!(unnamed.status.code() == Some(2) && said.contains("needs --connect-url"), "{said}");

    let bad = new_room();
    rig.log.outcomes.lock().unwrap().insert((bad, 1), Undelivered::Refused("too large".into()));
    let one = rig.instance();
    rig.commit(events(bad, 1..=1)).await;
    eventually("the room is held", async || !rig.store.held_rooms().await.unwrap().is_empty()).await;
    rig.commit(events(bad, 2..=2)).await;
    is_refused_at_once(&rig, &format!("room {bad} is held")).await;
    assert_eq!(rig.store.release_room(bad).await.unwrap(), Release::Released);
    rig.delivers(bad, 2).await;

    let mut admin = rig.database.connect().await;
    let member = "INSERT INTO leases (name, holder, epoch, heartbeat) VALUES ('member/old', 'old', 0, 7)";
    admin.execute(member).await.unwrap();
    is_refused_at_once(&rig, "instance old is of an older build").await;
    admin.execute("DELETE FROM leases WHERE holder = 'old'").await.unwrap();

    rig.switch(Mode::Log).await;
    is_refused(&rig, "the relay's phase is log: switch to the mode table first").await;
    assert_eq!(rig.phase().await, Phase::Log);
    one.stop().await;
}

#[tokio::test]
async fn a_room_that_is_held_while_the_outbox_is_drained_for_the_connector_brings_the_table_back() {
    let rig = Rig::new().await;
    rig.store.add_header_columns().await.unwrap();
    let (bad, good) = (new_room(), new_room());
    rig.log.outcomes.lock().unwrap().insert((bad, 2), Undelivered::Refused("too large".into()));
    rig.commit(events(bad, 1..=2)).await;
    // The connector has read the tables. From here on, appends write no outbox rows.
    rig.store.want_mode(Mode::Debezium).await.unwrap();
    let leader = rig.store.lead().await.unwrap();
    assert!(rig.store.change_phase(leader, 0, Phase::ToDebezium).await.unwrap());
    rig.commit(vec![event(bad, 3), event(good, 1)]).await;
    let one = rig.instance();
    is_refused(&rig, &format!("room {bad} is held")).await;
    eventually("the table is in use", async || rig.phase().await == Phase::Table).await;
    rig.delivers(good, 1).await;
    assert_eq!(rig.store.release_room(bad).await.unwrap(), Release::Released);
    rig.commit(events(bad, 4..=4)).await;
    rig.delivers(bad, 4).await;
    one.stop().await;
}

#[tokio::test]
async fn the_connector_is_refused_by_a_server_whose_binary_log_does_not_suit_it() {
    let server = OwnMySql::start().await;
    let rig = Rig::on(&server).await;
    rig.store.add_header_columns().await.unwrap();
    // An instance that does not know each later event is no obstacle.
    let member = "INSERT INTO leases (name, holder, epoch, heartbeat) VALUES ('member/old', 'old', 1, 7)";
    rig.database.connect().await.execute(member).await.unwrap();
    for (setting, unfit, wanted) in [
        ("sync_binlog", "0", "1"),
        ("innodb_flush_log_at_trx_commit", "2", "1"),
        ("binlog_row_image", "MINIMAL", "FULL"),
        ("binlog_order_commits", "OFF", "ON"),
    ] {
        server.run(&format!("SET GLOBAL {setting} = {unfit}")).await;
        is_refused_at_once(&rig, &format!("{setting} is {unfit}, and must be {wanted}")).await;
        server.run(&format!("SET GLOBAL {setting} = {wanted}")).await;
    }
    // The server keeps the GTIDs that it has given.
    for mode in ["ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"] {
        server.run(&format!("SET GLOBAL gtid_mode = {mode}")).await;
        is_refused_at_once(&rig, &format!("gtid_mode is {mode}, and must be ON")).await;
    }
}
