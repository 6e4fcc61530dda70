//! Web pages of other origins, and OPTIONS.

use std::num::NonZeroU32;

use super::*;

const PAGE: &str = "https://rooms.example";

fn settings() -> ServerSettings {
    let origins = "https://rooms.example,http://localhost:3000".parse().unwrap();
    ServerSettings { origins, rate_per_second: NonZeroU32::MIN, ..one_worker() }
}

/// The answers of one server to requests that come one after another.
async fn ask_all(parts: &HttpParts, settings: &ServerSettings, requests: Vec<TestRequest>) -> Vec<Answer> {
    let app = app(parts, endpoints(true, routes))
        .app_data(Data::new(settings.origins.clone()))
        .app_data(Data::from(Limits::start(settings)));
    let app = init_service(app).await;
    let mut answers = Vec::new();
    for request in requests {
        let response = match actix_web::dev::Service::call(&app, request.to_request()).await {
            Ok(response) => response.into_parts().1,
            Err(error) => error.error_response(),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        answers.push(Answer { status, headers, body: Value::Null });
    }
    answers
}

async fn ask_one(settings: &ServerSettings, request: TestRequest) -> Answer {
    ask_all(&parts(), settings, vec![request]).await.remove(0)
}

fn preflight(path: &str, origin: &str) -> TestRequest {
    TestRequest::default()
        .method(Method::OPTIONS)
        .uri(path)
        .append_header(("origin", origin))
        .append_header(("access-control-request-method", "POST"))
        .append_header(("access-control-request-headers", "authorization,if-match"))
}

/// The names of the headers of CORS, beside `Vary`.
fn of_cors(answer: &Answer) -> Vec<String> {
    let names = answer.headers.keys().map(|name| name.as_str().to_owned());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("access-control-")).collect();
    names.sort_unstable();
    names
}

#[actix_web::test]
async fn options_name_the_methods_and_what_a_patch_may_be() {
    for (path, allow, patch) in [
        ("/v1/things/1", "GET, HEAD, POST, OPTIONS", None),
        ("/v1/patched", "PATCH, OPTIONS", Some("application/json, application/merge-patch+json")),
    ] {
        let request = TestRequest::default().method(Method::OPTIONS).uri(path);
        let answer = ask(&parts(), request).await;
        assert_eq!((answer.status, header(&answer, "allow")), (204, allow), "{path}");
        assert_eq!(answer.headers.get("accept-patch").map(|value| value.to_str().unwrap()), patch, "{path}");
        assert_eq!(
            (of_cors(&answer).len(), answer.headers.get("vary")),
            (0, None),
            "no origin is configured"
        );
    }
    let nowhere = ask(&parts(), TestRequest::default().method(Method::OPTIONS).uri("/nowhere")).await;
    assert_eq!(nowhere.status, 404);
}

#[actix_web::test]
async fn a_page_of_a_configured_origin_may_send_what_the_address_takes() {
    for origin in [PAGE, "http://localhost:3000"] {
        let answer = ask_one(&settings(), preflight("/v1/things/1", origin)).await;
        assert_eq!(answer.status, 204);
        assert_eq!(header(&answer, "access-control-allow-origin"), origin);
        assert_eq!(header(&answer, "access-control-allow-methods"), "GET, HEAD, POST, OPTIONS");
        let sent = header(&answer, "access-control-allow-headers").to_lowercase();
        for name in [
            "authorization",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "prefer",
            "consistency-token",
            "content-type",
            "traceparent",
            "last-event-id",
            "x-user",
        ] {
            assert!(sent.split(", ").any(|one| one == name), "{name}: {sent}");
        }
        assert_eq!(header(&answer, "vary"), "Origin");
        assert!(answer.headers.get("access-control-allow-credentials").is_none());
    }
    let authenticator = Authenticator::new(None, TokenRules::default(), false, Clock::system());
    let parts = HttpParts { authenticator, ..parts() };
    let answer = ask_all(&parts, &settings(), vec![preflight("/v1/things/1", PAGE)]).await.remove(0);
    let sent = header(&answer, "access-control-allow-headers").to_lowercase();
    assert!(
        !sent.contains("x-user") && sent.contains("authorization"),
        "only where they are trusted: {sent}"
    );
}

#[actix_web::test]
async fn a_page_of_another_origin_is_told_nothing() {
    let others = [
        "https://evil.example",
        "http://rooms.example",
        "https://rooms.example:8443",
        "https://rooms.example.evil.example",
        "null",
        "*",
        "",
    ];
    for origin in others {
        for request in [
            preflight("/v1/things/1", origin),
            TestRequest::get().uri("/openapi.json").append_header(("origin", origin)),
        ] {
            let answer = ask_one(&settings(), request).await;
            assert_eq!((of_cors(&answer), header(&answer, "vary")), (vec![], "Origin"), "{origin}");
        }
    }
    let twice = TestRequest::get()
        .uri("/openapi.json")
        .append_header(("origin", PAGE))
        .append_header(("origin", PAGE));
    assert_eq!(of_cors(&ask_one(&settings(), twice).await), Vec::<String>::new());
    let of_none = ask_one(&one_worker(), preflight("/v1/things/1", PAGE)).await;
    assert_eq!((of_cors(&of_none).len(), of_none.headers.get("vary")), (0, None));
    let no_page = ask_one(&settings(), TestRequest::get().uri("/openapi.json")).await;
    assert_eq!((of_cors(&no_page).len(), header(&no_page, "vary")), (0, "Origin"));
}

#[actix_web::test]
async fn a_page_can_read_errors_too() {
    let parts = HttpParts { request_timeout: Duration::from_millis(5), ..parts() };
    let peer = "192.0.2.1:1".parse().unwrap();
    let get = |path: &str| TestRequest::get().uri(path).peer_addr(peer).append_header(("origin", PAGE));
    let long = format!("/v1/things/1?{}", "x".repeat(9_000));
    let requests = vec![
        get("/openapi.json"),
        get("/v1/things/1"),
        get("/v1/things/1"),
        get("/v1/things/1"),
        get("/v1/slow"),
        get("/v1/defect"),
        get("/v1/foreign"),
        get("/nowhere"),
        get(&long),
        TestRequest::delete().uri("/v1/things/1").append_header(("origin", PAGE)),
    ];
    let answers = ask_all(&parts, &settings(), requests).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 401, 401, 429, 503, 500, 400, 404, 414, 405]);
    for answer in &answers {
        assert_eq!(header(answer, "access-control-allow-origin"), PAGE, "{}", answer.status);
        assert_eq!(header(answer, "vary"), "Origin", "{}", answer.status);
        let read = header(answer, "access-control-expose-headers");
        for name in ["ETag", "Location", "Consistency-Token", "Retry-After", "Link", "Memento-Datetime"] {
            assert!(read.split(", ").any(|one| one == name), "{name}: {read}");
        }
    }
}

#[actix_web::test]
async fn development_headers_count_for_pages_of_configured_origins_on_this_machine() {
    let with = |origin: &str, site: &str| {
        TestRequest::get()
            .uri("/v1/things/1")
            .append_header(("host", "localhost:8081"))
            .append_header(("x-user", "ann"))
            .append_header(("origin", origin))
            .append_header(("sec-fetch-site", site))
    };
    let requests = vec![
        with("http://localhost:3000", "same-site"),
        with("http://localhost:8081", "same-origin"),
        with("http://localhost:3001", "same-site"),
        with(PAGE, "cross-site"),
    ];
    let settings = ServerSettings { rate_per_second: NonZeroU32::MAX, ..settings() };
    let answers = ask_all(&parts(), &settings, requests).await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 403, 403]);
}
