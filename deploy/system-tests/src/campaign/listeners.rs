//! Clients of live streams. They come back where they were cut, to either instance, and note which versions they know.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    learnt::{Known, Listener},
    load_generator::Load,
    rooms::Rooms,
};
use crate::{EventStream, Random, Told};

/// The longest wait for the last events, once queries show them.
const PATIENCE: Duration = Duration::from_secs(120);
/// The time-out of all but a stream.
const TIMEOUT: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Running clients.
#[derive(Debug)]
pub(crate) struct Listeners {
    known: Vec<Arc<Mutex<Listener>>>,
    tasks: JoinSet<()>,
}

impl Listeners {
    /// Starts a client of all rooms on each instance, and one of a kind.
    pub(crate) fn start(load: &Arc<Load>, rooms: &Rooms, seed: u64) -> Self {
        let all: Vec<Uuid> =
            rooms.kinds.iter().flat_map(|(_, rooms)| rooms).chain(&rooms.probes).copied().collect();
        let ids: Vec<_> = all.iter().map(Uuid::to_string).collect();
        let (kind, of_kind) = &rooms.kinds[0];
        let clients = [
            (format!("room={}", ids.join(",")), all.clone()),
            (format!("room={}", ids.join(",")), all),
            (format!("kind={kind}"), of_kind.clone()),
        ];
        let (mut known, mut tasks) = (Vec::new(), JoinSet::new());
        for (number, (query, rooms)) in clients.into_iter().enumerate() {
            let listener = Listener {
                name: format!("listener-{number}"),
                rooms: rooms.into_iter().map(|room| (room, Known::default())).collect(),
                ..Listener::default()
            };
            let listener = Arc::new(Mutex::new(listener));
            let client = Client {
                load: Arc::clone(load),
                http: reqwest::Client::builder().no_proxy().connect_timeout(TIMEOUT).build().unwrap(),
                query,
                known: Arc::clone(&listener),
                random: Random::part(seed, 900 + u64::try_from(number).unwrap()),
                instance: number % 2,
            };
            known.push(listener);
            tasks.spawn(client.run());
        }
        Self { known, tasks }
    }

    /// Waits until they know everything up to these versions, or for two minutes, and ends them.
    pub(crate) async fn finish(mut self, heads: &[(Uuid, u64)]) -> Vec<Listener> {
        let start = Instant::now();
        let lacks = |listener: &Listener| {
            heads.iter().any(|(room, head)| {
                listener.rooms.get(room).is_some_and(|known| known.missing(*head).is_some())
            })
        };
        while start.elapsed() < PATIENCE && self.known.iter().any(|one| lacks(&lock(one))) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.tasks.shutdown().await;
        self.known.iter().map(|one| lock(one).clone()).collect()
    }
}

fn lock(listener: &Mutex<Listener>) -> std::sync::MutexGuard<'_, Listener> {
    listener.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Client {
    load: Arc<Load>,
    http: reqwest::Client,
    query: String,
    known: Arc<Mutex<Listener>>,
    random: Random,
    instance: usize,
}

impl Client {
    async fn run(mut self) {
        let mut last_id: Option<String> = None;
        let mut unread = BTreeSet::new();
        loop {
            // A stream without a place goes on from no other: what was queried beside an earlier one is old.
            if last_id.is_none() {
                unread.extend(lock(&self.known).rooms.keys().copied());
            }
            let mut request = self.get(&format!("/v1/events?{}", self.query)).header("Prefer", "wait=5");
            if let Some(id) = &last_id {
                request = request.header("Last-Event-ID", id);
            }
            match tokio::time::timeout(2 * TIMEOUT, request.send()).await {
                Ok(Ok(response)) if response.status() == 200 => {
                    lock(&self.known).connections += 1;
                    let mut stream = EventStream::of(response);
                    self.listen(&mut stream, &mut unread).await;
                    last_id = stream.last_id().map(str::to_owned).or(last_id);
                }
                Ok(Ok(response)) if ![429, 503].contains(&response.status().as_u16()) => {
                    let wrong =
                        format!("{} {}", response.status(), response.text().await.unwrap_or_default());
                    lock(&self.known).wrong.push(wrong);
                }
                _ => {}
            }
            self.instance = self.random.index(self.load.query_urls.len());
            tokio::time::sleep(self.random.millis(20, 500)).await;
        }
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.load.query_urls[self.instance]);
        self.http.get(url).header("X-User", "listener")
    }

    /// Reads a stream until it ends, or for some seconds.
    async fn listen(&mut self, stream: &mut EventStream, unread: &mut BTreeSet<Uuid>) {
        let lasts = self.random.millis(500, 20_000);
        let until = tokio::time::Instant::now() + lasts;
        loop {
            // Queried while the stream is open: what comes later is told.
            let rooms: Vec<Uuid> = unread.iter().copied().collect();
            for room in rooms {
                let sent = self.load.clock.now();
                let Some(version) = self.version(room).await else { return };
                let read_at = (sent, self.load.clock.now());
                let mut listener = lock(&self.known);
                let known = listener.rooms.entry(room).or_default();
                if version >= known.read {
                    (known.read, known.read_at) = (version, read_at);
                }
                drop(listener);
                unread.remove(&room);
            }
            let Ok(Some(told)) = tokio::time::timeout_at(until, stream.next()).await else { return };
            let mut listener = lock(&self.known);
            match told {
                Told::Event(data) => {
                    listener.events += 1;
                    let room = data["room"].as_str().and_then(|room| room.parse::<Uuid>().ok());
                    let known = room.and_then(|room| listener.rooms.get_mut(&room));
                    match (known, data["version"].as_u64()) {
                        (Some(known), Some(version)) => _ = known.told.insert(version),
                        _ => listener.wrong.push(data.to_string()),
                    }
                }
                Told::Reset(room) => {
                    listener.resets += 1;
                    match room.and_then(|room| room.parse::<Uuid>().ok()) {
                        Some(room) => _ = unread.insert(room),
                        None => unread.extend(listener.rooms.keys()),
                    }
                }
            }
        }
    }

    async fn version(&self, room: Uuid) -> Option<u64> {
        let request = self.get(&format!("/v1/rooms/{room}")).timeout(TIMEOUT);
        let body: serde_json::Value = request.send().await.ok()?.json().await.ok()?;
        body["version"].as_u64()
    }
}
