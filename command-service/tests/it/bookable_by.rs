//! Attributes, building and floor of rooms, and the roles that may book them, over HTTP.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    test_service::{Answer, TestService, hour, keyed, send, stay},
    test_store::TestStore,
};

#[tokio::test(flavor = "multi_thread")]
async fn rooms_have_attributes_building_floor_and_roles_that_may_book_them() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service
            .room(
                "Blue",
                json!({
                    "building": " North", "floor": "2", "attributes": ["screen", "projector", "screen "],
                    "bookableBy": ["teacher", "staff"],
                }),
            )
            .await;
        let path = format!("/v1/rooms/{room}");
        let last = async || {
            let page = send(service.admin(Method::GET, &format!("/v1/streams/{room}/events"))).await.body;
            let event = page["items"].as_array().unwrap().last().unwrap().clone();
            (event["type"].as_str().unwrap().to_owned(), event["data"]["room"]["settings"].clone())
        };
        let (kind, settings) = last().await;
        assert_eq!(kind, "reservations.room-registered.v2");
        assert_eq!((&settings["building"], &settings["floor"]), (&json!("North"), &json!("2")));
        assert_eq!(settings["attributes"], json!(["projector", "screen"]));
        assert_eq!(settings["bookableBy"], json!(["staff", "teacher"]));

        let patch = json!({"building": null, "attributes": ["sofa"], "bookableBy": null});
        send(service.admin(Method::PATCH, &path).json(&patch)).await.expect(200);
        let (kind, settings) = last().await;
        assert_eq!(kind, "reservations.room-changed.v2");
        let absent = ["building", "bookableBy"].map(|name| settings.get(name));
        assert_eq!((absent, &settings["attributes"]), ([None, None], &json!(["sofa"])));
        let patch = json!({"floor": null, "attributes": []});
        send(service.admin(Method::PATCH, &path).json(&patch)).await.expect(200);
        assert_eq!(last().await.0, "reservations.room-changed.v1", "the first version says it all again");

        let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
        for (patch, field) in [
            (json!({"building": ""}), "/building"),
            (json!({"floor": "x".repeat(201)}), "/floor"),
            (json!({"attributes": ["a", "b,c"]}), "/attributes"),
            (json!({"attributes": ["a", "\u{200b}"]}), "/attributes/1"),
            (json!({"attributes": many}), "/attributes"),
            (json!({"attributes": "sofa"}), "/attributes"),
            (json!({"bookableBy": []}), "/bookableBy"),
            (json!({"bookableBy": [""]}), "/bookableBy/0"),
            (json!({"bookableBy": many}), "/bookableBy"),
        ] {
            let refused = send(service.admin(Method::PATCH, &path).json(&patch)).await;
            assert_eq!(refused.problem(), (400, "invalid-value", field), "{patch:.200}");
        }
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_some_roles_is_booked_with_such_a_token_by_administrators_and_by_import_lines_alone() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({"bookableBy": ["staff", "teacher"]})).await;
        let path = format!("/v1/rooms/{room}/reservations");
        let by = |request: RequestBuilder, from: u32| send(keyed(request).json(&stay(from, from + 1)));
        let ann = |roles: &str| service.user("ann", Method::POST, &path).header("X-Roles", roles);
        let is_refused = |answer: &Answer| {
            assert_eq!((answer.problem(), &answer.body["rule"]), ((422, "rule", ""), &json!("bookableBy")));
        };
        is_refused(&by(ann(""), 10).await);
        is_refused(&by(ann("student"), 10).await);
        let made = by(ann("student, staff"), 10).await.expect(201);
        by(service.admin(Method::POST, &path), 12).await.expect(201);

        // Without the role, a stay can be shortened and cancelled, and not prolonged.
        let mine = format!("{path}/{}", made.text("reservation"));
        let change = |to: String| send(service.user("ann", Method::PATCH, &mine).json(&json!({"to": to})));
        is_refused(&change(hour(12)).await);
        change("2026-03-03T10:30:00Z".to_owned()).await.expect(200);

        let of_kind = service.user("ann", Method::POST, "/v1/kinds/meeting/reservations");
        is_refused(&by(of_kind, 14).await);
        let line = json!({
            "key": "1", "at": "2026-03-01T10:00:00Z", "user": "ann", "command": "reserve", "room": room,
            "from": hour(16), "to": hour(17), "people": 2,
        });
        let request =
            service.admin(Method::POST, "/v1/import").header("Content-Type", "application/x-ndjson");
        let imported: Value = serde_json::from_str(
            &request.body(format!("{line}\n")).send().await.unwrap().text().await.unwrap(),
        )
        .unwrap();
        assert_eq!(imported["outcome"], "done", "{imported}");
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_offers_other_rooms_and_times_that_can_be_had() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let (blue, red) =
            (service.room("Blue", json!({})).await, service.room("Red", json!({"capacity": 9})).await);
        service.reserve("ann", &red, 12, 13).await.expect(201);
        service.reserve("ann", &blue, 10, 12).await.expect(201);
        let refused = service.reserve("bob", &blue, 11, 12).await;
        assert_eq!(refused.problem(), (409, "overlap", ""));
        let offer = |room: &str, from: u32| json!({"room": room, "from": hour(from), "to": hour(from + 1)});
        let later = (12..16).map(|from| offer(&blue, from));
        let expected: Vec<Value> = std::iter::once(offer(&red, 11)).chain(later).collect();
        assert_eq!(refused.body["alternatives"], json!(expected));
        for offered in expected {
            let path = format!("/v1/rooms/{}/reservations", offered["room"].as_str().unwrap());
            let body = json!({"from": offered["from"], "to": offered["to"], "people": 2});
            send(keyed(service.user("bob", Method::POST, &path)).json(&body)).await.expect(201);
        }
        let of_kind = service.user("bob", Method::POST, "/v1/kinds/meeting/reservations");
        let none = send(keyed(of_kind).json(&stay(11, 12))).await;
        assert_eq!(none.problem(), (409, "no-free-room", ""));
        assert_eq!(none.body["alternatives"], json!([offer(&red, 13), offer(&blue, 16)]));
        let small = send(
            keyed(service.user("bob", Method::POST, &format!("/v1/rooms/{blue}/reservations")))
                .json(&json!({"from": hour(11), "to": hour(12), "people": 5})),
        )
        .await;
        assert_eq!((small.problem().0, small.body.get("alternatives")), (422, None));
        service.stop().await;
    }
}
