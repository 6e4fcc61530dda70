//! The binary log of a server of the test's own: purged, reset, without GTIDs, taken over by a replica.

use command_service::event_store::{Buckets, Mode, Outbox as _, Phase, StoredPlace, mysql::Passed};

use crate::{
    binlog_rig::{Rig, events},
    own_mysql::OwnMySql,
    samples::new_room,
    servers::eventually,
};

#[tokio::test]
async fn files_that_are_purged_before_they_are_relayed_bring_the_table_back_and_nothing_is_lost() {
    let server = OwnMySql::start().await;
    let rig = Rig::on(&server).await;
    let room = new_room();
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 1..=3)).await;
    rig.delivers(room, 3).await;
    one.stop().await;
    rig.commit(events(room, 4..=6)).await;
    purge(&server).await;
    rig.commit(events(room, 7..=8)).await;
    let another = rig.instance();
    eventually("the table is in use", async || rig.phase().await == Phase::Table).await;
    rig.commit(events(room, 9..=9)).await;
    rig.delivers(room, 9).await;
    let problem = rig.store.relay_state().await.unwrap().place.problem;
    assert!(!problem.is_empty(), "an operator is told why");
    another.stop().await;
}

#[tokio::test]
async fn a_log_that_was_reset_stops_the_relay_even_when_its_new_transactions_look_like_the_old_ones() {
    let server = OwnMySql::start().await;
    let rig = Rig::on(&server).await;
    let room = new_room();
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 1..=3)).await;
    rig.delivers(room, 3).await;
    one.stop().await;
    server.run("RESET BINARY LOGS AND GTIDS").await;
    // More transactions than there were: the set of those that were relayed is a part of the server's again.
    for version in 4..=300 {
        rig.commit(events(room, version..=version)).await;
    }
    let another = rig.instance();
    let not_ready = async || format!("{:?}", another.readiness.report()).contains("another history");
    eventually("the instance is not ready", not_ready).await;
    assert_eq!(rig.log.of(room), [1, 2, 3], "nothing is sent from the new log");
    rig.switch(Mode::Table).await;
    rig.delivers(room, 300).await;
    another.stop().await;
}

#[tokio::test]
async fn the_log_of_a_replica_that_takes_over_is_read_on_from_the_same_transaction() {
    let source = OwnMySql::start().await;
    let replica = OwnMySql::replica_of(&source).await;
    let rig = Rig::on(&source).await;
    let room = new_room();
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 1..=3)).await;
    rig.delivers(room, 3).await;
    one.stop().await;
    rig.commit(events(room, 4..=6)).await;
    source.run("SET GLOBAL super_read_only = ON").await;
    replica.promote(&source).await;
    let there = rig.copied_to(&replica);
    let another = there.instance();
    there.commit(events(room, 7..=8)).await;
    there.delivers(room, 8).await;
    assert_eq!(there.phase().await, Phase::Log);
    another.stop().await;
    source.run("SET GLOBAL super_read_only = OFF").await;
}

#[tokio::test]
async fn a_server_without_gtids_is_read_by_file_and_position() {
    let server = OwnMySql::start().await;
    for mode in ["ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"] {
        server.run(&format!("SET GLOBAL gtid_mode = {mode}")).await;
    }
    let rig = Rig::on(&server).await;
    let room = new_room();
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    assert_eq!(rig.store.relay_state().await.unwrap().place.gtids, "");
    rig.commit(events(room, 1..=3)).await;
    rig.delivers(room, 3).await;
    one.stop().await;
    server.run("FLUSH BINARY LOGS").await;
    rig.commit(events(room, 4..=6)).await;
    let another = rig.instance();
    rig.delivers(room, 6).await;
    assert_eq!(rig.phase().await, Phase::Log);
    another.stop().await;
    rig.commit(events(room, 7..=8)).await;
    purge(&server).await;
    let third = rig.instance();
    rig.delivers(room, 8).await;
    assert_eq!(rig.phase().await, Phase::Table);
    third.stop().await;
}

/// Deletes all binary logs but a new one.
async fn purge(server: &OwnMySql) {
    server.run("FLUSH BINARY LOGS").await;
    let last = server.text("SHOW BINARY LOG STATUS").await;
    server.run(&format!("PURGE BINARY LOGS TO '{last}'")).await;
}

#[tokio::test]
async fn a_database_that_was_put_back_to_an_older_copy_under_a_running_instance_is_not_relayed() {
    let server = OwnMySql::start().await;
    let rig = Rig::on(&server).await;
    let room = new_room();
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    rig.commit(events(room, 1..=3)).await;
    rig.delivers(room, 3).await;
    let old = rig.store.relay_state().await.unwrap().place;
    rig.commit(events(room, 4..=6)).await;
    rig.delivers(room, 6).await;
    // As if the events after the third, and the place after them, had never been.
    one.leads.assign(Buckets::NONE);
    let leader_epoch = rig.store.lead().await.unwrap();
    let put_back = StoredPlace { leader_epoch, ..old };
    assert!(rig.store.store_place(&put_back, &Passed::default()).await.unwrap());
    server.run("DELETE FROM events_of_a_test.events WHERE version > 3").await;
    rig.commit(events(room, 4..=4)).await;
    one.leads.assign(Buckets::ALL);
    let not_ready = async || format!("{:?}", one.readiness.report()).contains("another history");
    eventually("the instance is not ready", not_ready).await;
    assert_eq!(rig.log.of(room), [1, 2, 3, 4, 5, 6], "nothing is sent from the older copy");
    one.stop().await;
}
