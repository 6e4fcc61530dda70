//! What appends, the writer and the relay of the table do in each phase of the relay's mode.

use std::sync::Arc;

use command_service::{
    commands::{Action, RegisterRoom},
    event_store::{Append as _, AppendError, Buckets, Group, Mode, Outbox as _, Phase},
    outbox::{assignment, handoff},
    writer::{Options, writer},
};
use service_kit::clock::Clock;
use sqlx::Executor;
use tokio_util::sync::CancellationToken;

use crate::{
    binlog_rig::Rig,
    relay_rig::relay,
    samples::{event, new_room},
    servers::eventually,
    writer_rig::{NOON, by, settings},
};

#[tokio::test]
async fn nothing_goes_to_kafka_from_memory_in_a_phase_without_outbox_rows() {
    let rig = Rig::new().await;
    let (committed, handed) = handoff();
    let clock = Clock::standing_at(NOON.parse().unwrap());
    let store: Arc<dyn command_service::event_store::EventStore> = Arc::new(rig.database.open());
    let (writer, task) = writer(Arc::clone(&store).into(), clock, committed, &Options::default());
    tokio::spawn(task);
    let (_assigner, assigned) = assignment(Buckets::ALL);
    let stop = CancellationToken::new();
    let running = tokio::spawn(relay(store, rig.log.clone()).run(assigned, handed, stop.clone()));
    let register = async |name: &str| {
        let register = Action::RegisterRoom(RegisterRoom::new(settings(name, "meeting")));
        writer.submit(by("admin", register)).await.unwrap().result.unwrap().room
    };
    // No instance reads the binary log here.
    let leader = rig.store.lead().await.unwrap();
    assert!(rig.store.change_phase(leader, 0, Phase::Log).await.unwrap());
    let from_the_log = register("Blue").await;
    assert!(rig.store.change_phase(leader, 1, Phase::Table).await.unwrap());
    let from_the_table = register("Red").await;
    rig.log.has(1).await;
    assert_eq!(rig.log.of(from_the_table), [1]);
    assert!(rig.log.of(from_the_log).is_empty(), "it went from memory");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_build_that_does_not_know_the_phase_or_the_form_of_writing_appends_nothing() {
    let rig = Rig::new().await;
    let mut admin = rig.database.connect().await;
    for (later, back) in [("phase = 'by-post'", "phase = 'table'"), ("writer_form = 9", "writer_form = 1")] {
        admin.execute(format!("UPDATE relay_mode SET {later}").as_str()).await.unwrap();
        let group = Group { events: vec![event(new_room(), 1)], ..Group::default() };
        let refused = rig.store.append(&group).await.unwrap_err();
        assert!(matches!(refused, AppendError::Transient(_)), "{refused:?}");
        admin.execute(format!("UPDATE relay_mode SET {back}").as_str()).await.unwrap();
        rig.store.append(&group).await.unwrap();
    }
}

#[tokio::test]
async fn an_instance_of_an_older_build_keeps_the_table_in_use() {
    let rig = Rig::new().await;
    let mut admin = rig.database.connect().await;
    let member = "INSERT INTO leases (name, holder, epoch, heartbeat) VALUES ('member/old', 'old', 0, 7)";
    admin.execute(member).await.unwrap();
    let one = rig.instance();
    rig.store.want_mode(Mode::Log).await.unwrap();
    let refused = async || rig.store.relay_state().await.unwrap().place.problem.contains("instance old");
    eventually("the switch is refused", refused).await;
    assert_eq!(rig.phase().await, Phase::Table);
    // One that knows the modes, but not each later event.
    admin.execute("UPDATE leases SET epoch = 1 WHERE holder = 'old'").await.unwrap();
    rig.switch(Mode::Log).await;
    one.stop().await;
}
