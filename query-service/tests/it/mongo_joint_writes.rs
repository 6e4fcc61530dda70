//! Small batches of several rooms that one command writes together.

use std::{
    collections::HashSet,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use query_service::{
    projections::{history::entry, usage},
    stores::{Applied, ProjectionStore, StoreError, mongo::MongoReadModels},
};
use shared_events::DecodedEvent;

use crate::{
    conformance::{feed, settle},
    conformance_histories::history,
    conformance_steps::fixed_steps,
    mongo_database::TestDatabase,
    mongo_writes::of_room,
};

/// The commands that write.
const WRITES: [&str; 3] = ["bulkWrite", "insert", "update"];
/// Events of each room that are written first, and in the next batch. The next batch needs no document that is not cached.
const BEFORE: usize = 8;
const BATCH: usize = 1;

type Applying<'a> = Pin<Box<dyn Future<Output = Result<Applied, StoreError>> + Send + 'a>>;

/// Read models with the beginnings of three rooms, and these rooms' events.
struct Begun {
    models: MongoReadModels,
    events: Vec<Vec<DecodedEvent>>,
}

impl Begun {
    async fn on(server: &TestDatabase) -> Self {
        let history = history(&fixed_steps(400, 4));
        let events = history.room_ids().into_iter().map(|room| of_room(&history, room));
        let long = events.filter_map(|events| Some(events.get(..BEFORE + BATCH)?.to_vec()));
        let events: Vec<_> = long.filter(|events| is_cached(events)).take(3).collect();
        assert_eq!(events.len(), 3);
        let clean = server.models("clean_").await;
        let models = server.models("joint_").await;
        for events in &events {
            feed(&clean, events, 1).await;
            feed(&models, &events[..BEFORE], 1).await;
        }
        Self { models, events }
    }

    /// The application of each room's next batch, not started.
    fn next(&self) -> Vec<Applying<'_>> {
        self.events.iter().map(|events| self.models.apply(&events[BEFORE..])).collect()
    }

    fn assert_advanced(&self, room: usize, applied: Result<Applied, StoreError>) {
        let applied = applied.unwrap();
        let version = u64::try_from(BEFORE + BATCH).unwrap();
        assert_eq!(applied.advanced, [(self.events[room][0].room, version.into())]);
        assert_eq!(applied.conflicts, []);
    }

    fn assert_all_advanced(&self, applied: Vec<Result<Applied, StoreError>>) {
        for (room, applied) in applied.into_iter().enumerate() {
            self.assert_advanced(room, applied);
        }
    }

    async fn assert_all_is_as_after_a_clean_pass(&self, server: &TestDatabase) {
        settle(&self.models).await;
        assert_eq!(server.dump("joint_").await, server.dump("clean_").await);
    }
}

/// Whether the next batch touches only usage that the first events touch.
fn is_cached(events: &[DecodedEvent]) -> bool {
    let touched = |events: &[DecodedEvent]| -> HashSet<_> {
        events.iter().flat_map(|event| usage::touches(&entry(event))).collect()
    };
    touched(&events[BEFORE..]).is_subset(&touched(&events[..BEFORE]))
}

/// Runs it until it waits.
async fn begin(applying: &mut Applying<'_>) {
    let outcome = poll_fn(|context| Poll::Ready(applying.as_mut().poll(context))).await;
    assert!(outcome.is_pending(), "it is under way");
}

#[tokio::test]
async fn batches_that_wait_together_are_written_by_one_command() {
    let (server, commands) = TestDatabase::recorded(&WRITES).await;
    let begun = Begun::on(&server).await;
    commands.lock().unwrap().clear();
    let applied = futures_util::future::join_all(begun.next()).await;
    assert_eq!(commands.lock().unwrap().len(), 1);
    begun.assert_all_advanced(applied);
    begun.assert_all_is_as_after_a_clean_pass(&server).await;
}

#[tokio::test]
async fn a_batch_that_another_owner_has_written_harms_none_that_is_written_with_it() {
    let server = TestDatabase::create().await;
    let begun = Begun::on(&server).await;
    let other_owner = server.models("joint_").await;
    other_owner.apply(&begun.events[1][BEFORE..]).await.unwrap();
    let applied = futures_util::future::join_all(begun.next()).await;
    begun.assert_all_advanced(applied);
    begun.assert_all_is_as_after_a_clean_pass(&server).await;
}

#[tokio::test]
async fn batches_whose_owners_are_stopped_stop_none_of_the_others() {
    for under_way in [false, true] {
        let server = TestDatabase::create().await;
        let begun = Begun::on(&server).await;
        let mut next = begun.next();
        for applying in &mut next {
            begin(applying).await;
            if under_way {
                // Lets the command be sent.
                tokio::task::yield_now().await;
            }
        }
        drop(next.drain(..2));
        begun.assert_advanced(2, next.remove(0).await);
        for room in [0, 1] {
            begun.assert_advanced(room, begun.models.apply(&begun.events[room][BEFORE..]).await);
        }
        begun.assert_all_is_as_after_a_clean_pass(&server).await;
    }
}

#[tokio::test]
async fn a_batch_is_written_while_those_that_it_goes_with_stand_still() {
    let server = TestDatabase::create().await;
    let begun = Begun::on(&server).await;
    let mut next = begun.next();
    for applying in &mut next {
        begin(applying).await;
    }
    // The two others are not polled from here on.
    begun.assert_advanced(2, next.remove(2).await);
    for (room, applying) in next.into_iter().enumerate() {
        begun.assert_advanced(room, applying.await);
    }
    begun.assert_all_is_as_after_a_clean_pass(&server).await;
}

#[tokio::test]
async fn large_batches_that_wait_for_no_other_command_leave_what_a_clean_pass_leaves() {
    // Two such batches are too large for one command.
    const LARGE: usize = 51;
    let (server, commands) = TestDatabase::recorded(&["bulkWrite"]).await;
    let history = history(&fixed_steps(1_500, 23));
    let rooms = history.room_ids().into_iter().take(3);
    let events: Vec<_> = rooms.map(|room| of_room(&history, room)).collect();
    let (clean, together) = (server.models("clean_").await, server.models("joint_").await);
    for events in &events {
        assert!(events.len() > 2 * LARGE, "{} are too few", events.len());
        feed(&clean, events, LARGE).await;
    }
    commands.lock().unwrap().clear();
    futures_util::future::join_all(events.iter().map(|events| feed(&together, events, LARGE))).await;
    let batches: usize = events.iter().map(|events| events.len().div_ceil(LARGE)).sum();
    assert!(commands.lock().unwrap().len() >= batches - events.len(), "all but the last ones go alone");
    assert_eq!(server.dump("joint_").await, server.dump("clean_").await);
}
