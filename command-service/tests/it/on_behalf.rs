//! Reservations that somebody makes for their owner, over HTTP on both stores.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    test_service::{TestService, keyed, send, stay},
    test_store::TestStore,
};

fn with_role(service: &TestService, user: &str, role: &str, method: Method, path: &str) -> RequestBuilder {
    service.user(user, method, path).header("X-Roles", role)
}

fn owned_by(owner: &str, from: u32, to: u32) -> Value {
    let mut body = stay(from, to);
    body["reservedBy"] = owner.into();
    body["title"] = "Talk".into();
    body
}

async fn last(service: &TestService, room: &str) -> Value {
    let page = send(service.admin(Method::GET, &format!("/v1/streams/{room}/events"))).await.body;
    page["items"].as_array().unwrap().last().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegate_reserves_for_an_owner_and_both_change_and_cancel_it() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        let path = format!("/v1/rooms/{room}/reservations");
        let post = |user: &str, role: &str, body: Value| {
            send(keyed(with_role(&service, user, role, Method::POST, &path)).json(&body))
        };
        let made = post("office", "delegate", owned_by("ann", 10, 11)).await.expect(201);
        let event = last(&service, &room).await;
        let data = &event["data"]["reservation"];
        assert_eq!(
            (&event["actor"], &data["reservedBy"], &data["bookedBy"]),
            (&json!("office"), &json!("ann"), &json!("office"))
        );
        let refused = post("eve", "service", owned_by("ann", 12, 13)).await;
        assert_eq!(refused.problem(), (403, "forbidden", ""));
        let invalid = post("office", "delegate", owned_by("", 12, 13)).await;
        assert_eq!(invalid.problem(), (400, "invalid-value", "/reservedBy"));
        post("ann", "", owned_by("ann", 12, 13)).await.expect(201);
        assert_eq!(last(&service, &room).await["data"]["reservation"].get("bookedBy"), None);
        let kind =
            keyed(with_role(&service, "office", "delegate", Method::POST, "/v1/kinds/meeting/reservations"));
        send(kind.json(&owned_by("bob", 14, 15))).await.expect(201);
        assert_eq!(last(&service, &room).await["data"]["reservation"]["bookedBy"], "office");

        let path = format!("{path}/{}", made.text("reservation"));
        let patch = |user: &str, people: u32| {
            send(service.user(user, Method::PATCH, &path).json(&json!({"people": people})))
        };
        patch("ann", 3).await.expect(200);
        // Also without the role: a mistyped owner makes no orphan.
        patch("office", 4).await.expect(200);
        assert_eq!(last(&service, &room).await["data"]["reservation"]["bookedBy"], "office");
        let other = send(with_role(&service, "eve", "delegate", Method::DELETE, &path)).await;
        assert_eq!(other.problem(), (403, "forbidden", ""));
        send(service.user("office", Method::DELETE, &path)).await.expect(200);
        let restore = keyed(service.user("office", Method::POST, &format!("{path}/restore")));
        send(restore.json(&json!({"revision": 1}))).await.expect(200);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_masks_who_reserved_for_an_owner_and_nobody_reserves_for_the_erased() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        let path = format!("/v1/rooms/{room}/reservations");
        let post = |user: &str, body: Value| {
            send(keyed(with_role(&service, user, "delegate", Method::POST, &path)).json(&body))
        };
        post("office", owned_by("ann", 10, 11)).await.expect(201);
        let erase = async |user: &str| {
            loop {
                let erasure = service.admin(Method::POST, "/v1/erasures").json(&json!({"user": user}));
                let step = send(erasure).await.expect(200).body;
                if step["done"] == true {
                    break step["pseudonym"].clone();
                }
            }
        };
        let pseudonym = erase("office").await;
        let event = last(&service, &room).await;
        let data = &event["data"]["reservation"];
        assert_eq!((&event["actor"], &data["bookedBy"]), (&pseudonym, &pseudonym));
        assert_eq!((&data["reservedBy"], &data["title"]), (&json!("ann"), &json!("Talk")));
        erase("ann").await;
        let data = last(&service, &room).await["data"]["reservation"].clone();
        assert_eq!((&data["bookedBy"], data.get("title")), (&pseudonym, None));
        assert_eq!(post("desk", owned_by("ann", 12, 13)).await.problem().0, 403);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_an_import_reserves_for_an_owner_in_a_role() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        let line = |key: &str, role: Option<&str>, from: u32| {
            let mut line = owned_by("ann", from, from + 1);
            line["key"] = key.into();
            line["at"] = "2026-03-01T08:00:00Z".into();
            (line["user"], line["command"], line["room"]) = ("office".into(), "reserve".into(), json!(room));
            line["as"] = role.into();
            line.to_string()
        };
        let lines =
            [line("1", Some("delegate"), 10), line("2", Some("admin"), 11), line("3", None, 12)].join("\n");
        let request = service.admin(Method::POST, "/v1/import");
        let answer = request.header("Content-Type", "application/x-ndjson").body(lines).send().await.unwrap();
        let answer = answer.text().await.unwrap();
        let outcomes: Vec<Value> = answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let outcomes: Vec<_> = outcomes.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["done", "done", "rejected"]);
        assert_eq!(last(&service, &room).await["data"]["reservation"]["bookedBy"], "office");
        service.stop().await;
    }
}
