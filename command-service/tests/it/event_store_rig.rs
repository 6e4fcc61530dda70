//! Stores of their own for the tests of the event store, and what they put in.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use command_service::event_store::{
    EventStore, FailPoints, Group, KeyId, NewKey, StoredEvent, mysql::MySqlStore, sqlite::SqliteStore,
};
use shared_events::{Metadata, RawEvent, RoomId, Timestamp, UserId};
use sqlx::{Connection, Executor, MySqlConnection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

/// Each of these tests on both stores.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod mysql {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Rig::mysql().await).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Rig::sqlite().await).await;
            })*
        }
    };
}
pub(crate) use on_both;

/// A store that one test has for itself.
pub(crate) struct Rig {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) fail_points: Arc<FailPoints>,
    /// Keeps the database.
    _place: Place,
}

enum Place {
    MySql { _database: Database },
    Sqlite { _folder: tempfile::TempDir },
}

impl Rig {
    pub(crate) async fn mysql() -> Self {
        let database = Database::new().await;
        let fail_points = Arc::new(FailPoints::default());
        let store = Arc::new(MySqlStore::open(&database.url, 4, Some(Arc::clone(&fail_points))).unwrap());
        Self { store, fail_points, _place: Place::MySql { _database: database } }
    }

    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fail_points = Arc::new(FailPoints::default());
        let file = folder.path().join("events.sqlite");
        let store = Arc::new(SqliteStore::open(&file, Some(Arc::clone(&fail_points))).await.unwrap());
        Self { store, fail_points, _place: Place::Sqlite { _folder: folder } }
    }
}

/// A MySQL database with its tables, dropped at the end.
pub(crate) struct Database {
    pub(crate) url: String,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let database = Self::empty();
        database.open().migrate().await.unwrap();
        database
    }

    /// A name for a database that is not there yet.
    pub(crate) fn empty() -> Self {
        let server = std::env::var("MYSQL_URL").expect("MYSQL_URL names a MySQL server");
        let url = format!("{}/test_{}", server.trim_end_matches('/'), service_kit::ids::new_id().simple());
        Self { url }
    }

    pub(crate) fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap()
    }

    pub(crate) fn open(&self) -> MySqlStore {
        MySqlStore::open(&self.url, 4, None).unwrap()
    }

    /// A session besides the store's own.
    pub(crate) async fn connect(&self) -> MySqlConnection {
        MySqlConnection::connect(&self.url).await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = self.url.rsplit_once('/').unwrap();
        let (server, sql) = (server.to_owned(), format!("DROP DATABASE IF EXISTS {name}"));
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = MySqlConnection::connect(&server).await.unwrap();
                connection.execute("SET lock_wait_timeout = 5").await.unwrap();
                connection.execute(sql.as_str()).await.unwrap();
            });
        });
        // What goes wrong here is no reason to hide how the test ended.
        drop(dropping.join());
    }
}

pub(crate) fn room(number: u128) -> RoomId {
    RoomId(Uuid::from_u128(number << 64 | number))
}

pub(crate) fn event(room: RoomId, version: u64) -> RawEvent {
    RawEvent {
        room,
        version: version.into(),
        event_type: "reservations.reservation-made.v1".into(),
        payload: format!("{{\"z\": 1,\"a\":\"{version}\"}}").into_bytes(),
        metadata: Metadata {
            time: Timestamp::from_epoch_millis(1_790_000_000_000),
            subject: room.to_string(),
            actor: UserId("Zoë \u{1f3e8}".to_owned()),
            correlation_id: "correlation".to_owned(),
            causation_id: format!("{room}-{version}"),
            traceparent: None,
        },
        recorded_at: Timestamp::from_epoch_millis(1_790_000_000_123),
    }
}

/// The key with this number, for the event at an index of the group.
pub(crate) fn key(number: u128, event: usize) -> NewKey {
    NewKey {
        id: KeyId(number.to_be_bytes()),
        fingerprint: [7; 16],
        event: Some(event),
        other_event: None,
        outcome: None,
    }
}

pub(crate) fn events(events: Vec<RawEvent>) -> Group {
    Group { events, ..Group::default() }
}

pub(crate) fn ids(events: &[StoredEvent]) -> Vec<(RoomId, u64)> {
    events.iter().map(|event| (event.room, event.version.get())).collect()
}

/// What a [`Proxy`] does when the next COMMIT passes.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// Lets it through, and ends the client's connection instead of passing on the answer.
    Answer,
    /// Keeps it, and ends the client's connection; the server's stays open.
    Request,
}

/// Stands between a store and MySQL.
pub(crate) struct Proxy {
    pub(crate) url: String,
    armed: Arc<AtomicBool>,
}

impl Proxy {
    /// `cut` happens once it is armed. In what clients send, each `rewrite.0` becomes `rewrite.1`, of the same length.
    pub(crate) async fn start(database: &Database, cut: Cut, rewrite: Option<(String, String)>) -> Self {
        let (_, rest) = database.url.split_once("://").unwrap();
        let (credentials, place) = rest.split_once('@').unwrap_or(("root", rest));
        let (server, name) = place.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            format!("mysql://{credentials}@{}/{name}?ssl-mode=DISABLED", listener.local_addr().unwrap());
        let armed = Arc::new(AtomicBool::new(false));
        let (server, watched) = (server.to_owned(), Arc::clone(&armed));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass_on(client, server, cut, Arc::clone(&watched), rewrite.clone()));
            }
        });
        Self { url, armed }
    }

    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) -> MySqlStore {
        MySqlStore::open(&self.url, 4, None).unwrap()
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
                    // The server learns nothing of it: its connection stays open until it ends it itself.
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
