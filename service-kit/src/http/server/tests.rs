use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{HttpResponse, error};
use serde_json::Value;

use super::*;
use crate::auth::{Authenticator, Caller, TokenRules};
use crate::clock::Clock;
use crate::http::endpoint::endpoint;
use crate::http::json::Json;
use crate::http::problem::{Problem, ProblemType};
use crate::readiness::Readiness;
use crate::telemetry::Metrics;

mod addresses;
mod cors;
mod http2;
mod limits;
mod rotation;

fn parts() -> HttpParts {
    HttpParts {
        service: "test-service",
        authenticator: Authenticator::new(None, TokenRules::default(), true, Clock::system()),
        readiness: Readiness::new(Clock::system()),
        metrics: Metrics::install().unwrap(),
        openapi: "{}",
        request_timeout: Duration::from_secs(5),
    }
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(
            endpoint("/v1/things/{thing}")
                .get(|caller: Caller| async move { HttpResponse::Ok().body(caller.user) })
                .post(|_: Caller, json: Json<Value>| async move { HttpResponse::Ok().json(json.value) }),
        )
        .service(
            endpoint("/v1/defect").get(|| async {
                Err::<HttpResponse, _>(Problem::internal(&io::Error::other("a secret cause")))
            }),
        )
        .service(
            endpoint("/v1/foreign")
                .get(|| async { Err::<HttpResponse, _>(error::ErrorBadRequest("foreign")) }),
        )
        .service(endpoint("/v1/slow").get(slow).post(slow))
        .service(endpoint("/v1/patched").patch(|_: Json<Value>| async { HttpResponse::Ok().finish() }))
        .service(endpoint("/v1/endless").get(limits::endless))
        .service(endpoint("/v1/pipelined").get(http2::pipelined));
}

async fn slow() -> HttpResponse {
    std::future::pending().await
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

async fn ask(parts: &HttpParts, request: TestRequest) -> Answer {
    let app = init_service(app(parts, endpoints(true, routes))).await;
    let response = match actix_web::dev::Service::call(&app, request.to_request()).await {
        Ok(response) => response.into_parts().1,
        Err(error) => error.error_response(),
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = actix_web::body::to_bytes(response.into_body()).await.unwrap();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    Answer { status, headers, body }
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
}

#[actix_web::test]
async fn every_answer_has_the_common_headers() {
    let request = TestRequest::get()
        .uri("/v1/things/1")
        .append_header(("x-user", "ann"))
        .append_header(("x-request-id", "r-1"));
    let answer = ask(&parts(), request).await;
    assert_eq!((answer.status, answer.body), (200, "ann".into()));
    let answer =
        ask(&parts(), TestRequest::get().uri("/nowhere").append_header(("x-request-id", "r-1"))).await;
    assert_eq!(header(&answer, "x-request-id"), "r-1");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
}

#[actix_web::test]
async fn an_unknown_route_and_a_wrong_method_are_problems() {
    let answer = ask(&parts(), TestRequest::get().uri("/nowhere")).await;
    assert_eq!((answer.status, &answer.body["type"]), (404, &"/problems/not-found".into()));
    let answer = ask(&parts(), TestRequest::delete().uri("/v1/things/1")).await;
    assert_eq!((answer.status, &answer.body["type"]), (405, &"/problems/method-not-allowed".into()));
    assert_eq!(header(&answer, "allow"), "GET, HEAD, POST, OPTIONS");
    assert_eq!(header(&answer, "content-type"), "application/problem+json");
}

#[actix_web::test]
async fn head_is_answered_like_get() {
    let request =
        TestRequest::default().method(Method::HEAD).uri("/v1/things/1").append_header(("x-user", "ann"));
    assert_eq!(ask(&parts(), request).await.status, 200);
}

#[actix_web::test]
async fn nobody_is_told_so_before_the_body_is_judged() {
    let request = TestRequest::post().uri("/v1/things/1").set_payload("nonsense");
    assert_eq!(ask(&parts(), request).await.status, 401);
}

#[actix_web::test]
async fn a_defect_is_counted_and_says_nothing() {
    let parts = parts();
    let answer = ask(&parts, TestRequest::get().uri("/v1/defect")).await;
    assert_eq!(answer.status, 500);
    assert!(!answer.body.to_string().contains("secret"));
    let metrics = parts.metrics.render();
    let counted =
        "http_requests_total{service=\"test-service\",method=\"GET\",route=\"/v1/defect\",status=\"500\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains("http_problems_total{service=\"test-service\",type=\"internal\"}"), "{metrics}");
}

#[actix_web::test]
async fn errors_of_the_framework_become_problems() {
    let answer = ask(&parts(), TestRequest::get().uri("/v1/foreign")).await;
    assert_eq!((answer.status, &answer.body["type"]), (400, &"/problems/malformed".into()));
}

#[actix_web::test]
async fn a_request_has_a_deadline() {
    let parts = HttpParts { request_timeout: Duration::from_millis(5), ..parts() };
    let read = ask(&parts, TestRequest::get().uri("/v1/slow")).await;
    assert_eq!((read.status, &read.body["type"]), (503, &"/problems/unavailable".into()));
    assert_eq!(header(&read, "cache-control"), "no-store");
    let write = ask(&parts, TestRequest::post().uri("/v1/slow")).await;
    assert_eq!((write.status, &write.body["type"]), (503, &"/problems/outcome-unknown".into()));
    assert_eq!(header(&write, "retry-after"), "1");
}

#[actix_web::test]
async fn readiness_names_what_is_missing() {
    let parts = parts();
    let mysql = parts.readiness.component("mysql");
    mysql.failing("connection refused");
    let answer = ask(&parts, TestRequest::get().uri("/health/ready")).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body["components"]["mysql"]["reason"], "connection refused");
    mysql.ok();
    assert_eq!(ask(&parts, TestRequest::get().uri("/health/ready")).await.status, 200);
    assert_eq!(ask(&parts, TestRequest::get().uri("/health/live")).await.status, 200);
}

#[actix_web::test]
async fn types_of_problems_can_be_looked_up() {
    for kind in ProblemType::ALL {
        let answer = ask(&parts(), TestRequest::get().uri(&kind.uri())).await;
        assert_eq!((answer.status, &answer.body["title"]), (200, &kind.title().into()));
    }
    assert_eq!(ask(&parts(), TestRequest::get().uri("/problems/none")).await.status, 404);
}

#[actix_web::test]
async fn the_body_of_a_success_is_left_alone() {
    let app = init_service(app(&parts(), endpoints(true, routes))).await;
    let request = TestRequest::post()
        .uri("/v1/things/1")
        .append_header(("x-user", "ann"))
        .append_header(("content-type", "application/json"))
        .set_payload("{\"a\": 1}");
    let response = call_service(&app, request.to_request()).await;
    assert_eq!(read_body(response).await, "{\"a\":1}");
}

fn one_worker() -> ServerSettings {
    ServerSettings { workers: 1, ..ServerSettings::on("127.0.0.1:0".parse().unwrap()) }
}

/// Runs a real server, gives its address to `client` on a thread, and stops the server afterwards.
async fn with_server<T: Send + 'static>(client: impl FnOnce(SocketAddr) -> T + Send + 'static) -> T {
    with_settings(one_worker(), client).await
}

/// The same with other settings.
async fn with_settings<T: Send + 'static>(
    settings: ServerSettings,
    client: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> T {
    let service = HttpService::bind(parts(), &settings, routes).unwrap();
    let (address, stop) = (service.address, CancellationToken::new());
    let running = tokio::spawn(service.run(stop.clone()));
    let outcome = tokio::task::spawn_blocking(move || client(address)).await.unwrap();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap().unwrap();
    outcome
}

fn send(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may answer, and stop reading, before all is written.
    let _ = stream.write_all(request);
    // Reads no further than the answer goes: the server may linger before it closes the connection.
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk).unwrap();
        answer.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&answer);
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        if count == 0 || (length.is_some() && body == length) {
            return text.into_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_ten_megabytes_gets_its_answer() {
    let head =
        "POST /v1/things/1 HTTP/1.1\r\nhost: localhost\r\nx-user: ann\r\ncontent-type: application/json\r\n";
    let body = format!("{{\"name\": \"{}\"}}", "x".repeat(10_000_000));
    let with_length = format!("{head}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let chunked = format!(
        "{head}connection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    for request in [with_length, chunked] {
        let answer = with_server(move |address| send(address, request.as_bytes())).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("/problems/too-large"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_any_port_says_which_and_stops_when_asked() {
    let answer = with_server(|address| {
        send(address, b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    });
    assert!(answer.await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_does_not_end_is_given_up_some_time_after_the_server_was_asked_to_stop() {
    let settings = ServerSettings { shutdown_timeout: Duration::from_secs(1), ..one_worker() };
    let service = HttpService::bind(parts(), &settings, routes).unwrap();
    let (address, stop) = (service.address, CancellationToken::new());
    let running = tokio::spawn(service.run(stop.clone()));
    let asked = tokio::task::spawn_blocking(move || {
        let mut endless = TcpStream::connect(address).unwrap();
        endless.write_all(b"GET /v1/slow HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        // The one worker takes requests in their order: when this one is answered, the other one is in progress.
        send(address, b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        endless
    });
    let mut endless = asked.await.unwrap();
    let began = Instant::now();
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap().unwrap();
    let ended_after = began.elapsed().as_secs_f64();
    // The request's own deadline is 5 s.
    assert!((1.0..4.0).contains(&ended_after), "{ended_after}");
    let mut answer = Vec::new();
    // The connection may be reset.
    let _ = endless.read_to_end(&mut answer);
    assert_eq!(String::from_utf8_lossy(&answer), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probe_sees_a_service_that_is_ready() {
    let handle = tokio::runtime::Handle::current();
    with_server(move |address| handle.block_on(crate::probe::ready(address, false)).unwrap()).await;
}

/// A certificate for `localhost` that is its own authority, in a folder.
struct Certificate {
    folder: tempfile::TempDir,
    signed: rcgen::CertifiedKey<rcgen::KeyPair>,
}

impl Certificate {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let own = Self { folder, signed };
        own.write(&own.signed);
        own
    }

    fn write(&self, signed: &rcgen::CertifiedKey<rcgen::KeyPair>) {
        std::fs::write(self.file("cert.pem"), signed.cert.pem()).unwrap();
        std::fs::write(self.file("key.pem"), signed.signing_key.serialize_pem()).unwrap();
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn tls(&self) -> rustls::ServerConfig {
        crate::tls::server_config(&self.file("cert.pem"), &self.file("key.pem")).unwrap()
    }

    /// A client's session that believes this authority and offers `protocols`.
    fn session(&self, protocols: &[&[u8]]) -> rustls::ClientConnection {
        let mut authorities = rustls::RootCertStore::empty();
        authorities.add(self.signed.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider);
        let client = client.with_safe_default_protocol_versions().unwrap();
        let mut client = client.with_root_certificates(authorities).with_no_client_auth();
        client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        rustls::ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_with_a_certificate_speaks_https_alone_to_whoever_believes_its_authority() {
    let own = Certificate::new();
    let tls = Some(own.tls());
    let service = HttpService::bind(parts(), &ServerSettings { tls, ..one_worker() }, routes).unwrap();
    let (address, stop) = (service.address, CancellationToken::new());
    let running = tokio::spawn(service.run(stop.clone()));

    let authority: crate::tls::Authorities = own.file("cert.pem").to_str().unwrap().parse().unwrap();
    let client = |authorities| crate::tls::http_client(authorities).no_proxy().build().unwrap();
    let believing = client(Some(&authority));
    let live = |scheme: &str, host: &str| format!("{scheme}://{host}:{}/health/live", address.port());
    let answer = believing.get(live("https", "localhost")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_11));
    assert!(
        believing.get(live("https", "127.0.0.1")).send().await.is_err(),
        "not the name in the certificate"
    );
    let stranger = client(None);
    assert!(stranger.get(live("https", "localhost")).send().await.is_err(), "an authority that nobody knows");
    assert!(stranger.get(live("http", "localhost")).send().await.is_err(), "plain HTTP");
    crate::probe::ready(address, true).await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_of_their_own_has_metrics_and_log_level_and_the_other_one_has_not() {
    let admin = Some("127.0.0.1:0".parse().unwrap());
    let service = HttpService::bind(parts(), &ServerSettings { admin, ..one_worker() }, routes).unwrap();
    let (public, admin) = (service.address, service.admin_address.unwrap());
    let stop = CancellationToken::new();
    let running = tokio::spawn(service.run(stop.clone()));
    let status = async |address: SocketAddr, path: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("http://{address}{path}")).send().await.unwrap().status().as_u16()
    };
    for (path, publicly, among_admins) in [
        ("/metrics", 404, 200),
        ("/v1/admin/log-level", 404, 401),
        ("/v1/admin/metrics", 401, 404),
        ("/health/live", 200, 200),
        ("/health/ready", 200, 200),
        ("/openapi.json", 200, 404),
        ("/v1/defect", 500, 404),
    ] {
        assert_eq!(status(public, path).await, publicly, "{path}");
        assert_eq!(status(admin, path).await, among_admins, "{path}");
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}
