//! How the page is served: policy, caching, compression, and its settings.

use query_service::http::OPENAPI;
use reqwest::{StatusCode, header::HeaderMap};

use crate::{events::Stream, test_service::TestService};

struct Served {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Served {
    async fn get(service: &TestService, path: &str, headers: &[(&str, &str)]) -> Self {
        let request = headers
            .iter()
            .fold(service.request(path), |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned() }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The address of the page's first module.
    fn main(&self) -> &str {
        let (_, rest) = self.text.split_once("<script type=\"module\" src=\"").unwrap();
        rest.split('"').next().unwrap()
    }
}

#[tokio::test]
async fn the_page_allows_its_own_code_alone_and_no_frame_may_show_it() {
    let service = TestService::of(&[&Stream::new("Blue")]).await;
    let page = Served::get(&service, "/", &[]).await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    for directive in [
        "default-src 'none'",
        "style-src 'self'",
        "connect-src 'self' http://127.0.0.1:8081 ",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(
            policy.split("; ").any(|part| part.starts_with(directive.trim_end())),
            "{directive} in {policy}"
        );
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert!(policy.contains("script-src 'self' 'sha256-"), "{policy}");
    assert_eq!(page.header("cache-control"), "no-cache");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let again = Served::get(&service, "/", &[("If-None-Match", page.header("etag"))]).await;
    assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(again.header("content-security-policy"), policy, "the policy may change without the page");
    service.stop().await;
}

#[tokio::test]
async fn files_never_change_under_their_address_and_are_compressed_for_those_who_accept_it() {
    let service = TestService::of(&[&Stream::new("Blue")]).await;
    let page = Served::get(&service, "/", &[]).await;
    let plain = Served::get(&service, page.main(), &[]).await;
    assert_eq!(
        (plain.status, plain.header("content-type")),
        (StatusCode::OK, "text/javascript; charset=utf-8")
    );
    assert_eq!(plain.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(
        (plain.header("vary"), plain.header("x-content-type-options")),
        ("Accept-Encoding", "nosniff")
    );
    let small = Served::get(&service, page.main(), &[("Accept-Encoding", "br, gzip")]).await;
    assert_eq!(small.header("content-encoding"), "gzip");
    assert_ne!(small.text, plain.text);
    for none in ["/page/0000000000000000/main.js", "/page/x", "/page/../main.js", "/page//main.js"] {
        assert_eq!(Served::get(&service, none, &[]).await.status, StatusCode::NOT_FOUND, "{none}");
    }
    for inside in ["README.md", "index.html", "../index.html", "%2e%2e/Cargo.toml"] {
        let path = page.main().replace("main.js", inside);
        assert_eq!(Served::get(&service, &path, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    service.stop().await;
}

#[tokio::test]
async fn the_page_reaches_commands_by_the_name_that_it_was_reached_by_itself() {
    let service = TestService::of(&[&Stream::new("Blue")]).await;
    for (host, commands) in [
        ("127.0.0.1:8082", "http://127.0.0.1:8081"),
        ("localhost:8082", "http://localhost:8081"),
        ("[::1]:8082", "http://[::1]:8081"),
        ("evil.example:8082", "http://127.0.0.1:8081"),
        ("localhost:8082 https://evil.example", "http://127.0.0.1:8081"),
    ] {
        let config = Served::get(&service, "/config.json", &[("Host", host)]).await;
        let body: serde_json::Value = serde_json::from_str(&config.text).unwrap();
        assert_eq!(body, serde_json::json!({"commands": commands, "auth": "development"}), "{host}");
        let page = Served::get(&service, "/", &[("Host", host)]).await;
        assert!(page.header("content-security-policy").contains(&format!("'self' {commands} ;")), "{host}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_caller_learns_whom_the_service_sees() {
    let service = TestService::of(&[&Stream::new("Blue")]).await;
    let ann = service.get("Zoë", "/v1/me").await;
    assert_eq!(ann.body, serde_json::json!({"user": "Zoë", "admin": false, "delegate": false}));
    let root = service.request("/v1/me").header("X-User", "root").header("X-Roles", "admin, delegate");
    assert_eq!(
        service.send(root).await.body,
        serde_json::json!({"user": "root", "admin": true, "delegate": true})
    );
    assert_eq!(service.send(service.request("/v1/me")).await.problem().0, 401);
    assert!(OPENAPI.contains("\"/v1/me\""));
    service.stop().await;
}
