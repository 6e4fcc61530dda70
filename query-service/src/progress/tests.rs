//! Waits that end, and what is remembered.

use async_trait::async_trait;
use uuid::Uuid;

use super::*;
use crate::{
    queries::{PageRequest, Schedule, version_of},
    stores::memory::MemoryReadModels,
};

#[tokio::test(start_paused = true)]
async fn nothing_is_remembered_of_rooms_that_do_not_exist() {
    let (models, progress) = (MemoryReadModels::new(), Progress::default());
    progress.set_owned(Box::new(|_| true));
    let during = shared_events::Interval {
        from: "2031-01-01T00:00:00Z".parse().unwrap(),
        to: "2031-01-02T00:00:00Z".parse().unwrap(),
    };
    for number in 0..10_000 {
        let room = RoomId(Uuid::from_u128(number));
        assert_eq!(version_of(&models, &progress, room).await.unwrap(), Version::NONE);
        let schedule = Schedule { room, during };
        assert!(schedule.run(&models, &progress, &PageRequest::first(1)).await.unwrap().is_none());
        let waited = progress.wait(&models, "ann", &[(room, Version::FIRST)], Duration::ZERO).await;
        assert!(matches!(waited, Err(NotVisible::NotYet { .. })), "{waited:?}");
    }
    let state = progress.state();
    assert_eq!((state.seen.len(), state.waited.len(), progress.places.callers()), (0, 0, 0));
    drop(state);
    let room = RoomId(Uuid::from_u128(7));
    progress.learn(room, &Checkpoint { version: Version::FIRST, parked: None });
    let seen = Seen { version: Version::FIRST, parked: false };
    assert_eq!(progress.seen(&[room]), HashMap::from([(room, seen)]), "this one exists");
}

/// Never answers.
struct Hangs;

#[async_trait]
impl Checkpoints for Hangs {
    async fn checkpoints(&self, _: &[RoomId]) -> Result<HashMap<RoomId, Checkpoint>, StoreError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_holds_up_a_query_as_long_as_it_wants_to_wait_and_no_other() {
    let (progress, wanted) = (Progress::default(), [(RoomId(Uuid::from_u128(1)), Version::FIRST)]);
    let began = Instant::now();
    let wait = async |seconds| {
        let waited = progress.wait(&Hangs, "ann", &wanted, Duration::from_secs(seconds)).await;
        assert!(matches!(waited, Err(NotVisible::NotYet { .. })), "{waited:?}");
        assert_eq!(began.elapsed(), Duration::from_secs(seconds));
    };
    // The first to come looks up for all.
    let waits = async { tokio::join!(wait(5), wait(1), wait(3)) };
    timeout_at(began + Duration::from_mins(1), waits).await.unwrap();
}
