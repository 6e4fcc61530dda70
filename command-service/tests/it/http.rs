//! Commands over real HTTP on real MySQL.

use std::str::FromStr;

use reqwest::Method;
use serde_json::json;
use shared_events::{ConsistencyToken, Metadata, RawEvent, UserId};

use crate::{
    servers::eventually,
    test_service::{NOW, TestService, hour, keyed, send, stay},
    test_store::TestStore,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_room_opens_past_midnight_and_several_times_a_day() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let body = json!({
            "name": "Bar", "kind": "bar", "capacity": 4, "timeZone": "UTC",
            "openingHours": {
                "friday": {"opens": "18:00", "closes": "02:00"},
                "saturday": [{"opens": "10:00", "closes": "12:00"}, {"opens": "18:00", "closes": "26:00"}],
            },
        });
        let made = send(keyed(service.admin(Method::POST, "/v1/rooms")).json(&body)).await.expect(201);
        let room = made.text("room");
        let page = send(service.admin(Method::GET, &format!("/v1/streams/{room}/events"))).await.body;
        let event = &page["items"][0];
        assert_eq!(event["type"], "reservations.room-registered.v2");
        assert_eq!(
            event["data"]["room"]["settings"]["openingHours"],
            json!({
                "friday": [{"opens": "18:00", "closes": "26:00"}],
                "saturday": [{"opens": "10:00", "closes": "12:00"}, {"opens": "18:00", "closes": "26:00"}],
            })
        );
        let reserve = |from: &str, to: &str| {
            let stay = json!({"from": from, "to": to, "people": 1});
            let path = format!("/v1/rooms/{room}/reservations");
            send(keyed(service.user("ann", Method::POST, &path)).json(&stay))
        };
        reserve("2026-03-06T18:00:00Z", "2026-03-07T02:00:00Z").await.expect(201);
        reserve("2026-03-08T00:00:00Z", "2026-03-08T02:00:00Z").await.expect(201);
        let closed = reserve("2026-03-07T02:00:00Z", "2026-03-07T03:00:00Z").await;
        assert_eq!((closed.problem().1, &closed.body["rule"]), ("rule", &json!("openingHours")));
        let plain = json!({"openingHours": {"friday": [{"opens": "18:00", "closes": "24:00"}]}});
        send(service.admin(Method::PATCH, &format!("/v1/rooms/{room}")).json(&plain)).await.expect(200);
        let page = send(service.admin(Method::GET, &format!("/v1/streams/{room}/events"))).await.body;
        let event = page["items"].as_array().unwrap().last().unwrap();
        assert_eq!(event["type"], "reservations.room-changed.v1");
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_registered_changed_and_retired() {
    let service = TestService::start().await;
    let body = json!({
        "name": "  Blue ", "kind": "meeting", "capacity": 4, "timeZone": "Europe/Lisbon", "slotMinutes": 30,
        "openingHours": {"monday": {"opens": "08:00", "closes": "24:00"}}
    });
    let made = send(keyed(service.admin(Method::POST, "/v1/rooms")).json(&body)).await.expect(201);
    let room = made.text("room");
    assert_eq!(made.body, json!({"room": room, "version": 1, "revision": 1}));
    assert_eq!(
        (made.header("etag"), made.header("location")),
        ("\"1\"", format!("/v1/rooms/{room}").as_str())
    );
    let token = ConsistencyToken::from_str(made.header("consistency-token")).unwrap();
    assert_eq!(token.rooms, [(room.parse().unwrap(), 1.into())]);

    let path = format!("/v1/rooms/{room}");
    let patch = json!({"capacity": 9, "openingHours": null});
    let request = service.admin(Method::PATCH, &path).header("If-Match", "\"1\"").json(&patch);
    let changed = send(request).await.expect(200);
    assert_eq!((changed.header("etag"), &changed.body["version"]), ("\"2\"", &json!(2)));
    let same = send(service.admin(Method::PATCH, &path).json(&patch)).await.expect(200);
    assert_eq!(
        (same.header("etag"), &same.body["version"]),
        ("\"2\"", &json!(2)),
        "nothing was to be changed"
    );
    let page = send(service.admin(Method::GET, &format!("/v1/streams/{room}/events"))).await.body;
    let settings = &page["items"][1]["data"]["room"]["settings"];
    assert_eq!((&settings["name"], &settings["capacity"]), (&json!("Blue"), &json!(9)));
    assert_eq!((settings.get("openingHours"), &settings["slotMinutes"]), (None, &json!(30)));

    let retired = send(service.admin(Method::DELETE, &path).header("If-Match", "*")).await.expect(200);
    assert_eq!(retired.body, json!({"room": room, "version": 3, "revision": 3}));
    assert_eq!(service.reserve("ann", &room, 10, 11).await.problem(), (404, "unknown-room", ""));
    service.room("Blue", json!({})).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_taken_once_and_a_room_with_reservations_ahead_stays() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let body = json!({"name": "Blue", "kind": "other", "capacity": 1, "timeZone": "UTC"});
    let taken = send(keyed(service.admin(Method::POST, "/v1/rooms")).json(&body)).await;
    assert_eq!(taken.problem(), (409, "name-taken", "/name"));
    assert_eq!(taken.body["takenBy"], json!(room));
    service.reserve("ann", &room, 10, 11).await.expect(201);
    let refused = send(service.admin(Method::DELETE, &format!("/v1/rooms/{room}"))).await;
    assert_eq!(refused.problem(), (409, "reservations-ahead", ""));
    assert_eq!(refused.body["inTheWay"], json!({"from": hour(10), "to": hour(11)}));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_is_made_changed_moved_and_cancelled() {
    let service = TestService::start().await;
    let (blue, red) = (service.room("Blue", json!({})).await, service.room("Red", json!({})).await);
    let made = service.reserve("ann", &blue, 10, 11).await.expect(201);
    let id = made.text("reservation");
    assert_eq!(made.body, json!({"room": blue, "version": 2, "reservation": id, "revision": 1}));
    assert_eq!(made.header("location"), format!("/v1/reservations/{id}"));

    let in_blue = format!("/v1/rooms/{blue}/reservations/{id}");
    let patch = json!({"to": "2026-03-03T13:00:00+01:00", "title": "Plans"});
    let changed = send(service.user("ann", Method::PATCH, &in_blue).json(&patch)).await.expect(200);
    assert_eq!(changed.header("etag"), "\"2\"");
    let there = json!({"toRoom": blue});
    let request = keyed(service.user("ann", Method::POST, &format!("{in_blue}/move"))).json(&there);
    assert_eq!(send(request).await.problem(), (400, "invalid-value", "/toRoom"));
    let there = json!({"toRoom": red, "from": hour(11)});
    let request = keyed(service.user("ann", Method::POST, &format!("{in_blue}/move"))).json(&there);
    let moved = send(request).await.expect(200);
    assert_eq!(moved.body, json!({"room": red, "version": 2, "reservation": id, "revision": 3}));
    let token = ConsistencyToken::from_str(moved.header("consistency-token")).unwrap();
    assert_eq!(token.rooms.len(), 2, "both rooms have to be seen");

    assert_eq!(
        send(service.user("ann", Method::DELETE, &in_blue)).await.problem(),
        (404, "unknown-reservation", "")
    );
    let in_red = format!("/v1/rooms/{red}/reservations/{id}");
    let gone = send(service.user("ann", Method::DELETE, &in_red)).await.expect(200);
    assert_eq!(gone.body, json!({"room": red, "version": 3, "reservation": id, "revision": 4}));
    assert_eq!(
        send(service.user("ann", Method::DELETE, &in_red)).await.problem(),
        (404, "unknown-reservation", "")
    );
    let made = "reservation-made";
    let expected = ["room-registered", made, "reservation-rescheduled", "reservation-moved-out"];
    assert_eq!(service.events(&blue).await, expected);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_with_the_same_key_gets_the_same_answer_and_makes_one_event() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let path = format!("/v1/rooms/{room}/reservations");
    let with = |user: &str, key: &str, from: u32| {
        service.user(user, Method::POST, &path).header("Idempotency-Key", key).json(&stay(from, from + 1))
    };
    let first = send(with("ann", "k-1", 10)).await.expect(201);
    assert_eq!(first.header("idempotency-replayed"), "");
    for key in ["k-1", "\"k-1\""] {
        let again = send(with("ann", key, 10)).await.expect(201);
        assert_eq!(again.body, first.body);
        for header in ["etag", "location", "consistency-token"] {
            assert_eq!(again.header(header), first.header(header));
        }
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
    assert_eq!(send(with("ann", "k-1", 11)).await.problem(), (422, "key-reused", ""));
    assert_eq!(
        send(with("bob", "k-1", 10)).await.problem(),
        (409, "overlap", ""),
        "keys are each caller's own"
    );
    send(with("bob", "k-1", 12)).await.expect(201);
    assert_eq!(service.events(&room).await.len(), 3);

    let id = first.text("reservation");
    let cancel =
        service.user("ann", Method::DELETE, &format!("{path}/{id}")).header("Idempotency-Key", "k-2");
    let cancelled = send(cancel.try_clone().unwrap()).await.expect(200);
    assert_eq!(send(cancel).await.expect(200).body, cancelled.body);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_is_decided_anew_when_it_is_sent_again() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let id = service.reserve("ann", &room, 10, 12).await.expect(201).text("reservation");
    let path = format!("/v1/rooms/{room}/reservations");
    let request = keyed(service.user("bob", Method::POST, &path)).json(&stay(11, 13));
    let refused = send(request.try_clone().unwrap()).await;
    assert_eq!(refused.problem(), (409, "overlap", ""));
    assert_eq!(refused.body["inTheWay"], json!({"reservation": id, "from": hour(10), "to": hour(12)}));
    assert_eq!((refused.text("room"), &refused.body["version"]), (room.clone(), &json!(2)));
    send(service.user("ann", Method::DELETE, &format!("{path}/{id}"))).await.expect(200);
    send(request).await.expect(201);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_of_a_running_request_is_told_to_wait() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    // Another session holds the place of the room's next event, so that the first request can't be committed.
    let blocking = service
        .store
        .insert_without_commit(&RawEvent {
            room: room.parse().unwrap(),
            version: 2.into(),
            event_type: "reservations.room-changed.v1".into(),
            payload: b"{}".to_vec(),
            metadata: Metadata {
                time: NOW.parse().unwrap(),
                subject: room.clone(),
                actor: UserId::new("root").unwrap(),
                correlation_id: "1".into(),
                causation_id: "1".into(),
                traceparent: None,
            },
            recorded_at: NOW.parse().unwrap(),
        })
        .await;
    let path = format!("/v1/rooms/{room}/reservations");
    let request = keyed(service.user("ann", Method::POST, &path)).json(&stay(10, 11));
    let one = tokio::spawn(send(request.try_clone().unwrap()));
    let other = tokio::spawn(send(request.try_clone().unwrap()));
    let refused = tokio::select! {
        answer = one => answer.unwrap(),
        answer = other => answer.unwrap(),
    };
    assert_eq!(refused.problem(), (409, "in-progress", ""));
    assert_eq!(refused.header("retry-after"), "1");
    drop(blocking);
    eventually("the first request has ended", async || {
        let answer = send(request.try_clone().unwrap()).await;
        assert!(answer.status == 201 || answer.problem() == (409, "in-progress", ""), "{}", answer.status);
        answer.status == 201
    })
    .await;
    let done = send(request).await.expect(201);
    assert_eq!(done.header("idempotency-replayed"), "true");
    assert_eq!(service.events(&room).await, ["room-registered", "reservation-made"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_free_room_of_a_kind_is_found() {
    let service = TestService::start().await;
    let kind = json!({"kind": "Büro/groß & hell"});
    let (one, two) = (service.room("One", kind.clone()).await, service.room("Two", kind).await);
    let path = "/v1/kinds/B%C3%BCro%2Fgro%C3%9F%20%26%20hell/reservations";
    let reserve =
        |from: u32| send(keyed(service.user("ann", Method::POST, path)).json(&stay(from, from + 2)));
    assert_eq!(reserve(10).await.expect(201).text("room"), one);
    assert_eq!(reserve(11).await.expect(201).text("room"), two);
    let full = reserve(10).await;
    assert_eq!(full.problem(), (409, "no-free-room", ""));
    let mut seen: Vec<_> =
        full.body["rooms"].as_array().unwrap().iter().map(|room| room["version"].clone()).collect();
    seen.sort_by_key(|version| version.as_u64());
    assert_eq!(seen, [json!(2), json!(2)]);
    let many = json!({"from": hour(20), "to": hour(21), "people": 5});
    let refused = send(keyed(service.user("ann", Method::POST, path)).json(&many)).await;
    assert_eq!(refused.problem(), (422, "rule", ""));
    assert_eq!((&refused.body["rule"], &refused.body["limit"]), (&json!("capacity"), &json!(4)));
    let nowhere = "/v1/kinds/nothing/reservations";
    let unknown = send(keyed(service.user("ann", Method::POST, nowhere)).json(&stay(10, 11))).await;
    assert_eq!(unknown.problem(), (404, "unknown-kind", ""));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_named_with_its_limit() {
    let service = TestService::start().await;
    let rules = json!({
        "slotMinutes": 30, "minMinutes": 60, "maxMinutes": 120, "maxDaysAhead": 2,
        "openingHours": {"tuesday": {"opens": "08:00", "closes": "18:00"}, "wednesday": {"opens": "08:00", "closes": "18:00"}}
    });
    let room = service.room("Blue", rules).await;
    let path = format!("/v1/rooms/{room}/reservations");
    let cases = [
        ("2026-03-03T10:10:00Z", "2026-03-03T11:10:00Z", "rule", json!("slotMinutes"), json!(30)),
        ("2026-03-03T10:00:00Z", "2026-03-03T10:30:00Z", "rule", json!("minMinutes"), json!(60)),
        ("2026-03-03T10:00:00Z", "2026-03-03T12:30:00Z", "rule", json!("maxMinutes"), json!(120)),
        ("2026-03-03T17:00:00Z", "2026-03-03T18:30:00Z", "rule", json!("openingHours"), json!(null)),
        ("2026-03-10T10:00:00Z", "2026-03-10T11:00:00Z", "rule", json!("maxDaysAhead"), json!(2)),
        ("2026-03-02T07:00:00Z", "2026-03-02T08:00:00Z", "in-the-past", json!(null), json!(null)),
    ];
    for (from, to, kind, rule, limit) in cases {
        let body = json!({"from": from, "to": to, "people": 1});
        let refused = send(keyed(service.user("ann", Method::POST, &path)).json(&body)).await;
        assert_eq!(refused.problem(), (422, kind, ""), "{from}");
        assert_eq!((&refused.body["rule"], &refused.body["limit"]), (&rule, &limit), "{from}");
        assert_eq!((&refused.body["room"], &refused.body["version"]), (&json!(room), &json!(1)), "{from}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_refused_before_anything_else() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let id = service.reserve("ann", &room, 10, 11).await.expect(201).text("reservation");
    let reservation = format!("/v1/rooms/{room}/reservations/{id}");
    let room_path = format!("/v1/rooms/{room}");
    let administrators_only = [
        (Method::POST, "/v1/rooms"),
        (Method::PATCH, room_path.as_str()),
        (Method::DELETE, room_path.as_str()),
        (Method::POST, "/v1/import"),
        (Method::GET, "/v1/streams"),
        (Method::GET, &format!("/v1/streams/{room}/events")),
        (Method::GET, &format!("/v1/streams/{room}/events/1")),
        (Method::POST, "/v1/events/query"),
        (Method::from_bytes(b"QUERY").unwrap(), "/v1/events"),
    ];
    for (method, path) in administrators_only {
        let nobody = send(service.request(method.clone(), path)).await;
        assert_eq!(nobody.problem().0, 401, "{method} {path}");
        assert_eq!(nobody.header("www-authenticate"), "Bearer");
        assert_eq!(send(service.user("ann", method.clone(), path)).await.problem().0, 403, "{method} {path}");
    }
    let as_service = service.user("query", Method::GET, "/v1/streams").header("X-Roles", "service");
    send(as_service).await.expect(200);
    assert_eq!(
        send(service.user("bob", Method::DELETE, &reservation)).await.problem(),
        (403, "forbidden", "")
    );
    let patch = json!({"people": 1});
    assert_eq!(send(service.user("bob", Method::PATCH, &reservation).json(&patch)).await.problem().0, 403);
    send(service.admin(Method::PATCH, &reservation).json(&patch)).await.expect(200);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_gives_heads_and_events_page_by_page() {
    let service = TestService::start().await;
    let mut rooms = Vec::new();
    for name in ["One", "Two", "Three"] {
        rooms.push(service.room(name, json!({})).await);
    }
    service.reserve("ann", &rooms[0], 10, 11).await.expect(201);
    service.reserve("ann", &rooms[0], 11, 12).await.expect(201);
    rooms.sort();
    let first = send(service.admin(Method::GET, "/v1/streams?limit=2")).await.expect(200).body;
    let path = format!("/v1/streams?limit=2&cursor={}", first["next"].as_str().unwrap());
    let second = send(service.admin(Method::GET, &path)).await.expect(200).body;
    assert_eq!(second.get("next"), None);
    let pages = [first, second];
    let heads: Vec<_> = pages.iter().flat_map(|page| page["items"].as_array().unwrap()).collect();
    assert_eq!(heads.iter().map(|head| head["room"].as_str().unwrap()).collect::<Vec<_>>(), rooms);
    let longest = heads.iter().find(|head| head["version"] == 3).unwrap()["room"].as_str().unwrap();

    let path = format!("/v1/streams/{longest}/events");
    let page = send(service.admin(Method::GET, &format!("{path}?after=1&limit=1"))).await.expect(200).body;
    let event = &page["items"][0];
    assert_eq!(event["id"], json!(format!("{longest}:2")));
    assert_eq!(
        (&event["type"], &event["actor"]),
        (&json!("reservations.reservation-made.v1"), &json!("ann"))
    );
    assert_eq!(event["data"]["reservation"]["from"], json!(hour(10)));
    assert_eq!(page["next"], json!("2"));
    let rest = send(service.admin(Method::GET, &format!("{path}?after=2"))).await.expect(200).body;
    assert_eq!((rest["items"].as_array().unwrap().len(), rest.get("next")), (1, None));
    let end = send(service.admin(Method::GET, &format!("{path}?after=3"))).await.expect(200).body;
    assert_eq!(end["items"], json!([]));
    let nowhere = "/v1/streams/0190a5b0-0000-7000-8000-000000000001/events";
    assert_eq!(send(service.admin(Method::GET, nowhere)).await.problem(), (404, "unknown-room", ""));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_event_store_is_reached_commands_are_answered_503() {
    let service = TestService::start_closed(TestStore::mysql().await);
    let body = json!({"name": "Blue", "kind": "a", "capacity": 1, "timeZone": "UTC"});
    let request = keyed(service.admin(Method::POST, "/v1/rooms")).json(&body);
    let refused = send(request.try_clone().unwrap()).await;
    assert_eq!(refused.problem(), (503, "unavailable", ""));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(
        send(service.request(Method::GET, "/health/ready")).await.expect(503).body["ready"],
        json!(false)
    );
    send(service.request(Method::GET, "/health/live")).await.expect(200);
    let service = service.open().await;
    send(request).await.expect(201);
    service.stop().await;
}
