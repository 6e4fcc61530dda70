//! The import of past bookings.

use futures_util::future::join_all;
use serde_json::{Value, json};
use system_tests::{Client, Room, unique};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    a_file_is_decided_in_its_order_and_repeated_without_effect
    a_broken_line_fails_alone
    a_line_of_the_future_or_about_time_before_it_is_rejected
    a_line_names_a_reservation_by_id_or_by_key
    a_long_file_is_answered_while_it_is_sent
}

/// A line of `user` at an hour of 2019-01-01.
fn line(key: &str, hour: u32, command: &str, more: Value) -> Value {
    let mut line = json!({"key": key, "at": format!("2019-01-01T{hour:02}:00:00.250Z"), "user": "ann", "command": command});
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line
}

fn file(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn stay(place: (&str, &str), day: u32) -> Value {
    let time = |hour: u32| format!("2019-02-{day:02}T{hour:02}:00:00Z");
    json!({place.0: place.1, "from": time(10), "to": time(12), "people": 2})
}

fn outcomes(answers: &[Value]) -> Vec<&str> {
    answers.iter().map(|answer| answer["outcome"].as_str().unwrap()).collect()
}

async fn heads(client: &Client, rooms: &[&Room]) -> Vec<usize> {
    join_all(rooms.iter().map(async |room| client.versions(&room.id).await.len())).await
}

async fn a_file_is_decided_in_its_order_and_repeated_without_effect(client: &Client) {
    let kind = unique("kind");
    let (first, second) =
        (client.register(json!({"kind": kind})).await, client.register(json!({"kind": kind})).await);
    let keys: Vec<String> = (0..7).map(|_| unique("line")).collect();
    let lines = [
        line(&keys[0], 8, "reserve", stay(("kind", &kind), 1)),
        line(&keys[1], 8, "reserve", stay(("kind", &kind), 1)),
        line(&keys[2], 8, "reserve", stay(("kind", &kind), 1)),
        line(&keys[3], 9, "reschedule", json!({"reservationKey": keys[0], "to": "2019-02-01T13:00:00Z"})),
        line(&keys[4], 10, "cancel", json!({"reservationKey": keys[1]})),
        line(&keys[5], 10, "cancel", json!({"reservationKey": keys[2]})),
        line(&keys[6], 11, "reserve", stay(("kind", &kind), 1)),
    ];
    let answers = client.import(&file(&lines)).send().await;
    assert_eq!(answers.header("content-type"), Some("application/x-ndjson"));
    let answers = answers.lines();
    assert_eq!(outcomes(&answers), ["done", "done", "rejected", "done", "done", "rejected", "done"]);
    for (place, answer) in answers.iter().enumerate() {
        assert_eq!((&answer["line"], &answer["key"]), (&json!(place + 1), &json!(keys[place])));
    }
    assert_eq!(answers[2]["problem"]["type"], "/problems/no-free-room");
    assert_eq!(answers[5]["problem"]["type"], "/problems/unknown-reservation");
    assert_eq!(answers[3]["reservation"], answers[0]["reservation"]);
    assert_eq!((&answers[3]["version"], &answers[3]["revision"]), (&json!(3), &json!(2)));
    // The last one gets the room of the cancelled one.
    assert_eq!(answers[6]["room"], answers[1]["room"]);

    let before = heads(client, &[&first, &second]).await;
    let again = client.import(&file(&lines)).send().await.lines();
    // A line about a reservation that was never made is not recorded: another one may make it.
    let expected = ["repeated", "repeated", "repeated", "repeated", "repeated", "rejected", "repeated"];
    assert_eq!(outcomes(&again), expected);
    for (first, again) in answers.iter().zip(&again) {
        for member in ["room", "reservation", "version", "revision"] {
            assert_eq!(first[member], again[member]);
        }
        assert_eq!(first["problem"]["type"], again["problem"]["type"]);
    }
    assert_eq!(heads(client, &[&first, &second]).await, before);

    // The same key with another line is an error.
    let other = line(&keys[0], 8, "reserve", stay(("kind", &kind), 2));
    let reused = client.import(&file(&[other])).send().await.lines();
    assert_eq!(reused[0]["outcome"], "failed");
    assert_eq!(reused[0]["problem"]["type"], "/problems/key-reused");
}

async fn a_broken_line_fails_alone(client: &Client) {
    let room = client.register(json!({})).await;
    let (first, last) = (unique("line"), unique("line"));
    let mut unknown_field = line(&unique("line"), 8, "reserve", stay(("room", &room.id), 3));
    unknown_field["colour"] = json!("red");
    let mut no_people = line(&unique("line"), 8, "reserve", stay(("room", &room.id), 3));
    no_people["people"] = json!("two");
    let lines = [
        line(&first, 8, "reserve", stay(("room", &room.id), 1)).to_string(),
        "{\"key\": ".to_owned(),
        unknown_field.to_string(),
        no_people.to_string(),
        "\u{0}\u{1}".to_owned(),
        json!({"key": "x", "padding": "y".repeat(70_000)}).to_string(),
        line(&last, 8, "reserve", stay(("room", &room.id), 2)).to_string(),
    ];
    let answers = client.import(&lines.join("\n")).send().await.lines();
    assert_eq!(outcomes(&answers), ["done", "failed", "failed", "failed", "failed", "failed", "done"]);
    let problem = |place: usize| (&answers[place]["problem"]["type"], &answers[place]["problem"]["field"]);
    assert_eq!(problem(1).0, "/problems/malformed");
    assert_eq!(problem(2), (&json!("/problems/unknown-field"), &json!("/colour")));
    assert_eq!(problem(3), (&json!("/problems/invalid-value"), &json!("/people")));
    assert_eq!(problem(5).0, "/problems/too-large");
    assert_eq!(answers[6]["line"], 7);
    assert_eq!(heads(client, &[&room]).await, [3]);
}

async fn a_line_of_the_future_or_about_time_before_it_is_rejected(client: &Client) {
    let room = client.register(json!({})).await;
    let mut future = line(&unique("line"), 8, "reserve", stay(("room", &room.id), 1));
    future["at"] = json!("2031-01-01T00:00:00Z");
    let answers = client
        .import(&file(&[
            future,
            line(&unique("line"), 9, "reserve", stay(("room", &room.id), 2)),
            // The room already has an event at 09:00, but nothing overlaps.
            line(&unique("line"), 8, "reserve", stay(("room", &room.id), 3)),
            // The same time is not too late.
            line(&unique("line"), 9, "reserve", stay(("room", &room.id), 4)),
            // Rules about the present use the line's time: this stay lies before it.
            json!({"key": unique("line"), "at": "2019-03-01T00:00:00Z", "user": "ann", "command": "reserve",
                "room": room.id, "from": "2019-02-10T10:00:00Z", "to": "2019-02-10T11:00:00Z", "people": 1}),
        ]))
        .send()
        .await
        .lines();
    assert_eq!(outcomes(&answers), ["rejected", "done", "done", "done", "rejected"]);
    assert_eq!(answers[0]["problem"]["field"], "/at");
    assert_eq!(answers[4]["problem"]["type"], "/problems/in-the-past");
    assert_eq!(heads(client, &[&room]).await, [4]);
}

async fn a_line_names_a_reservation_by_id_or_by_key(client: &Client) {
    let (first, second) = (client.register(json!({})).await, client.register(json!({})).await);
    let user = client.as_user("ann");
    let key = unique("line");
    let made =
        client.import(&file(&[line(&key, 8, "reserve", stay(("room", &first.id), 1))])).send().await.lines();
    let reservation = &made[0]["reservation"];
    let answers = client
        .import(&file(&[
            line(&unique("line"), 9, "move", json!({"reservationKey": key, "toRoom": second.id})),
            // It is found in its present room.
            line(
                &unique("line"),
                10,
                "reschedule",
                json!({"reservationKey": key, "from": "2019-02-01T11:00:00Z"}),
            ),
            line(&unique("line"), 11, "reschedule", json!({"reservation": reservation, "people": 3})),
            line(&unique("line"), 12, "cancel", json!({"reservation": reservation})),
            line(&unique("line"), 13, "cancel", json!({"reservation": reservation})),
            line(&unique("line"), 13, "cancel", json!({"reservationKey": unique("line")})),
        ]))
        .send()
        .await
        .lines();
    assert_eq!(outcomes(&answers), ["done", "done", "done", "done", "rejected", "rejected"]);
    assert!(answers[..4].iter().all(|answer| answer["room"] == json!(second.id)));
    let revisions: Vec<_> = answers[..4].iter().map(|answer| answer["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, [2, 3, 4, 5]);

    // The user reads an imported reservation like any other.
    let path = format!("/v1/reservations/{}", reservation.as_str().unwrap());
    let shown =
        user.until(&path, |answer| answer.status == 200 && answer.json()["revision"] == 5).await.json();
    assert_eq!((&shown["status"], &shown["reservedBy"]), (&json!("cancelled"), &json!("ann")));
}

async fn a_long_file_is_answered_while_it_is_sent(client: &Client) {
    let room = client.register(json!({})).await;
    let reserve = |day: u32| line(&unique("line"), 8, "reserve", stay(("room", &room.id), day));
    let mut import = client.open_import(&reserve(1)).await;
    // Each line is answered before the next one is sent.
    for day in 2..=20 {
        assert_eq!(import.next_answer().await.unwrap()["outcome"], "done");
        import.send(&reserve(day));
    }
    assert_eq!(import.next_answer().await.unwrap()["line"], 20);
    import.finish();
    assert_eq!(import.next_answer().await, None);
}
