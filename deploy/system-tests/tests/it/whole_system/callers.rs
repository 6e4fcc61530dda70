//! Rules that depend on who books: availability says to each caller what the caller's booking gets, and the other way round.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use system_tests::{Client, Random, Room, unique};

use crate::stacks::on_both_stacks;

on_both_stacks! {
    availability_says_to_each_caller_what_a_booking_of_the_caller_gets
}

/// Half an hour of August 2031.
fn at(half_hour: u64) -> String {
    format!("2031-08-{:02}T{:02}:{:02}:00Z", 1 + half_hour / 48, half_hour / 2 % 24, half_hour % 2 * 30)
}

async fn availability_says_to_each_caller_what_a_booking_of_the_caller_gets(client: &Client) {
    let mut random = Random::new(26);
    let kind = unique("kind");
    let rooms = rooms(client, &kind).await;
    let (ann, office) = (unique("ann"), unique("office"));
    let callers = [
        client.as_user(&ann),
        client.as_user_with(&unique("bob"), "staff"),
        client.as_user_with(&office, "delegate"),
        client.clone(),
    ];
    let mut tokens: Vec<String> = rooms.iter().map(|room| room.token.clone()).collect();
    let (mut kept, mut refused) = (Vec::new(), BTreeMap::<String, usize>::new());
    for round in 0..60 {
        if round == 20 {
            let body = json!({"kind": kind, "from": at(30), "to": at(50), "reason": "New floor"});
            let lines = client.post("/v1/closures", &body).send().await.lines();
            for line in lines {
                let place = rooms.iter().position(|room| line["room"] == room.id.as_str()).unwrap();
                tokens[place] = line["consistencyToken"].as_str().unwrap().to_owned();
            }
        }
        let place = random.index(callers.len());
        let caller = &callers[place];
        // Who may book for others does so now and then.
        let owner = (place > 1 && random.below(2) == 0).then_some(ann.as_str());
        let halves = [1, 2, 4][random.index(3)];
        let from = random.below(80);
        let (from, to) = (at(from), at(from + halves));
        let said_for = available(caller, (&from, &to), &kind, owner, None, &tokens).await;
        // A search within the time of the stay finds it in the same rooms.
        let found = available(caller, (&from, &to), &kind, owner, Some(30 * halves), &tokens).await;
        assert_eq!(found, said_for, "{from} {to}");
        for (place, room) in rooms.iter().enumerate() {
            let said = said_for.contains(&room.id);
            let mut body = json!({"from": from, "to": to, "people": 2});
            if let Some(owner) = owner {
                body["reservedBy"] = owner.into();
            }
            let answer = caller.post(&room.reservations(), &body).send().await;
            let why = format!("{} {from} {to} {}: {}", caller.name(), room.name, answer.json());
            assert_eq!(answer.is_success(), said, "{why}");
            if !said {
                let problem = answer.json();
                let rule = problem.get("rule").unwrap_or(&problem["type"]).as_str().unwrap().to_owned();
                *refused.entry(rule).or_default() += 1;
                continue;
            }
            tokens[place] = answer.token();
            let path = room.reservation(&answer.reservation());
            if random.below(3) == 0 {
                tokens[place] = caller.delete(&path).send().await.token();
            } else {
                kept.push((place, path));
            }
        }
        // What ends or is cancelled gives the quota back.
        if random.below(3) == 0 && !kept.is_empty() {
            let (place, path) = kept.swap_remove(random.index(kept.len()));
            tokens[place] = client.delete(&path).send().await.token();
        }
    }
    let names = [
        "maxAhead.reservations",
        "maxAhead.minutes",
        "bookableBy",
        "/problems/overlap",
        "/problems/room-closed",
    ];
    for name in names {
        assert!(refused.get(name).is_some_and(|count| *count >= 3), "{name}: {refused:?}");
    }
    assert!(kept.len() >= 10, "{}", kept.len());
}

/// Rooms with each kind of rule.
async fn rooms(client: &Client, kind: &str) -> Vec<Room> {
    let rules: [Value; 6] = [
        json!({}),
        json!({"maxAhead": {"reservations": 2}}),
        json!({"maxAhead": {"minutes": 150}, "bufferBefore": 30}),
        json!({"maxAhead": {"reservations": 3, "minutes": 120}, "bookableBy": ["staff", "delegate"]}),
        json!({"bookableBy": ["staff"], "slotMinutes": 60}),
        json!({"maxAhead": {"reservations": 1}, "bufferAfter": 60, "slotMinutes": 30}),
    ];
    let mut rooms = Vec::new();
    for mut settings in rules {
        settings["kind"] = kind.into();
        rooms.push(client.register(settings).await);
    }
    rooms
}

async fn available(
    caller: &Client,
    (from, to): (&str, &str),
    kind: &str,
    owner: Option<&str>,
    duration: Option<u64>,
    tokens: &[String],
) -> Vec<String> {
    let duration = duration.map(|minutes| minutes.to_string());
    let mut parameters = vec![("from", from), ("to", to), ("people", "2"), ("kind", kind)];
    parameters.extend(owner.map(|owner| ("reservedBy", owner)));
    parameters.extend(duration.as_deref().map(|minutes| ("duration", minutes)));
    let call = caller.get("/v1/availability").with(&parameters).after(&tokens.join(", "));
    let found = call.send().await.expect(200);
    let items = found["items"].as_array().unwrap();
    items.iter().map(|item| item["room"].as_str().unwrap().to_owned()).collect()
}
