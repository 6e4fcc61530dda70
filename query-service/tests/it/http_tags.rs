//! Entity tags and conditions over HTTP.

use reqwest::{Method, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    events::Stream,
    test_service::{TestService, token},
};

#[tokio::test]
async fn rooms_and_reservations_have_entity_tags() {
    let mut stream = Stream::new("Blue");
    let reservation = stream.reserve("ann", 9, 10);
    stream.reschedule(&reservation, 9, 11);
    stream.change("Azure");
    let service = TestService::of(&[&stream]).await;
    let paths = [format!("/v1/rooms/{}", stream.room), format!("/v1/reservations/{}", reservation.id)];
    for path in paths {
        let answer = service.get("ann", &path).await;
        let tag = answer.etag.clone().unwrap();
        assert_eq!(
            (answer.status, tag.starts_with("\"2."), tag.len()),
            (StatusCode::OK, true, 20),
            "{path} {tag}"
        );
        assert_eq!(answer.body["revision"], 2);
        let with = |tags: String| {
            let request = service.request(&path).header("X-User", "ann");
            service.send(request.header("If-None-Match", tags))
        };
        for tags in [tag.clone(), format!("\"1\", W/{tag}"), "*".to_owned()] {
            let again = with(tags.clone()).await;
            assert_eq!((again.status, again.body), (StatusCode::NOT_MODIFIED, Value::Null), "{tags}");
            assert_eq!(again.etag.as_ref(), Some(&tag));
        }
        for tags in ["\"2\"".to_owned(), tag.replace("\"2.", "\"1."), tag.replace('"', "")] {
            assert_eq!(with(tags.clone()).await.status, StatusCode::OK, "{tags}");
        }
    }
    let room = service.get("ann", &format!("/v1/rooms/{}", stream.room)).await;
    assert_eq!((room.body["version"].as_u64(), room.body["name"].as_str()), (Some(4), Some("Azure")));
    service.stop().await;
}

#[tokio::test]
async fn a_room_whose_version_grew_is_sent_again_though_its_revision_stayed() {
    let mut stream = Stream::new("Blue");
    let service = TestService::of(&[&stream]).await;
    let path = format!("/v1/rooms/{}", stream.room);
    let first = service.get("ann", &path).await;
    stream.reserve("ann", 9, 10);
    service.publish(&stream.events[1]).await;
    let request = service.request(&path).header("X-User", "ann").header("If-None-Match", first.etag.unwrap());
    let later = service.send(request.header("Consistency-Token", token(stream.room, 2))).await;
    assert_eq!((later.status, &later.body["version"]), (StatusCode::OK, &2.into()));
    assert_eq!(later.body["revision"], first.body["revision"]);
    service.stop().await;
}

#[tokio::test]
async fn a_condition_of_a_write_is_refused_where_nothing_has_a_revision() {
    let stream = Stream::new("Blue");
    let service = TestService::of(&[&stream]).await;
    let calendar = format!("/v1/me/calendars/{}", Uuid::nil());
    let subscription = format!("/v1/subscriptions/{}", Uuid::nil());
    for (method, path) in [
        (Method::POST, "/v1/me/calendars"),
        (Method::DELETE, &calendar),
        (Method::POST, "/v1/subscriptions"),
        (Method::PATCH, &subscription),
        (Method::DELETE, &subscription),
    ] {
        for name in ["If-Match", "If-None-Match", "If-Unmodified-Since"] {
            let request = service.call(method.clone(), path);
            let refused = service.send(request.header("X-User", "ann").header(name, "*")).await;
            assert_eq!(refused.problem(), (400, "invalid-value", name), "{method} {path}");
        }
    }
    service.stop().await;
}
