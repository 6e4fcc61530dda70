//! What one owner may have ahead in a room, over HTTP on both stores.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    test_service::{TestService, keyed, send},
    test_store::TestStore,
};

#[tokio::test(flavor = "multi_thread")]
async fn one_owner_has_no_more_ahead_in_a_room_than_its_quota() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({"maxAhead": {"reservations": 2, "minutes": 180}})).await;
        let path = format!("/v1/rooms/{room}");
        let page = send(service.admin(Method::GET, &format!("/v1/streams/{room}/events"))).await.body;
        let registered = &page["items"][0];
        assert_eq!(registered["type"], "reservations.room-registered.v2");
        let settings = &registered["data"]["room"]["settings"];
        assert_eq!(settings["maxAhead"], json!({"reservations": 2, "minutes": 180}));
        let first = service.reserve("ann", &room, 10, 11).await.expect(201).text("reservation");
        let long = service.reserve("ann", &room, 11, 14).await;
        assert_eq!((long.problem(), &long.body["rule"]), ((422, "rule", ""), &json!("maxAhead.minutes")));
        service.reserve("ann", &room, 11, 12).await.expect(201);
        let third = service.reserve("ann", &room, 12, 13).await;
        assert_eq!((&third.body["rule"], &third.body["limit"]), (&json!("maxAhead.reservations"), &json!(2)));
        service.reserve("bob", &room, 12, 13).await.expect(201);
        // A longer stay counts, a shorter one does not.
        let of_first = format!("{path}/reservations/{first}");
        let patch = |path: &str, body: Value| send(service.admin(Method::PATCH, path).json(&body));
        let longer = patch(&of_first, json!({"from": "2026-03-03T07:00:00Z"})).await;
        assert_eq!(longer.body["rule"], "maxAhead.minutes");
        patch(&path, json!({"maxAhead": {"reservations": 1}})).await.expect(200);
        patch(&of_first, json!({"to": "2026-03-03T10:30:00Z"})).await.expect(200);
        // Of a series, the occurrences up to the quota fit.
        let series = json!({
            "from": "2026-03-04T10:00:00Z", "to": "2026-03-04T11:00:00Z", "people": 1,
            "recurrence": "FREQ=DAILY;COUNT=3", "onConflict": "skip",
        });
        let request = keyed(service.user("eve", Method::POST, &format!("{path}/series")));
        let made = send(request.json(&series)).await.expect(201);
        assert_eq!(made.body["occurrences"].as_array().unwrap().len(), 1);
        assert_eq!(made.body["skipped"][1]["rule"], "maxAhead.reservations");
        patch(&path, json!({"maxAhead": null})).await.expect(200);
        service.reserve("ann", &room, 14, 15).await.expect(201);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_of_a_quota_keeps_the_limit_that_it_does_not_name() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({"maxAhead": {"reservations": 2, "minutes": 180}})).await;
        let path = format!("/v1/rooms/{room}");
        let patch = |media_type: &str, body: Value| {
            let request = service.admin(Method::PATCH, &path).header("Content-Type", media_type);
            send(request.body(json!({"maxAhead": body}).to_string()))
        };
        let mut revision = 1;
        for media_type in ["application/merge-patch+json", "application/json"] {
            for (change, limits) in [
                (json!({}), json!({"reservations": 2, "minutes": 180})),
                (json!({"reservations": 3}), json!({"reservations": 3, "minutes": 180})),
                (json!({"reservations": null}), json!({"minutes": 180})),
                (json!({"reservations": 2, "minutes": null}), json!({"reservations": 2})),
                (Value::Null, Value::Null),
                (json!({"minutes": 60}), json!({"minutes": 60})),
                (json!({"reservations": 2, "minutes": 180}), json!({"reservations": 2, "minutes": 180})),
            ] {
                let changed = patch(media_type, change.clone()).await.expect(200);
                revision += u64::from(change != json!({}));
                assert_eq!(changed.body["revision"], revision, "{change}");
                let page = send(service.admin(Method::GET, &format!("/v1/streams/{room}/events"))).await.body;
                let settings = &page["items"].as_array().unwrap().last().unwrap()["data"]["room"]["settings"];
                assert_eq!(settings["maxAhead"], limits, "{media_type} {change}");
            }
            for (nothing, kind, field) in [
                (json!({"reservations": null, "minutes": null}), "invalid-value", "/maxAhead"),
                (json!({"reservations": -1}), "invalid-value", "/maxAhead/reservations"),
                (json!({"hours": 3}), "unknown-field", "/maxAhead/hours"),
            ] {
                let refused = patch(media_type, nothing.clone()).await;
                assert_eq!(refused.problem(), (400, kind, field), "{nothing}");
            }
        }
        service.stop().await;
    }
}
