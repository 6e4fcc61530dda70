//! HTTP/2 is not spoken, and HTTP/1.1 has one request of a connection in progress.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// The preface of HTTP/2, settings with a window of 0, and a stream's head without the end of its headers.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\
    \x00\x00\x01\x01\x00\x00\x00\x00\x01\x82";

/// Requests of [`pipelined`] in progress, and the most of them at a time.
static IN_PROGRESS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// An answer that lets others begin before it ends.
pub(super) async fn pipelined() -> HttpResponse {
    let [now, most] = &IN_PROGRESS;
    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    now.fetch_sub(1, Ordering::SeqCst);
    HttpResponse::Ok().body("answered")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// What a server says to a client that speaks HTTP/2 unasked, until it closes the connection.
fn answer_to_http_2(mut stream: impl Read + Write) -> String {
    stream.write_all(HTTP_2).unwrap();
    stream.flush().unwrap();
    let mut answer = Vec::new();
    // The connection is reset if the server closes it before it read all.
    if let Err(error) = stream.read_to_end(&mut answer) {
        let closed = [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof];
        assert!(closed.contains(&error.kind()), "it is not closed: {error}");
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_not_spoken_over_tls() {
    let own = Certificate::new();
    let settings = ServerSettings { tls: Some(own.tls()), ..one_worker() };
    with_settings(settings, move |address| {
        let mut alone = own.session(&[b"h2"]);
        let refused = alone.complete_io(&mut connect(address)).unwrap_err();
        assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");

        let mut either = own.session(&[b"h2", b"http/1.1"]);
        either.complete_io(&mut connect(address)).unwrap();
        assert_eq!(either.alpn_protocol(), Some(&b"http/1.1"[..]));

        for protocols in [&[][..], &[&b"http/1.1"[..]]] {
            let stream = rustls::StreamOwned::new(own.session(protocols), connect(address));
            let answer = answer_to_http_2(stream);
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_not_spoken_without_tls() {
    let answer = with_server(|address| answer_to_http_2(connect(address))).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let upgrade = with_server(|address| {
        let request = "GET /health/live HTTP/1.1\r\nhost: h\r\nconnection: upgrade, http2-settings\r\n\
                       upgrade: h2c\r\nhttp2-settings: AAQAAAAA\r\n\r\n";
        send(address, request.as_bytes())
    });
    assert!(upgrade.await.starts_with("HTTP/1.1 200 "), "the upgrade is ignored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_connection_are_answered_one_after_another() {
    const REQUESTS: usize = 100;
    with_server(|address| {
        let mut stream = connect(address);
        let mut writer = stream.try_clone().unwrap();
        let requests = "GET /v1/pipelined HTTP/1.1\r\nhost: h\r\n\r\n".repeat(REQUESTS);
        let written = std::thread::spawn(move || writer.write_all(requests.as_bytes()));
        let (mut answers, mut chunk) = (String::new(), [0; 4096]);
        while answers.matches("answered").count() < REQUESTS {
            let count = stream.read(&mut chunk).unwrap();
            assert!(count > 0, "{answers}");
            answers.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
        }
        written.join().unwrap().unwrap();
        assert_eq!(IN_PROGRESS[1].load(Ordering::SeqCst), 1);
    })
    .await;
}
