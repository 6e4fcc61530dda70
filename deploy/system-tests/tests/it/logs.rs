//! The log of a request, and changes of the log level at run time.

use reqwest::Method;
use serde_json::json;
use system_tests::{Client, Stack, unique};

const PATH: &str = "/v1/admin/log-level";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

async fn set(client: &Client, level: &str) {
    let set = client.command(Method::PUT, PATH).json(&json!({"level": level})).send().await.expect(200);
    assert_eq!(set, json!({"level": level}));
    let shown = client.command(Method::GET, PATH).send().await.expect(200);
    assert_eq!(shown, json!({"level": level}));
}

#[tokio::test]
async fn a_request_has_one_line_that_joins_it_to_its_trace_and_says_nothing_personal() {
    let stack = Stack::embedded().await;
    let admin = stack.client();
    set(&admin, "debug").await;
    let room = admin.register(json!({})).await;
    let user = admin.as_user(&unique("Zoe"));
    let (title, guest) = (unique("secret-title"), unique("secret-guest"));
    let path = room.reservations();
    let stay = json!({
        "from": "2031-01-06T10:00:00Z", "to": "2031-01-06T11:00:00Z", "people": 2, "title": title, "reservedFor": guest
    });
    let request = unique("request");
    let call = user.post(&path, &stay).header("X-Request-Id", &request);
    let reserved = call.header("traceparent", &format!("00-{TRACE}-b7ad6b7169203331-01")).send().await;
    let id = reserved.reservation();
    // Also refused requests, whose answers quote the request.
    user.post(&path, &stay).send().await.problem(409, "overlap");
    user.post(&path, &json!({"title": title, "reservedFor": [guest]}))
        .send()
        .await
        .problem(400, "invalid-value");
    user.get(&format!("/v1/users/{}/history", admin.name())).send().await.problem(403, "forbidden");
    user.get(&format!("/v1/reservations/{id}")).after(&reserved.token()).send().await.expect(200);
    user.delete(&format!("{path}/{id}")).send().await.expect(200);

    let log = stack.commands[0].log();
    let of_request: Vec<&str> = log.lines().filter(|line| line.contains(&request)).collect();
    assert_eq!(of_request.len(), 1, "{of_request:#?}");
    for part in ["http.request", "POST", "/v1/rooms/{room}/reservations", "201", TRACE] {
        assert!(of_request[0].contains(part), "no {part} in {}", of_request[0]);
    }
    for personal in [user.name(), &title, &guest] {
        let line = log.lines().find(|line| line.contains(personal));
        assert_eq!(line, None, "{personal} is in the log");
    }
}

#[tokio::test]
async fn administrators_change_which_lines_are_written_and_that_is_recorded() {
    let stack = Stack::embedded().await;
    let admin = stack.client();
    let path = "/v1/kinds";
    let lines = |request: &str| stack.commands[0].log().lines().filter(|line| line.contains(request)).count();
    let asked = async || {
        let request = unique("request");
        admin.get(path).header("X-Request-Id", &request).send().await.expect(200);
        lines(&request)
    };
    assert_eq!(asked().await, 0, "the embedded default says little");
    set(&admin, "info").await;
    assert_eq!(asked().await, 1);
    set(&admin, "off").await;
    assert_eq!(asked().await, 0);
    // The level that would reach an audit line is set; the one that names the target is refused, and that is said.
    set(&admin, "info,[{actor}]=off").await;
    let silenced = admin.command(Method::PUT, PATH).json(&json!({"level": "info,audit[{actor}]=off"}));
    let refused = silenced.send().await.problem(400, "invalid-value");
    assert!(refused["detail"].as_str().unwrap().contains("audit[{actor}]=off"), "{refused}");
    set(&admin, "off").await;
    let audit: Vec<String> =
        stack.commands[0].log().lines().filter(|line| line.contains("audit")).map(str::to_owned).collect();
    assert_eq!(audit.len(), 5, "{audit:#?}");
    assert!(audit.iter().all(|line| line.contains(admin.name())), "{audit:#?}");
    assert!(audit[3].contains("outcome=\"invalid-value\""), "{audit:#?}");

    let put = |client: &Client, level: &str| client.command(Method::PUT, PATH).json(&json!({"level": level}));
    for other in [admin.as_user("ann"), admin.as_service()] {
        put(&other, "trace").send().await.problem(403, "forbidden");
        other.command(Method::GET, PATH).send().await.problem(403, "forbidden");
    }
    put(&admin.as_nobody(), "trace").send().await.problem(401, "unauthenticated");
    for level in ["", "loud=very=much", &"x".repeat(1001)] {
        assert_eq!(put(&admin, level).send().await.problem(400, "invalid-value")["field"], "/level");
    }
    assert_eq!(admin.command(Method::GET, PATH).send().await.expect(200)["level"], "off");
}
