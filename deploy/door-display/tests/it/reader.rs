//! A reader that keeps all events, and its database.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use door_display::{Credentials, Feed, follow, listen};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use shared_events::{RawEvent, RoomId, Timestamp, Version, changes::Follower, notice::Notice};
use system_tests::Stack;
use tokio::task::JoinHandle;

/// What a reader has stored: it outlives the reader.
#[derive(Clone, Default)]
pub(crate) struct Database(Arc<Mutex<Vec<RawEvent>>>);

impl Database {
    pub(crate) fn events(&self) -> Vec<RawEvent> {
        self.0.lock().unwrap().clone()
    }

    /// The versions of a room in the order in which they were applied.
    pub(crate) fn versions(&self, room: &str) -> Vec<u64> {
        let room: RoomId = room.parse().unwrap();
        let events = self.events();
        events.iter().filter(|event| event.room == room).map(|event| event.version.get()).collect()
    }

    fn applied(&self) -> HashMap<RoomId, Version> {
        self.events().iter().map(|event| (event.room, event.version)).collect()
    }
}

/// A running reader. Dropped, it ends in the middle of what it does.
pub(crate) struct Reader(JoinHandle<()>);

impl Reader {
    /// Follows all rooms of a stack by the notices of a topic, from where the database ends.
    pub(crate) async fn start(stack: &Stack, topic: &str, database: &Database) -> Self {
        let (brokers, topic) = (stack.topic().0.to_owned(), topic.to_owned());
        let mut notices =
            tokio::task::spawn_blocking(move || listen(&brokers, &topic)).await.unwrap().unwrap();
        let feed = Feed::new(stack.urls().0.parse().unwrap(), Credentials::Headers).unwrap();
        let follower = Follower::of_all(database.applied());
        let database = database.clone();
        Self(tokio::spawn(async move {
            let apply = |events: &[RawEvent]| {
                database.0.lock().unwrap().extend_from_slice(events);
                Ok(())
            };
            follow(follower, &feed, &mut notices, apply).await;
        }))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes a topic of notices that no service writes to.
pub(crate) async fn make_topic(stack: &Stack) -> String {
    let topic = stack.notices();
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", stack.topic().0).create().unwrap();
    let new = NewTopic::new(&topic, 4, TopicReplication::Fixed(1));
    admin.create_topics([&new], &AdminOptions::new()).await.unwrap();
    topic
}

/// Sends these notices.
pub(crate) fn tell(stack: &Stack, topic: &str, notices: impl IntoIterator<Item = Notice>) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", stack.topic().0)
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    for notice in notices {
        let headers = notice.headers(Timestamp::from_epoch_millis(0));
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let key = notice.room.to_string();
        let record = BaseRecord::to(topic).key(&key).payload("{}").headers(headers);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(std::time::Duration::from_secs(30)).unwrap();
}
