//! Each action of an administrator or operator leaves an audit line, which names no other person.

use reqwest::Method;
use serde_json::json;
use system_tests::{Stack, unique};

use crate::stacks;

/// The audit lines of an actor in a log.
fn lines<'a>(log: &'a str, actor: &str) -> Vec<&'a str> {
    let actor = format!("actor=\"{actor}\"");
    log.lines().filter(|line| line.contains(" audit: ") && line.contains(&actor)).collect()
}

fn log_of_commands(stack: &Stack) -> String {
    stack.commands.iter().map(system_tests::Server::log).collect()
}

#[tokio::test]
async fn each_action_of_an_administrator_is_recorded_and_names_nobody_else() {
    let stack = stacks::real().await;
    let (admin, user) = (unique("admin"), unique("ann"));
    let ann = stack.client().as_user(&user);
    let root = stack.client().with_token(&stack.token(&admin, &["admin"]));
    let room = root.register(json!({})).await;
    let body =
        json!({"from": "2031-03-03T10:00:00Z", "to": "2031-03-03T11:00:00Z", "people": 2, "title": user});
    let reservation = ann.post(&room.reservations(), &body).send().await.reservation();
    let path = room.path();
    let at = room.reservation(&reservation);
    root.until(&format!("/v1/reservations/{reservation}"), |answer| answer.status == 200).await;
    root.get(&format!("/v1/users/{user}/history")).send().await.expect(200);
    root.patch(&path, &json!({"capacity": 9})).send().await.expect(200);
    root.delete(&path).send().await.problem(409, "reservations-ahead");
    root.delete(&at).send().await.expect(200);
    root.import("{}\n").send().await;
    root.command(Method::GET, "/v1/streams").send().await.expect(200);
    root.command(Method::GET, "/v1/erasures").send().await.expect(200);
    root.command(Method::POST, "/v1/erasures").json(&json!({"user": user})).send().await.expect(200);

    let (commands, queries) = (log_of_commands(&stack), stack.queries[0].log());
    for (log, act, on, outcome) in [
        (&commands, "register-room", "/v1/rooms", format!("room {} at version 1", room.id)),
        (&commands, "change-room", path.as_str(), format!("room {} at version 3", room.id)),
        (&commands, "retire-room", &path, "reservations-ahead".to_owned()),
        (&commands, "cancel-reservation", &at, format!("room {} at version 4", room.id)),
        (&commands, "import", "/v1/import", "all lines were read".to_owned()),
        (&commands, "read-feed", "/v1/streams", "let through".to_owned()),
        (&commands, "read-erasures", "/v1/erasures", "let through".to_owned()),
        (&queries, "read-reservation", &format!("reservation {reservation}"), "let through".to_owned()),
        (&queries, "read-users-history", "a user", "let through".to_owned()),
    ] {
        let expected = format!("act=\"{act}\" on=\"{on}\" outcome=\"{outcome}\"");
        let lines = lines(log, &admin);
        assert!(lines.iter().any(|line| line.contains(&expected)), "no {expected} in {lines:#?}");
    }
    assert!(lines(&commands, &admin).iter().any(|line| line.contains("act=\"erase\" on=\"a person\"")));
    for log in [&commands, &queries] {
        assert!(lines(log, &user).is_empty(), "a user's commands leave no audit line");
        assert!(!log.contains(&user), "a log names another person");
    }
}

#[tokio::test]
async fn each_action_of_an_operator_is_recorded_with_its_outcome() {
    let stack = stacks::real().await;
    let room = stack.client().register(json!({})).await;
    let operator = unique("olga");
    for (server, arguments, expected) in [
        (
            &stack.commands[0],
            ["release-room", &room.id, "--reason", "a larger message is allowed"].as_slice(),
            format!("act=\"release-room\" on=\"room {}\" outcome=\"was not held\"", room.id),
        ),
        (
            &stack.queries[0],
            &["drop-generation", "999"],
            "act=\"drop-generation\" on=\"generation 999\" outcome=\"".to_owned(),
        ),
    ] {
        let output = server.command(arguments).env("USER", &operator).output().await.unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        let lines = lines(&log, &operator);
        assert!(lines.len() == 1 && lines[0].contains(&expected), "no {expected} in {log}");
    }
    // The instance that projects the room repairs it, and logs that.
    let repair =
        stack.queries[0].command(&["repair", &room.id]).env("USER", &operator).output().await.unwrap();
    assert!(repair.status.success(), "{repair:?}");
    let log = stack.queries[0].log();
    let expected = format!("act=\"repair\" on=\"room {}\"", room.id);
    assert!(lines(&log, &operator).iter().any(|line| line.contains(&expected)), "no {expected} in {log}");
}
