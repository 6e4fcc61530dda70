//! What goes past a limit, on real connections.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::HttpRequest;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// Long enough for any limit of these tests to act, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);
const GET: &[u8] = b"GET /v1/things/1 HTTP/1.1\r\nhost: localhost\r\nx-user: ann\r\n\r\n";

/// Answers that are being sent by [`endless`], of requests that asked to be counted.
static ENDLESS: AtomicUsize = AtomicUsize::new(0);

struct Sending;

impl Drop for Sending {
    fn drop(&mut self) {
        ENDLESS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An answer that never ends.
pub(super) async fn endless(request: HttpRequest) -> HttpResponse {
    let sending = request.headers().contains_key("x-counted").then(|| {
        ENDLESS.fetch_add(1, Ordering::SeqCst);
        Sending
    });
    let chunks = futures_util::stream::repeat_with(move || {
        let _ = &sending;
        Ok::<_, Error>(web::Bytes::from_static(&[b'x'; 64 * 1024]))
    });
    HttpResponse::Ok().streaming(chunks)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads until the server closes the connection.
fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset is closed too.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "the server has not closed the connection");
    }
    String::from_utf8(answer).unwrap()
}

/// Sends one byte after the other, until the server closes the connection. Gives what it answered.
fn drip(stream: &mut TcpStream, bytes: &[u8]) -> String {
    let started = Instant::now();
    let mut answer = Vec::new();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    for byte in bytes.iter().cycle() {
        let mut chunk = [0; 4096];
        let written = stream.write_all(&[*byte]);
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(_) if written.is_err() => break,
            Err(_) => {}
        }
        assert!(started.elapsed() < PATIENCE, "the server still listens");
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_drips_in_is_cut_off() {
    let settings = ServerSettings { slow_client: SECOND, ..one_worker() };
    let answer = with_settings(settings, |address| {
        drip(&mut connect(address), b"GET /v1/things/1 HTTP/1.1\r\nx-and-so-on: and so on, and")
    });
    assert!(answer.await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_head_that_drips_in_is_cut_off_too() {
    let settings = ServerSettings { keep_alive: SECOND, slow_client: SECOND, ..one_worker() };
    with_settings(settings, |address| {
        let mut stream = connect(address);
        stream.write_all(GET).unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        drip(&mut stream, b"GET /v1/things/1 HTTP/1.1\r\nx-and-so-on: and so on, and");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_head_that_drips_in_over_tls_is_cut_off_as_well() {
    let own = Certificate::new();
    let settings =
        ServerSettings { tls: Some(own.tls()), keep_alive: SECOND, slow_client: SECOND, ..one_worker() };
    with_settings(settings, move |address| {
        let mut stream = rustls::StreamOwned::new(own.session(&[b"http/1.1"]), connect(address));
        stream.write_all(GET).unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.sock.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let started = Instant::now();
        for byte in b"GET /v1/things/1 HTTP/1.1\r\nx-and-so-on: and so on, and".iter().cycle() {
            let waits = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
            let sent = stream.write_all(&[*byte]).is_ok();
            if !sent || stream.read(&mut [0; 4096]).is_err_and(|error| !waits(&error)) {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "the server still listens");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_drips_in_is_answered_and_cut_off() {
    let settings = ServerSettings { keep_alive: SECOND, slow_client: SECOND, ..one_worker() };
    for length in ["content-length: 60000", "transfer-encoding: chunked"] {
        let answer = with_settings(settings.clone(), move |address| {
            let mut stream = connect(address);
            let head = format!(
                "POST /v1/things/1 HTTP/1.1\r\nhost: localhost\r\nx-user: ann\r\ncontent-type: application/json\r\n{length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            drip(&mut stream, if length.contains("chunked") { b"1\r\nx\r\n" } else { b"x" })
        });
        let answer = answer.await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("/problems/too-slow"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_takes_ends_with_its_connection() {
    const ASKED: &[u8] = b"GET /v1/endless HTTP/1.1\r\nhost: localhost\r\nx-counted: 1\r\n\r\n";
    let own = Certificate::new();
    let settings = ServerSettings { slow_client: SECOND, ..one_worker() };
    ends_with_its_connection(settings.clone(), |address| {
        let mut stream = connect(address);
        stream.write_all(ASKED).unwrap();
        stream
    })
    .await;
    ends_with_its_connection(ServerSettings { tls: Some(own.tls()), ..settings }, move |address| {
        let mut stream = rustls::StreamOwned::new(own.session(&[b"http/1.1"]), connect(address));
        stream.write_all(ASKED).unwrap();
        stream.flush().unwrap();
        stream
    })
    .await;
}

/// Waits until the counted answer that `ask` began has ended, without reading any of it.
async fn ends_with_its_connection<S>(
    settings: ServerSettings,
    ask: impl FnOnce(SocketAddr) -> S + Send + 'static,
) {
    with_settings(settings, |address| {
        let stream = ask(address);
        let started = Instant::now();
        let until = |count| {
            while ENDLESS.load(Ordering::SeqCst) != count {
                assert!(started.elapsed() < PATIENCE, "the answer is not at {count}");
                std::thread::yield_now();
            }
        };
        until(1);
        until(0);
        drop(stream);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_taken_slowly_is_not_cut_off() {
    let settings = ServerSettings { keep_alive: SECOND, slow_client: SECOND, ..one_worker() };
    with_settings(settings, |address| {
        let mut stream = connect(address);
        stream.write_all(b"GET /v1/endless HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        // Longer than a connection may be without a request.
        let (started, mut chunk) = (Instant::now(), vec![0; 256 * 1024]);
        while started.elapsed() < 4 * SECOND {
            assert!(stream.read(&mut chunk).unwrap() > 0, "it was cut off");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed() {
    let settings = ServerSettings { keep_alive: SECOND, ..one_worker() };
    with_settings(settings, |address| {
        let mut stream = connect(address);
        stream.write_all(GET).unwrap();
        assert!(read_to_end(&mut stream).starts_with("HTTP/1.1 200 "));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_too_many_waits_until_another_one_closes() {
    let settings = ServerSettings { max_connections: 2, ..one_worker() };
    with_settings(settings, |address| {
        let asked = || {
            let mut stream = connect(address);
            stream.write_all(GET).unwrap();
            stream
        };
        let (mut first, mut second) = (asked(), asked());
        for stream in [&mut first, &mut second] {
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        }
        let mut third = asked();
        third.set_read_timeout(Some(SECOND)).unwrap();
        let waiting = third.read(&mut [0; 4096]).unwrap_err();
        assert_eq!(waiting.kind(), io::ErrorKind::WouldBlock, "it was served");
        drop(first);
        third.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(third.read(&mut [0; 4096]).unwrap() > 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_too_large_are_refused() {
    let request = |path: &str, header: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nx-user: ann\r\nconnection: close\r\nx-more: {header}\r\n\r\n"
        )
    };
    let long = |length: usize| "a".repeat(length);
    let cases = [
        (request(&format!("/v1/things/{}", long(8_000)), ""), 200, ""),
        (request(&format!("/v1/things/{}", long(8_200)), ""), 414, "uri-too-long"),
        (request(&format!("/v1/things/1?q={}", long(60_000)), ""), 414, "uri-too-long"),
        (request("/v1/things/1", &long(32_000)), 200, ""),
        (request("/v1/things/1", &long(33_000)), 431, "headers-too-large"),
        // Past what the framework reads, it answers by itself.
        (request("/v1/things/1", &long(200_000)), 431, ""),
        (request("/v1/things/1", &"x\r\nx-again: ".repeat(200)), 431, ""),
    ];
    for (request, status, problem) in cases {
        let length = request.len();
        let answer = with_server(move |address| send(address, request.as_bytes())).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {answer}");
        assert!(answer.contains(problem), "{length}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_asks_too_often_is_told_when_to_come_back() {
    let settings = ServerSettings { rate_per_second: NonZeroU32::MIN, ..one_worker() };
    with_settings(settings, |address| {
        let ask = |path: &str, header: &str| {
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{header}\r\nconnection: close\r\n\r\n");
            send(address, request.as_bytes())
        };
        let status = |header: &str| ask("/v1/things/1", header)[9..12].to_owned();
        for (who, otherwise) in [("x-user: ann", "200"), ("authorization: Bearer no.such.token", "401")] {
            assert_eq!([status(who), status(who)], [otherwise, otherwise], "{who}");
            let refused = ask("/v1/things/1", who);
            assert!(refused.starts_with("HTTP/1.1 429 "), "{who}: {refused}");
            assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
            assert!(refused.contains("content-type: application/problem+json\r\n"), "{refused}");
            assert!(refused.contains("/problems/too-many-requests"), "{refused}");
        }
        assert_eq!(status("x-user: ben"), "200", "what one asks is not counted against another");
        assert!(ask("/health/live", "x-user: ann").starts_with("HTTP/1.1 200 "));
        let counted = "http_problems_total{service=\"test-service\",type=\"too-many-requests\"} ";
        assert!(ask("/metrics", "x-user: ann").contains(counted));
    })
    .await;
}
