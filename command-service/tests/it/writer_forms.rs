//! What older instances would lose is written only when the form of writing is high enough. SQLite has no other instances.

use std::collections::BTreeSet;

use command_service::commands::{Action, AddClosure, OnConflict, RegisterRoom, ReserveSeries, Stay};
use reqwest::Method;
use serde_json::{Value, json};
use shared_events::{Closure, ClosureId, Interval};
use sqlx::Executor;

use crate::{
    commands::answered,
    test_service::{TestService, keyed, send, stay},
    test_store::TestStore,
    writer_rig::{by, hour, instance, settings},
};

#[tokio::test(flavor = "multi_thread")]
async fn owners_series_closures_and_buffers_are_refused_below_their_form_and_nothing_is_written() {
    let store = TestStore::mysql().await;
    let newest = instance(&store).await;
    let blue = newest.room("Blue", "meeting").await;
    let buffers = shared_events::RoomSettings { buffer_after: Some(15), ..settings("Red", "meeting") };
    let red = newest.does(by("admin", Action::RegisterRoom(RegisterRoom::new(buffers)))).await.room;
    let Stay { interval: Interval { from, to }, .. } = hour(20);
    let (id, reason) = (ClosureId(uuid::Uuid::from_u128(1)), "New floor".to_owned());
    let closure = Closure { id, room: blue, from, to, reason, kind: None, all: false };
    newest.does(by("admin", Action::AddClosure(AddClosure { closure }))).await;
    let series = ReserveSeries {
        room: blue,
        stay: hour(9),
        recurrence: "FREQ=DAILY;COUNT=4".parse().unwrap(),
        exceptions: BTreeSet::new(),
        on_conflict: OnConflict::Refuse,
        dry_run: false,
    };
    let made = newest.does(by("ann", Action::ReserveSeries(Box::new(series)))).await.series.unwrap();
    let member = |at: usize| made.occurrences[at].reservation.unwrap();
    let mut admin = store.database().connect().await;
    admin.execute("UPDATE relay_mode SET writer_form = 2").await.unwrap();
    // An instance that starts now.
    let service = TestService::start_closed(store).open().await;
    let heads = service.heads().await;
    let reservations = |room| format!("/v1/rooms/{room}/reservations");
    let (of_blue, of_red) = (reservations(blue), reservations(red));
    let (one, other) = (format!("{of_blue}/{}", member(3)), format!("{of_blue}/{}", member(2)));
    let all = format!("/v1/rooms/{blue}/series");
    let (this, room) = (format!("{all}/{}", made.series), format!("/v1/rooms/{blue}"));
    let mut owned = stay(10, 11);
    owned["reservedBy"] = "bob".into();
    let mut weekly = stay(12, 13);
    weekly["recurrence"] = "FREQ=WEEKLY;COUNT=2".into();
    let mut dry = weekly.clone();
    dry["dryRun"] = true.into();
    let none = Value::Null;
    let commands = [
        (Method::POST, &of_blue, owned, 201),
        (Method::POST, &all, weekly, 201),
        (Method::PATCH, &one, json!({"people": 1}), 200),
        (Method::DELETE, &other, none.clone(), 200),
        (Method::PATCH, &this, json!({"people": 3}), 200),
        (Method::DELETE, &this, none, 200),
        (Method::POST, &of_red, stay(10, 11), 201),
        (Method::PATCH, &room, json!({"bufferBefore": 5}), 200),
        (Method::PATCH, &room, json!({"maxAhead": {"reservations": 5}}), 200),
        (Method::PATCH, &room, json!({"bookableBy": ["staff"]}), 200),
    ];
    let carry_out = async |method: &Method, path: &str, body: &Value| {
        let request = keyed(service.admin(method.clone(), path));
        send(if body.is_null() { request } else { request.json(body) }).await
    };
    let closed = json!({"rooms": [red], "from": "2026-05-04T10:00:00Z", "to": "2026-05-05T10:00:00Z", "reason": "Paint"});
    let close = async || answered(keyed(service.admin(Method::POST, "/v1/closures")).json(&closed)).await;
    let lift = async || answered(service.admin(Method::DELETE, &format!("/v1/closures/{id}"))).await;
    for (method, path, body, _) in &commands {
        let refused = carry_out(method, path, body).await;
        assert_eq!(refused.problem(), (503, "unavailable", ""), "{method} {path}");
        assert_ne!(refused.header("retry-after"), "");
    }
    for lines in [close().await, lift().await] {
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(
            (&line["status"], &line["problem"]["type"]),
            (&json!(503), &json!("/problems/unavailable"))
        );
    }
    assert_eq!(service.heads().await, heads, "nothing was written");
    carry_out(&Method::POST, &all, &dry).await.expect(200);
    // What older instances know goes on.
    carry_out(&Method::POST, &of_blue, &stay(14, 15)).await.expect(201);

    admin.execute("UPDATE relay_mode SET writer_form = 3").await.unwrap();
    for (method, path, body, status) in &commands {
        carry_out(method, path, body).await.expect(*status);
    }
    assert_eq!((&close().await[0]["status"], &lift().await[0]["status"]), (&json!(201), &json!(200)));
    service.stop().await;
}
