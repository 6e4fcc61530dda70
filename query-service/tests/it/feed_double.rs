//! A feed of a test's events, in process or over HTTP. It can be out of reach.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use query_service::feed::{Feed, FeedError};
use shared_events::{
    Erasures, RawEvent, RoomId, UserId, Version,
    erasure::{Bytes32, ErasedPerson, ErasuresPage},
    feed::{FeedEvent, Head, Page},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::events::Stream;

/// The token that is accepted over HTTP.
pub(crate) const TOKEN: &str = "let-me-in";

#[derive(Default)]
pub(crate) struct FeedDouble {
    streams: Mutex<HashMap<RoomId, Vec<RawEvent>>>,
    pub(crate) out_of_reach: AtomicBool,
    pub(crate) reads: AtomicUsize,
    pub(crate) erasures: Mutex<Erasures>,
    /// Erased persons that were read.
    pub(crate) erased_read: AtomicUsize,
    pub(crate) hides_erasures: AtomicBool,
    /// The token that is accepted over HTTP, in place of [`TOKEN`].
    pub(crate) rotated: Mutex<Option<String>>,
}

impl FeedDouble {
    pub(crate) fn of(streams: &[&Stream]) -> Arc<Self> {
        let feed = Self::default();
        streams.iter().for_each(|stream| feed.put(stream));
        Arc::new(feed)
    }

    /// Serves all events of the stream so far.
    pub(crate) fn put(&self, stream: &Stream) {
        self.streams.lock().unwrap().insert(stream.room, stream.events.clone());
    }

    /// A small page, so that several are read.
    fn erased_after(&self, after: u64) -> ErasuresPage {
        let list = self.erasures.lock().unwrap();
        let person = |(person, (seq, pseudonym)): (&Bytes32, &(u64, UserId))| ErasedPerson {
            seq: *seq,
            person: *person,
            pseudonym: pseudonym.clone(),
        };
        let mut persons: Vec<_> =
            list.persons.iter().map(person).filter(|person| person.seq > after).collect();
        persons.sort_by_key(|person| person.seq);
        let more = persons.len() > 3;
        persons.truncate(3);
        self.erased_read.fetch_add(persons.len(), Ordering::SeqCst);
        let next = persons.last().filter(|_| more).map(|last| last.seq);
        ErasuresPage { epoch: list.epoch, secret: list.secret, persons, next }
    }

    fn check(&self) -> Result<(), FeedError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.out_of_reach.load(Ordering::SeqCst) {
            return Err(FeedError::Unreachable("as the test wants".to_owned()));
        }
        Ok(())
    }

    fn all_heads(&self) -> Vec<Head> {
        let streams = self.streams.lock().unwrap();
        let head = |events: &Vec<RawEvent>| u64::try_from(events.len()).unwrap();
        streams.iter().map(|(room, events)| Head { room: *room, version: head(events).into() }).collect()
    }

    fn after(&self, room: RoomId, after: Version) -> Option<Vec<RawEvent>> {
        let streams = self.streams.lock().unwrap();
        let after = usize::try_from(after.get()).unwrap();
        // Small pages, so that several are read.
        streams.get(&room).map(|events| events.iter().skip(after).take(3).cloned().collect())
    }
}

#[async_trait]
impl Feed for FeedDouble {
    async fn heads(&self, _: Option<&str>) -> Result<Page<Head>, FeedError> {
        self.check()?;
        Ok(Page { items: self.all_heads(), next: None })
    }

    async fn events(&self, room: RoomId, after: Version) -> Result<Vec<RawEvent>, FeedError> {
        self.check()?;
        Ok(self.after(room, after).unwrap_or_default())
    }

    async fn erasures(&self, after: u64) -> Result<ErasuresPage, FeedError> {
        if self.hides_erasures.load(Ordering::SeqCst) {
            return Err(FeedError::Unreachable("as the test wants".to_owned()));
        }
        Ok(self.erased_after(after))
    }
}

/// The feed's HTTP interface over a [`FeedDouble`]. It accepts [`TOKEN`], or the one that replaced it.
pub(crate) struct FeedServer {
    pub(crate) url: reqwest::Url,
    task: tokio::task::JoinHandle<()>,
}

impl FeedServer {
    pub(crate) async fn start(feed: Arc<FeedDouble>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(connection, Arc::clone(&feed)));
            }
        });
        Self { url, task }
    }
}

impl Drop for FeedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut connection: TcpStream, feed: Arc<FeedDouble>) {
    let mut request = Vec::new();
    // The body of a request for an erasure, which is one JSON object, comes after the head.
    while request.starts_with(b"POST ") && !request.ends_with(b"}")
        || !request.starts_with(b"POST ") && !request.ends_with(b"\r\n\r\n")
    {
        let mut buffer = [0; 4096];
        let read = connection.read(&mut buffer).await.unwrap_or_default();
        if read == 0 {
            return;
        }
        request.extend_from_slice(&buffer[..read]);
    }
    let request = String::from_utf8(request).unwrap();
    let target = request.split(' ').nth(1).unwrap().to_owned();
    let token = feed.rotated.lock().unwrap().clone().unwrap_or_else(|| TOKEN.to_owned());
    let (status, body) = if request.to_lowercase().contains(&format!("authorization: bearer {token}\r\n")) {
        respond(&target, &feed)
    } else {
        ("401 Unauthorized", "{}".to_owned())
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = connection.write_all(answer.as_bytes()).await;
}

fn respond(target: &str, feed: &FeedDouble) -> (&'static str, String) {
    if feed.check().is_err() {
        return ("503 Service Unavailable", "{}".to_owned());
    }
    let url: reqwest::Url = format!("http://feed{target}").parse().unwrap();
    let parameter =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let path: Vec<&str> = url.path_segments().unwrap().collect();
    match path.as_slice() {
        ["v1", "erasures"] if url.query().is_none() => {
            let step = r#"{"pseudonym": "erased-1", "examined": 0, "masked": 0, "done": true}"#;
            ("200 OK", step.to_owned())
        }
        ["v1", "erasures"] => {
            let after = parameter("after").unwrap().parse().unwrap();
            ("200 OK", serde_json::to_string(&feed.erased_after(after)).unwrap())
        }
        ["v1", "streams"] => {
            // One head on each page.
            let mut heads = feed.all_heads();
            heads.sort_by_key(|head| head.room);
            let at: usize = parameter("cursor").map_or(0, |cursor| cursor.parse().unwrap());
            let next = (at + 1 < heads.len()).then(|| (at + 1).to_string());
            let items = heads.into_iter().skip(at).take(1).collect();
            ("200 OK", serde_json::to_string(&Page { items, next }).unwrap())
        }
        ["v1", "streams", room, "events"] => {
            let after = parameter("after").unwrap().parse().unwrap();
            match feed.after(room.parse().unwrap(), after) {
                Some(events) => {
                    let items = events.into_iter().map(|event| FeedEvent::from_raw(event).unwrap()).collect();
                    ("200 OK", serde_json::to_string(&Page::<FeedEvent> { items, next: None }).unwrap())
                }
                None => ("404 Not Found", "{}".to_owned()),
            }
        }
        _ => ("404 Not Found", "{}".to_owned()),
    }
}
