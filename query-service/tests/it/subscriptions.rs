//! The API of subscriptions, in the service as the embedded default composes it.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared_events::Timestamp;

use crate::{
    events::Stream,
    pipelines::until,
    receiver::{Behaviour, Receiver},
    test_service::{Answer, TestService},
};

/// The time of the service's clock.
const NOW: &str = "2031-01-01T00:00:00Z";

struct User<'a> {
    service: &'a TestService,
    name: &'a str,
    roles: &'a str,
}

impl User<'_> {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.service.call(method, &format!("/v1/subscriptions{path}"));
        request.header("X-User", self.name).header("X-Roles", self.roles)
    }

    async fn get(&self, path: &str) -> Answer {
        self.service.send(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str) -> Answer {
        self.service.send(self.request(Method::POST, path)).await
    }

    async fn subscribe(&self, body: &Value) -> Answer {
        self.service.send(self.request(Method::POST, "").json(body)).await
    }

    async fn change(&self, path: &str, body: &Value) -> Answer {
        self.service.send(self.request(Method::PATCH, path).json(body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.service.send(self.request(Method::DELETE, path)).await
    }
}

fn path_of(answer: &Answer) -> String {
    format!("/{}", answer.body["subscription"].as_str().unwrap())
}

#[tokio::test]
async fn a_subscription_is_made_tested_rotated_disabled_and_deleted_and_an_event_reaches_its_endpoint() {
    let mut room = Stream::new("Blue");
    let service = TestService::of(&[&room]).await;
    let ann = User { service: &service, name: "ann", roles: "" };
    let receiver = Receiver::start(Behaviour::Status(200)).await;
    let made = ann.subscribe(&json!({ "url": receiver.url() })).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let path = path_of(&made);
    let secret = made.body["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));
    assert_eq!(made.body["created"], "2031-01-01T00:00:00.000Z");

    room.reserve("ann", 1, 2);
    let event = room.events.last_mut().unwrap();
    let now: Timestamp = NOW.parse().unwrap();
    (event.recorded_at, event.metadata.time) = (now, now);
    service.publish(event).await;
    until("the webhook", async || receiver.received().len() == 1).await;
    let received = receiver.received().remove(0);
    let message: Value = serde_json::from_str(&received.body).unwrap();
    assert_eq!(message["type"], "reservations.reservation-made.v1");
    assert_eq!(message["data"]["room"], room.room.to_string());
    assert_eq!((&message["data"]["version"], &message["data"]["revision"]), (&json!(2), &json!(1)));

    let sent = async |status: &str| ann.get(&format!("{path}/deliveries?status={status}")).await;
    until("delivered", async || sent("delivered").await.items().len() == 1).await;
    let delivery = sent("delivered").await.items()[0].clone();
    assert_eq!(delivery["delivery"], received.id());
    assert_eq!((&delivery["attempts"], &delivery["answer"]), (&json!(1), &json!("HTTP 200")));

    let again = ann.post(&format!("{path}/deliveries/{}/redeliver", received.id())).await;
    assert_eq!((again.status.as_u16(), &again.body["status"]), (202, &json!("waiting")));
    until("the webhook again", async || receiver.received().len() == 2).await;
    assert_eq!(receiver.ids()[1], received.id());

    let rotated = ann.post(&format!("{path}/rotate-secret")).await;
    assert_ne!(rotated.body["secret"], secret.as_str());
    assert_eq!(ann.post(&format!("{path}/test")).await.status, 202);
    until("the test", async || receiver.received().len() == 3).await;
    let tested = receiver.received().remove(2);
    assert_eq!(tested.headers["webhook-signature"].split(' ').count(), 2, "two signatures after a rotation");

    let disabled = ann.change(&path, &json!({ "enabled": false })).await;
    assert_eq!(
        (&disabled.body["enabled"], &disabled.body["disabledBecause"]),
        (&json!(false), &json!("user"))
    );
    let shown = ann.get(&path).await;
    assert_eq!((&shown.body["enabled"], shown.body.get("secret")), (&json!(false), None));
    assert_eq!(ann.get("").await.items().len(), 1);
    assert_eq!(ann.delete(&path).await.status, 204);
    assert_eq!(ann.get("").await.items().len(), 0);
    assert_eq!(ann.get(&path).await.problem(), (404, "unknown-subscription", ""));
    service.stop().await;
}

#[tokio::test]
async fn a_subscription_is_its_users_alone_and_rooms_are_for_administrators() {
    let room = Stream::new("Blue");
    let service = TestService::of(&[&room]).await;
    let user = |name, roles| User { service: &service, name, roles };
    let (ann, bob, root) = (user("ann", ""), user("bob", ""), user("root", "admin"));
    let url = "https://example.org/hook";
    let path = path_of(&ann.subscribe(&json!({ "url": url })).await);
    for other in [&bob, &root] {
        let unknown = (404, "unknown-subscription", "");
        assert_eq!(other.get(&path).await.problem(), unknown);
        assert_eq!(other.change(&path, &json!({ "enabled": false })).await.problem(), unknown);
        assert_eq!(other.delete(&path).await.problem(), unknown);
        for act in ["rotate-secret", "test", "deliveries/any/redeliver"] {
            assert_eq!(other.post(&format!("{path}/{act}")).await.problem(), unknown);
        }
        assert_eq!(other.get(&format!("{path}/deliveries")).await.problem(), unknown);
        assert_eq!(other.get("").await.items().len(), 0);
    }
    let of_room = json!({ "url": url, "room": room.room });
    assert_eq!(ann.subscribe(&of_room).await.problem().1, "forbidden");
    assert_eq!(root.subscribe(&of_room).await.body["room"], room.room.to_string());
    assert_eq!(ann.post(&format!("{path}/deliveries/any/redeliver")).await.problem().1, "unknown-delivery");
    let nobody = service.request("/v1/subscriptions");
    assert_eq!(service.send(nobody).await.status, 401);
    service.stop().await;
}

#[tokio::test]
async fn a_mail_goes_to_the_verified_address_of_the_token_alone_and_a_reminder_to_ones_own_stays() {
    let room = Stream::new("Blue");
    let service = TestService::of(&[&room]).await;
    let (ann, root) = (
        User { service: &service, name: "ann", roles: "" },
        User { service: &service, name: "root", roles: "admin" },
    );
    let by_email = json!({ "channel": "email", "remindMinutes": 15 });
    assert_eq!(ann.subscribe(&by_email).await.problem(), (403, "forbidden", ""));
    let named = |user: &User<'_>, email: &str, body: &Value| {
        service.send(user.request(Method::POST, "").header("X-Email", email).json(body))
    };
    assert_eq!(named(&ann, "ann@example.org\u{a0}x", &by_email).await.problem().0, 403);
    let made = named(&ann, "ann@example.org", &by_email).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(
        (&made.body["channel"], &made.body["email"], &made.body["remindMinutes"], made.body.get("secret")),
        (&json!("email"), &json!("ann@example.org"), &json!(15), None)
    );
    let path = path_of(&made);
    assert_eq!(ann.get(&path).await.body, made.body);
    assert_eq!(ann.post(&format!("{path}/rotate-secret")).await.problem(), (409, "no-secret", ""));
    let url = "https://example.org/";
    for (body, field) in [
        (json!({ "channel": "email", "url": url }), "/url"),
        (json!({ "channel": "webhook" }), "/url"),
        (json!({ "channel": "email", "kind": "meeting" }), "/channel"),
        (json!({ "channel": "email", "room": room.room }), "/channel"),
        (json!({ "url": url, "kind": "meeting", "room": room.room }), "/kind"),
        (json!({ "url": url, "kind": "" }), "kind"),
        (json!({ "url": url, "kind": "meeting", "remindMinutes": 5 }), "/remindMinutes"),
        (json!({ "url": url, "remindMinutes": 0 }), "/remindMinutes"),
        (json!({ "url": url, "remindMinutes": 40_321 }), "/remindMinutes"),
    ] {
        let refused = named(&root, "root@example.org", &body).await;
        assert_eq!(refused.problem(), (400, "invalid-value", field), "{body}");
    }
    let of_kind = json!({ "url": url, "kind": "meeting" });
    assert_eq!(ann.subscribe(&of_kind).await.problem().1, "forbidden");
    let watched = root.subscribe(&of_kind).await;
    assert_eq!((&watched.body["kind"], watched.body.get("room")), (&json!("meeting"), None));
    assert_eq!(ann.subscribe(&json!({ "url": url, "remindMinutes": 5 })).await.body["remindMinutes"], 5);
    service.stop().await;
}

#[tokio::test]
async fn a_subscription_that_is_not_possible_is_refused_by_name_and_so_is_one_too_many() {
    let service = TestService::of(&[]).await;
    let ann = User { service: &service, name: "ann", roles: "" };
    for url in
        ["ftp://example.org/", "http://example.org/", "https://10.0.0.1/", "https://169.254.169.254/", "x"]
    {
        let refused = ann.subscribe(&json!({ "url": url })).await;
        assert_eq!(refused.problem(), (400, "invalid-value", "/url"), "{url}");
    }
    assert_eq!(ann.subscribe(&json!({})).await.problem().0, 400);
    let unknown = json!({ "url": "https://example.org/", "secret": "mine" });
    assert_eq!(ann.subscribe(&unknown).await.problem().1, "unknown-field");
    assert_eq!(ann.get("?all=true").await.problem().1, "unknown-field");
    assert_eq!(ann.get("/none").await.problem(), (400, "invalid-value", "subscription"));
    for _ in 0..20 {
        assert_eq!(ann.subscribe(&json!({ "url": "https://example.org/" })).await.status, 201);
    }
    let one_more = ann.subscribe(&json!({ "url": "https://example.org/" })).await;
    assert_eq!(one_more.problem(), (409, "too-many-subscriptions", ""));
    service.stop().await;
}
