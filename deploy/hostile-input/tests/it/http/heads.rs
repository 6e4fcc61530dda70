//! Both services on a socket: whatever bytes a client sends in place of a request's head, nothing panics, no answer blames the
//! service, the connection ends, and the next good request is answered.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::web::ServiceConfig;
use hostile_input::{Witness, cases, hostile};
use service_kit::{
    http::server::{HttpParts, HttpService},
    kit_settings::ServerSettings,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Most connections of a test: each keeps a port of this machine for a minute.
const MOST_CASES: u64 = 20_000;
/// Longest time of the whole test. It ends early and passes.
const BOUND: Duration = Duration::from_secs(60);
/// Longest time of one connection: more than its idle time, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Heads that are good, and heads that servers read differently. Each one is whole.
const HEADS: &[&[u8]] = &[
    b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: keep-alive\r\n\r\n",
    b"GET /v1/rooms?limit=5 HTTP/1.1\r\nhost: 127.0.0.1\r\nx-user: ann\r\nprefer: wait=0\r\n\r\n",
    b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\nGET /nowhere HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
    b"POST /v1/rooms HTTP/1.1\r\nhost: 127.0.0.1\r\nx-user: ann\r\ncontent-type: application/json\r\n\
      idempotency-key: k\r\ncontent-length: 2\r\n\r\n{}",
    b"POST /v1/rooms HTTP/1.1\r\nhost: 127.0.0.1\r\nx-user: ann\r\ncontent-type: application/json\r\n\
      idempotency-key: k\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n2;a=b\r\n{}\r\n0\r\nx: y\r\n\r\n",
    b"POST /v1/rooms HTTP/1.1\r\nhost: 127.0.0.1\r\nx-user: ann\r\ncontent-length: 5\r\n\
      transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"POST /v1/rooms HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\ncontent-length: 18446744073709551616\r\n\r\n{}",
    b"GET http://127.0.0.1/health/live HTTP/1.0\r\nconnection: close, keep-alive\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: null\r\naccess-control-request-method: PUT\r\n\r\n",
    b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: 127.0.0.1:1\r\n\r\n",
    b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c, websocket\r\n\
      http2-settings: AAMAAABkAAQAAP__\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    b"GET /health/live HTTP/1.1\nhost: 127.0.0.1\n x: folded\n\n",
    b"HEAD /v1/rooms/%2e%2e/%00 HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: [::1]\r\nauthorization: Bearer a.b.c\r\n\r\n",
];

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts the panics of all threads: those of the server's workers fail no test.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            print(panic);
        }));
    });
}

/// What the server answers to these bytes, until it closes the connection.
async fn send(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let exchange = async {
        // The server may refuse and close before it has read everything.
        if connection.write_all(bytes).await.is_ok() && connection.shutdown().await.is_ok() {
            drop(connection.read_to_end(&mut answer).await);
        }
    };
    assert!(timeout(PATIENCE, exchange).await.is_ok(), "the server neither answers nor closes");
    answer
}

/// The statuses of the answers in what a server sent.
fn statuses(answer: &[u8]) -> Vec<u16> {
    const LINE: &[u8] = b"HTTP/1.1 ";
    let starts = answer.windows(LINE.len()).enumerate().filter(|(_, window)| *window == LINE);
    let status =
        |(at, _): (usize, _)| std::str::from_utf8(answer.get(at + LINE.len()..at + LINE.len() + 3)?).ok();
    starts.filter_map(status).filter_map(|status| status.parse().ok()).collect()
}

/// Sends hostile heads to a service that has no store: a good command or query gets 503.
pub(super) async fn send_heads(
    parts: HttpParts,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) {
    count_panics();
    let second = Duration::from_secs(1);
    let settings = ServerSettings {
        workers: 1,
        keep_alive: second,
        slow_client: second,
        rate_per_second: NonZeroU32::MAX,
        ..ServerSettings::on("127.0.0.1:0".parse().unwrap())
    };
    let service = HttpService::bind(parts, &settings, configure).unwrap();
    let (address, stop) = (service.address, CancellationToken::new());
    let running = tokio::spawn(service.run(stop.clone()));
    let (mut answered, mut refused) = (0, 0);
    let all = async {
        for number in 0..cases().min(MOST_CASES) {
            let bytes = hostile(HEADS, number);
            let _witness = Witness { decoder: "a request's head", number, input: &bytes };
            for status in statuses(&send(address, &bytes).await) {
                assert!(status < 500 || status == 503, "{status}");
                if status < 400 { answered += 1 } else { refused += 1 }
            }
        }
    };
    // A slow machine sends fewer.
    drop(timeout(BOUND, all).await);
    assert!(answered > 0 && refused > 0, "{answered} answered, {refused} refused");
    assert_eq!(statuses(&send(address, HEADS[0]).await), [200]);
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "a worker panicked");
    stop.cancel();
    running.await.unwrap().unwrap();
}
