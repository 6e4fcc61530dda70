//! The past on the whole system: what queries showed at a moment is what they show of it later.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Client, Room, Stack, YEAR, until};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    a_schedule_a_room_and_a_reservation_are_shown_later_as_they_were
}

/// A moment after all that was recorded before, and before all that is recorded later.
async fn moment() -> String {
    let now = || chrono::Utc::now().timestamp_millis();
    let at = now() + 2;
    until(async || if now() > at + 2 { Ok(()) } else { Err("the clock stands".to_owned()) }).await;
    chrono::DateTime::from_timestamp_millis(at).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn day(day: u32, hour: u32) -> String {
    format!("2031-03-{day:02}T{hour:02}:00:00Z")
}

async fn shown(client: &Client, paths: &[String], parameters: &[(&str, &str)]) -> Vec<Value> {
    let mut answers = Vec::new();
    for path in paths {
        answers.push(client.get(path).with(parameters).send().await.expect(200));
    }
    answers
}

async fn a_schedule_a_room_and_a_reservation_are_shown_later_as_they_were(client: &Client) {
    let [blue, red] = [client.register(json!({})).await, client.register(json!({})).await];
    let stay = client.reserve(&blue.id, &day(3, 10), &day(3, 12)).send().await;
    let other = client.reserve(&red.id, &day(4, 10), &day(4, 12)).send().await;
    let id = stay.reservation();
    let schedule = |room: &Room| format!("{}/schedule?from={}&to={}", room.path(), YEAR[0].1, YEAR[1].1);
    let paths = [blue.path(), red.path(), schedule(&blue), schedule(&red), format!("/v1/reservations/{id}")];
    let mut seen = Vec::new();
    let mut tokens = vec![stay.token(), other.token()];
    for step in 0..4 {
        let done = match step {
            0 => {
                client
                    .patch(&blue.reservation(&id), &json!({"from": day(3, 11), "title": "Talk"}))
                    .send()
                    .await
            }
            1 => {
                let body = json!({"toRoom": red.id, "from": day(20, 8), "to": day(20, 9)});
                client.post(&format!("{}/move", blue.reservation(&id)), &body).send().await
            }
            2 => client.patch(&red.path(), &json!({"capacity": 3})).send().await,
            _ => client.delete(&red.reservation(&id)).send().await,
        };
        assert!(done.is_success(), "{done:?}");
        tokens.push(done.token());
        let token = tokens.join(",");
        for path in &paths {
            let _ = client.get(path).after(&token).send().await.expect(200);
        }
        let at = moment().await;
        seen.push((at, shown(client, &paths, &[]).await));
    }
    for (at, then) in &seen {
        let mut past = shown(client, &paths, &[("asOf", at)]).await;
        for ((path, past), then) in paths.iter().zip(&mut past).zip(then).take(2) {
            // Of a room, the version that last changed it; asked for by number, it is the very same.
            let version = std::mem::replace(&mut past["version"], then["version"].clone());
            assert!(version.as_u64() <= then["version"].as_u64(), "{version}: {then}");
            let number = then["version"].to_string();
            let by_number = client.get(path).with(&[("version", &number)]).send().await.expect(200);
            assert_eq!(&by_number, then);
        }
        assert_eq!(&past, then, "{at}");
    }
    let revisions = client.get(&format!("/v1/reservations/{id}/revisions")).send().await.expect(200);
    let told = revisions["items"].as_array().unwrap();
    let what: Vec<&str> = told.iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["made", "changed", "moved", "cancelled"]);
    assert_eq!(told[2]["changed"], json!(["room", "from", "to"]));
    // Both halves of the move have one time.
    let events = [client.events(&blue.id).await, client.events(&red.id).await].concat();
    let moved: Vec<_> = events
        .iter()
        .filter(|event| event["type"].as_str().unwrap().contains("reservation-moved"))
        .map(|event| &event["recordedtime"])
        .collect();
    assert_eq!((moved.len(), moved[0]), (2, moved[1]));
    assert_eq!(&told[2]["recordedAt"], moved[0]);
}

/// Runs a command of query-service by a clock that is a minute ahead: a moment of now is old enough.
async fn run(stack: &Stack, arguments: &[&str], status: i32) -> String {
    let mut command = stack.queries[0].command(arguments);
    let output = command.env("CLOCK_OFFSET_SECONDS", "60").output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(status), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_generation_answers_as_queries_did_at_its_moment() {
    let stack = Stack::real(1).await;
    let client = stack.client();
    let ann = client.as_user("ann@example.com");
    let [blue, red] = [client.register(json!({})).await, client.register(json!({})).await];
    let stay = ann.reserve(&blue.id, &day(3, 10), &day(3, 12)).send().await;
    let other = client.reserve(&red.id, &day(4, 10), &day(4, 15)).send().await;
    let of_kind = format!("kind={}", blue.kind);
    let range = format!("from={}&to={}", YEAR[0].1, YEAR[1].1);
    let paths = [
        blue.path(),
        "/v1/rooms".to_owned(),
        "/v1/kinds".to_owned(),
        format!("{}/schedule?{range}", red.path()),
        format!("{}/free?{range}", blue.path()),
        format!("/v1/availability?from={}&to={}", day(3, 11), day(3, 12)),
        format!("/v1/statistics/popular-rooms?{range}"),
        format!("/v1/statistics/busiest-times?{range}&{of_kind}"),
        format!("/v1/reservations/{}", stay.reservation()),
        "/v1/users/ann%40example.com/history".to_owned(),
    ];
    for token in [stay.token(), other.token()] {
        let _ = client.get(&blue.path()).after(&token).send().await.expect(200);
    }
    client.sees_counted([blue.id.as_str(), red.id.as_str()]).await;
    let then = shown(&client, &paths, &[]).await;
    let at = moment().await;

    let to_red = json!({"toRoom": red.id});
    let moved = ann.post(&format!("{}/move", blue.reservation(&stay.reservation())), &to_red).send().await;
    assert!(moved.is_success(), "{moved:?}");
    let more = client.reserve(&blue.id, &day(9, 1), &day(9, 20)).send().await;
    client.sees(&blue, &more.token()).await;
    client.sees(&red, &moved.token()).await;
    client.sees_counted([blue.id.as_str(), red.id.as_str()]).await;
    let now = shown(&client, &paths, &[]).await;
    assert_ne!(now, then);

    let report = run(&stack, &["rebuild", "--until", &at, "--json"], 0).await;
    let report: Value = serde_json::from_str(&report).unwrap();
    let number = report["generation"].to_string();
    assert_eq!((&report["rooms"], &report["events"]), (&json!(2), &json!(4)), "{report}");
    let frozen = [("generation", number.as_str())];
    let is_there = format!("/v1/kinds?generation={number}");
    client.until(&is_there, |answer| answer.status == 200).await;
    assert_eq!(shown(&client, &paths, &frozen).await, then);
    assert_eq!(shown(&client, &paths, &[]).await, now, "queries without the number see the present");

    ann.get(&blue.path()).with(&frozen).send().await.problem(403, "forbidden");
    let with_token = client.get(&blue.path()).with(&frozen).after(&more.token()).send().await;
    assert_eq!(with_token.problem(400, "invalid-value")["field"], "Consistency-Token");
    let as_of = [("generation", number.as_str()), ("asOf", "2031-01-01T00:00:00Z")];
    client.get(&blue.path()).with(&as_of).send().await.problem(400, "invalid-value");

    // An erasure masks it.
    run(&stack, &["erase", "--user", "ann@example.com"], 0).await;
    let path = format!("/v1/reservations/{}", stay.reservation());
    let masked = client.get(&path).with(&frozen).send().await.expect(200);
    assert_ne!(masked["reservedBy"], "ann@example.com");
    assert_eq!(stack.places_that_hold("ann@example.com").await, Vec::<String>::new());

    let generations = run(&stack, &["generations", "--json"], 0).await;
    assert!(generations.contains("\"frozen\""), "{generations}");
    // A rebuild goes on beside it, and makes another one.
    run(&stack, &["rebuild"], 0).await;
    run(&stack, &["drop-generation", &number], 0).await;
    client.until(&is_there, |answer| answer.status == 400).await;
    let _ = client.query(Method::GET, "/v1/kinds").send().await.expect(200);
    run(&stack, &["rebuild", "--until", "2050-01-01T00:00:00Z"], 2).await;
}
