//! Popular rooms and busiest times.

use serde_json::{Value, json};
use system_tests::{Client, unique};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    statistics_count_each_minute_on_the_rooms_own_clock
    statistics_follow_changes_moves_and_cancellations
}

async fn busiest(client: &Client, kind: &str, from: &str, to: &str, token: &str) -> Vec<(u64, u64, u64)> {
    let parameters = [("from", from), ("to", to), ("kind", kind)];
    let call = client.get("/v1/statistics/busiest-times").with(&parameters);
    let answer = if token.is_empty() { call } else { call.after(token) }.send().await.expect(200);
    let rows = answer["items"].as_array().unwrap();
    assert_eq!(rows.len(), 168);
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap();
    rows.iter()
        .map(|row| (number(row, "weekday"), number(row, "hour"), number(row, "minutes")))
        .filter(|(_, _, minutes)| *minutes > 0)
        .collect()
}

async fn popular(client: &Client, kind: &str, from: &str, to: &str) -> Value {
    let parameters = [("from", from), ("to", to), ("kind", kind)];
    client.get("/v1/statistics/popular-rooms").with(&parameters).send().await.expect(200)["items"].clone()
}

async fn statistics_count_each_minute_on_the_rooms_own_clock(client: &Client) {
    let kind = unique("kind");
    let lisbon = client.register(json!({"kind": kind, "timeZone": "Europe/Lisbon"})).await;
    let kathmandu = client.register(json!({"kind": kind, "timeZone": "Asia/Kathmandu"})).await;
    // Saturday 23:00 in Lisbon to Sunday 03:00, with the hour from 01:00 twice.
    let first = client.reserve(&lisbon.id, "2031-10-25T22:00:00Z", "2031-10-26T03:00:00Z").send().await;
    // Sunday 05:45 to 06:15 in Kathmandu.
    let second = client.reserve(&kathmandu.id, "2031-10-26T00:00:00Z", "2031-10-26T00:30:00Z").send().await;
    let token = format!("{},{}", first.token(), second.token());

    let year = ("2031-01-01T00:00:00Z", "2032-01-01T00:00:00Z");
    assert_eq!(
        busiest(client, &kind, year.0, year.1, &token).await,
        [(6, 23, 60), (7, 0, 60), (7, 1, 120), (7, 2, 60), (7, 5, 15), (7, 6, 15)]
    );
    let row = |room: &system_tests::Room, minutes: u64, occupancy: f64| {
        json!({
            "room": room.id, "name": room.name, "minutes": minutes, "reservations": 1, "people": 2,
            "occupancy": occupancy,
        })
    };
    let rows = json!([row(&lisbon, 300, 0.0006), row(&kathmandu, 30, 0.0001)]);
    assert_eq!(popular(client, &kind, year.0, year.1).await, rows);

    let odd = ("2031-10-25T22:31:00Z", "2031-10-26T00:16:00Z");
    assert_eq!(
        busiest(client, &kind, odd.0, odd.1, "").await,
        [(6, 23, 29), (7, 0, 60), (7, 1, 16), (7, 5, 15), (7, 6, 1)]
    );
    let rows = json!([row(&lisbon, 105, 1.0), row(&kathmandu, 16, 0.1524)]);
    assert_eq!(popular(client, &kind, odd.0, odd.1).await, rows);
    assert_eq!(popular(client, &kind, "2031-10-26T03:00:00Z", year.1).await, json!([]));
    let parameters = [("from", odd.0), ("to", odd.1), ("kind", &kind), ("by", "date"), ("measure", "people")];
    let by_date = client.get("/v1/statistics/busiest-times").with(&parameters).send().await.expect(200);
    let row = |date: &str, hour: u8| json!({"date": date, "hour": hour, "people": 2});
    let sunday = [0, 1, 5, 6].map(|hour| row("2031-10-26", hour));
    assert_eq!(by_date["items"], json!([&[row("2031-10-25", 23)], sunday.as_slice()].concat()));
}

async fn statistics_follow_changes_moves_and_cancellations(client: &Client) {
    let kind = unique("kind");
    let first = client.register(json!({"kind": kind})).await;
    let second = client.register(json!({"kind": kind})).await;
    let range = ("2031-01-06T00:00:00Z", "2031-01-13T00:00:00Z");
    let made = client.reserve(&first.id, "2031-01-06T10:00:00Z", "2031-01-06T12:00:00Z").send().await;
    let reservation = made.reservation();
    assert_eq!(busiest(client, &kind, range.0, range.1, &made.token()).await, [(1, 10, 60), (1, 11, 60)]);

    let path = first.reservation(&reservation);
    let later = json!({"from": "2031-01-06T11:30:00Z", "to": "2031-01-06T12:30:00Z"});
    let changed = client.patch(&path, &later).send().await;
    assert_eq!(busiest(client, &kind, range.0, range.1, &changed.token()).await, [(1, 11, 30), (1, 12, 30)]);

    let moved = client.post(&format!("{path}/move"), &json!({"toRoom": second.id})).send().await;
    assert_eq!(busiest(client, &kind, range.0, range.1, &moved.token()).await, [(1, 11, 30), (1, 12, 30)]);
    let expected = json!([{
        "room": second.id, "name": second.name, "minutes": 60, "reservations": 1, "people": 2, "occupancy": 0.006,
    }]);
    assert_eq!(popular(client, &kind, range.0, range.1).await, expected);

    let path = second.reservation(&reservation);
    let cancelled = client.delete(&path).send().await;
    assert_eq!(busiest(client, &kind, range.0, range.1, &cancelled.token()).await, []);
    assert_eq!(popular(client, &kind, range.0, range.1).await, json!([]));
}
