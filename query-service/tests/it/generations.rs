//! The registry of generations, and what an operator makes of it when several do so at once.

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};
use query_service::{
    generations::{FIRST, State},
    stores::mongo::{FORM, GENERATION, Generations, MongoReadModels, MongoSettings},
};
use service_kit::ids;
use shared_events::Timestamp;

const NOW: Timestamp = Timestamp::from_epoch_millis(1_800_000_000_000);

/// A database that one test uses.
struct Database {
    settings: MongoSettings,
}

impl Database {
    fn new() -> Self {
        let url = std::env::var("MONGODB_URL").expect("MONGODB_URL names a MongoDB server");
        let database = format!("query_test_{}", ids::new_id().simple());
        Self { settings: MongoSettings { url: url.into(), database, authorities: None } }
    }

    async fn connect(&self) -> Generations {
        Generations::connect(&self.settings, NOW).await.unwrap()
    }

    async fn plain(&self) -> mongodb::Database {
        let url = std::env::var("MONGODB_URL").unwrap();
        mongodb::Client::with_uri_str(url).await.unwrap().database(&self.settings.database)
    }

    async fn remove(self) {
        self.plain().await.drop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_start_at_once_make_one_first_generation_and_rebuilds_one_next_one() {
    let database = Database::new();
    let all = join_all((0..8).map(|_| database.connect())).await;
    join_all(all.iter().map(|one| async { one.ensure_first(NOW).await.unwrap() })).await;
    let registry = all[0].read().await.unwrap();
    assert_eq!(registry.generations.len(), 1, "{registry:?}");
    assert_eq!(
        (registry.live, registry.before, registry.served.as_slice()),
        (Some(FIRST), None, &[FIRST][..])
    );
    assert_eq!(registry.fed().collect::<Vec<_>>(), [FIRST]);

    let begun = join_all(all.iter().map(|one| async { one.begin(NOW).await.unwrap().number })).await;
    assert_eq!(begun, [FIRST + 1; 8]);
    let moved = all.iter().map(|one| one.advance(FIRST + 1, State::Building, State::Following));
    let moved: Vec<bool> = join_all(moved).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(moved.iter().filter(|moved| **moved).count(), 1);
    let flips = join_all(all.iter().map(|one| one.flip(Some(FIRST), FIRST + 1))).await;
    assert_eq!(flips.into_iter().filter(|flip| *flip.as_ref().unwrap()).count(), 1);
    let registry = all[0].read().await.unwrap();
    assert_eq!((registry.live, registry.before), (Some(FIRST + 1), Some(FIRST)));
    assert_eq!(all[0].begin(NOW).await.unwrap().number, FIRST + 2, "what was shown is not begun again");
    database.remove().await;
}

#[tokio::test]
async fn read_models_from_before_there_was_a_registry_are_taken_into_it_in_their_form() {
    let database = Database::new();
    let url = std::env::var("MONGODB_URL").unwrap();
    MongoReadModels::connect(&url, &database.settings.database, GENERATION).await.unwrap();
    let generations = database.connect().await;
    generations.ensure_first(NOW).await.unwrap();
    let found = generations.read().await.unwrap();
    let recorded: Vec<_> = found.generations.iter().map(|one| (one.number, one.form)).collect();
    assert_eq!((recorded, found.live), (vec![(FIRST, 2)], None), "what is shown is made by a rebuild");
    assert_eq!(generations.begin(NOW).await.unwrap().number, FIRST + 1);
    database.remove().await;
}

#[tokio::test]
async fn generations_of_another_form_are_left_to_programs_of_that_form() {
    let database = Database::new();
    let registry = database.plain().await.collection::<Document>("generations");
    let other = doc! {
        "_id": 7, "form": FORM + 1, "state": "following", "first": true, "madeAt": mongodb::bson::DateTime::now(),
    };
    registry.insert_one(other).await.unwrap();
    let pointer = doc! { "_id": format!("live-{}", FORM + 1), "live": 7, "served": [7] };
    registry.insert_one(pointer).await.unwrap();
    let generations = database.connect().await;
    generations.ensure_first(NOW).await.unwrap();
    let found = generations.read().await.unwrap();
    assert_eq!((found.live, found.generations.len()), (None, 1), "what is shown is made by a rebuild");
    assert_eq!(generations.begin(NOW).await.unwrap().number, 8, "no number is used twice");
    let found = generations.read().await.unwrap();
    assert_eq!(found.generations.len(), 2, "a list shows both");
    assert_eq!(found.fed().count(), 0, "services of this form do not touch the other one");
    database.remove().await;
}

#[tokio::test]
async fn what_a_rebuild_has_begun_before_any_service_started_is_not_shown_unfinished() {
    let database = Database::new();
    let generations = database.connect().await;
    assert_eq!(generations.begin(NOW).await.unwrap().number, FIRST);
    generations.ensure_first(NOW).await.unwrap();
    let registry = generations.read().await.unwrap();
    assert_eq!((registry.live, registry.generations.len()), (None, 1));
    assert!(generations.flip(None, FIRST).await.unwrap());
    assert!(!generations.flip(None, FIRST).await.unwrap(), "somebody else did");
    assert_eq!(generations.read().await.unwrap().live, Some(FIRST));
    database.remove().await;
}
