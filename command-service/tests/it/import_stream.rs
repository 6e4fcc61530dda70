//! An import whose lines are sent while earlier ones are answered.

use chrono::TimeDelta;
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    import::{EARLY, file, kind, reserve},
    servers::PATIENCE,
    test_service::TestService,
};

/// A body that is sent line by line.
fn line_by_line() -> (mpsc::UnboundedSender<String>, reqwest::Body) {
    let (to_send, lines) = mpsc::unbounded_channel::<String>();
    let body = futures_util::stream::unfold(lines, |mut lines| async move {
        lines.recv().await.map(|line| (Ok::<_, std::io::Error>(line), lines))
    });
    (to_send, reqwest::Body::wrap_stream(body))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_breaks_off_when_the_service_ends() {
    let service = TestService::start().await;
    service.room("Blue", json!({})).await;
    let (to_send, body) = line_by_line();
    to_send.send(file(&[reserve("1", "ann", EARLY, 10, 11)])).unwrap();
    let request = service.admin(Method::POST, "/v1/import").header("content-type", "application/x-ndjson");
    let mut answer = request.body(body).send().await.unwrap().bytes_stream();
    let first: Value = serde_json::from_slice(&answer.next().await.unwrap().unwrap()).unwrap();
    assert_eq!(first["outcome"], json!("done"));
    service.ask_to_end();
    let end = tokio::time::timeout(PATIENCE, answer.next()).await.unwrap();
    assert!(
        matches!(end, Some(Err(_))),
        "an end that looks whole would hide that lines are missing: {end:?}"
    );
    drop(to_send);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_ends_with_its_token() {
    let service = TestService::start().await;
    service.room("Blue", json!({})).await;
    let (to_send, body) = line_by_line();
    to_send.send(file(&[reserve("1", "ann", EARLY, 10, 11)])).unwrap();
    let request = service.request(Method::POST, "/v1/import").bearer_auth(service.token());
    let request = request.header("content-type", "application/x-ndjson").body(body);
    let mut answer = request.send().await.unwrap().bytes_stream();
    let first: Value = serde_json::from_slice(&answer.next().await.unwrap().unwrap()).unwrap();
    assert_eq!(first["outcome"], json!("done"));
    let heads = service.heads().await;
    // Clocks may be 30 s apart.
    service.clock.advance(TimeDelta::seconds(3630));
    to_send.send(file(&[reserve("2", "ann", EARLY, 11, 12), reserve("3", "ann", EARLY, 12, 13)])).unwrap();
    let last: Value = serde_json::from_slice(&answer.next().await.unwrap().unwrap()).unwrap();
    assert_eq!((&last["line"], &last["outcome"]), (&json!(2), &json!("failed")));
    assert_eq!(kind(&last), "/problems/unauthenticated");
    let end = tokio::time::timeout(PATIENCE, answer.next()).await.unwrap();
    assert!(matches!(end, Some(Err(_))), "{end:?}");
    assert_eq!(service.heads().await, heads);
    drop(to_send);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_while_the_rest_is_still_being_sent() {
    let service = TestService::start().await;
    service.room("Blue", json!({})).await;
    let (to_send, body) = line_by_line();
    to_send.send(file(&[reserve("1", "ann", EARLY, 10, 11)])).unwrap();
    let request = service.admin(Method::POST, "/v1/import").header("content-type", "application/x-ndjson");
    let response = request.body(body).send().await.unwrap();
    let mut answer = response.bytes_stream();
    for hour in 11..14 {
        let chunk = tokio::time::timeout(PATIENCE, answer.next()).await.unwrap().unwrap().unwrap();
        let line: Value = serde_json::from_slice(&chunk).unwrap();
        assert_eq!(line["outcome"], json!("done"));
        to_send.send(file(&[reserve(&hour.to_string(), "ann", EARLY, hour, hour + 1)])).unwrap();
    }
    drop(to_send);
    let rest: Vec<_> = answer.collect().await;
    assert_eq!(rest.len(), 1);
    service.stop().await;
}
