//! The list of erased persons: how stores learn of it, and what a restored or foreign one does.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use mongodb::bson::{Binary, Document, RawDocumentBuf, doc, rawdoc, spec::BinarySubtype};
use query_service::{
    erasures::learn,
    stores::{ErasureList, Swap, memory::MemoryReadModels},
};
use shared_events::{Erasures, UserId, erasure::Bytes32};

use crate::{
    erasure::{ANN, is_masked, list, stream},
    feed_double::FeedDouble,
    mongo_database::TestDatabase,
    pipelines::{messages, new_pipeline},
    store_double::Store,
};

/// An event store's list of these persons, in this order. `history` tells its pseudonyms from those of other lists.
fn of(history: &str, persons: impl IntoIterator<Item = u64>) -> Erasures {
    let mut list = Erasures { secret: Bytes32([7; 32]), ..Erasures::default() };
    for person in persons {
        list.last += 1;
        list.epoch += 1;
        let pseudonym = UserId::new(format!("erased-{history}-{person}")).unwrap();
        list.persons.insert(fingerprint(person), (list.last, pseudonym));
    }
    list
}

fn fingerprint(person: u64) -> Bytes32 {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&person.to_be_bytes());
    Bytes32(bytes)
}

fn numbers(list: &Erasures) -> Vec<u64> {
    list.persons.keys().map(|person| u64::from_be_bytes(person.0[..8].try_into().unwrap())).collect()
}

#[tokio::test]
async fn only_new_entries_of_the_list_are_read_and_written() {
    let (server, sent) = TestDatabase::recorded(&["find", "update"]).await;
    let (one, other) = (server.models("g1_").await, server.models("g1_").await);
    let feed = FeedDouble::of(&[]);
    let learn = async || {
        sent.lock().unwrap().clear();
        let before = feed.erased_read.load(Ordering::SeqCst);
        let list = learn(&*feed, &one).await.unwrap();
        let shown = other.erasures().await.unwrap().unwrap();
        assert_eq!(numbers(&shown), numbers(&list));
        let sent = sent.lock().unwrap();
        let of_persons = |command: &&Document| {
            [command.get("find"), command.get("update")].contains(&Some(&"erased_persons".into()))
        };
        let sent: Vec<Document> = sent.iter().filter(of_persons).cloned().collect();
        (feed.erased_read.load(Ordering::SeqCst) - before, sent)
    };
    *feed.erasures.lock().unwrap() = of("a", 1..=10);
    learn().await;
    *feed.erasures.lock().unwrap() = of("a", 1..=12);
    let (read, sent) = learn().await;
    assert_eq!(read, 3, "the last known one and two new ones");
    let written: Vec<usize> =
        sent.iter().filter_map(|command| Some(command.get_array("updates").ok()?.len())).collect();
    assert_eq!(written, [2]);
    let filters: Vec<_> = sent.iter().filter_map(|command| command.get_document("filter").ok()).collect();
    assert!(!filters.is_empty());
    assert!(filters.iter().all(|filter| **filter == doc! { "seq": { "$gt": 10_i64 } }), "{filters:?}");
    let (read, sent) = learn().await;
    assert_eq!((read, sent), (1, Vec::new()), "nothing is new");
}

#[tokio::test]
async fn a_restored_list_is_read_anew_by_all_and_forgets_nobody() {
    let restored = [of("b", 11..=21), of("b", (1..=8).chain([11, 12])), of("b", 11..=13), of("a", 1..=8)];
    for restored in restored {
        let server = TestDatabase::create().await;
        let stores: [Arc<dyn Store>; 3] = [
            Arc::new(server.models("g1_").await),
            Arc::new(server.models("g1_").await),
            Arc::new(MemoryReadModels::new()),
        ];
        let feed = FeedDouble::of(&[]);
        *feed.erasures.lock().unwrap() = of("a", 1..=10);
        for store in &stores {
            learn(&*feed, store.as_ref()).await.unwrap();
        }
        let mut expected: BTreeSet<u64> = (1..=10).chain(numbers(&restored)).collect();
        *feed.erasures.lock().unwrap() = restored.clone();
        learn(&*feed, stores[0].as_ref()).await.unwrap();
        learn(&*feed, stores[2].as_ref()).await.unwrap();
        let read = feed.erased_read.load(Ordering::SeqCst);
        for store in &stores {
            let shown = store.erasures().await.unwrap().unwrap();
            assert!(numbers(&shown).into_iter().eq(expected.iter().copied()), "{restored:?}: {shown:?}");
            learn(&*feed, store.as_ref()).await.unwrap();
        }
        assert_eq!(feed.erased_read.load(Ordering::SeqCst) - read, 3, "each asks for the last one again");
        // It grows on from there.
        let mut grown = restored;
        grown.persons.insert(fingerprint(99), (grown.last + 1, UserId::new("erased-99").unwrap()));
        (grown.epoch, grown.last) = (grown.epoch + 1, grown.last + 1);
        expected.insert(99);
        *feed.erasures.lock().unwrap() = grown;
        learn(&*feed, stores[1].as_ref()).await.unwrap();
        let shown = stores[0].erasures().await.unwrap().unwrap();
        assert!(numbers(&shown).into_iter().eq(expected), "{shown:?}");
    }
}

#[tokio::test]
async fn a_restored_database_gets_the_persons_that_it_lacks() {
    let server = TestDatabase::create().await;
    let (one, feed) = (server.models("g1_").await, FeedDouble::of(&[]));
    *feed.erasures.lock().unwrap() = of("a", 1..=8);
    learn(&*feed, &one).await.unwrap();
    let copy = server.collection("erasures").find_one(doc! {}).await.unwrap().unwrap();
    *feed.erasures.lock().unwrap() = of("a", 1..=10);
    learn(&*feed, &one).await.unwrap();
    server.collection("erasures").replace_one(doc! {}, copy).await.unwrap();
    server.collection("erased_persons").delete_many(doc! { "seq": { "$gt": 8 } }).await.unwrap();
    learn(&*feed, &one).await.unwrap();
    assert_eq!(*server.models("g1_").await.erasures().await.unwrap().unwrap(), of("a", 1..=10));
}

#[tokio::test]
async fn a_list_of_another_event_store_replaces_the_known_one() {
    let server = TestDatabase::create().await;
    let stores: [Arc<dyn Store>; 2] =
        [Arc::new(server.models("g1_").await), Arc::new(MemoryReadModels::new())];
    for store in stores {
        let feed = FeedDouble::of(&[]);
        *feed.erasures.lock().unwrap() = of("a", 1..=3);
        learn(&*feed, store.as_ref()).await.unwrap();
        let mut foreign = Erasures { epoch: 1, secret: Bytes32([8; 32]), last: 1, ..Erasures::default() };
        let ann = foreign.fingerprint(&UserId::new(ANN).unwrap());
        foreign.persons.insert(ann, (1, UserId::new("erased-1").unwrap()));
        *feed.erasures.lock().unwrap() = foreign.clone();
        assert_eq!(*learn(&*feed, store.as_ref()).await.unwrap(), foreign);
        let shown = store.erasures().await.unwrap().unwrap();
        assert_eq!(shown.pseudonym(&UserId::new(ANN).unwrap()), Some(&UserId::new("erased-1").unwrap()));
    }
}

#[tokio::test]
async fn a_delayed_reading_replaces_no_later_list() {
    let server = TestDatabase::create().await;
    let stores: [Arc<dyn Store>; 2] =
        [Arc::new(server.models("g1_").await), Arc::new(MemoryReadModels::new())];
    for store in stores {
        let [one, two, three] = [1, 2, 3].map(|last| Arc::new(of("a", 1..=last)));
        assert_eq!(store.keep_erasures(None, &one).await.unwrap(), Swap::Done);
        assert_eq!(store.keep_erasures(None, &two).await.unwrap(), Swap::Moved);
        assert_eq!(store.keep_erasures(Some(&one), &three).await.unwrap(), Swap::Done);
        assert_eq!(store.keep_erasures(Some(&one), &two).await.unwrap(), Swap::Moved);
        assert_eq!(store.erasures().await.unwrap().unwrap(), three);
    }
}

#[tokio::test]
async fn a_list_is_never_shown_without_one_of_its_persons() {
    let server = TestDatabase::create().await;
    let feed = FeedDouble::of(&[]);
    let grown = Arc::new(AtomicBool::new(false));
    let writers = async {
        // Two instances learn of each of the same entries.
        let (one, other) = (server.models("g1_").await, server.models("g1_").await);
        for last in 1..=60 {
            *feed.erasures.lock().unwrap() = of("a", 1..=last);
            let (one, other) = tokio::join!(learn(&*feed, &one), learn(&*feed, &other));
            assert_eq!((one.unwrap().epoch, other.unwrap().epoch), (last, last));
        }
        grown.store(true, Ordering::SeqCst);
    };
    let reader = async || {
        let mut seen = BTreeSet::new();
        while !grown.load(Ordering::SeqCst) {
            // Each second one has read nothing before.
            let fresh = server.generations();
            let known = fresh.erasures().await.unwrap();
            for list in [known, fresh.erasures().await.unwrap()].into_iter().flatten() {
                assert!(
                    numbers(&list).into_iter().take(usize::try_from(list.epoch).unwrap()).eq(1..=list.epoch),
                    "{list:?}"
                );
                seen.insert(list.epoch);
            }
        }
        assert!(seen.len() > 5, "{seen:?}");
    };
    tokio::join!(writers, reader(), reader());
}

#[tokio::test]
async fn a_list_of_an_earlier_form_is_read_from_the_feed() {
    let server = TestDatabase::create().await;
    let store: Arc<dyn Store> = Arc::new(server.models("g1_").await);
    let secret = || Binary { subtype: BinarySubtype::Generic, bytes: vec![7; 32] };
    let earlier = doc! { "_id": "list", "epoch": 1_i64, "secret": secret(), "persons": [] };
    server.collection("erasures").insert_one(earlier).await.unwrap();
    let stream = stream();
    let feed = FeedDouble::of(&[&stream]);
    *feed.erasures.lock().unwrap() = list(1, ANN);
    feed.hides_erasures.store(true, Ordering::SeqCst);
    new_pipeline(store.clone(), &feed).step(&messages(&stream.events)).await.unwrap_err();
    feed.hides_erasures.store(false, Ordering::SeqCst);
    new_pipeline(store.clone(), &feed).step(&messages(&stream.events)).await.unwrap();
    is_masked(store.as_ref(), &stream).await;
    let head = server.collection("erasures").find_one(doc! { "_id": "list" }).await.unwrap().unwrap();
    assert_eq!(head.get("persons"), None, "earlier builds must not take the head for a list of nobody");
}

#[tokio::test]
async fn a_list_of_two_hundred_thousand_works_and_takes_one_more() {
    const PERSONS: u64 = 200_000;
    let server = TestDatabase::create().await;
    let all: Vec<u64> = (1..=PERSONS).collect();
    for part in all.chunks(20_000) {
        let person = |seq: &u64| {
            let id = Binary { subtype: BinarySubtype::Generic, bytes: fingerprint(*seq).0.to_vec() };
            rawdoc! { "_id": id, "seq": seq.cast_signed(), "pseudonym": format!("erased-a-{seq}") }
        };
        let collection = server.collection("erased_persons").clone_with_type::<RawDocumentBuf>();
        collection.insert_many(part.iter().map(person)).await.unwrap();
    }
    let binary = |subtype, bytes| Binary { subtype, bytes };
    let head = doc! {
        "_id": "list", "epoch": PERSONS.cast_signed(), "last": PERSONS.cast_signed(),
        "secret": binary(BinarySubtype::Generic, vec![7; 32]), "history": binary(BinarySubtype::Uuid, vec![1; 16]),
    };
    server.collection("erasures").insert_one(head).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(server.models("g1_").await);
    assert_eq!(*store.erasures().await.unwrap().unwrap(), of("a", 1..=PERSONS));
    let stream = stream();
    let feed = FeedDouble::of(&[&stream]);
    let mut grown = of("a", 1..=PERSONS);
    let ann = grown.fingerprint(&UserId::new(ANN).unwrap());
    grown.persons.insert(ann, (PERSONS + 1, UserId::new("erased-1").unwrap()));
    (grown.epoch, grown.last) = (PERSONS + 1, PERSONS + 1);
    *feed.erasures.lock().unwrap() = grown;
    learn(&*feed, &server.generations()).await.unwrap();
    assert_eq!(feed.erased_read.load(Ordering::SeqCst), 2);
    new_pipeline(store.clone(), &feed).step(&messages(&stream.events)).await.unwrap();
    is_masked(store.as_ref(), &stream).await;
}
