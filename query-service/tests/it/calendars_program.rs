//! Calendars of two processes on the real servers.

use std::{fs::File, net::TcpListener, path::Path, process::Stdio};

use mongodb::{bson::doc, options::ClientOptions};
use query_service::{
    calendars::{Calendars, Secret, mongo::MongoCalendars},
    stores::mongo::Connection,
};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use shared_events::UserId;
use tokio::process::{Child, Command};

use crate::{
    calendars::events_of,
    crash::program,
    events::Stream,
    feed_double::{FeedDouble, FeedServer},
    kafka_consumer::Topic,
    mongo_database::{TestDatabase, url},
    notify_world::NotifyDatabase,
    pipelines::until,
    test_service::client,
};

struct Scene {
    mongo: TestDatabase,
    notify: NotifyDatabase,
    topic: Topic,
    feed: FeedServer,
    room: Stream,
    client: Client,
}

/// A process, and its address.
struct Instance(#[expect(dead_code, reason = "it ends with the test")] Child, String);

impl Scene {
    async fn new() -> Self {
        let topic = Topic::named_anew(2);
        topic.make().await;
        let mut room = Stream::new("Blue");
        room.reserve("ann", 9, 10);
        for event in &room.events {
            topic.send(event).await;
        }
        Self {
            mongo: TestDatabase::create().await,
            notify: NotifyDatabase::create().await,
            topic,
            feed: FeedServer::start(FeedDouble::of(&[&room])).await,
            room,
            client: client(),
        }
    }

    fn program(&self) -> Command {
        let mut command = program(&self.mongo, &self.topic, &self.feed);
        command.env("NOTIFY_DATABASE", &self.notify.name);
        command
    }

    /// Starts an instance that logs everything to this file.
    async fn start(&self, log: &Path) -> Instance {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = File::create(log).unwrap();
        let mut command = self.program();
        command.arg("serve").env("LISTEN", format!("127.0.0.1:{port}")).env("LOG_LEVEL", "trace");
        command.stdout(Stdio::from(log.try_clone().unwrap())).stderr(Stdio::from(log));
        let instance = Instance(command.spawn().unwrap(), format!("http://127.0.0.1:{port}"));
        let ready = format!("{}/health/ready", instance.1);
        let is_ready = async || self.client.get(&ready).send().await.is_ok_and(|it| it.status() == 200);
        until("ready", is_ready).await;
        instance
    }

    async fn ask(&self, method: Method, instance: &Instance, path: &str) -> Response {
        let request = self.client.request(method, format!("{}{path}", instance.1));
        request.header("X-User", "ann").send().await.unwrap()
    }

    async fn get(&self, instance: &Instance, path: &str) -> (u16, String) {
        let answer = self.client.get(format!("{}{path}", instance.1)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Waits until queries show Ann's reservation.
    async fn shows(&self, instance: &Instance) {
        until("the reservation", async || {
            let answer = self.ask(Method::GET, instance, "/v1/me/reservations").await;
            let answer: Value = answer.json().await.unwrap();
            answer["items"].as_array().unwrap().len() == 1
        })
        .await;
    }

    /// Makes a calendar of Ann's reservations, and returns its id and address.
    async fn make(&self, instance: &Instance) -> (String, String) {
        let made = self.ask(Method::POST, instance, "/v1/me/calendars").await;
        assert_eq!(made.status(), 201);
        let made: Value = made.json().await.unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("calendar"), text("address"))
    }
}

#[tokio::test]
async fn a_secret_is_in_no_log_metric_or_database_and_ends_at_once_on_every_instance() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let logs = ["one", "two"].map(|name| folder.path().join(name));
    let (one, two) = (scene.start(&logs[0]).await, scene.start(&logs[1]).await);
    let (id, address) = scene.make(&one).await;
    scene.shows(&one).await;
    for instance in [&one, &two] {
        let (status, text) = scene.get(instance, &address).await;
        assert_eq!((status, events_of(&text).len()), (200, 1));
    }
    let secret = address.split_once("token=").unwrap().1.to_owned();
    let wrong = Secret::random(id.parse().unwrap()).reveal();
    for bad in
        [address.replace(&secret, &wrong), address.replace("token", "tokn"), format!("/v1/none?{secret}")]
    {
        assert!(scene.get(&one, &bad).await.0 >= 400, "{bad}");
    }
    assert_eq!(scene.ask(Method::POST, &one, &address).await.status(), 405);
    let listed = scene.ask(Method::GET, &two, "/v1/me/calendars").await.text().await.unwrap();
    assert!(listed.contains(&id) && !listed.contains(&secret), "{listed}");

    let database = scene.mongo.client.database(&scene.notify.name);
    let stored =
        database.collection::<mongodb::bson::RawDocumentBuf>("calendars").find_one(doc! {}).await.unwrap();
    let stored = stored.unwrap().into_bytes();
    let secret_bytes = {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.decode(&secret).unwrap()
    };
    assert!(stored.windows(16).any(|part| part == &secret_bytes[..16]), "its id");
    assert!(!stored.windows(24).any(|part| part == &secret_bytes[16..]), "its key");

    let deleted = scene.ask(Method::DELETE, &two, &format!("/v1/me/calendars/{id}")).await;
    assert_eq!(deleted.status(), 204);
    for instance in [&one, &two] {
        assert_eq!(scene.get(instance, &address).await.0, 404);
        let metrics = scene.get(instance, "/metrics").await.1;
        assert!(metrics.contains("/v1/me/calendar.ics") && !metrics.contains(&secret), "{metrics}");
    }
    for log in logs {
        let log = String::from_utf8_lossy(&std::fs::read(log).unwrap()).into_owned();
        assert!(log.contains("/v1/me/calendar.ics") && log.contains("TRACE"), "{log}");
        for secret in [&secret, &wrong] {
            let shown: Vec<&str> = log.lines().filter(|line| line.contains(secret.as_str())).collect();
            assert_eq!(shown, Vec::<&str>::new());
        }
    }
}

#[tokio::test]
async fn an_address_outlives_a_rebuild_and_ends_with_the_erasure_of_its_person() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let instance = scene.start(&folder.path().join("log")).await;
    let (_, address) = scene.make(&instance).await;
    let shown = async || {
        let (status, text) = scene.get(&instance, &address).await;
        assert_eq!(status, 200, "{text}");
        events_of(&text)
    };
    scene.shows(&instance).await;
    assert_eq!(shown().await.len(), 1);
    let run = async |arguments: &[&str]| {
        let ended = scene.program().args(arguments).output().await.unwrap();
        assert!(ended.status.success(), "{arguments:?} {ended:?}");
    };
    run(&["rebuild"]).await;
    assert_eq!(shown().await[0]["SUMMARY"], "$5 lunch $$x");
    run(&["drop-generation", "1"]).await;
    assert_eq!(shown().await.len(), 1);

    run(&["erase", "--user", "ann"]).await;
    assert_eq!(scene.get(&instance, &address).await.0, 404);
    let options = ClientOptions::parse(url()).await.unwrap();
    let calendars = MongoCalendars::over(&Connection::with_options(options, &scene.notify.name).unwrap());
    assert_eq!(calendars.of_user(&UserId::new("ann").unwrap()).await.unwrap(), []);
    assert_eq!(scene.room.head(), 2);
}
