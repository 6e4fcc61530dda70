//! Rooms that are held while events are relayed from MySQL's binary log, and their release in either mode.

use command_service::{
    event_store::{Mode, Outbox as _, Phase, Release},
    outbox::Undelivered,
};

use crate::{
    binlog_rig::{Rig, events},
    samples::new_room,
    servers::eventually,
};

#[tokio::test]
async fn a_room_that_is_held_in_the_binary_log_goes_on_in_order_when_it_is_released() {
    let rig = Rig::new().await;
    let (bad, good) = (new_room(), new_room());
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    rig.log.outcomes.lock().unwrap().insert((bad, 2), Undelivered::Refused("too large".into()));
    rig.commit(events(bad, 1..=2)).await;
    eventually("the room is held", async || !rig.store.held_rooms().await.unwrap().is_empty()).await;
    rig.commit(events(bad, 3..=4)).await;
    rig.commit(events(good, 1..=2)).await;
    rig.delivers(good, 2).await;
    assert_eq!(rig.log.of(bad), [1]);
    // A new leader knows of it.
    one.stop().await;
    let another = rig.instance();
    rig.commit(events(bad, 5..=5)).await;
    rig.commit(events(good, 3..=3)).await;
    rig.delivers(good, 3).await;
    assert_eq!(rig.store.release_room(bad).await.unwrap(), Release::Released);
    assert_eq!(rig.store.release_room(bad).await.unwrap(), Release::NotHeld);
    rig.commit(events(bad, 6..=6)).await;
    rig.delivers(bad, 6).await;
    eventually("the release is over", async || rig.store.holds().await.unwrap().is_empty()).await;
    assert!(rig.store.outbox_is_drained().await.unwrap());
    another.stop().await;
}

#[tokio::test]
async fn a_held_room_is_released_in_the_other_mode() {
    for (held_in, released_in) in [(Mode::Log, Mode::Table), (Mode::Table, Mode::Log)] {
        let rig = Rig::new().await;
        let room = new_room();
        let one = rig.instance();
        rig.switch(held_in).await;
        rig.log.outcomes.lock().unwrap().insert((room, 2), Undelivered::Refused("too large".into()));
        rig.commit(events(room, 1..=2)).await;
        eventually("the room is held", async || !rig.store.held_rooms().await.unwrap().is_empty()).await;
        rig.commit(events(room, 3..=3)).await;
        rig.switch(released_in).await;
        rig.commit(events(room, 4..=5)).await;
        assert_eq!(rig.store.release_room(room).await.unwrap(), Release::Released);
        rig.commit(events(room, 6..=6)).await;
        rig.delivers(room, 6).await;
        one.stop().await;
    }
}

#[tokio::test]
async fn a_room_that_is_released_behind_the_switch_to_the_table_goes_on_in_order() {
    let rig = Rig::new().await;
    let room = new_room();
    let one = rig.instance();
    rig.switch(Mode::Log).await;
    rig.log.outcomes.lock().unwrap().insert((room, 2), Undelivered::Refused("too large".into()));
    rig.commit(events(room, 1..=2)).await;
    eventually("the room is held", async || !rig.store.held_rooms().await.unwrap().is_empty()).await;
    one.stop().await;
    rig.commit(events(room, 3..=4)).await;
    let leader = rig.store.lead().await.unwrap();
    rig.store.want_mode(Mode::Table).await.unwrap();
    let epoch = rig.store.relay_state().await.unwrap().epoch;
    assert!(rig.store.change_phase(leader, epoch, Phase::Draining).await.unwrap());
    rig.commit(events(room, 5..=5)).await;
    assert_eq!(rig.store.release_room(room).await.unwrap(), Release::Released);
    rig.commit(events(room, 6..=6)).await;
    let another = rig.instance();
    rig.delivers(room, 6).await;
    assert_eq!(rig.phase().await, Phase::Table);
    eventually("the release is over", async || rig.store.holds().await.unwrap().is_empty()).await;
    another.stop().await;
}
