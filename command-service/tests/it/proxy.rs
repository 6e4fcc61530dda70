//! A proxy between a store and MySQL. It cuts connections during COMMIT, or leads new ones to another server.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use command_service::event_store::mysql::MySqlStore;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::servers::Database;

/// What the proxy does with the next COMMIT once it is armed.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// Passes it on, and closes the client's connection in place of the answer.
    Answer,
    /// Drops it, and closes the client's connection. The server's stays open.
    Request,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    armed: Arc<AtomicBool>,
    server: Arc<Mutex<String>>,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    /// Replaces `rewrite.0` by `rewrite.1`, of the same length, in everything that clients send.
    pub(crate) async fn start(database: &Database, cut: Cut, rewrite: Option<(String, String)>) -> Self {
        let (_, rest) = database.url.split_once("://").unwrap();
        let (credentials, place) = rest.split_once('@').unwrap_or(("root", rest));
        let (server, name) = place.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            format!("mysql://{credentials}@{}/{name}?ssl-mode=DISABLED", listener.local_addr().unwrap());
        let armed = Arc::new(AtomicBool::new(false));
        let (server, connections) = (Arc::new(Mutex::new(server.to_owned())), Arc::<AtomicUsize>::default());
        let (watched, target, counted) = (Arc::clone(&armed), Arc::clone(&server), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let target = target.lock().unwrap().clone();
                let server = TcpStream::connect(target).await.unwrap();
                tokio::spawn(pass_on(client, server, cut, Arc::clone(&watched), rewrite.clone()));
            }
        });
        Self { url, armed, server, connections }
    }

    /// Leads new connections to this server, `host:port`. Open ones stay where they are.
    pub(crate) fn lead_to(&self, server: String) {
        *self.server.lock().unwrap() = server;
    }

    /// The number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) -> MySqlStore {
        MySqlStore::open(self.url.as_str(), 4, None, None).unwrap()
    }
}

async fn pass_on(
    mut client: TcpStream,
    mut server: TcpStream,
    cut: Cut,
    armed: Arc<AtomicBool>,
    rewrite: Option<(String, String)>,
) {
    let (mut sent, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(length @ 1..) = read else { return };
                let data = &mut sent[..length];
                if let Some((from, to)) = &rewrite
                    && let Some(at) = data.windows(from.len()).position(|part| part == from.as_bytes())
                {
                    data[at..at + to.len()].copy_from_slice(to.as_bytes());
                }
                if data.ends_with(b"COMMIT") && armed.swap(false, Ordering::SeqCst) {
                    if matches!(cut, Cut::Answer) {
                        server.write_all(data).await.unwrap();
                        assert!(server.read(&mut answered).await.unwrap() > 0, "COMMIT was answered");
                    }
                    drop(client);
                    // The server notices nothing: its connection stays open until it closes it.
                    while server.read(&mut answered).await.is_ok_and(|length| length > 0) {}
                    return;
                }
                server.write_all(data).await.unwrap();
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&answered[..length]).await.is_err() { return }
            }
        }
    }
}
