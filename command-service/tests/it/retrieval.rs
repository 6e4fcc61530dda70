//! The feed as readers use it that were told of new events, on both stores.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use command_service::{
    http::Backend,
    outbox::handoff,
    writer::{Options, writer},
};
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::ids;
use shared_events::UserId;
use tokio::sync::oneshot;

use crate::{
    hooked_store::HookedLog,
    samples::{event, events, new_room},
    test_service::{Answer, TestService, send},
    test_store::TestStore,
};

const NOWHERE: &str = "0190a5b0-0000-7000-8000-000000000001";

async fn on_both() -> Vec<TestService> {
    let mut services = Vec::new();
    for store in TestStore::both().await {
        services.push(TestService::start_closed(store).open().await);
    }
    services
}

/// A room with so many reservations, of Ann.
async fn room_with(service: &TestService, name: &str, reservations: u32) -> String {
    let room = service.room(name, json!({})).await;
    for hour in 0..reservations {
        service.reserve("ann", &room, hour, hour + 1).await.expect(201);
    }
    room
}

async fn ask(service: &TestService, items: Value) -> Answer {
    let question = json!({ "items": items });
    send(service.admin(Method::POST, "/v1/events/query").json(&question)).await
}

/// The versions of the events of an item, and the head.
fn versions(item: &Value) -> (Vec<u64>, Option<u64>) {
    let events = item["events"].as_array().unwrap().iter();
    let versions = events.map(|event| event["sequence"].as_str().unwrap().parse().unwrap());
    (versions.collect(), item["head"].as_u64())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_a_stream_ends_at_the_version_that_is_asked_for() {
    for service in on_both().await {
        let room = room_with(&service, "Blue", 5).await;
        let page = async |parameters: &str| {
            let path = format!("/v1/streams/{room}/events?{parameters}");
            let page = send(service.admin(Method::GET, &path)).await.expect(200).body;
            let items = page["items"].as_array().unwrap().iter();
            let found: Vec<String> =
                items.map(|event| event["sequence"].as_str().unwrap().to_owned()).collect();
            (found.join(" "), page["next"].as_str().map(str::to_owned))
        };
        assert_eq!(page("after=1&upTo=4").await, ("2 3 4".to_owned(), None));
        assert_eq!(page("after=1&upTo=4&limit=2").await, ("2 3".to_owned(), Some("3".to_owned())));
        assert_eq!(page("after=3&upTo=4&limit=2").await, ("4".to_owned(), None));
        assert_eq!(page("after=4&upTo=99").await, ("5 6".to_owned(), None));
        for range in ["after=4&upTo=4", "upTo=0", "upTo=18446744073709551615", "upTo=x"] {
            let path = format!("/v1/streams/{room}/events?{range}");
            let refused = send(service.admin(Method::GET, &path)).await;
            assert_eq!(refused.problem(), (400, "invalid-value", "upTo"), "{range}");
        }
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_has_a_tag_that_changes_when_its_person_is_erased_even_before_it_is_masked_in_the_store() {
    for service in on_both().await {
        let room = room_with(&service, "Blue", 1).await;
        let path = format!("/v1/streams/{room}/events/2");
        let get =
            async |tags: &str| send(service.admin(Method::GET, &path).header("If-None-Match", tags)).await;
        let first = get("\"other\"").await.expect(200);
        let tag = first.header("etag").to_owned();
        assert_eq!(tag, format!("\"{room}:2:0\""));
        assert_eq!(first.header("cache-control"), "private, no-cache");
        assert_eq!((&first.body["sequence"], &first.body["actor"]), (&json!("2"), &json!("ann")));
        let same = get(&format!("\"x\", W/{tag}")).await.expect(304);
        assert_eq!(same.header("etag"), tag);

        // Listed, and not masked yet: an erasure stops anywhere.
        let store = service.store.open(None).await;
        let ann = UserId::new("ann").unwrap();
        let person = store.erasure_of(&ann).await.unwrap().fingerprint(&ann);
        let pseudonym = UserId::new("erased-1").unwrap();
        store.begin_erasure(person, &pseudonym).await.unwrap();
        let listed = get(&tag).await.expect(200);
        let tag = listed.header("etag").to_owned();
        assert_eq!(tag, format!("\"{room}:2:1\""));
        assert!(!listed.body.to_string().contains("\"ann\""), "{listed:?}");
        send(service.admin(Method::POST, "/v1/erasures").json(&json!({"user": "ann"}))).await.expect(200);
        get(&tag).await.expect(304);
        let masked = get("\"other\"").await.expect(200);
        assert_eq!(masked.body, listed.body, "one tag, one form");

        let nothing = async |path: &str| send(service.admin(Method::GET, path)).await;
        for version in ["0", "3", "18446744073709551615"] {
            let answer = nothing(&format!("/v1/streams/{room}/events/{version}")).await;
            assert_eq!(answer.problem(), (404, "not-found", ""), "{version}");
            assert_eq!(answer.body["head"], json!(2));
        }
        let answer = nothing(&format!("/v1/streams/{NOWHERE}/events/1")).await;
        assert_eq!(answer.problem(), (404, "unknown-room", ""));
        for version in ["-1", "x", "18446744073709551616"] {
            let answer = nothing(&format!("/v1/streams/{room}/events/{version}")).await;
            assert_eq!(answer.problem(), (400, "invalid-value", "version"), "{version}");
        }
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_each_stream_by_itself_and_query_is_its_twin() {
    for service in on_both().await {
        let (blue, red) = (room_with(&service, "Blue", 4).await, room_with(&service, "Red", 1).await);
        let items = json!([
            {"room": red, "after": 0},
            {"room": NOWHERE, "after": 0},
            {"room": blue, "after": 1, "upTo": 3},
            {"room": "0190a5b0-0000-7000-8000-000000000002", "after": 0, "upTo": 1},
        ]);
        let answer = ask(&service, items.clone()).await.expect(200).body;
        assert_eq!(versions(&answer["items"][0]), (vec![1, 2], Some(2)));
        assert_eq!(answer["items"][0]["events"][0]["id"], json!(format!("{red}:1")));
        let unknown = &answer["items"][1];
        assert_eq!(
            (&unknown["problem"]["type"], versions(unknown)),
            (&json!("/problems/unknown-room"), (vec![], None))
        );
        assert_eq!(versions(&answer["items"][2]), (vec![2, 3], Some(5)));
        let early = &answer["items"][3]["problem"];
        assert_eq!((&early["type"], &early["status"]), (&json!("/problems/not-yet-visible"), &json!(503)));

        let method = Method::from_bytes(b"QUERY").unwrap();
        let twin = service.admin(method, "/v1/events").json(&json!({ "items": items }));
        assert_eq!(send(twin).await.expect(200).body, answer);
        let at_head =
            ask(&service, json!([{"room": red, "after": 2}, {"room": blue, "after": 9}])).await.expect(200);
        assert_eq!(versions(&at_head.body["items"][0]), (vec![], Some(2)));
        assert_eq!(versions(&at_head.body["items"][1]), (vec![], Some(5)));
        let refused = send(service.admin(Method::GET, "/v1/events")).await;
        assert_eq!((refused.problem().0, refused.header("allow")), (405, "QUERY, OPTIONS"));
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_for_a_version_that_is_not_visible_yet() {
    for store in TestStore::both().await {
        let opened = store.open(None).await;
        let (looks, looked) = oneshot::channel();
        let log = HookedLog::after_heads(&opened, Box::pin(async { looks.send(()).unwrap() }));
        let service = TestService::start_closed(store);
        let (writer, writing) =
            writer(Arc::clone(&opened).into(), service.clock.clone(), handoff().0, &Options::default());
        service.gate.open(Backend { log, ..Backend::new(writer, opened) });
        let writing = tokio::spawn(writing);
        let room = room_with(&service, "Blue", 1).await;
        let wait = async |up_to: u64, prefer: &str| {
            let question = json!({"items": [{"room": room, "after": 2, "upTo": up_to}]});
            let request = service.admin(Method::POST, "/v1/events/query").header("Prefer", prefer);
            send(request.json(&question)).await
        };
        let later = async {
            looked.await.unwrap();
            service.reserve("ann", &room, 5, 6).await.expect(201)
        };
        let (answer, _) = tokio::join!(wait(3, "wait=10"), later);
        assert_eq!(versions(&answer.expect(200).body["items"][0]), (vec![3], Some(3)));
        let began = Instant::now();
        let answer = wait(4, "wait=1").await.expect(200);
        assert!(began.elapsed() >= Duration::from_secs(1));
        let item = &answer.body["items"][0];
        assert_eq!(item["problem"]["type"], json!("/problems/not-yet-visible"));
        assert_eq!(versions(item), (vec![], Some(3)));
        assert_eq!(wait(3, "wait=soon").await.problem(), (400, "invalid-value", "Prefer"));
        service.stop().await;
        writing.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_a_thousand_events_which_its_streams_share() {
    for service in on_both().await {
        let store = service.store.open(None).await;
        let streams = [(new_room(), 700), (new_room(), 10), (new_room(), 700), (new_room(), 1_300)];
        for (room, last) in streams {
            let group = events((1..=last).map(|version| event(room, version)).collect());
            store.append(&group).await.unwrap();
        }
        let [one, small, two, long] = streams.map(|(room, _)| room);
        let range = |room, after: u64| json!({"room": room, "after": after});
        let items = json!([range(one, 0), range(small, 0), range(two, 600)]);
        let answer = ask(&service, items).await.expect(200).body;
        let found: Vec<_> = answer["items"].as_array().unwrap().iter().map(versions).collect();
        assert_eq!(found[0], ((1..=700).collect(), Some(700)), "all of them have a place");
        assert_eq!(found[1], ((1..=10).collect(), Some(10)));
        assert_eq!(found[2], ((601..=700).collect(), Some(700)));

        let items = json!([range(long, 0), range(small, 4), range(two, 0)]);
        let answer = ask(&service, items).await.expect(200).body;
        let found: Vec<_> = answer["items"].as_array().unwrap().iter().map(versions).collect();
        assert_eq!(found[0], ((1..=497).collect(), Some(1_300)));
        assert_eq!(found[1], ((5..=10).collect(), Some(10)));
        assert_eq!(found[2], ((1..=497).collect(), Some(700)));
        let items = json!([{"room": long, "after": 0, "upTo": 3}, range(two, 700)]);
        let answer = ask(&service, items).await.expect(200).body;
        assert_eq!(versions(&answer["items"][0]), (vec![1, 2, 3], Some(1_300)));
        assert_eq!(versions(&answer["items"][1]), (vec![], Some(700)));
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_cannot_be_answered_are_refused_whole() {
    let service = TestService::start_closed(TestStore::sqlite()).open().await;
    let room = room_with(&service, "Blue", 1).await;
    let many: Vec<Value> = (0..65).map(|_| json!({"room": ids::new_id(), "after": 0})).collect();
    let huge = u64::MAX;
    let cases = [
        (json!([]), ("invalid-value", "/items")),
        (json!(many), ("invalid-value", "/items")),
        (json!([{"room": room}]), ("invalid-value", "/items/0/after")),
        (json!([{"room": room, "after": -1}]), ("invalid-value", "/items/0/after")),
        (json!([{"room": room, "after": huge}]), ("invalid-value", "/items/0/after")),
        (json!([{"room": room, "after": 1, "upTo": 1}]), ("invalid-value", "/items/0/upTo")),
        (json!([{"room": room, "after": 1, "upTo": huge}]), ("invalid-value", "/items/0/upTo")),
        (json!([{"room": "blue", "after": 1}]), ("invalid-value", "/items/0/room")),
        (json!([{"room": room, "after": 1}, {"room": room, "after": 2}]), ("invalid-value", "/items/1/room")),
        (json!([{"room": room, "after": 1, "before": 3}]), ("unknown-field", "/items/0/before")),
        (json!({"room": room}), ("invalid-value", "/items")),
    ];
    for (items, (kind, field)) in cases {
        let refused = ask(&service, items.clone()).await;
        assert_eq!(refused.problem(), (400, kind, field), "{items:.300}");
    }
    let question = |body: &'static str, media_type: &str| {
        let request = service.admin(Method::POST, "/v1/events/query").header("Content-Type", media_type);
        send(request.body(body))
    };
    assert_eq!(question("{", "application/json").await.problem().1, "malformed");
    assert_eq!(question("{}", "text/plain").await.problem().0, 415);
    let ask_as = async |roles: &str| {
        let request = service.user("ann", Method::POST, "/v1/events/query").header("X-Roles", roles);
        send(request.json(&json!({"items": [{"room": room, "after": 0}]}))).await
    };
    assert_eq!(ask_as("eraser").await.problem().0, 403);
    assert_eq!(versions(&ask_as("service").await.expect(200).body["items"][0]).1, Some(2));
    service.stop().await;
}
