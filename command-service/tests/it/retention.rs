//! How long each kind of data is kept.

use std::time::Duration;

use chrono::TimeDelta;
use command_service::{
    commands::Action,
    housekeeping::{KeysKept, sweep},
    outbox::Step,
    writer::Submission,
};
use tokio_util::sync::CancellationToken;

use crate::{
    relay_rig::{Log, relay},
    test_store::TestStore,
    writer_rig::{by, cancel, instance, key, reserve, stay},
};

const KEPT: KeysKept = KeysKept { requests: Duration::from_hours(7 * 24), import_lines: None };
const PER_DAY: usize = 3;

/// A year in which each day somebody books and cancels, with everything that goes on beside that.
#[tokio::test]
async fn a_year_of_bookings_leaves_nothing_behind_that_grows_but_its_events() {
    let store = TestStore::mysql().await;
    let one = instance(&store).await;
    one.clock.set("2024-01-01T12:00:00Z".parse().unwrap());
    let opened = store.open(None).await;
    let mut relay = relay(opened.clone(), Log::default());
    let rooms = [one.room("Blue", "meeting").await, one.room("Red", "meeting").await];
    let with_key = |name: String, action: Action| Submission { key: Some(key(&name)), ..by("ann", action) };
    for day in 0..365 {
        let tomorrow = one.clock.now().date_naive() + TimeDelta::days(1);
        let mut made = None;
        for (at, room) in rooms.iter().enumerate() {
            let stay = stay(&format!("{tomorrow}T09:00:00Z"), &format!("{tomorrow}T10:00:00Z"));
            made = one.does(with_key(format!("{day}-{at}"), reserve(*room, stay))).await.reservation;
        }
        one.does(with_key(format!("{day}-c"), cancel(rooms[1], made.unwrap()))).await;
        while relay.step().await.unwrap() != Step::Idle {}
        sweep(opened.as_ref(), KEPT, &CancellationToken::new()).await.unwrap();
        let keys = store.rows("idempotency_keys").await;
        assert!(keys <= 8 * PER_DAY, "{keys} keys on day {day}");
        assert_eq!(store.rows("outbox").await, 0);
        one.clock.advance(TimeDelta::days(1));
        store.age_keys(TimeDelta::days(1)).await;
    }
    assert_eq!(store.rows("events").await, 365 * PER_DAY + rooms.len());
    assert_eq!(store.rows("rooms").await, rooms.len());
    assert!(store.rows("snapshots").await <= rooms.len());
    assert_eq!(store.rows("held_rooms").await + store.rows("leases").await, 0);
}
