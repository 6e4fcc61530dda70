//! Lists by name, kinds in any form, and the histories in which an entry is: over HTTP, and in both stores.

use std::sync::Arc;

use query_service::{
    queries::{Kinds, PageRequest, Rooms, UserHistory},
    read_models::HistoryKind,
    stores::{Queries, Swap, memory::MemoryReadModels},
};
use serde_json::Value;
use shared_events::{
    Erasures, Reservation, Timestamp, UserId,
    erasure::Bytes32,
    names::sort_key,
    reservation_events::{ReservationCancelled, ReservationMade},
};

use crate::{
    conformance::all_pages,
    events::{DAY, Stream},
    feed_double::FeedDouble,
    mongo_database::TestDatabase,
    pipelines::{messages, new_pipeline},
    store_double::Store,
    test_service::{TestService, range},
};

const NAMES: [&str; 8] =
    ["apple", "Ärzte", "Room", "Room 2", "Room 10", "Room 010", "Zebra", "\u{200b}zebra 7"];

/// One room of each name, registered in another order. Kinds have the same names.
fn streams() -> Vec<Stream> {
    let mut names = NAMES;
    names.reverse();
    names.swap(1, 4);
    names.map(|name| Stream::of_kind(name, name)).into()
}

async fn both(server: &TestDatabase) -> [Arc<dyn Store>; 2] {
    [Arc::new(server.models("g1_").await), Arc::new(MemoryReadModels::new())]
}

async fn filled(store: &Arc<dyn Store>, streams: &[&Stream]) {
    let events: Vec<_> = streams.iter().flat_map(|stream| stream.events.clone()).collect();
    new_pipeline(store.clone(), &FeedDouble::of(streams)).step(&messages(&events)).await.unwrap();
}

/// By their sort keys: `Room 010` comes after `Room 10` by its characters alone.
fn expected() -> Vec<String> {
    let mut names = NAMES.map(str::to_owned).to_vec();
    names.sort_by_key(|name| sort_key(name));
    assert_eq!(names[..3], ["apple", "Ärzte", "Room"]);
    assert_eq!(names[6], "Zebra");
    names
}

#[tokio::test]
async fn lists_by_name_have_one_order_in_both_stores_and_pages_go_on_in_it() {
    let server = TestDatabase::create().await;
    let mut streams = streams();
    // A room that got its name later stands where its new name does.
    streams[2].change("m");
    streams[2].change(NAMES[5]);
    for store in both(&server).await {
        filled(&store, &streams.iter().collect::<Vec<_>>()).await;
        for limit in 1..=9 {
            let (mut names, mut page) = (Vec::new(), PageRequest::first(limit));
            loop {
                let read = Rooms::default().run(store.as_ref(), &page).await.unwrap();
                names.extend(read.items.into_iter().map(|room| room.settings.name));
                let Some(next) = read.next else { break };
                page = PageRequest { limit, cursor: Some(next) };
            }
            assert_eq!(names, expected(), "in pages of {limit}");
        }
        let kinds = all_pages(async |page| Kinds.page(&store.kinds().await?, &page)).await;
        let kinds: Vec<_> = kinds.into_iter().map(|kind| kind.kind).collect();
        assert_eq!(kinds, expected());
    }
}

#[tokio::test]
async fn rooms_kinds_and_free_rooms_are_listed_in_the_order_of_letters_and_numbers() {
    let names = ["Zebra", "Room 10", "apple", "Room 2", "Ärzte"];
    let streams = names.map(|name| Stream::of_kind(name, name));
    let service = TestService::of(&streams.iter().collect::<Vec<_>>()).await;
    let stay = format!("from={DAY}T10:00:00Z&to={DAY}T12:00:00Z");
    for (path, field) in [
        ("/v1/rooms?".to_owned(), "name"),
        (format!("/v1/availability?{stay}&"), "name"),
        ("/v1/kinds?".to_owned(), "kind"),
    ] {
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = service.get("ann", &format!("{path}limit=2{cursor}")).await;
            names.extend(page.items().iter().map(|item| item[field].as_str().unwrap().to_owned()));
            let Some(next) = page.body["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(names, ["apple", "Ärzte", "Room 2", "Room 10", "Zebra"], "{path}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_kind_is_found_in_any_form_that_commands_would_take() {
    let mut stream = Stream::of_kind("Blue", "Büro");
    stream.reserve("ann", 22, 23);
    let service = TestService::of(&[&stream]).await;
    let paths = [
        "/v1/rooms?".to_owned(),
        format!("/v1/availability?from={DAY}T10:00:00Z&to={DAY}T12:00:00Z&"),
        format!("/v1/statistics/popular-rooms?{}&", range()),
    ];
    for path in paths {
        for kind in ["B%C3%BCro", "Bu%CC%88ro", "%20B%C3%BCro%C2%A0", "%20Bu%CC%88ro"] {
            let found = service.get("ann", &format!("{path}kind={kind}")).await;
            assert_eq!(found.items().len(), 1, "{path}kind={kind}");
        }
        for kind in ["%20", "%E2%80%8B", "%E3%85%A4"] {
            let refused = service.get("ann", &format!("{path}kind={kind}")).await;
            assert_eq!(refused.problem(), (400, "invalid-value", "kind"), "{kind}");
        }
    }
    service.stop().await;
}

/// Ann's reservation, which an administrator cancels.
fn cancelled_by_admin() -> Stream {
    let mut stream = Stream::new("Blue");
    let made = stream.reserve("ann", 9, 10);
    stream.reserve("bob", 11, 12);
    let reservation = Reservation { revision: 2, ..made };
    stream.push("desk", ReservationCancelled { reservation }.into());
    stream
}

#[tokio::test]
async fn what_an_administrator_did_to_a_reservation_is_in_its_owners_history_with_who_did_it() {
    let stream = cancelled_by_admin();
    let service = TestService::of(&[&stream]).await;
    let history = async |user: &str| {
        let page = service.get(user, "/v1/me/history").await;
        let entry = |item: &Value| {
            (item["what"].as_str().unwrap().to_owned(), item["by"].as_str().map(str::to_owned))
        };
        page.items().iter().map(entry).collect::<Vec<_>>()
    };
    let (made, cancelled) = ("made".to_owned(), "cancelled".to_owned());
    assert_eq!(history("ann").await, [(cancelled.clone(), Some("desk".to_owned())), (made.clone(), None)]);
    assert_eq!(history("desk").await, [(cancelled, None)], "and in that of who did it, as before");
    assert_eq!(history("bob").await, [(made, None)]);
    service.stop().await;
}

async fn entries(store: &dyn Queries, user: &str) -> Vec<(HistoryKind, String, String)> {
    let query = UserHistory { user: UserId::new(user).unwrap() };
    let entries = all_pages(async |page| query.run(store, &page).await).await;
    let shown = |entry: query_service::read_models::HistoryDoc| {
        let change = entry.clone().into_reservation().unwrap();
        let kind = if change.is_live() { HistoryKind::Made } else { HistoryKind::Cancelled };
        (kind, entry.by.to_string(), change.reservation.reserved_by.to_string())
    };
    entries.into_iter().map(shown).collect()
}

#[tokio::test]
async fn an_entry_of_two_people_masks_either_of_them_and_stays_in_the_history_of_both() {
    let server = TestDatabase::create().await;
    let generations = server.generations();
    generations.ensure_first(Timestamp::from_epoch_millis(0)).await.unwrap();
    let number = generations.read().await.unwrap().live.unwrap();
    let mongo: Arc<dyn Store> = Arc::new(generations.models(number).await.unwrap());
    let memory: Arc<dyn Store> = Arc::new(MemoryReadModels::new());
    let stream = cancelled_by_admin();
    let mut known = Erasures::default();
    let mut list = Erasures { secret: Bytes32([7; 32]), ..Erasures::default() };
    for store in [&mongo, &memory] {
        filled(store, &[&stream]).await;
    }
    for (user, pseudonym) in [("ann", "erased-1"), ("desk", "erased-2")] {
        let user = UserId::new(user).unwrap();
        list.last += 1;
        list.epoch += 1;
        list.persons.insert(list.fingerprint(&user), (list.last, UserId::new(pseudonym).unwrap()));
        assert!(generations.mask(&user, &list).await.unwrap() > 0);
        let kept = memory.keep_erasures(Some(&known), &Arc::new(list.clone())).await.unwrap();
        assert_eq!(kept, Swap::Done);
        known = list.clone();
        for store in [&mongo, &memory] {
            let desk = if list.last == 1 { "desk" } else { "erased-2" };
            let cancelled = (HistoryKind::Cancelled, desk.to_owned(), "erased-1".to_owned());
            let made = (HistoryKind::Made, "erased-1".to_owned(), "erased-1".to_owned());
            assert_eq!(entries(store.as_ref(), desk).await, std::slice::from_ref(&cancelled));
            assert_eq!(entries(store.as_ref(), "erased-1").await, [cancelled, made]);
            assert_eq!(entries(store.as_ref(), user.as_str()).await, []);
            assert_eq!(entries(store.as_ref(), "bob").await.len(), 1);
        }
    }
}

/// A reservation that the office makes for Ann, and she changes.
fn booked_for_ann() -> (Stream, Reservation) {
    let mut stream = Stream::new("Blue");
    let mut made = stream.reserve("ann", 9, 10);
    stream.events.pop();
    made.booked_by = Some(UserId::new("office").unwrap());
    stream.push("office", ReservationMade { reservation: made.clone() }.into());
    stream.reschedule(&made, 10, 11);
    (stream, made)
}

#[tokio::test]
async fn who_reserved_for_an_owner_reads_it_and_both_have_all_of_its_history() {
    let (stream, made) = booked_for_ann();
    let service = TestService::of(&[&stream]).await;
    let path = format!("/v1/reservations/{}", made.id);
    for user in ["ann", "office"] {
        let shown = service.get(user, &path).await;
        assert_eq!((&shown.body["reservedBy"], &shown.body["bookedBy"]), (&"ann".into(), &"office".into()));
        assert_eq!(service.get(user, &format!("{path}/revisions")).await.items().len(), 2);
        let history = service.get(user, "/v1/me/history").await;
        let by: Vec<_> = history.items().iter().map(|entry| entry["by"].as_str()).collect();
        let expected = if user == "ann" { [None, Some("office")] } else { [Some("ann"), None] };
        assert_eq!(by, expected);
        let schedule = service.get(user, &format!("/v1/rooms/{}/schedule?{}", stream.room, range())).await;
        assert_eq!(schedule.items()[0]["bookedBy"], "office");
    }
    assert_eq!(service.get("bob", &path).await.problem().0, 403);
    assert_eq!(service.get("ann", "/v1/me/reservations").await.items().len(), 1);
    assert_eq!(service.get("office", "/v1/me/reservations").await.items().len(), 0, "it is Ann's");
    service.stop().await;
}

#[tokio::test]
async fn an_erasure_masks_who_reserved_for_an_owner_in_both_stores() {
    let server = TestDatabase::create().await;
    let generations = server.generations();
    generations.ensure_first(Timestamp::from_epoch_millis(0)).await.unwrap();
    let number = generations.read().await.unwrap().live.unwrap();
    let mongo: Arc<dyn Store> = Arc::new(generations.models(number).await.unwrap());
    let memory: Arc<dyn Store> = Arc::new(MemoryReadModels::new());
    let (stream, made) = booked_for_ann();
    for store in [&mongo, &memory] {
        filled(store, &[&stream]).await;
    }
    let office = UserId::new("office").unwrap();
    let mut list = Erasures { epoch: 1, secret: Bytes32([7; 32]), last: 1, ..Erasures::default() };
    list.persons.insert(list.fingerprint(&office), (1, UserId::new("erased-1").unwrap()));
    assert!(generations.mask(&office, &list).await.unwrap() > 0);
    // The feed of the events had an empty list.
    let known = Erasures::default();
    let kept = memory.keep_erasures(Some(&known), &Arc::new(list.clone())).await.unwrap();
    assert_eq!(kept, Swap::Done);
    assert_eq!(generations.mask(&office, &list).await.unwrap(), 0, "there is nothing left");
    for store in [&mongo, &memory] {
        let masked = store.reservation(made.id).await.unwrap().unwrap().reservation;
        assert_eq!(masked.booked_by.unwrap().as_str(), "erased-1");
        assert_eq!((masked.reserved_by.as_str(), masked.title), ("ann", made.title.clone()));
        for user in ["erased-1", "ann"] {
            let query = UserHistory { user: UserId::new(user).unwrap() };
            let entries = all_pages(async |page| query.run(store.as_ref(), &page).await).await;
            let bookers: Vec<_> =
                entries.iter().map(|entry| entry.reservation().unwrap().booked_by.clone().unwrap()).collect();
            assert_eq!(
                bookers,
                [UserId::new("erased-1").unwrap(), UserId::new("erased-1").unwrap()],
                "{user}"
            );
        }
    }
}
