//! Operators' commands, as they are typed, on the real servers.

use serde_json::{Value, json};
use system_tests::{Stack, kafka};

/// Runs a command of the query service. Gives its exit status and its JSON output.
pub(crate) async fn query_service(stack: &Stack, arguments: &[&str]) -> (i32, Value) {
    let output = stack.queries[0].command(arguments).arg("--json").output().await.unwrap();
    let json: Result<Value, _> = serde_json::from_slice(&output.stdout);
    assert!(json.is_ok(), "{output:?}");
    (output.status.code().unwrap(), json.unwrap())
}

#[tokio::test]
async fn a_room_that_a_foreign_message_parked_is_listed_shown_and_redriven() {
    let mut stack = Stack::real(1).await;
    stack.queries[0].kill();
    stack.queries[0].start(&[("WATCHDOG_SECONDS", "1")]);
    stack.queries[0].until_ready().await;
    let client = stack.client();
    let (room, other) = (client.register(json!({})).await, client.register(json!({})).await);
    let _ = client.get(&format!("/v1/rooms/{}", room.id)).after(&room.token).send().await.expect(200);
    assert_eq!(query_service(&stack, &["parked", "list"]).await, (0, json!([])));
    // Somebody else writes into the topic, what looks like the room's next event.
    let (brokers, topic) = stack.topic();
    kafka::send_garbled(brokers, topic, &room.id, 2).await.unwrap();
    let parked = loop {
        let (code, list) = query_service(&stack, &["parked", "list"]).await;
        assert_eq!(code, 0);
        if let Some(parked) = list.get(0) {
            break parked.clone();
        }
    };
    assert_eq!((&parked["room"], &parked["version"]), (&json!(room.id), &json!(2)));
    let (code, message) = query_service(&stack, &["parked", "show", &room.id]).await;
    let payload = message.as_array().unwrap().iter().find(|part| part["part"] == "payload").unwrap();
    assert_eq!((code, &payload["value"]), (0, &json!("{not json")));
    let _ = client.until("/metrics", |answer| answer.text.contains("projector_rooms_parked 1")).await;
    // Others go on, and so does this room on the command side.
    let reserved = client.reserve(&room.id, "2031-01-01T10:00:00Z", "2031-01-01T11:00:00Z").send().await;
    let _ = reserved.expect(201);
    let elsewhere = client.reserve(&other.id, "2031-01-01T10:00:00Z", "2031-01-01T11:00:00Z").send().await;
    let shown = client.get(&format!("/v1/rooms/{}", other.id)).after(&elsewhere.token()).send().await;
    let _ = shown.expect(200);
    let waiting = client.get(&format!("/v1/rooms/{}", room.id)).after(&reserved.token()).send().await;
    waiting.problem(503, "parked");
    let (code, behind) = query_service(&stack, &["checkpoints", "--behind"]).await;
    assert_eq!((code, &behind[0]["room"], &behind[0]["behind"]), (1, &json!(room.id), &json!(1)));
    let drop = ["parked", "drop", &room.id, "--version", "2", "--reason", "it looks foreign"];
    let (code, refused) = query_service(&stack, &drop).await;
    assert_eq!((code, &refused[0]["done"]), (1, &json!(false)), "the event itself is sound: {refused}");
    let (code, trial) = query_service(&stack, &["parked", "redrive", "--all", "--dry-run"]).await;
    assert_eq!((code, &trial[0]["applicable"]), (0, &json!(true)), "{trial}");
    let (_, list) = query_service(&stack, &["parked", "list"]).await;
    assert_eq!(list[0]["waiting"], json!(1), "a trial changes nothing");
    let (code, done) = query_service(&stack, &["parked", "redrive", &room.id, "--by", "olga"]).await;
    assert_eq!((code, &done[0]["outcome"]), (0, &json!("at version 2")), "{done}");
    let shown = client.get(&format!("/v1/rooms/{}", room.id)).after(&reserved.token()).send().await;
    let _ = shown.expect(200);
    assert_eq!(query_service(&stack, &["checkpoints", "--behind"]).await, (0, json!([])));
    let _ = client.until("/metrics", |answer| answer.text.contains("projector_rooms_parked 0")).await;
}

#[tokio::test]
async fn a_running_service_carries_out_a_repair_and_lag_is_shown_for_each_partition() {
    let stack = Stack::real(1).await;
    let client = stack.client();
    let room = client.register(json!({})).await;
    let reserved = client.reserve(&room.id, "2031-01-01T10:00:00Z", "2031-01-01T11:00:00Z").send().await;
    let (code, done) = query_service(&stack, &["repair", &room.id]).await;
    assert_eq!((code, &done[0]["done"]), (0, &json!(true)), "{done}");
    let path = format!("/v1/rooms/{}/schedule?from=2031-01-01T00:00:00Z&to=2031-01-02T00:00:00Z", room.id);
    let shown = client.get(&path).after(&reserved.token()).send().await.expect(200);
    assert_eq!(shown["items"].as_array().unwrap().len(), 1);
    // The repair may have been faster than the relay.
    let total = |lag: &Value, name: &str| -> i64 {
        lag.as_array().unwrap().iter().map(|row| row[name].as_i64().unwrap()).sum()
    };
    loop {
        let (code, lag) = query_service(&stack, &["lag"]).await;
        assert_eq!((code, lag.as_array().unwrap().len()), (0, 4));
        if (total(&lag, "end"), total(&lag, "lag")) == (2, 0) {
            break;
        }
    }
    let nobody =
        stack.queries[0].command(&["repair", "--wait", "0", &uuid::Uuid::nil().to_string()]).output().await;
    assert_eq!(nobody.unwrap().status.code(), Some(1), "it was not waited for");
}

#[tokio::test]
async fn an_event_store_that_was_put_back_to_an_older_state_is_noticed() {
    let mut stack = Stack::real(1).await;
    let client = stack.client();
    let room = client.register(json!({})).await;
    let reserved = client.reserve(&room.id, "2031-01-01T10:00:00Z", "2031-01-01T11:00:00Z").send().await;
    let shown = client.get(&format!("/v1/rooms/{}", room.id)).after(&reserved.token()).send().await;
    let _ = shown.expect(200);
    stack.queries[0].kill();
    stack.queries[0].start(&[("WATCHDOG_SECONDS", "1")]);
    stack.queries[0].until_ready().await;
    stack.forget_last_event(&room.id).await;
    let (code, ahead) = query_service(&stack, &["checkpoints", "--behind"]).await;
    assert_eq!((code, &ahead[0]["room"], &ahead[0]["ahead"]), (1, &json!(room.id), &json!(1)));
    let _ = client.until("/metrics", |answer| answer.text.contains("projector_rooms_ahead 1")).await;
    // Read models that agree with what is left are made and compared, and shown when that is wanted.
    let (code, report) = query_service(&stack, &["rebuild"]).await;
    assert_eq!((code, &report["flipped"]), (1, &json!(false)), "{report}");
    assert_eq!(report["differences"][0]["what"], json!("checkpoint"), "{report}");
    let (code, report) = query_service(&stack, &["rebuild", "--accept-differences"]).await;
    assert_eq!((code, &report["flipped"]), (0, &json!(true)), "{report}");
    assert_eq!(query_service(&stack, &["checkpoints", "--behind"]).await, (0, json!([])));
}
