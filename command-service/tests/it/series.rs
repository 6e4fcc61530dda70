//! Series, over HTTP and by writers whose connection is lost, on both stores.

use std::collections::BTreeSet;

use command_service::{
    commands::{Action, CancelSeries, OnConflict, ReserveSeries},
    event_store::FailPoint,
    writer::SeriesDone,
};
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::ids;

use crate::{
    test_service::{Answer, TestService, keyed, send},
    test_store::TestStore,
    writer_rig::{by, events_of, hour, instance, key, reserve, stay},
};

/// Hours of days from Tuesday 3 March 2026 on.
fn series(rule: &str, more: Value) -> Value {
    let mut body = json!({
        "from": "2026-03-03T10:00:00Z", "to": "2026-03-03T11:00:00Z", "people": 2, "recurrence": rule,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn post(service: &TestService, user: &str, room: &str, body: &Value) -> Answer {
    send(keyed(service.user(user, Method::POST, &format!("/v1/rooms/{room}/series"))).json(body)).await
}

fn list<'a>(answer: &'a Answer, name: &str) -> &'a [Value] {
    answer.body[name].as_array().unwrap()
}

fn days(answer: &Answer) -> Vec<&str> {
    list(answer, "occurrences")
        .iter()
        .map(|occurrence| &occurrence["from"].as_str().unwrap()[5..16])
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_is_made_at_once_and_repeated_as_it_was() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        let path = format!("/v1/rooms/{room}/reservations");
        let taken = json!({"from": "2026-03-10T10:30:00Z", "to": "2026-03-10T10:45:00Z", "people": 1});
        let taken = send(keyed(service.user("bob", Method::POST, &path)).json(&taken)).await.expect(201);
        let wanted = |more| series("FREQ=WEEKLY;COUNT=4", more);
        let refused = post(&service, "ann", &room, &wanted(json!({}))).await;
        assert_eq!(refused.problem(), (409, "series-conflict", ""));
        let misfit = json!({
            "from": "2026-03-10T10:00:00Z", "to": "2026-03-10T11:00:00Z", "why": "overlap",
            "reservation": taken.text("reservation"),
        });
        assert_eq!((&refused.body["occurrences"], &refused.body["misfits"]), (&json!(4), &json!([misfit])));
        let dry = post(&service, "ann", &room, &wanted(json!({"dryRun": true}))).await.expect(200);
        assert_eq!((days(&dry).len(), dry.body["skipped"].clone()), (3, json!([misfit])));
        assert!(list(&dry, "occurrences").iter().all(|occurrence| occurrence.get("reservation").is_none()));
        assert_eq!(service.events(&room).await.len(), 2, "nothing was made");

        let request = keyed(service.user("ann", Method::POST, &format!("/v1/rooms/{room}/series")));
        let request = request.json(&wanted(json!({"onConflict": "skip", "title": "Talk"})));
        let made = send(request.try_clone().unwrap()).await.expect(201);
        assert_eq!(days(&made), ["03-03T10:00", "03-17T10:00", "03-24T10:00"]);
        assert_eq!((&made.body["version"], &made.body["skipped"]), (&json!(5), &json!([misfit])));
        let ids: BTreeSet<_> =
            list(&made, "occurrences").iter().map(|made| made["reservation"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 3);
        let repeated = send(request).await.expect(201);
        assert_eq!((repeated.header("idempotency-replayed"), &repeated.body), ("true", &made.body));
        let events =
            send(service.admin(Method::GET, &format!("/v1/streams/{room}/events?after=2"))).await.body;
        for (event, occurrence) in events["items"].as_array().unwrap().iter().zip(list(&made, "occurrences"))
        {
            let data = &event["data"]["reservation"];
            assert_eq!(event["type"], "reservations.reservation-made.v1");
            assert_eq!((&data["id"], &data["from"]), (&occurrence["reservation"], &occurrence["from"]));
            assert_eq!((&data["series"], &data["title"]), (&made.body["series"], &json!("Talk")));
        }
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_them_those_that_follow_or_all_are_changed_and_cancelled() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        let made = post(&service, "ann", &room, &series("FREQ=DAILY;COUNT=5", json!({}))).await.expect(201);
        let id = |at: usize| list(&made, "occurrences")[at]["reservation"].as_str().unwrap().to_owned();
        let all = format!("/v1/rooms/{room}/series/{}", made.text("series"));
        let patch =
            |user: &str, path: &str, body: Value| send(service.user(user, Method::PATCH, path).json(&body));
        // This one.
        let one = format!("/v1/rooms/{room}/reservations/{}", id(1));
        patch("ann", &one, json!({"to": "2026-03-04T10:30:00Z"})).await.expect(200);
        // It and those that follow, an hour later by the clock.
        let following = format!("{all}/following/{}", id(1));
        let later = json!({"from": "2026-03-04T11:00:00Z", "to": "2026-03-04T11:30:00Z"});
        let changed = patch("ann", &following, later).await.expect(200);
        assert_eq!(days(&changed), ["03-04T11:00", "03-05T11:00", "03-06T11:00", "03-07T11:00"]);
        assert_eq!(list(&changed, "occurrences")[0]["revision"], 3);
        assert_eq!(list(&changed, "occurrences")[1]["to"], "2026-03-05T12:00:00Z");
        // All: a day later each takes the time of the next one.
        let next_day = json!({"from": "2026-03-04T10:00:00Z", "to": "2026-03-04T11:00:00Z"});
        let changed = patch("ann", &all, next_day).await.expect(200);
        assert_eq!(
            days(&changed),
            ["03-04T10:00", "03-05T11:00", "03-06T11:00", "03-07T11:00", "03-08T11:00"]
        );
        let same = patch("ann", &all, json!({"people": 2})).await.expect(200);
        assert_eq!(
            (&same.body["occurrences"], &same.body["version"]),
            (&json!([]), &changed.body["version"])
        );
        assert_eq!(patch("bob", &all, json!({"people": 1})).await.problem(), (403, "forbidden", ""));
        let too_many = patch("ann", &all, json!({"people": 5})).await;
        assert_eq!(too_many.problem(), (409, "series-conflict", ""));
        assert_eq!(too_many.body["misfits"][4]["rule"], "capacity");
        let matched = service.user("ann", Method::PATCH, &all).header("If-Match", "\"1\"");
        assert_eq!(send(matched.json(&json!({"people": 1}))).await.problem().0, 400);
        // Sent again with its key, a cancellation is the same.
        let cancel = keyed(service.user("ann", Method::DELETE, &format!("{all}/following/{}", id(3))));
        let cancelled = send(cancel.try_clone().unwrap()).await.expect(200);
        assert_eq!(days(&cancelled), ["03-07T11:00", "03-08T11:00"]);
        let again = send(cancel).await.expect(200);
        assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &cancelled.body));
        assert_eq!(days(&send(service.user("ann", Method::DELETE, &all)).await.expect(200)).len(), 3);
        let gone = send(service.user("ann", Method::DELETE, &all)).await;
        assert_eq!(gone.problem(), (404, "unknown-series", ""));
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_series_names_its_field() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        for (rule, more, field) in [
            ("FREQ=YEARLY;COUNT=2", json!({}), "/recurrence"),
            ("FREQ=DAILY;COUNT=401", json!({}), "/recurrence"),
            ("FREQ=WEEKLY;BYDAY=MO;COUNT=2", json!({}), "/recurrence"),
            ("FREQ=DAILY;COUNT=2", json!({"to": "2026-03-04T10:01:00Z"}), "/recurrence"),
            ("FREQ=DAILY;COUNT=2", json!({"exceptions": ["2026-03-03", "2026-03-04"]}), "/recurrence"),
            ("FREQ=DAILY;COUNT=2", json!({"exceptions": ["2026-02-30"]}), "/exceptions/0"),
            ("FREQ=DAILY;COUNT=2", json!({"exceptions": vec!["2026-03-03"; 401]}), "/exceptions"),
            ("FREQ=DAILY;COUNT=2", json!({"onConflict": "ask"}), "/onConflict"),
            ("FREQ=DAILY;COUNT=2", json!({"people": 0}), "/people"),
            (&"X".repeat(501), json!({}), "/recurrence"),
        ] {
            let refused = post(&service, "ann", &room, &series(rule, more)).await;
            assert_eq!(refused.problem(), (400, "invalid-value", field), "{rule}");
        }
        let many = series("FREQ=DAILY;COUNT=400", json!({}));
        let made = post(&service, "ann", &room, &many).await.expect(201);
        assert_eq!(days(&made).len(), 400);
        assert_eq!(service.heads().await[0]["version"], 401);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_an_import_makes_a_series_and_its_key_names_the_first_reservation() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        let mut line = series("FREQ=DAILY;COUNT=3", json!({"onConflict": "skip", "room": room, "key": "1"}));
        (line["command"], line["user"], line["at"]) =
            ("reserveSeries".into(), "ann".into(), "2026-03-01T08:00:00Z".into());
        let cancel = json!({"key": "2", "at": "2026-03-01T09:00:00Z", "user": "ann", "command": "cancel", "reservationKey": "1"});
        let lines = format!("{line}\n{cancel}\n");
        let import = async || {
            let request =
                service.admin(Method::POST, "/v1/import").header("Content-Type", "application/x-ndjson");
            let answer = request.body(lines.clone()).send().await.unwrap().text().await.unwrap();
            answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        };
        let first = import().await;
        assert_eq!((&first[0]["outcome"], &first[0]["made"]), (&json!("done"), &json!(3)), "{first:?}");
        assert_eq!(first[1]["outcome"], "done", "{first:?}");
        let second = import().await;
        assert_eq!((&second[0]["outcome"], &second[0]["series"]), (&json!("repeated"), &first[0]["series"]));
        let expected = [
            "room-registered",
            "reservation-made",
            "reservation-made",
            "reservation-made",
            "reservation-cancelled",
        ];
        assert_eq!(service.events(&room).await, expected);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_an_import_change_and_cancel_reservations_of_a_series_from_a_time_on_or_all() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        let mut reserve = series("FREQ=DAILY;COUNT=5", json!({"room": room, "key": "1"}));
        (reserve["command"], reserve["user"], reserve["at"]) =
            ("reserveSeries".into(), "ann".into(), "2026-03-01T08:00:00Z".into());
        let line = |key: &str, at: &str, command: &str, more: Value| {
            let mut line = json!({"key": key, "at": at, "user": "ann", "command": command});
            line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            line
        };
        let later = json!({"seriesKey": "1", "since": "2026-03-05T00:00:00Z", "from": "2026-03-05T12:00:00Z", "to": "2026-03-05T13:00:00Z"});
        let single =
            json!({"room": room, "from": "2026-03-20T10:00:00Z", "to": "2026-03-20T11:00:00Z", "people": 1});
        let lines = [
            reserve,
            line("2", "2026-03-01T09:00:00Z", "changeSeries", later),
            line("3", "2026-03-01T09:30:00Z", "changeSeries", json!({"seriesKey": "1", "title": "Talk"})),
            line(
                "4",
                "2026-03-01T10:00:00Z",
                "cancelSeries",
                json!({"seriesKey": "1", "since": "2026-03-07T12:00:00Z"}),
            ),
            line("5", "2026-03-01T10:00:00Z", "changeSeries", json!({"seriesKey": "none", "people": 1})),
            line("6", "2026-03-01T10:00:00Z", "reserve", single),
            line("7", "2026-03-01T10:00:00Z", "cancelSeries", json!({"seriesKey": "6"})),
            line("8", "2026-03-01T08:30:00Z", "cancelSeries", json!({"seriesKey": "1"})),
            line(
                "9",
                "2026-03-01T10:00:00Z",
                "changeSeries",
                json!({"seriesKey": "1", "since": "2026-03-08T00:00:00Z"}),
            ),
            line("10", "2026-03-01T10:00:00Z", "cancelSeries", json!({"seriesKey": "1", "room": room})),
        ];
        let import = async |lines: &[Value]| {
            let request =
                service.admin(Method::POST, "/v1/import").header("Content-Type", "application/x-ndjson");
            let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let answer = request.body(lines).send().await.unwrap().text().await.unwrap();
            answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        };
        let problem = |answer: &Value| answer["problem"]["type"].as_str().unwrap_or_default().to_owned();
        let first = import(&lines).await;
        for (answer, (outcome, changed, why)) in first.iter().zip([
            ("done", Value::Null, ""),
            ("done", json!(3), ""),
            ("done", json!(5), ""),
            ("done", json!(1), ""),
            ("rejected", Value::Null, "unknown-series"),
            ("done", Value::Null, ""),
            ("rejected", Value::Null, "unknown-series"),
            ("rejected", Value::Null, "out-of-order"),
            ("rejected", Value::Null, "unknown-series"),
            ("failed", Value::Null, "invalid-value"),
        ]) {
            assert_eq!((&answer["outcome"], &answer["changed"]), (&json!(outcome), &changed), "{answer}");
            assert!(problem(answer).ends_with(why), "{answer}");
        }
        assert_eq!(first[9]["problem"]["field"], "/series");
        // Sent again, and from another group of lines: the keys are read from the store.
        let again = import(&lines[..4]).await;
        assert!(again.iter().all(|answer| answer["outcome"] == "repeated"), "{again:?}");
        assert_eq!((&again[1]["changed"], &again[1]["series"]), (&json!(3), &first[0]["series"]));
        let named = json!({"room": room, "series": first[0]["series"]});
        let lines = [
            line("11", "2026-03-01T11:00:00Z", "changeSeries", json!({"seriesKey": "1", "people": 3})),
            line("12", "2026-03-01T11:00:00Z", "cancelSeries", named),
        ];
        let last = import(&lines).await;
        assert_eq!((&last[0]["changed"], &last[1]["changed"]), (&json!(4), &json!(4)), "{last:?}");
        let page = send(service.admin(Method::GET, &format!("/v1/streams/{room}/events?after=1"))).await.body;
        let events = page["items"].as_array().unwrap();
        let short = |event: &Value| {
            let from = event["data"]["reservation"]["from"].as_str().unwrap()[8..16].to_owned();
            (event["type"].as_str().unwrap()[13..].to_owned(), from)
        };
        // No version in between overlaps: the last one moves first.
        let moved: Vec<_> = events[5..8].iter().map(|event| short(event).1).collect();
        assert_eq!(moved, ["07T12:00", "06T12:00", "05T12:00"]);
        assert_eq!(short(&events[13]), ("reservation-cancelled.v1".to_owned(), "07T12:00".to_owned()));
        assert_eq!(events.len(), 5 + 3 + 5 + 1 + 1 + 4 + 4);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_among_many_commands_makes_a_series() {
    for store in TestStore::both().await {
        let service = TestService::start_closed(store).open().await;
        let room = service.room("Blue", json!({})).await;
        let path = format!("/v1/rooms/{room}/series");
        let line = json!({"key": "k", "method": "POST", "path": path, "body": series("FREQ=DAILY;COUNT=2", json!({}))});
        let request = service.user("ann", Method::POST, "/v1/commands");
        let request = request.header("Content-Type", "application/x-ndjson").body(line.to_string());
        let answer: Value =
            serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
        assert_eq!(
            (&answer["status"], answer["body"]["occurrences"].as_array().unwrap().len()),
            (&json!(201), 2)
        );
        service.stop().await;
    }
}

#[tokio::test]
async fn a_series_whose_commit_was_not_answered_is_answered_with_what_was_left_out() {
    for store in TestStore::both().await {
        let one = instance(&store).await;
        let room = one.room("Blue", "meeting").await;
        one.does(by("bob", reserve(room, hour(9)))).await;
        let series = ReserveSeries {
            room,
            stay: stay("2030-01-01T15:00:00Z", "2030-01-01T16:00:00Z"),
            recurrence: "FREQ=DAILY;COUNT=3".parse().unwrap(),
            exceptions: BTreeSet::new(),
            on_conflict: OnConflict::Skip,
            dry_run: false,
        };
        let in_the_way =
            ReserveSeries { stay: stay("2030-01-01T09:30:00Z", "2030-01-01T10:30:00Z"), ..series.clone() };
        // The first one has passed, the second one is reserved.
        let mut submission = by("ann", Action::ReserveSeries(Box::new(in_the_way)));
        submission.key = Some(key("a"));
        one.faults.arm(FailPoint::AfterCommit, 1);
        let reply = one.writer.submit(submission.clone()).await.unwrap();
        assert!(!reply.repeated, "it is the first answer");
        let done = reply.result.unwrap();
        let SeriesDone { series: made, occurrences, skipped } = *done.series.clone().unwrap();
        assert_eq!((occurrences.len(), skipped.len(), done.version), (1, 2, 3.into()));
        submission.command.id = ids::new_id();
        let again = one.writer.submit(submission).await.unwrap();
        assert!(again.repeated);
        assert_eq!(again.result.unwrap(), done);
        // A change without a key.
        one.faults.arm(FailPoint::AfterCommit, 1);
        let cancel = Action::CancelSeries(CancelSeries { room, series: made, following: None });
        let cancelled = one.does(by("ann", cancel)).await;
        assert_eq!((cancelled.version, cancelled.series.unwrap().occurrences.len()), (4.into(), 1));
        assert_eq!(events_of(&store).await.len(), 4);
    }
}
