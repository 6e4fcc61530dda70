//! Restored reservations, over real HTTP and by several writers, on both stores. What is written only when all instances know it.

use command_service::{
    commands::{
        Action, AddClosure, CancelReservation, ChangeRoom, MoveReservation, RegisterRoom, RestoreReservation,
        RetireRoom, Revision,
    },
    writer::Failure,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared_events::{Closure, ClosureId, Interval, OpeningHours, OpeningSpan, ReservationId, RoomId};
use sqlx::Executor;

use crate::{
    test_service::{Answer, TestService, hour, keyed, send, stay},
    test_store::TestStore,
    writer_rig::{Instance, by, cancel, events_of, hour as hour_of, instance, reserve, settings},
};

fn request(service: &TestService, user: &str, path: &str, revision: impl Into<Value>) -> RequestBuilder {
    let request = keyed(service.user(user, Method::POST, &format!("{path}/restore")));
    request.json(&json!({"revision": revision.into()}))
}

async fn restore(service: &TestService, path: &str, revision: u32) -> Answer {
    send(request(service, "ann", path, revision)).await
}

/// What the last event of a room says.
async fn last(service: &TestService, room: &str) -> Value {
    let page = send(service.admin(Method::GET, &format!("/v1/streams/{room}/events"))).await.body;
    page["items"].as_array().unwrap().last().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_has_the_values_of_an_earlier_revision_again_wherever_it_was() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let (blue, red) = (service.room("Blue", json!({})).await, service.room("Red", json!({})).await);
        let made = service.reserve("ann", &blue, 10, 11).await.expect(201);
        let id = made.text("reservation");
        let (in_blue, in_red) =
            (format!("/v1/rooms/{blue}/reservations/{id}"), format!("/v1/rooms/{red}/reservations/{id}"));
        let later = json!({"from": hour(12), "to": hour(14), "title": "Talk"});
        send(service.user("ann", Method::PATCH, &in_blue).json(&later)).await.expect(200);
        // In its room.
        let answer = restore(&service, &in_blue, 1).await.expect(200);
        assert_eq!(answer.body, json!({"room": blue, "version": 4, "reservation": id, "revision": 3}));
        let event = last(&service, &blue).await;
        let data = &event["data"]["reservation"];
        assert_eq!(event["type"], "reservations.reservation-rescheduled.v1");
        assert_eq!((&data["from"], data.get("title")), (&json!(hour(10)), None));
        // Moved away and back.
        let to_red = json!({"toRoom": red});
        let moving = keyed(service.user("ann", Method::POST, &format!("{in_blue}/move")));
        send(moving.json(&to_red)).await.expect(200);
        let answer = restore(&service, &in_red, 2).await.expect(200);
        assert_eq!((answer.text("room"), answer.header("etag")), (blue.clone(), "\"5\""));
        assert_eq!(last(&service, &red).await["type"], "reservations.reservation-moved-out.v1");
        assert_eq!(last(&service, &blue).await["data"]["reservation"]["title"], "Talk");
        // Cancelled in another room than the one to which it comes back.
        let answer = restore(&service, &in_blue, 4).await.expect(200);
        assert_eq!((answer.text("room"), answer.header("etag")), (red.clone(), "\"6\""));
        send(service.user("ann", Method::DELETE, &in_red)).await.expect(200);
        let wanted = request(&service, "ann", &in_red, 2).header("If-Match", "\"7\"").build().unwrap();
        let again = || async {
            let sent = service.request(Method::POST, &format!("{in_red}/restore"));
            send(sent.headers(wanted.headers().clone()).body(br#"{"revision":2}"#.to_vec())).await
        };
        let answer = again().await.expect(200);
        assert_eq!((answer.text("room"), answer.header("etag")), (blue.clone(), "\"8\""));
        for room in [&blue, &red] {
            let event = last(&service, room).await;
            assert_eq!(event["type"], "reservations.reservation-restored.v1");
            assert_eq!(
                (
                    &event["data"]["restores"],
                    &event["data"]["cancelledIn"],
                    &event["data"]["reservation"]["room"]
                ),
                (&json!(2), &json!(red), &json!(blue))
            );
        }
        let repeated = again().await.expect(200);
        assert_eq!((repeated.header("idempotency-replayed"), &repeated.body), ("true", &answer.body));
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_cannot_be_says_why() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({"maxMinutes": 60})).await;
        let id = service.reserve("ann", &room, 10, 11).await.expect(201).text("reservation");
        let path = format!("/v1/rooms/{room}/reservations/{id}");
        send(service.user("ann", Method::DELETE, &path)).await.expect(200);
        assert_eq!(restore(&service, &path, 0).await.problem(), (400, "invalid-value", "/revision"));
        for revision in [2, 3, u32::MAX] {
            let refused = restore(&service, &path, revision).await;
            assert_eq!(refused.problem(), (404, "unknown-revision", "/revision"));
            assert_eq!((&refused.body["room"], &refused.body["version"]), (&json!(room), &json!(3)));
        }
        for bad in [json!(-1), json!("1"), json!(1.5), Value::Null] {
            assert_eq!(send(request(&service, "ann", &path, bad)).await.status, 400);
        }
        assert_eq!(send(request(&service, "bob", &path, 1)).await.problem(), (403, "forbidden", ""));
        let stale = send(request(&service, "ann", &path, 1).header("If-Match", "\"1\"")).await;
        assert_eq!(stale.problem(), (412, "stale", "If-Match"));
        let nothing = format!("/v1/rooms/{room}/reservations/{}", service_kit::ids::new_id());
        assert_eq!(restore(&service, &nothing, 1).await.problem(), (404, "unknown-reservation", ""));
        let unkeyed = service.user("ann", Method::POST, &format!("{path}/restore"));
        let unkeyed = send(unkeyed.json(&json!({"revision": 1}))).await;
        assert_eq!(unkeyed.problem(), (400, "missing-idempotency-key", "Idempotency-Key"));
        let other = service.reserve("bob", &room, 10, 11).await.expect(201).text("reservation");
        let refused = restore(&service, &path, 1).await;
        assert_eq!(refused.problem(), (409, "overlap", ""));
        assert_eq!(refused.body["inTheWay"], json!({"reservation": other, "from": hour(10), "to": hour(11)}));
        let other = format!("/v1/rooms/{room}/reservations/{other}");
        send(service.user("bob", Method::DELETE, &other)).await.expect(200);
        // Neither the clock nor settings refuse what held before.
        send(service.admin(Method::PATCH, &format!("/v1/rooms/{room}")).json(&json!({"maxMinutes": 30})))
            .await
            .expect(200);
        service.clock.advance(chrono::TimeDelta::days(30));
        let late = keyed(service.user("ann", Method::POST, &format!("/v1/rooms/{room}/reservations")));
        assert_eq!(send(late.json(&stay(10, 11))).await.status, 422);
        restore(&service, &path, 1).await.expect(200);
        service.stop().await;
    }
}

fn restored(room: RoomId, reservation: ReservationId, revision: u32) -> Action {
    let was = Revision::Unknown;
    Action::RestoreReservation(RestoreReservation { room, reservation, revision, was })
}

/// Made in the first room, moved to the second and third, and cancelled there.
async fn cancelled_in_the_third(one: &Instance, rooms: [RoomId; 3]) -> ReservationId {
    let id = one.does(by("ann", reserve(rooms[0], hour_of(9)))).await.reservation.unwrap();
    for hop in rooms.windows(2) {
        let (room, to_room) = (Some(hop[0]), hop[1]);
        let action = MoveReservation { room, reservation: id, to_room, from: None, to: None };
        one.does(by("ann", Action::MoveReservation(action))).await;
    }
    one.does(by("ann", cancel(rooms[2], id))).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_instances_that_restore_a_reservation_into_two_rooms_one_is_refused() {
    for store in TestStore::both().await {
        let (one, other) = (instance(&store).await, instance(&store).await);
        let rooms =
            [one.room("A", "meeting").await, one.room("B", "meeting").await, one.room("C", "meeting").await];
        for _ in 0..8 {
            let id = cancelled_in_the_third(&one, rooms).await;
            let (first, second) = tokio::join!(
                one.writer.submit(by("ann", restored(rooms[2], id, 1))),
                other.writer.submit(by("ann", restored(rooms[2], id, 2))),
            );
            let done: Vec<_> =
                [first, second].into_iter().filter_map(|reply| reply.unwrap().result.ok()).collect();
            let [last] = done.as_slice() else { panic!("{done:?}") };
            // It is found without its room.
            let action = CancelReservation { room: None, reservation: id };
            let cancelled = one.does(by("ann", Action::CancelReservation(action))).await;
            assert_eq!((cancelled.room, cancelled.revision), (last.room, last.revision + 1));
        }
        events_of(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_is_restored_only_when_all_instances_know_the_event() {
    let store = TestStore::mysql().await;
    let one = instance(&store).await;
    let room = one.room("Blue", "meeting").await;
    let id = one.does(by("ann", reserve(room, hour_of(9)))).await.reservation.unwrap();
    one.does(by("ann", cancel(room, id))).await;
    let mut admin = store.database().connect().await;
    admin.execute("UPDATE relay_mode SET writer_form = 1").await.unwrap();
    let refused = one.writer.submit(by("ann", restored(room, id, 1))).await;
    assert_eq!(refused.unwrap_err(), Failure::NotYetWritten);
    let run = |arguments: &[&str]| crate::operate::run(&store.database().url, arguments);
    assert_eq!(run(&["writer-form"]).stdout, b"The form of writing is 1; this build knows 3.\n");
    let member = "INSERT INTO leases (name, holder, epoch, heartbeat) VALUES ('member/old', 'old', 1, 1)";
    admin.execute(member).await.unwrap();
    let refused = run(&["writer-form", "--raise"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_eq!(refused.stdout, b"The form of writing stays 1: instance old knows only a lower one.\n");
    admin.execute("DELETE FROM leases").await.unwrap();
    let raised = run(&["writer-form", "--raise"]);
    assert_eq!(raised.status.code(), Some(0), "{raised:?}");
    one.does(by("ann", restored(room, id, 1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_past_midnight_buffers_and_closures_are_written_only_when_all_instances_know_them() {
    let store = TestStore::mysql().await;
    let one = instance(&store).await;
    let room = one.room("Blue", "meeting").await;
    let mut admin = store.database().connect().await;
    admin.execute("UPDATE relay_mode SET writer_form = 2").await.unwrap();
    let hours = |closes: u16| OpeningHours {
        friday: OpeningSpan::new(18 * 60, closes * 60).unwrap().into(),
        ..OpeningHours::default()
    };
    let open = |closes| {
        let mut change = ChangeRoom::new(room);
        change.opening_hours = Some(Some(hours(closes)));
        by("admin", Action::ChangeRoom(change))
    };
    one.does(open(24)).await;
    assert_eq!(one.writer.submit(open(26)).await.unwrap_err(), Failure::NotYetWritten);
    let mut late = settings("Red", "meeting");
    late.opening_hours = Some(hours(26));
    let register = || by("admin", Action::RegisterRoom(RegisterRoom::new(late.clone())));
    assert_eq!(one.writer.submit(register()).await.unwrap_err(), Failure::NotYetWritten);
    let mut buffers = settings("Green", "meeting");
    buffers.buffer_after = Some(15);
    let buffers = || by("admin", Action::RegisterRoom(RegisterRoom::new(buffers.clone())));
    assert_eq!(one.writer.submit(buffers()).await.unwrap_err(), Failure::NotYetWritten);
    let close = || {
        let Interval { from, to } = hour_of(9).interval;
        let id = ClosureId(uuid::Uuid::from_u128(1));
        let reason = "New floor".to_owned();
        let closure = Closure { id, room, from, to, reason, kind: None, all: false };
        by("admin", Action::AddClosure(AddClosure { closure }))
    };
    assert_eq!(one.writer.submit(close()).await.unwrap_err(), Failure::NotYetWritten);
    admin.execute("UPDATE relay_mode SET writer_form = 3").await.unwrap();
    let buffered = one.does(buffers()).await.room;
    one.does(by("ann", reserve(buffered, hour_of(9)))).await;
    one.does(close()).await;
    one.does(register()).await;
    one.does(open(26)).await;
    one.does(by("admin", Action::RetireRoom(RetireRoom { room }))).await;
    let types: Vec<_> = events_of(&store).await.into_iter().filter(|(of, ..)| *of == room).collect();
    let types: Vec<&str> = types.iter().map(|(_, _, event_type)| event_type.as_str()).collect();
    let expected =
        ["room-registered.v1", "room-changed.v1", "closure-added.v1", "room-changed.v2", "room-retired.v2"];
    assert_eq!(types, expected.map(|name| format!("reservations.{name}")));
}
