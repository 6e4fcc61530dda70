//! What administrators are shown over HTTP: the relay's mode, held rooms, and the preview of a roll-back.

use command_service::event_store::HeldRoom;
use reqwest::Method;
use serde_json::json;
use shared_events::Timestamp;

use crate::{
    test_service::{TestService, keyed, send},
    test_store::TestStore,
};

#[tokio::test(flavor = "multi_thread")]
async fn administrators_are_shown_the_relay_s_mode() {
    let service = TestService::start().await;
    let shown = send(service.admin(Method::GET, "/v1/admin/relay")).await.expect(200);
    let expected = json!({
        "wanted": "table", "phase": "table", "epoch": 0, "since": null, "barrier": 0, "place": null, "problem": null
    });
    assert_eq!(shown.body, expected);
    let user = service.request(Method::GET, "/v1/admin/relay").header("X-User", "ann");
    assert_eq!(send(user).await.status, 403);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_are_shown_the_held_rooms() {
    let service = TestService::start().await;
    let none = send(service.admin(Method::GET, "/v1/admin/held-rooms")).await.expect(200);
    assert_eq!(none.body, json!({"items": []}));
    let room = service.room("Blue", json!({})).await;
    let held = HeldRoom {
        room: room.parse().unwrap(),
        position: 1.into(),
        reason: "message too large".to_owned(),
        held_at: Timestamp::from_epoch_millis(1_790_000_000_000),
    };
    service.store.open(None).await.hold_room(&held).await.unwrap();
    let shown = send(service.admin(Method::GET, "/v1/admin/held-rooms")).await.expect(200);
    let since = "2026-09-21T14:13:20.000Z";
    let expected = json!({"room": room, "position": 1, "reason": "message too large", "since": since});
    assert_eq!(shown.body, json!({"items": [expected]}));
    let user = service.request(Method::GET, "/v1/admin/held-rooms").header("X-User", "ann");
    assert_eq!(send(user).await.status, 403);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_are_shown_what_a_roll_back_would_do_and_nothing_is_kept() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        let kept = service.reserve("ann", &room, 8, 9).await.expect(201).text("reservation");
        let gone = service.reserve("ann", &room, 10, 11).await.expect(201).text("reservation");
        let path = format!("/v1/rooms/{room}/reservations/{gone}");
        send(keyed(service.admin(Method::PATCH, &path)).json(&json!({"people": 3}))).await.expect(200);
        let preview = |selection: &str| {
            service.admin(Method::GET, &format!("/v1/admin/roll-back?since=1970-01-01T00:00:00Z{selection}"))
        };
        let shown = send(preview("&actor=ann")).await.expect(200).body;
        assert_eq!(
            (&shown["takenBack"], &shown["notTakenBack"], &shown["more"]),
            (&json!(1), &json!(1), &json!(0))
        );
        let outcome = |at: usize| {
            let change = &shown["changes"][at];
            (change["reservation"].as_str().unwrap(), change["outcome"].as_str().unwrap())
        };
        let left = "left: it was changed since: revision 2 is not selected";
        assert_eq!((outcome(0), outcome(1)), ((gone.as_str(), left), (kept.as_str(), "cancel")));
        let of_room = send(preview(&format!("&room={room}"))).await.expect(200).body;
        assert_eq!(of_room["changes"].as_array().unwrap().len(), 4);

        let both = format!("&actor=ann&room={room}");
        for (selection, field) in
            [("", "actor"), (both.as_str(), "actor"), ("&actor=", "actor"), ("&room=1", "room")]
        {
            assert_eq!(
                send(preview(selection)).await.problem(),
                (400, "invalid-value", field),
                "{selection}"
            );
        }
        let path = "/v1/admin/roll-back?since=1970-01-01T00:00:00Z&actor=ann";
        let user = service.request(Method::GET, path).header("X-User", "ann");
        assert_eq!(send(user).await.status, 403);
        assert!(service.store.open(None).await.steps().await.unwrap().is_empty());
        service.stop().await;
    }
}
