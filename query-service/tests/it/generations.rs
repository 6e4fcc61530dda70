//! The registry of generations, written by several services and operators at once.

use futures_util::future::join_all;
use mongodb::bson::doc;
use query_service::{
    read_models::generation::{FIRST, State},
    stores::{Swap, mongo::FORM},
};
use shared_events::Timestamp;

use crate::mongo_database::TestDatabase;

const NOW: Timestamp = Timestamp::from_epoch_millis(1_800_000_000_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_start_at_once_make_one_first_generation_and_rebuilds_one_next_one() {
    let database = TestDatabase::create().await;
    let all: Vec<_> = (0..8).map(|_| database.generations()).collect();
    join_all(all.iter().map(|one| async { one.ensure_first(NOW).await.unwrap() })).await;
    let registry = all[0].read().await.unwrap();
    assert_eq!(registry.generations.len(), 1, "{registry:?}");
    assert_eq!((registry.live, registry.before), (Some(FIRST), None));
    assert_eq!(registry.served, [FIRST]);
    assert_eq!(registry.fed().collect::<Vec<_>>(), [FIRST]);

    let begun = join_all(all.iter().map(|one| async { one.begin(NOW).await.unwrap().number })).await;
    assert_eq!(begun, [FIRST + 1; 8]);
    let moved = all.iter().map(|one| one.advance(FIRST + 1, State::Building, State::Following));
    let moved: Vec<Swap> = join_all(moved).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(moved.iter().filter(|moved| **moved == Swap::Done).count(), 1);
    let flips = join_all(all.iter().map(|one| one.flip(Some(FIRST), FIRST + 1))).await;
    assert_eq!(flips.into_iter().filter(|flip| *flip.as_ref().unwrap() == Swap::Done).count(), 1);
    let registry = all[0].read().await.unwrap();
    assert_eq!((registry.live, registry.before), (Some(FIRST + 1), Some(FIRST)));
    assert_eq!(all[0].begin(NOW).await.unwrap().number, FIRST + 2, "what was shown is not begun again");
}

#[tokio::test]
async fn generations_of_another_form_are_left_to_programs_of_that_form() {
    let database = TestDatabase::create().await;
    let registry = database.collection("generations");
    let other = doc! {
        "_id": 7, "form": FORM + 1, "state": "following", "first": true, "madeAt": mongodb::bson::DateTime::now(),
    };
    registry.insert_one(other).await.unwrap();
    let pointer = doc! { "_id": format!("live-{}", FORM + 1), "live": 7, "served": [7] };
    registry.insert_one(pointer).await.unwrap();
    let generations = database.generations();
    generations.ensure_first(NOW).await.unwrap();
    let found = generations.read().await.unwrap();
    assert_eq!((found.live, found.generations.len()), (None, 1), "what is shown is made by a rebuild");
    assert_eq!(generations.begin(NOW).await.unwrap().number, 8, "no number is used twice");
    let found = generations.read().await.unwrap();
    assert_eq!(found.generations.len(), 2, "a list shows both");
    assert_eq!(found.fed().count(), 0, "services of this form do not touch the other one");
}

#[tokio::test]
async fn what_a_rebuild_has_begun_before_any_service_started_is_not_shown_unfinished() {
    let database = TestDatabase::create().await;
    let generations = database.generations();
    assert_eq!(generations.begin(NOW).await.unwrap().number, FIRST);
    generations.ensure_first(NOW).await.unwrap();
    let registry = generations.read().await.unwrap();
    assert_eq!((registry.live, registry.generations.len()), (None, 1));
    assert_eq!(generations.flip(None, FIRST).await.unwrap(), Swap::Done);
    assert_eq!(generations.flip(None, FIRST).await.unwrap(), Swap::Moved, "somebody else did");
    assert_eq!(generations.read().await.unwrap().live, Some(FIRST));
}
