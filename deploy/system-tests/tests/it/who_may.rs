//! Access to every route of both OpenAPI documents, with real tokens.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Answer, Client, Room, Stack, unique};

use crate::stacks;

/// The callers that a route lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// All callers, with or without a token.
    Anybody,
    /// All callers with a token.
    Users,
    /// The owner of the reservation, and administrators.
    Owner,
    Administrators,
    /// Other services, and administrators.
    Services,
    /// Erasers, and administrators.
    Erasers,
    /// The user of the subscription or calendar. Nobody else learns whether there is one.
    Subscribers,
    /// Holders of the secret in the address, with or without a token.
    Holders,
}
use For::{Administrators, Anybody, Erasers, Holders, Owner, Services, Subscribers, Users};

const COMMANDS: &[(&str, &str, For)] = &[
    ("GET", "/health/live", Anybody),
    ("GET", "/health/ready", Anybody),
    ("GET", "/metrics", Anybody),
    ("GET", "/openapi.json", Anybody),
    ("GET", "/problems", Anybody),
    ("POST", "/v1/rooms", Administrators),
    ("PATCH", "/v1/rooms/{room}", Administrators),
    ("DELETE", "/v1/rooms/{room}", Administrators),
    ("POST", "/v1/rooms/{room}/reservations", Users),
    ("POST", "/v1/kinds/{kind}/reservations", Users),
    ("PATCH", "/v1/rooms/{room}/reservations/{reservation}", Owner),
    ("POST", "/v1/rooms/{room}/reservations/{reservation}/move", Owner),
    ("POST", "/v1/rooms/{room}/reservations/{reservation}/restore", Owner),
    ("DELETE", "/v1/rooms/{room}/reservations/{reservation}", Owner),
    ("POST", "/v1/rooms/{room}/series", Users),
    ("PATCH", "/v1/rooms/{room}/series/{series}", Owner),
    ("DELETE", "/v1/rooms/{room}/series/{series}", Owner),
    ("PATCH", "/v1/rooms/{room}/series/{series}/following/{reservation}", Owner),
    ("DELETE", "/v1/rooms/{room}/series/{series}/following/{reservation}", Owner),
    ("POST", "/v1/closures", Administrators),
    ("DELETE", "/v1/closures/{closure}", Administrators),
    ("POST", "/v1/commands", Users),
    ("POST", "/v1/import", Administrators),
    ("GET", "/v1/erasures", Services),
    ("POST", "/v1/erasures", Erasers),
    ("GET", "/v1/admin/relay", Administrators),
    ("GET", "/v1/admin/held-rooms", Administrators),
    ("GET", "/v1/admin/roll-back", Administrators),
    ("GET", "/v1/admin/metrics", Administrators),
    ("GET", "/v1/admin/log-level", Administrators),
    ("PUT", "/v1/admin/log-level", Administrators),
    ("GET", "/v1/streams", Services),
    ("GET", "/v1/streams/{room}/events", Services),
    ("GET", "/v1/streams/{room}/events/{version}", Services),
    ("POST", "/v1/events/query", Services),
];

const QUERIES: &[(&str, &str, For)] = &[
    ("GET", "/health/live", Anybody),
    ("GET", "/health/ready", Anybody),
    ("GET", "/metrics", Anybody),
    ("GET", "/openapi.json", Anybody),
    ("GET", "/problems", Anybody),
    ("GET", "/v1/admin/parked-rooms", Administrators),
    ("GET", "/v1/admin/generations", Administrators),
    ("GET", "/v1/admin/metrics", Administrators),
    ("GET", "/v1/admin/log-level", Administrators),
    ("PUT", "/v1/admin/log-level", Administrators),
    ("GET", "/v1/rooms", Users),
    ("GET", "/v1/rooms/{room}", Users),
    ("GET", "/v1/rooms/{room}/schedule", Users),
    ("GET", "/v1/rooms/{room}/free", Users),
    ("GET", "/v1/schedule", Users),
    ("GET", "/v1/closures/{closure}", Users),
    ("GET", "/v1/kinds", Users),
    ("GET", "/v1/availability", Users),
    ("GET", "/v1/events", Users),
    ("GET", "/v1/reservations/{reservation}", Owner),
    ("GET", "/v1/reservations/{reservation}/revisions", Owner),
    ("GET", "/v1/me", Users),
    ("GET", "/v1/me/reservations", Users),
    ("GET", "/v1/me/history", Users),
    ("GET", "/v1/me/calendars", Subscribers),
    ("POST", "/v1/me/calendars", Subscribers),
    ("DELETE", "/v1/me/calendars/{calendar}", Subscribers),
    ("GET", "/v1/me/calendar.ics", Holders),
    ("POST", "/v1/rooms/{room}/calendars", Subscribers),
    ("GET", "/v1/rooms/{room}/calendar.ics", Holders),
    ("GET", "/v1/users/{user}/reservations", Administrators),
    ("GET", "/v1/users/{user}/history", Administrators),
    ("GET", "/v1/subscriptions", Subscribers),
    ("POST", "/v1/subscriptions", Subscribers),
    ("GET", "/v1/subscriptions/{subscription}", Subscribers),
    ("PATCH", "/v1/subscriptions/{subscription}", Subscribers),
    ("DELETE", "/v1/subscriptions/{subscription}", Subscribers),
    ("POST", "/v1/subscriptions/{subscription}/rotate-secret", Subscribers),
    ("POST", "/v1/subscriptions/{subscription}/test", Subscribers),
    ("GET", "/v1/subscriptions/{subscription}/deliveries", Subscribers),
    ("POST", "/v1/subscriptions/{subscription}/deliveries/{delivery}/redeliver", Subscribers),
    ("GET", "/v1/statistics/popular-rooms", Users),
    ("GET", "/v1/statistics/busiest-times", Users),
    ("GET", "/v1/statistics/kinds", Users),
];

/// The operations of a document.
fn described(document: &Value) -> BTreeSet<(String, String)> {
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        operations
            .extend(methods.as_object().unwrap().keys().map(|name| (name.to_uppercase(), path.clone())));
    }
    operations
}

#[tokio::test]
async fn every_route_of_both_documents_says_whom_it_is_for() {
    let stack = stacks::real().await;
    let client = stack.client();
    let documents = [
        client.command(Method::GET, "/openapi.json").send().await.expect(200),
        client.get("/openapi.json").send().await.expect(200),
    ];
    for (document, table) in documents.iter().zip([COMMANDS, QUERIES]) {
        let named: BTreeSet<_> =
            table.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
        assert_eq!(described(document), named);
    }
}

/// A reservation and a series of Ann, with values that no other user may see.
struct Scene {
    stack: std::sync::Arc<Stack>,
    room: Room,
    other_room: Room,
    reservation: String,
    series: String,
    /// The first reservation of the series.
    member: String,
    user: String,
    title: String,
    guest: String,
}

const FROM: &str = "2031-03-03T10:00:00Z";
const TO: &str = "2031-03-03T11:00:00Z";
/// The series repeats this day and the next one.
const SERIES: &str = "FREQ=DAILY;COUNT=2";

impl Scene {
    async fn new() -> Self {
        let stack = stacks::real().await;
        let admin = stack.client();
        let (room, other_room) = (admin.register(json!({})).await, admin.register(json!({})).await);
        let (user, title, guest) = (unique("ann"), unique("secret title"), unique("secret guest"));
        let ann = admin.with_token(&stack.token(&user, &[]));
        let body = json!({"from": FROM, "to": TO, "people": 2, "title": title, "reservedFor": guest});
        let made = ann.post(&room.reservations(), &body).send().await;
        let reservation = made.reservation();
        let mut body = body.clone();
        (body["from"], body["to"]) = ("2031-03-04T12:00:00Z".into(), "2031-03-04T13:00:00Z".into());
        body["recurrence"] = SERIES.into();
        let made = ann.post(&format!("/v1/rooms/{}/series", room.id), &body).send().await.expect(201);
        let (series, member) = (made["series"].clone(), made["occurrences"][0]["reservation"].clone());
        let [series, member] = [series, member].map(|id| id.as_str().unwrap().to_owned());
        admin.until(&format!("/v1/reservations/{member}"), |answer| answer.status == 200).await;
        Self { stack, room, other_room, reservation, series, member, user, title, guest }
    }

    fn client(&self, user: &str, roles: &[&str]) -> Client {
        self.stack.client().with_token(&self.stack.token(user, roles))
    }

    /// Sends a valid request to a route.
    async fn send(&self, client: &Client, commands: bool, method: &str, route: &str) -> Answer {
        let path = route
            .replace("{room}", &self.room.id)
            .replace("/following/{reservation}", &format!("/following/{}", self.member))
            .replace("{series}", &self.series)
            .replace("{reservation}", &self.reservation)
            .replace("{kind}", &self.room.kind)
            .replace("{version}", "1")
            .replace("{user}", &self.user)
            .replace("{subscription}", &self.other_room.id)
            .replace("{calendar}", &self.other_room.id)
            .replace("{closure}", &self.other_room.id)
            .replace("{delivery}", "any");
        let method: Method = method.parse().unwrap();
        let call = if commands {
            client.command(method.clone(), &path)
        } else {
            client.query(method.clone(), &path)
        };
        let body = match (method.as_str(), route) {
            ("POST", "/v1/rooms") => {
                json!({"name": unique("room"), "kind": unique("kind"), "capacity": 1, "timeZone": "UTC"})
            }
            ("PATCH", "/v1/rooms/{room}") => json!({"capacity": 9}),
            ("POST", _) if route.ends_with("/move") => json!({"toRoom": self.other_room.id}),
            ("POST", _) if route.ends_with("/restore") => json!({"revision": 1}),
            ("PATCH", _) => json!({"people": 3}),
            ("POST", "/v1/import" | "/v1/commands") => {
                return call.header("Content-Type", "application/x-ndjson").body("{}\n").send().await;
            }
            ("PUT", "/v1/admin/log-level") => return call.json(&json!({"level": "info"})).send().await,
            ("POST", "/v1/erasures") => return call.json(&json!({"user": unique("somebody")})).send().await,
            ("POST", "/v1/events/query") => {
                return call.json(&json!({"items": [{"room": self.room.id, "after": 0}]})).send().await;
            }
            ("POST", "/v1/closures") => {
                json!({"rooms": [self.other_room.id], "from": FROM, "to": TO, "reason": "painting"})
            }
            ("POST", _) if route.ends_with("/series") => {
                json!({"from": FROM, "to": TO, "people": 1, "recurrence": SERIES})
            }
            ("POST", _) => json!({"from": FROM, "to": TO, "people": 1}),
            (_, "/v1/admin/roll-back") => {
                return call.with(&[("since", FROM), ("actor", "nobody")]).send().await;
            }
            (_, "/v1/schedule") => return call.with(&[("date", "2031-03-03")]).send().await,
            _ if [
                "/schedule",
                "/free",
                "/availability",
                "/popular-rooms",
                "/busiest-times",
                "/statistics/kinds",
            ]
            .iter()
            .any(|end| route.ends_with(end)) =>
            {
                return call.with(&[("from", FROM), ("to", TO)]).send().await;
            }
            _ if route.ends_with(".ics") => return call.with(&[("token", "guess")]).send().await,
            // The answer to GET has no end.
            (_, "/v1/events") => {
                return client.query(Method::HEAD, &path).with(&[("mine", "true")]).send().await;
            }
            _ => return call.send().await,
        };
        call.key(&unique("key")).json(&body).send().await
    }

    /// Sends a request to each route for these callers.
    async fn send_all(&self, client: &Client, whom: &[For]) -> Vec<(String, For, Answer)> {
        let mut answers = Vec::new();
        for (commands, table) in [(true, COMMANDS), (false, QUERIES)] {
            for (method, route, access) in table.iter().filter(|(.., access)| whom.contains(access)) {
                let answer = self.send(client, commands, method, route).await;
                answers.push((format!("{method} {route}"), *access, answer));
            }
        }
        answers
    }

    /// The room and the reservation have not changed.
    async fn untouched(&self) {
        assert_eq!(self.stack.client().versions(&self.room.id).await, [1, 2, 3, 4]);
    }
}

#[tokio::test]
async fn without_a_token_that_holds_no_route_answers_but_those_for_anybody() {
    let scene = Scene::new().await;
    let good = scene.stack.token(&scene.user, &["admin"]);
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let stranger = scene.stack.token("stranger", &[]);
    let forged = [
        "nonsense".to_owned(),
        format!("{rest}."),
        // With the signature of another token.
        format!("{rest}.{}", stranger.rsplit_once('.').unwrap().1),
        format!("e30.{}.{signature}", rest.split_once('.').unwrap().1),
    ];
    let client = scene.stack.client();
    let callers = forged.iter().map(|token| client.with_token(token)).chain([client.as_nobody()]);
    for caller in callers {
        for (route, _, answer) in
            scene.send_all(&caller, &[Users, Owner, Administrators, Services, Erasers, Subscribers]).await
        {
            assert_eq!(answer.status, 401, "{route}: {}", answer.text);
            // The answer to HEAD, which asks for the endless stream, has no body.
            if route != "GET /v1/events" {
                answer.problem(401, "unauthenticated");
            }
        }
        for (route, _, answer) in scene.send_all(&caller, &[Holders]).await {
            assert_eq!(answer.status, 404, "{route}: {}", answer.text);
        }
        for (route, _, answer) in scene.send_all(&caller, &[Anybody]).await {
            assert_eq!(answer.status, 200, "{route}: {}", answer.text);
        }
    }
    scene.untouched().await;
}

#[tokio::test]
async fn another_user_is_refused_what_is_an_owners_an_administrators_or_a_services() {
    let scene = Scene::new().await;
    let stranger = scene.client(&unique("stranger"), &[]);
    for (route, _, answer) in scene.send_all(&stranger, &[Owner, Administrators, Services, Erasers]).await {
        assert_eq!(answer.status, 403, "{route}: {}", answer.text);
        answer.problem(403, "forbidden");
    }
    scene.untouched().await;
}

#[tokio::test]
async fn another_user_learns_nothing_of_a_reservation_on_any_route_but_its_time() {
    let scene = Scene::new().await;
    let stranger = scene.client(&unique("stranger"), &[]);
    let everything = [Anybody, Users, Owner, Administrators, Services, Erasers];
    let mut conflicts = 0;
    for (route, access, answer) in scene.send_all(&stranger, &everything).await {
        for secret in [&scene.user, &scene.title, &scene.guest] {
            assert!(!answer.text.contains(secret.as_str()), "{route}: {}", answer.text);
            assert!(!format!("{:?}", answer.headers).contains(secret.as_str()), "{route}: {answer:?}");
        }
        if access == Users {
            // There is no such closure.
            let missing = u16::from(route.ends_with("{closure}")) * 404;
            assert!(
                matches!(answer.status, 200 | 409) || answer.status == missing,
                "{route}: {}",
                answer.text
            );
            conflicts += u32::from(answer.status == 409);
        }
    }
    assert_eq!(conflicts, 3, "the room, its kind, and a day of the series are taken at that time");
    // The schedule shows them to the owner.
    let ann = scene.client(&scene.user, &[]);
    let schedule = scene.send(&ann, false, "GET", "/v1/rooms/{room}/schedule").await;
    assert!(
        schedule.text.contains(&scene.title) && schedule.text.contains(&scene.guest),
        "{}",
        schedule.text
    );
    scene.untouched().await;
}

#[tokio::test]
async fn a_service_reads_the_feed_and_an_eraser_erases_and_both_are_users_otherwise() {
    let scene = Scene::new().await;
    for (role, own, others) in [("service", Services, Erasers), ("eraser", Erasers, Services)] {
        let caller = scene.client(&unique(role), &[role]);
        for (route, _, answer) in scene.send_all(&caller, &[own]).await {
            assert_eq!(answer.status, 200, "{route}: {}", answer.text);
        }
        for (route, _, answer) in scene.send_all(&caller, &[Owner, Administrators, others]).await {
            assert_eq!(answer.status, 403, "{route}: {}", answer.text);
        }
    }
    scene.untouched().await;
}

#[tokio::test]
async fn owners_and_administrators_are_let_through() {
    for administrator in [false, true] {
        let scene = Scene::new().await;
        let caller = if administrator {
            scene.client(&unique("admin"), &["admin"])
        } else {
            scene.client(&scene.user, &[])
        };
        // After the move the reservation can't be cancelled in this room.
        for (method, route, commands, expected) in [
            ("GET", "/v1/reservations/{reservation}", false, 200),
            ("PATCH", "/v1/rooms/{room}/reservations/{reservation}", true, 200),
            ("POST", "/v1/rooms/{room}/reservations/{reservation}/restore", true, 200),
            ("POST", "/v1/rooms/{room}/reservations/{reservation}/move", true, 200),
            ("DELETE", "/v1/rooms/{room}/reservations/{reservation}", true, 404),
            // Then the room can be retired.
            ("DELETE", "/v1/rooms/{room}/series/{series}", true, 200),
        ] {
            let answer = scene.send(&caller, commands, method, route).await;
            assert_eq!(answer.status, expected, "{method} {route}: {}", answer.text);
        }
        let expected = if administrator { 200..=201 } else { 403..=403 };
        for (route, _, answer) in scene.send_all(&caller, &[Administrators]).await {
            // There is no such closure.
            let missing = u16::from(administrator && route.ends_with("{closure}")) * 404;
            let is_expected = expected.contains(&answer.status) || answer.status == missing;
            assert!(is_expected, "{route}: {} {}", answer.status, answer.text);
        }
    }
}
