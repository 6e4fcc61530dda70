//! The command `notify` on real servers: its processes are killed at each step, and nothing is lost.

use std::{
    collections::BTreeSet,
    process::Stdio,
    sync::{Arc, atomic::Ordering},
};

use query_service::{
    notifications::{
        About, Address, Channel, MailAddress, Queues, Secrets, State, Status, Subscription, Subscriptions,
        test_of,
    },
    read_models::generation::FIRST,
    stores::ProjectionStore,
};
use service_kit::{clock::Clock, ids::new_id};
use shared_events::{RawEvent, Timestamp, UserId};
use tokio::process::Child;

use crate::{
    crash::program,
    erasure::list,
    events::Stream,
    feed_double::{FeedDouble, FeedServer},
    kafka_consumer::Topic,
    mail_server::{MailServer, Manners, Received},
    mongo_database::TestDatabase,
    notify_world::{KEY, NotifyDatabase},
    pipelines::{PATIENCE, until},
    receiver::{Behaviour, Receiver},
};

fn now() -> Timestamp {
    Timestamp::from_epoch_millis(Clock::system().now_ms())
}

/// The steps of a delivery at which a process may die.
const STEPS: [&str; 4] = [
    "notify-filed-before-offset",
    "notify-claimed-before-sending",
    "notify-sent-before-recording",
    "notify-recorded-before-release",
];

/// A topic with events of now, an endpoint, and a subscription of Ann.
struct Scene {
    mongo: TestDatabase,
    notify: NotifyDatabase,
    topic: Topic,
    feed: FeedServer,
    receiver: Receiver,
    mails: MailServer,
    subscription: Subscription,
    room: Stream,
}

impl Scene {
    async fn new() -> Self {
        let (mongo, notify) = (TestDatabase::create().await, NotifyDatabase::create().await);
        let topic = Topic::named_anew(2);
        topic.make().await;
        let feed = FeedServer::start(FeedDouble::of(&[])).await;
        let receiver = Receiver::start(Behaviour::Status(200)).await;
        let mails = MailServer::start(Manners::Takes).await;
        let subscription = Subscription {
            id: new_id(),
            user: UserId::new("ann").unwrap(),
            about: About::Mine,
            channel: Channel::Webhook(Address::read(&receiver.url(), true).unwrap(), Secrets::new()),
            remind: None,
            created: Timestamp::from_epoch_millis(now().epoch_millis() - 60_000),
            state: State::Enabled,
        };
        assert!(notify.store.create(&subscription).await.unwrap());
        Self { mongo, notify, topic, feed, receiver, mails, subscription, room: Stream::new("Blue") }
    }

    /// With a subscription by e-mail instead.
    async fn by_mail() -> Self {
        let mut scene = Self::new().await;
        scene.notify.store.delete(scene.subscription.id).await.unwrap();
        scene.subscription.id = new_id();
        scene.subscription.channel = Channel::Mail(MailAddress::read("ann@example.org").unwrap());
        assert!(scene.notify.store.create(&scene.subscription).await.unwrap());
        scene
    }

    fn start(&self, fail_point: Option<&str>) -> Child {
        let mut command = program(&self.mongo, &self.topic, &self.feed);
        command
            .arg("notify")
            .env("NOTIFY_DATABASE", &self.notify.name)
            .env("NOTIFY_KEY", KEY)
            .env("NOTIFY_GROUP", format!("{}-notify", self.topic.settings.group))
            .env("WEBHOOK_LOOPBACK", "true")
            .env("MAIL_FROM", "rooms@example.org")
            .env("SMTP_URL", format!("smtp://127.0.0.1:{}", self.mails.port))
            .envs(fail_point.map(|fail_point| ("FAIL_POINT", fail_point)))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Reserves for Ann, and returns the id of the delivery.
    async fn reserve(&mut self) -> String {
        self.room.reserve("ann", 1, 2);
        let event = self.room.events.last_mut().unwrap();
        (event.recorded_at, event.metadata.time) = (now(), now());
        let event: RawEvent = event.clone();
        self.topic.send(&event).await;
        format!("{}:{}", event.id(), self.subscription.id)
    }

    /// A process dies at a step of the first delivery. Two others get another one, and the rights of the dead one.
    async fn go_on_after_a_death(&mut self, step: &str) -> (BTreeSet<String>, [Child; 2]) {
        let mut dying = self.start(Some(step));
        let mut expected = BTreeSet::from([self.reserve().await]);
        let status = tokio::time::timeout(PATIENCE, dying.wait()).await.unwrap().unwrap();
        assert!(!status.success(), "{step}: {status}");
        // The dead one's claim ends in a minute: these are of the next one, at once.
        let living = [self.start(None), self.start(None)];
        expected.insert(self.reserve().await);
        // Its lease is over.
        self.notify.forget_leases().await;
        (expected, living)
    }

    async fn all_delivered(&self, expected: &BTreeSet<String>) {
        until("all deliveries", async || {
            let delivered =
                self.notify.store.deliveries(self.subscription.id, Some(Status::Delivered), 1_000).await;
            delivered.unwrap().len() == expected.len()
        })
        .await;
        let received: BTreeSet<String> = self.receiver.ids().into_iter().collect();
        assert_eq!(received, *expected);
    }
}

#[tokio::test]
async fn a_process_that_dies_at_any_step_loses_no_delivery_and_another_one_goes_on() {
    for step in STEPS {
        let mut scene = Scene::new().await;
        let (expected, _living) = scene.go_on_after_a_death(step).await;
        scene.all_delivered(&expected).await;
        let times = scene.receiver.ids().len();
        assert!((2..=4).contains(&times), "{step}: {times} attempts");
    }
}

#[tokio::test]
async fn a_process_that_dies_at_any_step_of_a_mail_sends_it_at_least_once_with_the_same_id() {
    for step in STEPS {
        let mut scene = Scene::by_mail().await;
        let (expected, _living) = scene.go_on_after_a_death(step).await;
        until("all mails are recorded", async || {
            let delivered =
                scene.notify.store.deliveries(scene.subscription.id, Some(Status::Delivered), 10).await;
            delivered.unwrap().len() == 2
        })
        .await;
        let mails = scene.mails.received();
        let ids: BTreeSet<String> = mails.iter().map(Received::id).collect();
        let expected: BTreeSet<String> =
            expected.iter().map(|id| format!("{}@example.org", id.replace(':', "."))).collect();
        assert_eq!(ids, expected, "{step}");
        // A lease that is taken from the living has its mail sent twice, too.
        let least = if step == "notify-sent-before-recording" { 3 } else { 2 };
        assert!((least..=4).contains(&mails.len()), "{step}: {} mails", mails.len());
    }
}

#[tokio::test]
async fn a_mail_names_a_room_that_was_registered_before_all_that_the_process_has_seen() {
    let mut scene = Scene::by_mail().await;
    let first = Timestamp::from_epoch_millis(1_800_000_000_000);
    scene.mongo.generations().ensure_first(first).await.unwrap();
    let models = scene.mongo.generations().models(FIRST).await.unwrap();
    models.apply(&[scene.room.events[0].clone().decode().unwrap()]).await.unwrap();
    let _living = scene.start(None);
    scene.reserve().await;
    until("the mail", async || !scene.mails.received().is_empty()).await;
    let subject = scene.mails.received()[0].subject();
    assert_eq!(subject, "Reserved: Blue, Monday 5 May 2031, 02:00");
}

#[tokio::test]
async fn two_processes_that_are_killed_now_and_then_deliver_all_at_least_once_with_the_same_id() {
    let mut scene = Scene::new().await;
    let mut expected = BTreeSet::new();
    let mut processes = [scene.start(None), scene.start(None)];
    for round in 0..4_usize {
        for _ in 0..10 {
            expected.insert(scene.reserve().await);
        }
        let victim = &mut processes[round % 2];
        victim.kill().await.unwrap();
        *victim = scene.start(None);
        scene.notify.forget_leases().await;
    }
    let waits = async {
        for tens in 1..=4 {
            until("ten more", async || BTreeSet::from_iter(scene.receiver.ids()).len() >= tens * 10).await;
        }
        scene.all_delivered(&expected).await;
    };
    let forgets = async {
        loop {
            scene.notify.forget_leases().await;
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = waits => {}
        () = forgets => {}
    }
}

#[tokio::test]
async fn the_command_erase_deletes_a_persons_subscriptions_and_deliveries_also_those_filed_meanwhile() {
    let mut scene = Scene::new().await;
    let feed = FeedDouble::of(&[]);
    *feed.erasures.lock().unwrap() = list(1, "ann");
    scene.feed = FeedServer::start(Arc::clone(&feed)).await;
    let first = Timestamp::from_epoch_millis(1_800_000_000_000);
    scene.mongo.generations().ensure_first(first).await.unwrap();
    scene.mongo.generations().models(FIRST).await.unwrap();
    scene.notify.store.file(&[test_of(scene.subscription.id, now())], now()).await.unwrap();
    let mut command = program(&scene.mongo, &scene.topic, &scene.feed);
    command.args(["erase", "--user", "ann"]).env("NOTIFY_DATABASE", &scene.notify.name);
    let erasing = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (ann, store) = (&scene.subscription.user, &scene.notify.store);
    // Its first look is over when it reads who was erased.
    until("the list", async || feed.erased_read.load(Ordering::SeqCst) > 0).await;
    assert_eq!(store.deliveries(scene.subscription.id, None, 10).await.unwrap(), []);
    // Another process had read the subscription before, and files a delivery now.
    store.file(&[test_of(scene.subscription.id, now())], now()).await.unwrap();
    let ended = erasing.wait_with_output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    // The command has no key and needs none.
    assert_eq!(scene.notify.store.of_user(ann).await.unwrap().len(), 0);
    let deliveries = scene.notify.store.deliveries(scene.subscription.id, None, 10).await.unwrap();
    assert!(deliveries.is_empty());
}
