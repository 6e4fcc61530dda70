//! Closures over HTTP, on both stores.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    commands::{answered, both},
    test_service::{TestService, keyed, send},
};

fn closure(target: Value) -> Value {
    let mut body =
        json!({"from": "2030-01-07T10:00:00Z", "to": "2030-01-07T12:00:00Z", "reason": "New floor"});
    body.as_object_mut().unwrap().extend(target.as_object().unwrap().clone());
    body
}

fn close(service: &TestService, key: &str, body: &Value) -> RequestBuilder {
    service.admin(Method::POST, "/v1/closures").header("Idempotency-Key", key).json(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rooms_are_closed_by_one_closure_and_a_request_that_broke_off_goes_on() {
    for service in both().await {
        let (blue, red) = (service.room("Blue", json!({})).await, service.room("Red", json!({})).await);
        let body = closure(json!({"all": true}));
        let first = answered(close(&service, "k", &body)).await;
        let of_room = |lines: &[Value], room: &str| {
            lines.iter().find(|line| line["room"] == room).unwrap_or(&Value::Null).clone()
        };
        assert_eq!(first.len(), 2);
        assert_eq!(of_room(&first, &blue)["closure"], of_room(&first, &red)["closure"]);
        // As after a crash: this room was not reached.
        let green = service.room("Green", json!({})).await;
        let again = answered(close(&service, "k", &body)).await;
        assert_eq!(again.len(), 3);
        assert_eq!(of_room(&again, &blue)["replayed"], true);
        let new = of_room(&again, &green);
        assert_eq!((&new["replayed"], &new["closure"]), (&json!(false), &first[0]["closure"]));
        let other = closure(json!({"all": true, "reason": "Another"}));
        let reused = answered(close(&service, "k", &other)).await;
        assert!(reused.iter().all(|line| line["status"] == 422), "{reused:?}");
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_not_there_has_a_problem_of_its_own() {
    for service in both().await {
        let blue = service.room("Blue", json!({})).await;
        let unknown = "0190a5b0-0000-7000-8000-000000000001";
        let body = closure(json!({"rooms": [unknown, blue, blue]}));
        let lines = answered(close(&service, "k", &body)).await;
        let statuses: Vec<_> = lines.iter().map(|line| (&line["room"], &line["status"])).collect();
        assert_eq!(statuses, [(&json!(unknown), &json!(404)), (&json!(blue), &json!(201))]);
        assert_eq!(lines[0]["problem"]["type"], "/problems/unknown-room");
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closure_that_is_not_possible_is_refused_by_name() {
    for service in both().await {
        let blue = service.room("Blue", json!({})).await;
        let refused = async |body: Value| send(close(&service, "k", &body)).await;
        for (target, field) in [
            (json!({}), "/rooms"),
            (json!({"all": true, "kind": "meeting"}), "/rooms"),
            (json!({"all": false}), "/all"),
            (json!({"rooms": []}), "/rooms"),
            (json!({"rooms": vec![&blue; 1001]}), "/rooms"),
            (json!({"kind": " "}), "/kind"),
            (json!({"all": true, "reason": ""}), "/reason"),
            (json!({"all": true, "reason": "x".repeat(201)}), "/reason"),
            (json!({"all": true, "to": "2030-01-07T10:00:00Z"}), "/from"),
            (json!({"all": true, "to": "2031-01-09T10:00:00Z"}), "/to"),
        ] {
            assert_eq!(refused(closure(target)).await.problem(), (400, "invalid-value", field));
        }
        assert_eq!(refused(closure(json!({"kind": "none"}))).await.problem(), (404, "unknown-kind", ""));
        let path = "/v1/closures";
        let by_user = keyed(service.user("ann", Method::POST, path)).json(&closure(json!({"all": true})));
        assert_eq!(send(by_user).await.problem(), (403, "forbidden", ""));
        let unknown = "/v1/closures/0190a5b0-0000-7000-8000-000000000001";
        assert_eq!(
            send(service.admin(Method::DELETE, unknown)).await.problem(),
            (404, "unknown-closure", "")
        );
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closure_is_lifted_in_the_rooms_that_have_it_and_they_take_stays_again() {
    for service in both().await {
        let (blue, red) = (service.room("Blue", json!({})).await, service.room("Red", json!({})).await);
        let green = service.room("Green", json!({})).await;
        let tomorrow = json!({
            "rooms": [blue, red], "from": "2026-03-03T09:00:00Z", "to": "2026-03-03T12:00:00Z", "reason": "New floor"
        });
        let lines = answered(close(&service, "k", &tomorrow)).await;
        let id = lines[0]["closure"].as_str().unwrap().to_owned();
        let other = json!({"rooms": [blue], "from": "2026-03-04T09:00:00Z", "to": "2026-03-04T12:00:00Z", "reason": "Paint"});
        answered(close(&service, "other", &other)).await;
        let refused = service.reserve("ann", &blue, 10, 11).await;
        assert_eq!(refused.problem(), (409, "room-closed", ""));
        let path = format!("/v1/closures/{id}");
        assert_eq!(send(service.user("ann", Method::DELETE, &path)).await.problem(), (403, "forbidden", ""));
        let no_id = send(service.admin(Method::DELETE, "/v1/closures/none")).await;
        assert_eq!(no_id.problem(), (400, "invalid-value", "closure"));

        let lifted = answered(service.admin(Method::DELETE, &path)).await;
        let mut rooms: Vec<&str> = lifted.iter().map(|line| line["room"].as_str().unwrap()).collect();
        rooms.sort_unstable();
        let mut expected = [blue.as_str(), red.as_str()];
        expected.sort_unstable();
        assert_eq!(rooms, expected);
        for line in &lifted {
            assert_eq!(
                (&line["status"], &line["closure"], &line["replayed"]),
                (&json!(200), &json!(id), &json!(false))
            );
            assert!(line["consistencyToken"].is_string() && line["version"].is_u64(), "{line}");
        }
        let events = service.events(&blue).await;
        assert_eq!(events, ["room-registered", "closure-added", "closure-added", "closure-lifted"]);
        assert_eq!(service.events(&green).await, ["room-registered"]);
        for room in [&blue, &red] {
            service.reserve("ann", room, 10, 11).await.expect(201);
        }
        let again = send(service.admin(Method::DELETE, &path)).await;
        assert_eq!(again.problem(), (404, "unknown-closure", ""));
        service.stop().await;
    }
}
