//! Notifications over one store or the other, with a clock that stands.

use std::{sync::Arc, time::Duration};

use mongodb::{
    Client,
    bson::{DateTime, Document, doc},
    options::ClientOptions,
};
use query_service::{
    notifications::{
        About, Address, Channel, Courier, Delivery, Endpoints, Lead, MailAddress, MailServer, Mailer,
        NotificationStore, Notifications, Reason, Resolver, Secrets, State, Subscription, Teller,
        memory::MemoryNotifications,
        mongo::{Keys, MongoNotifications},
        system_resolver,
    },
    stores::mongo::Connection,
};
use service_kit::{clock::Clock, ids::new_id, tls::Authorities};
use shared_events::{RawEvent, Timestamp, UserId};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    mongo_database::url,
    pipelines::{until, wait_apart},
};

/// The time of the streams' events.
const THEN: &str = "2027-01-15T08:00:00Z";
pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A database of notifications on the real server for one test.
pub(crate) struct NotifyDatabase {
    client: Client,
    pub(crate) name: String,
    pub(crate) store: MongoNotifications,
}

impl NotifyDatabase {
    pub(crate) async fn create() -> Self {
        let name = format!("notify_test_{}", new_id().simple());
        let options = ClientOptions::parse(url()).await.unwrap();
        let client = Client::with_options(options.clone()).unwrap();
        let keys: Keys = KEY.parse().unwrap();
        let store = MongoNotifications::over(&Connection::with_options(options, &name).unwrap(), keys);
        store.create_indexes().await.unwrap();
        Self { client, name, store }
    }

    /// Ends all leases, as a minute does.
    pub(crate) async fn forget_leases(&self) {
        let subscriptions = self.client.database(&self.name).collection::<Document>("subscriptions");
        let ended = doc! { "$set": { "heldUntil": DateTime::from_millis(0) } };
        subscriptions.update_many(doc! {}, ended).await.unwrap();
    }

    /// All of the database as text.
    pub(crate) async fn dump(&self) -> String {
        let mut dump = String::new();
        for name in ["subscriptions", "deliveries"] {
            let collection = self.client.database(&self.name).collection::<Document>(name);
            let mut found = collection.find(doc! {}).await.unwrap();
            while found.advance().await.unwrap() {
                dump += &format!("{:?}\n", found.deserialize_current().unwrap());
            }
        }
        dump
    }
}

impl Drop for NotifyDatabase {
    fn drop(&mut self) {
        let name = self.name.clone();
        wait_apart(async move {
            let client = Client::with_uri_str(url()).await.unwrap();
            client.database(&name).drop().await.unwrap();
        });
    }
}

/// Notifications over one store, with a clock that stands, and couriers.
pub(crate) struct World {
    pub(crate) notifications: Notifications,
    pub(crate) clock: Clock,
    pub(crate) teller: Teller,
    stop: CancellationToken,
    couriers: Vec<JoinHandle<()>>,
    pub(crate) database: Option<NotifyDatabase>,
}

impl World {
    pub(crate) fn over(store: Arc<dyn NotificationStore>, database: Option<NotifyDatabase>) -> Self {
        let clock = Clock::standing_at(THEN.parse().unwrap());
        let notifications = Notifications::over(store, clock.clone(), true, true);
        let teller = Teller::new(notifications.clone());
        Self { notifications, clock, teller, stop: CancellationToken::new(), couriers: Vec::new(), database }
    }

    pub(crate) fn in_memory() -> Self {
        Self::over(Arc::new(MemoryNotifications::default()), None)
    }

    pub(crate) async fn in_mongo() -> Self {
        let database = NotifyDatabase::create().await;
        Self::over(Arc::new(database.store.clone()), Some(database))
    }

    /// The same world on both stores.
    pub(crate) async fn both() -> [Self; 2] {
        [Self::in_memory(), Self::in_mongo().await]
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.clock.now_ms())
    }

    pub(crate) async fn subscribe(&self, user: &str, about: About, url: &str) -> Subscription {
        let channel = Channel::Webhook(Address::read(url, true).unwrap(), Secrets::new());
        self.subscribe_by(channel, user, about, None).await
    }

    /// A subscription by e-mail to `USER@example.org`, with a reminder so many minutes before each stay.
    pub(crate) async fn subscribe_mail(&self, user: &str, remind: Option<u32>) -> Subscription {
        let channel = Channel::Mail(MailAddress::read(&format!("{user}@example.org")).unwrap());
        self.subscribe_by(channel, user, About::Mine, remind).await
    }

    pub(crate) async fn subscribe_by(
        &self,
        channel: Channel,
        user: &str,
        about: About,
        remind: Option<u32>,
    ) -> Subscription {
        let subscription = Subscription {
            id: new_id(),
            user: UserId::new(user).unwrap(),
            about,
            channel,
            remind: remind.map(|minutes| Lead::of(minutes).unwrap()),
            created: self.now(),
            state: State::Enabled,
        };
        assert!(self.store().create(&subscription).await.unwrap());
        subscription
    }

    pub(crate) fn store(&self) -> &dyn NotificationStore {
        &*self.notifications.store
    }

    pub(crate) async fn tell(&self, events: &[RawEvent]) {
        self.teller.tell(events).await.unwrap();
    }

    pub(crate) fn start_courier(&mut self) {
        // A machine that is busy with other things must not look like an endpoint that fails.
        self.start_courier_with(system_resolver(), true, Duration::from_secs(600));
    }

    /// Starts a courier that has a mail server.
    pub(crate) fn start_mail_courier(&mut self, port: u16, timeout: Duration) {
        self.start_mail_courier_to(&format!("smtp://127.0.0.1:{port}"), None, timeout);
    }

    pub(crate) fn start_mail_courier_to(
        &mut self,
        url: &str,
        trusted: Option<&Authorities>,
        timeout: Duration,
    ) {
        let server = MailServer::read(url, trusted).unwrap();
        let sender = "Rooms <rooms@example.org>".parse().unwrap();
        let mailer = Mailer { server, sender, timeout, clock: self.clock.clone() };
        self.start(system_resolver(), true, Duration::from_secs(600), Some(mailer));
    }

    pub(crate) fn start_courier_with(&mut self, resolver: Resolver, loopback: bool, timeout: Duration) {
        self.start(resolver, loopback, timeout, None);
    }

    fn start(&mut self, resolver: Resolver, loopback: bool, timeout: Duration, mailer: Option<Mailer>) {
        let endpoints = Endpoints::new(resolver, timeout, loopback, self.clock.clone()).unwrap();
        let notifications = self.notifications.clone();
        let courier = Courier { notifications, endpoints, mailer, abort_at: None };
        self.couriers.push(tokio::spawn(courier.run(self.stop.clone())));
    }

    pub(crate) async fn deliveries(&self, subscription: Uuid) -> Vec<Delivery> {
        self.store().deliveries(subscription, None, 1_000).await.unwrap()
    }

    /// Waits until the only delivery of a subscription has had so many attempts.
    pub(crate) async fn attempted(&self, subscription: Uuid, attempts: u32) -> Delivery {
        until("attempts", async || {
            self.deliveries(subscription).await.first().is_some_and(|delivery| delivery.attempts >= attempts)
        })
        .await;
        self.deliveries(subscription).await.remove(0)
    }

    /// Waits until a subscription is disabled for this reason.
    pub(crate) async fn disabled(&self, subscription: &Subscription, reason: Reason) {
        until("disabled", async || {
            let found = self.store().find(&subscription.user, subscription.id).await.unwrap().unwrap();
            found.state == State::Disabled(reason)
        })
        .await;
    }

    /// Ends couriers in the middle of what they do.
    pub(crate) fn abort(&mut self) {
        self.couriers.drain(..).for_each(|courier| courier.abort());
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        for courier in self.couriers {
            courier.await.unwrap();
        }
        drop(self.database);
    }
}
