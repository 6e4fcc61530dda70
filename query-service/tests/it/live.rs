//! Live streams over HTTP: in the embedded default, and on the real servers.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use query_service::{
    kafka::KafkaSettings,
    service::{Service, Stack},
    stores::mongo::MongoSettings,
};
use reqwest::Method;
use serde_json::Value;
use service_kit::{
    auth::{Authenticator, TokenRules},
    clock::Clock,
    dev_key::DevKey,
    jwks::{Jwks, Source},
};
use shared_events::{RawEvent, RoomId};
use tokio::sync::mpsc;

use crate::{
    events::Stream,
    feed_double::FeedDouble,
    kafka_consumer::Topic,
    live_client::{Known, Listener, Told},
    mongo_database::{self, TestDatabase},
    pipelines::PATIENCE,
    test_service::{STREAMS, TestService, parts},
};

#[expect(clippy::large_enum_variant, reason = "there is one of it in a test")]
/// Where events come from, and where the services that read them are started.
pub(crate) enum Origin {
    InProcess { feed: Arc<FeedDouble>, events: Option<mpsc::Sender<RawEvent>> },
    Servers { topic: Topic, database: TestDatabase },
}

impl Origin {
    fn in_process() -> Self {
        Self::InProcess { feed: FeedDouble::of(&[]), events: None }
    }

    pub(crate) async fn servers() -> Self {
        let topic = Topic::named_anew(2);
        topic.make().await;
        Self::Servers { topic, database: TestDatabase::create().await }
    }

    /// In process, the instance before ends with it.
    pub(crate) async fn start(&mut self) -> TestService {
        let (stack, feed) = match self {
            Self::InProcess { feed, events } => {
                let (sender, source) = mpsc::channel(16);
                *events = Some(sender);
                (Stack::InProcess(source), Arc::clone(feed))
            }
            Self::Servers { topic, database } => {
                (servers(topic.settings.clone(), database), FeedDouble::of(&[]))
            }
        };
        TestService::start_ready(parts(stack, feed, Clock::system())).await
    }

    /// Publishes the last event of a stream.
    pub(crate) async fn publish(&self, stream: &Stream) {
        let event = stream.events.last().unwrap();
        match self {
            Self::InProcess { feed, events } => {
                feed.put(stream);
                // Without a service, the next one reads the feed.
                if let Some(events) = events {
                    drop(events.send(event.clone()).await);
                }
            }
            Self::Servers { topic, .. } => topic.send(event).await,
        }
    }
}

fn servers(kafka: KafkaSettings, database: &TestDatabase) -> Stack {
    let url = mongo_database::url().into();
    let mongo = MongoSettings { url, database: database.name.clone(), authorities: None };
    Stack::Servers(Box::new(kafka), mongo)
}

fn rooms(streams: &[Stream]) -> String {
    let ids: Vec<_> = streams.iter().map(|stream| stream.room.to_string()).collect();
    format!("room={}", ids.join(","))
}

/// Events of ten rooms, while a client is cut again and again and instances come and go. In the end the client knows each
/// version.
async fn nothing_is_lost(mut source: Origin, rounds: u32) {
    let mut streams: Vec<Stream> = (0..10).map(|number| Stream::new(&format!("Room {number}"))).collect();
    let is_shared = matches!(source, Origin::Servers { .. });
    let mut instances = vec![source.start().await];
    if is_shared {
        instances.push(source.start().await);
    }
    for stream in &streams {
        source.publish(stream).await;
    }
    let mut listener = Listener::new("ann", rooms(&streams));
    listener.connect(&instances[0].url).await;
    let mut known: HashMap<RoomId, Known> = HashMap::new();
    let (mut resets, mut told) = (0, 0);
    for round in 0..rounds {
        // Whatever comes while nobody listens must be told later.
        if round % 3 == 1 {
            listener.cut();
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            let hour = u32::try_from(number).unwrap() % 20;
            let made = stream.reserve("ann", hour, hour + 1);
            source.publish(stream).await;
            if number % 3 == 0 {
                stream.cancel(&made);
                source.publish(stream).await;
            }
            if number == 5 && round % 5 == 2 {
                instances.remove(0).stop().await;
                instances.push(source.start().await);
            }
        }
        let at = usize::try_from(round).unwrap() % instances.len();
        if round % 3 == 1 {
            listener.connect(&instances[at].url).await;
        }
        // On some rounds the client is cut in the middle of what it is told.
        let mut left = if round % 3 == 2 { 7 } else { usize::MAX };
        while left > 0 && streams.iter().any(|s| missing(&known, s).is_some()) {
            left -= 1;
            match listener.next().await {
                Some(Told::Event(event)) => {
                    let room = event["room"].as_str().unwrap().parse().unwrap();
                    known.entry(room).or_default().note(&event);
                    told += 1;
                }
                Some(Told::Reset(room)) => {
                    resets += 1;
                    for stream in &streams {
                        if room.as_ref().is_none_or(|room| *room == stream.room.to_string()) {
                            known
                                .entry(stream.room)
                                .or_default()
                                .read(instances[at].version(stream.room).await);
                        }
                    }
                }
                None => listener.connect(&instances[at].url).await,
            }
        }
        if round % 3 == 2 {
            listener.connect(&instances[at].url).await;
        }
    }
    assert!(told > rounds as usize * 5, "{told} events were told");
    assert!(listener.connected > rounds as usize / 3, "it was cut");
    let expected = if is_shared { 0 } else { listener.connected };
    assert!(resets <= expected, "{resets} resets: a place is known to each instance");
    for instance in instances {
        instance.stop().await;
    }
}

/// Version 1 was published before the client came.
fn missing(known: &HashMap<RoomId, Known>, stream: &Stream) -> Option<u64> {
    match known.get(&stream.room) {
        Some(known) => known.missing(1, stream.head()),
        None => (stream.head() > 1).then_some(2),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_across_cuts_and_restarts_in_process() {
    nothing_is_lost(Origin::in_process(), 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_across_cuts_restarts_and_two_instances_on_the_real_servers() {
    nothing_is_lost(Origin::servers().await, 12).await;
}

async fn an_unknown_id_is_one_reset(mut source: Origin) {
    let mut stream = Stream::new("Blue");
    let instance = source.start().await;
    source.publish(&stream).await;
    let mut listener = Listener::new("ann", format!("room={}", stream.room));
    for id in ["", "AQ", "nonsense"] {
        listener.last_id = Some(id.to_owned());
        listener.connect(&instance.url).await;
        assert_eq!(listener.next().await, Some(Told::Reset(None)), "{id}");
        stream.reserve("ann", 1, 2);
        source.publish(&stream).await;
        let mut told = listener.next().await;
        // The registration may come after the reset, and events of before may come again.
        while matches!(&told, Some(Told::Event(event)) if event["version"] != stream.head()) {
            told = listener.next().await;
        }
        assert!(matches!(told, Some(Told::Event(_))), "{told:?}");
    }
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_id_is_one_reset_in_process() {
    an_unknown_id_is_one_reset(Origin::in_process()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_id_is_one_reset_on_the_real_servers() {
    an_unknown_id_is_one_reset(Origin::servers().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_has_the_events_of_its_rooms_its_kind_or_its_user_and_names_nobody() {
    let mut source = Origin::in_process();
    let instance = source.start().await;
    let mut streams = [Stream::new("Blue"), Stream::new("Green")];
    for stream in &streams {
        source.publish(stream).await;
    }
    let wants = [format!("room={}", streams[0].room), "kind=meeting".to_owned(), "mine=true".to_owned()];
    let mut listeners: Vec<_> = wants.into_iter().map(|query| Listener::new("ann", query)).collect();
    for room in &streams {
        tokio::time::timeout(PATIENCE, async { while instance.version(room.room).await < 1 {} })
            .await
            .unwrap();
    }
    for listener in &mut listeners {
        listener.connect(&instance.url).await;
    }
    let [blue, green] = &mut streams;
    let of_bob = blue.reserve("bob", 1, 2);
    source.publish(blue).await;
    let of_ann = green.reserve("ann", 1, 2);
    source.publish(green).await;
    let of_ann = green.reschedule(&of_ann, 3, 4);
    source.publish(green).await;
    let busy = |room, version| serde_json::json!({"type": "busy-changed", "room": room, "version": version});
    let own = |name: &str, version, revision: u32| {
        serde_json::json!({
            "type": name, "room": green.room, "version": version, "reservation": of_ann.id, "revision": revision
        })
    };
    let expected = [
        vec![busy(blue.room, 2)],
        vec![busy(blue.room, 2), own("reservation-made", 2, 1), own("reservation-rescheduled", 3, 2)],
        vec![own("reservation-made", 2, 1), own("reservation-rescheduled", 3, 2)],
    ];
    for (listener, mut expected) in listeners.iter_mut().zip(expected) {
        let mut told = Vec::new();
        for _ in &expected {
            match listener.next().await {
                Some(Told::Event(event)) => told.push(event),
                other => panic!("{}: {other:?}", listener.query),
            }
        }
        // The events of one room are in order, and those of two are not.
        let room = |event: &Value| event["room"].as_str().unwrap().to_owned();
        told.sort_by_key(room);
        expected.sort_by_key(room);
        assert_eq!(told, expected, "{}", listener.query);
    }
    assert_ne!(of_bob.id, of_ann.id);
    instance.stop().await;
    for listener in &mut listeners {
        assert_eq!(listener.next().await, None, "streams end with their instance");
    }
}

#[tokio::test]
async fn a_stream_that_cannot_be_is_refused_by_name_and_a_stream_too_many_gets_503() {
    let mut source = Origin::in_process();
    let instance = source.start().await;
    let room = Stream::new("Blue").room;
    let many =
        vec![room.to_string(); 1].into_iter().chain((0..128).map(|_| Stream::new("x").room.to_string()));
    let many = format!("room={}", many.collect::<Vec<_>>().join(","));
    let problem = async |query: &str, user: &str| {
        let response = Listener::new(user, query.to_owned()).answer(&instance.url).await;
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        let text =
            |name: &str| body[name].as_str().unwrap_or_default().trim_start_matches("/problems/").to_owned();
        (status, text("type"), text("field"))
    };
    for (query, field) in [
        ("", "room"),
        ("room=", "room"),
        ("room=seven", "room"),
        ("mine=perhaps", "mine"),
        ("mine=false", "room"),
        ("kind=", "kind"),
        (many.as_str(), "room"),
    ] {
        assert_eq!(
            problem(query, "ann").await,
            (400, "invalid-value".to_owned(), field.to_owned()),
            "{query}"
        );
    }
    assert_eq!(problem("colour=red", "ann").await.1, "unknown-field");
    let nobody = instance.request("/v1/events?mine=true");
    assert_eq!(nobody.send().await.unwrap().status(), 401);
    let head = instance.call(Method::HEAD, "/v1/events?mine=true");
    assert_eq!(head.header("X-User", "ann").send().await.unwrap().status(), 200, "and it ends");
    let mut listeners = Vec::new();
    for number in 0..STREAMS {
        let mut listener = Listener::new(["ann", "bob"][number / 32], format!("room={room}"));
        listener.connect(&instance.url).await;
        listeners.push(listener);
    }
    let room = format!("room={room}");
    assert_eq!(problem(&room, "ann").await, (429, "too-many-requests".to_owned(), String::new()));
    assert_eq!(problem(&room, "eve").await, (503, "overloaded".to_owned(), String::new()));
    listeners.pop();
    let mut eve = Listener::new("eve", room);
    tokio::time::timeout(PATIENCE, async { while eve.answer(&instance.url).await.status() != 200 {} })
        .await
        .expect("the place of a closed connection is given back");
    eve.cut();
    drop(listeners);
    instance.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let key = DevKey::ensure(folder.path()).unwrap();
    let clock = Clock::standing_at("2031-01-01T00:00:00Z".parse().unwrap());
    let jwks = Source::File(folder.path().join("jwks.json"));
    let jwks = Jwks::new(jwks, "EdDSA".parse().unwrap(), None).unwrap();
    let authenticator = Authenticator::new(Some(jwks), TokenRules::default(), false, clock.clone());
    let (events, source) = mpsc::channel(16);
    let mut stream = Stream::new("Blue");
    let feed = FeedDouble::of(&[&stream]);
    let parts = Service { authenticator, ..parts(Stack::InProcess(source), feed, clock.clone()) };
    let instance = TestService::start_ready(parts).await;
    let token = key.token("ann", &[], 1, &clock).unwrap();
    let request = instance.request(&format!("/v1/events?room={}", stream.room));
    let mut response = request.bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let greeting = response.chunk().await.unwrap().unwrap();
    assert!(greeting.starts_with(b"retry: "));
    stream.reserve("bob", 1, 2);
    events.send(stream.events[1].clone()).await.unwrap();
    let told = response.chunk().await.unwrap().unwrap();
    assert!(told.starts_with(b"data: {\"type\":\"busy-changed\""), "{told:?}");
    clock.advance(TimeDelta::days(2));
    stream.reserve("bob", 3, 4);
    events.send(stream.events[2].clone()).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(20), response.chunk()).await.unwrap();
    assert_eq!(end.unwrap(), None, "nothing is told after it");
    instance.stop().await;
}
