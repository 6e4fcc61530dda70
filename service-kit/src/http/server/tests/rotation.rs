//! The certificate of the port is replaced while the server runs.

use rustls::StreamOwned;

use super::*;

type Connection = StreamOwned<rustls::ClientConnection, TcpStream>;

/// A connection whose client believes only the authority of this certificate.
fn connect(certificate: &Certificate, address: SocketAddr) -> io::Result<Connection> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut connection = StreamOwned::new(certificate.session(&[]), stream);
    while connection.conn.is_handshaking() {
        connection.conn.complete_io(&mut connection.sock)?;
    }
    Ok(connection)
}

fn is_answered(connection: &mut Connection) {
    connection.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut byte = [0];
        connection.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_replaced_is_shown_to_new_connections_and_open_ones_go_on() {
    let (own, new) = (Certificate::new(), Certificate::new());
    let settings = ServerSettings { tls: Some(own.tls()), ..one_worker() };
    with_settings(settings, move |address| {
        let mut open = connect(&own, address).unwrap();
        is_answered(&mut open);
        own.write(&new.signed);
        let replaced = Instant::now();
        let mut renewed = loop {
            assert!(replaced.elapsed() < Duration::from_secs(20), "the old certificate is still shown");
            if let Ok(connection) = connect(&new, address) {
                break connection;
            }
        };
        is_answered(&mut renewed);
        is_answered(&mut open);
        assert!(connect(&own, address).is_err(), "the old certificate is gone");
    })
    .await;
}
