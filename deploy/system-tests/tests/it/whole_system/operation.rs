//! The endpoints of operators and other services: feed, health, metrics, descriptions.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Client, unique};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    the_feed_gives_every_event_of_a_room_in_order
    the_feed_lists_every_stream
    both_services_describe_themselves
}

async fn the_feed_gives_every_event_of_a_room_in_order(client: &Client) {
    let room = client.register(json!({})).await;
    let user = client.as_user(&unique("user"));
    for day in 1..=5 {
        let time = |hour: u32| format!("2031-01-{day:02}T{hour:02}:00:00Z");
        user.reserve(&room.id, &time(10), &time(11)).send().await.expect(201);
    }
    let path = format!("/v1/streams/{}/events", room.id);
    user.command(Method::GET, &path).send().await.problem(403, "forbidden");
    let service = client.as_service();
    let mut events: Vec<Value> = Vec::new();
    loop {
        let after = events.len().to_string();
        let page =
            service.command(Method::GET, &path).with(&[("after", &after), ("limit", "4")]).send().await;
        let page = page.expect(200);
        events.extend(page["items"].as_array().unwrap().iter().cloned());
        if page.get("next").is_none() {
            break;
        }
    }
    assert_eq!(events.len(), 6);
    for (place, event) in events.iter().enumerate() {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["id"], json!(format!("{}:{}", room.id, place + 1)));
        assert_eq!(event["sequence"], json!((place + 1).to_string()));
        assert_eq!(event["actor"], json!(if place == 0 { client.name() } else { user.name() }));
        assert!(event["causationid"].is_string() && event["time"].is_string());
    }
    assert_eq!(events[0]["type"], "reservations.room-registered.v1");
    assert_eq!(events[1]["type"], "reservations.reservation-made.v1");
    assert_eq!(events[1]["subject"], events[1]["data"]["reservation"]["id"]);
    let nowhere = "/v1/streams/00000000-0000-7000-8000-000000000000/events";
    service.command(Method::GET, nowhere).send().await.problem(404, "unknown-room");
}

async fn the_feed_lists_every_stream(client: &Client) {
    let room = client.register(json!({})).await;
    client.as_user("ann").command(Method::GET, "/v1/streams").send().await.problem(403, "forbidden");
    let mut cursor: Option<String> = None;
    loop {
        let mut call = client.command(Method::GET, "/v1/streams").with(&[("limit", "50")]);
        if let Some(cursor) = &cursor {
            call = call.with(&[("cursor", cursor)]);
        }
        let page = call.send().await.expect(200);
        if page["items"].as_array().unwrap().contains(&json!({"room": room.id, "version": 1})) {
            return;
        }
        cursor = Some(page["next"].as_str().unwrap().to_owned());
    }
}

async fn both_services_describe_themselves(client: &Client) {
    let nobody = client.as_nobody();
    for path in ["/health/live", "/health/ready"] {
        nobody.command(Method::GET, path).send().await.expect(200);
        nobody.get(path).send().await.expect(200);
    }
    for (answer, path) in [
        (nobody.command(Method::GET, "/openapi.json").send().await, "/v1/import"),
        (nobody.get("/openapi.json").send().await, "/v1/statistics/busiest-times"),
    ] {
        let document = answer.expect(200);
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        assert!(document["paths"].get(path).is_some());
    }
    for answer in [nobody.command(Method::GET, "/metrics").send().await, nobody.get("/metrics").send().await]
    {
        assert_eq!(answer.status, 200);
        assert!(answer.text.contains("# TYPE "), "{}", answer.text);
    }
    let problems = nobody.get("/problems").send().await.expect(200);
    assert!(
        problems["items"].as_array().unwrap().iter().any(|problem| problem["type"] == "/problems/overlap")
    );
}
