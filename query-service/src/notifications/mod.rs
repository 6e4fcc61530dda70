//! Notifications: a topic in, a queue out.
//!
//! Each event that concerns a subscription becomes one delivery (`telling.rs`). Deliveries wait in a store of their own
//! (`mongo/`, `memory.rs`), one queue for each subscription. A courier holds a queue by a lease, sends what is due by webhook
//! or e-mail (`endpoint.rs`, `mail/`), and records each outcome (`courier.rs`). So an endpoint that hangs holds up its own queue alone.
//!
//! The lease is the queue's, not the delivery's: one claim serves many deliveries, and the pause after a failure holds for
//! the whole endpoint.

mod courier;
mod delivery;
mod endpoint;
mod mail;
pub mod memory;
#[cfg(feature = "mongodb")]
pub mod mongo;
mod signature;
mod store;
mod subscription;
mod telling;

use std::{sync::Arc, time::Duration};

use service_kit::{abort_point::AbortPoint, clock::Clock, shutdown::Lifecycle};
use shared_events::Timestamp;
use tokio::sync::Notify;

pub use self::{
    courier::{ABORT_POINTS, Courier, FILED},
    delivery::{Answer, Delivery, Reminds, Status, test_of},
    endpoint::{Address, Endpoints, InvalidAddress, Resolver, system_resolver},
    mail::{
        InvalidMailAddress, InvalidServer, MAIL_IS_TAKEN_WITHIN, MailAddress, MailServer, Mailer, Sender,
    },
    signature::{Secret, Secrets},
    store::{Claim, NotificationStore, Queues, Release, Subscriber, Subscriptions},
    subscription::{
        About, Carrier, Channel, Lead, MOST_LEAD_MINUTES, MOST_OF_A_USER, Reason, State, Subscription,
    },
    telling::Teller,
};

/// The time in which endpoints of the embedded default answer.
pub const ENDPOINT_ANSWERS_WITHIN: Duration = Duration::from_secs(15);

/// How mails are sent.
#[derive(Clone, Debug)]
pub struct Post {
    /// The server that takes them.
    pub server: MailServer,
    /// The sender of all.
    pub sender: Sender,
}

/// What the API, the teller and the courier of one process share.
#[derive(Clone)]
pub struct Notifications {
    /// Subscriptions and deliveries.
    pub store: Arc<dyn NotificationStore>,
    /// The clock of all their times.
    pub clock: Clock,
    /// Wakes the courier of this process when something is due.
    pub wake: Arc<Notify>,
    /// Whether endpoints on this machine are allowed, by plain HTTP too.
    pub loopback: bool,
    /// Whether there are subscriptions by e-mail.
    pub mails: bool,
}

impl Notifications {
    /// Notifications over a store.
    #[must_use]
    pub fn over(store: Arc<dyn NotificationStore>, clock: Clock, loopback: bool, mails: bool) -> Self {
        Self { store, clock, wake: Arc::default(), loopback, mails }
    }

    /// Starts the courier of this process, and returns what files its deliveries.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub(crate) fn start(
        self,
        answers_within: Duration,
        post: Option<Post>,
        abort_at: Option<AbortPoint>,
        lifecycle: &Lifecycle,
    ) -> anyhow::Result<Teller> {
        let endpoints = Endpoints::new(system_resolver(), answers_within, self.loopback, self.clock.clone())?;
        let teller = Teller::new(self.clone());
        let mailer = post.map(|Post { server, sender }| {
            let clock = self.clock.clone();
            Mailer { server, sender, timeout: MAIL_IS_TAKEN_WITHIN, clock }
        });
        let courier = Courier { notifications: self, endpoints, mailer, abort_at };
        lifecycle.spawn_infallible("courier", courier.run(lifecycle.soft()));
        Ok(teller)
    }

    /// The present time.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.clock.now_ms())
    }
}
