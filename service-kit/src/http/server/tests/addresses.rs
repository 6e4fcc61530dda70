//! Connections of one address.

use std::net::Ipv4Addr;

use socket2::{Domain, Socket, Type};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// A connection from this address of the machine, and the beginning of what the server answers. Nothing if it is closed.
fn ask(source: Ipv4Addr, server: SocketAddr) -> (Socket, String) {
    let mut stream = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    stream.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    stream.connect(&server.into()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The server may have closed the connection.
    let _ = stream.write_all(b"GET /v1/things/1 HTTP/1.1\r\nhost: localhost\r\nx-user: ann\r\n\r\n");
    let mut answer = [0; 4096];
    let count = match stream.read(&mut answer) {
        Ok(count) => count,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
        Err(error) => panic!("neither answered nor closed: {error}"),
    };
    (stream, String::from_utf8_lossy(&answer[..count]).into_owned())
}

fn is_served((_, answer): &(Socket, String)) -> bool {
    let refused = answer.is_empty()
        || answer.starts_with("HTTP/1.1 429 ") && answer.contains("/problems/too-many-requests");
    assert!(refused || answer.starts_with("HTTP/1.1 200 "), "{answer}");
    !refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_too_many_of_one_address_is_refused_and_other_addresses_are_served() {
    let settings = ServerSettings { max_connections_per_address: 2, ..one_worker() };
    with_settings(settings, |server| {
        let (one, other) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
        let held = [ask(one, server), ask(one, server)];
        assert!(held.iter().all(is_served));
        for _ in 0..5 {
            assert!(!is_served(&ask(one, server)), "refused connections take no place");
        }
        assert!(is_served(&ask(other, server)));
        drop(held);
        // The server notices at some time that they are closed.
        let started = Instant::now();
        while !is_served(&ask(one, server)) {
            assert!(started.elapsed() < PATIENCE, "closed connections keep their places");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_may_have_any_number_of_connections() {
    let trusted_proxies = "127.0.0.1".parse().unwrap();
    let settings = ServerSettings { max_connections_per_address: 1, trusted_proxies, ..one_worker() };
    with_settings(settings, |server| {
        let held: Vec<_> = (0..5).map(|_| ask(Ipv4Addr::LOCALHOST, server)).collect();
        assert!(held.iter().all(is_served));
    })
    .await;
}
