//! Many commands in one request: what bounds such requests, and how they end early.

use chrono::TimeDelta;
use command_service::{
    commands::{Action, RegisterRoom},
    outbox::handoff,
    writer::{Failure, Options, writer},
};
use futures_util::{StreamExt, future::join_all, poll};
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::clock::Clock;

use crate::{
    commands::{MEDIA_TYPE, answered, file, kind, many, post, request, reserve, statuses, waiting},
    servers::{PATIENCE, eventually},
    test_service::{TestService, send},
    test_store::TestStore,
    writer_rig::{NOON, by, settings},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_does_nothing() {
    let service = TestService::start().await;
    let room = service.room("Blue", json!({})).await;
    let heads = service.heads().await;
    let lines: Vec<_> = (0..1_001).map(|number| reserve(&number.to_string(), &room, 10)).collect();
    let too_many = send(request(&service, "ann", file(&lines))).await;
    assert_eq!(too_many.problem(), (413, "too-large", ""));
    assert_eq!(too_many.body["limit"], json!(1_000));
    let too_long = format!("{}{}", file(&lines[..1]), " ".repeat(1024 * 1024));
    let too_long = send(request(&service, "ann", too_long)).await;
    assert_eq!((too_long.problem().0, &too_long.body["limit"]), (413, &json!(1_048_576)));
    let json = service.user("ann", Method::POST, "/v1/commands").json(&lines[0]);
    assert_eq!(send(json).await.problem(), (415, "unsupported-media-type", "Content-Type"));
    assert_eq!(service.heads().await, heads);
    // 2,000 requests go at once, and one more each millisecond.
    let lines: Vec<_> = (0..1_000).map(|_| json!({})).collect();
    let mut refused = None;
    for _ in 0..20 {
        let response = request(&service, "ben", file(&lines)).send().await.unwrap();
        if response.status().as_u16() == 429 {
            refused = Some(response);
            break;
        }
    }
    assert!(refused.is_some_and(|response| response.headers().contains_key("retry-after")));
    service.stop().await;
}
fn new_rooms(first: u32, last: u32) -> Vec<Value> {
    let room = |number: u32| {
        let body = json!({"name": format!("Room {number}"), "kind": "k", "capacity": 1, "timeZone": "UTC"});
        post(&number.to_string(), "/v1/rooms", body)
    };
    (first..=last).map(room).collect()
}

#[tokio::test]
async fn lines_leave_most_of_the_queue_to_single_requests() {
    for store in TestStore::both().await {
        let store = store.open(None).await;
        let options = Options { queue_capacity: 8, ..Options::default() };
        let clock = Clock::standing_at(NOON.parse().unwrap());
        // Nobody takes from the queue yet.
        let (writer, writing) = writer(store.into(), clock, handoff().0, &options);
        let room = |number: u32| {
            let settings = settings(&format!("Room {number}"), "k");
            let mut register = by("root", Action::RegisterRoom(RegisterRoom::new(settings)));
            register.command.actor.admin = true;
            register
        };
        let (lines, others) = (writer.lines(), writer.lines());
        let mut begun = vec![lines.queue(room(0)).await.unwrap(), others.queue(room(1)).await.unwrap()];
        let (mut third, mut fourth) = (Box::pin(lines.queue(room(2))), Box::pin(others.queue(room(3))));
        assert!(
            poll!(&mut third).is_pending() && poll!(&mut fourth).is_pending(),
            "a quarter of the queue is full"
        );
        let mut singles: Vec<_> = (4..10).map(|number| Box::pin(writer.submit(room(number)))).collect();
        for single in &mut singles {
            assert!(poll!(single).is_pending(), "it is queued");
        }
        assert_eq!(writer.submit(room(10)).await, Err(Failure::Overloaded));
        tokio::spawn(writing);
        begun.extend([third.await.unwrap(), fourth.await.unwrap()]);
        for reply in join_all(begun).await.into_iter().chain(join_all(singles).await) {
            let decided = reply.unwrap();
            assert!(decided.result.is_ok(), "{decided:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_has_few_such_requests_at_once() {
    let (service, writing) = waiting(&Options::default()).await;
    let send_one = |number: u32| {
        let lines = new_rooms(number, number);
        Box::pin(request(&service, "root", file(&lines)).header("X-Roles", "admin").send())
    };
    let mut running = Vec::new();
    for number in 0..8 {
        running.push(send_one(number).await.unwrap());
    }
    let refused = send_one(8).await.unwrap();
    assert_eq!(refused.status().as_u16(), 429);
    let writing = tokio::spawn(writing);
    for response in running {
        assert_eq!(response.status().as_u16(), 200);
        let _ = response.text().await.unwrap();
    }
    let ended = async || send_one(9).await.unwrap().status().as_u16() == 200;
    eventually("their places are free again", ended).await;
    service.stop().await;
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_is_carried_out_when_the_client_goes_and_the_rest_is_not_begun() {
    let (service, writing) = waiting(&Options::default()).await;
    let lines = new_rooms(1, 1_000);
    let response = request(&service, "root", file(&lines)).header("X-Roles", "admin").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    eventually("100 lines wait", async || service.gate.waiting() == 100).await;
    drop(response);
    let writing = tokio::spawn(writing);
    let again = request(&service, "root", file(&lines)).header("X-Roles", "admin");
    let answers = answered(again).await;
    assert_eq!(statuses(&answers), vec![201; 1_000]);
    // The server notices at a write that the client is gone.
    let begun = answers.iter().take_while(|answer| answer["replayed"] == true).count();
    assert!((100..1_000).contains(&begun), "{begun}");
    assert!(answers[begun..].iter().all(|answer| answer["replayed"] == false));
    service.stop().await;
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_answer_holds_up_itself_alone() {
    // Two places for lines.
    let options = Options { queue_capacity: 8, ..Options::default() };
    let service = TestService::start_closed(TestStore::mysql().await).open_with(&options).await;
    let mut lines = new_rooms(1, 300);
    for line in &mut lines {
        line["key"] = json!(format!("{:0>250}", line["key"].as_str().unwrap()));
    }
    let slow = request(&service, "root", file(&lines)).header("X-Roles", "admin").send().await.unwrap();
    let room = service.room("Blue", json!({})).await;
    let answers = many(&service, "ann", &[reserve("1", &room, 10)]).await;
    assert_eq!(statuses(&answers), [201]);
    let text = slow.text().await.unwrap();
    assert_eq!(text.lines().count(), 300);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_were_not_begun_are_refused_once_the_token_has_expired() {
    let (service, writing) = waiting(&Options::default()).await;
    let request = service.request(Method::POST, "/v1/commands").bearer_auth(service.token());
    let request = request.header("content-type", MEDIA_TYPE).body(file(&new_rooms(1, 150)));
    let answer = tokio::spawn(answered(request));
    eventually("100 lines wait", async || service.gate.waiting() == 100).await;
    // Clocks may be 30 s apart.
    service.clock.advance(TimeDelta::seconds(3630));
    let writing = tokio::spawn(writing);
    let answers = answer.await.unwrap();
    assert_eq!(statuses(&answers), [vec![201; 100], vec![401; 50]].concat());
    assert_eq!(kind(&answers[100]), "unauthenticated");
    service.stop().await;
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_breaks_off_when_the_service_ends_and_all_that_was_begun_is_answered() {
    let (service, writing) = waiting(&Options::default()).await;
    let lines = new_rooms(1, 300);
    let response = request(&service, "root", file(&lines)).header("X-Roles", "admin").send().await.unwrap();
    service.ask_to_end();
    let writing = tokio::spawn(writing);
    let mut answer = response.bytes_stream();
    let (mut text, mut broke_off) = (Vec::new(), false);
    while let Some(chunk) = tokio::time::timeout(PATIENCE, answer.next()).await.unwrap() {
        match chunk {
            Ok(chunk) => text.extend_from_slice(&chunk),
            Err(_) => {
                broke_off = true;
                break;
            }
        }
    }
    assert!(broke_off, "an end that looks whole would hide that lines are missing");
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert!((1..=100).contains(&lines), "{lines}");
    service.stop().await;
    writing.await.unwrap();
}
