//! Sends what is due.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use service_kit::{abort_point::AbortPoint, ids::new_id, telemetry::with_causes};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    Answer, Carrier, Channel, Claim, Delivery, Endpoints, Mailer, Notifications, Reason, Release, Status,
    Subscription,
    delivery::{Outcome, Verdict, later, with_jitter},
};
use crate::stores::StoreError;

/// Deliveries are stored, and the offset of their events is not.
pub const FILED: AbortPoint = AbortPoint::named("notify-filed-before-offset");
/// A queue is claimed, and nothing is sent.
const CLAIMED: AbortPoint = AbortPoint::named("notify-claimed-before-sending");
/// Endpoints have answered, and nothing is recorded.
const SENT: AbortPoint = AbortPoint::named("notify-sent-before-recording");
/// The outcome is recorded, and the queue is still claimed.
const RECORDED: AbortPoint = AbortPoint::named("notify-recorded-before-release");

/// The places where the process aborts in tests.
pub const ABORT_POINTS: [AbortPoint; 4] = [FILED, CLAIMED, SENT, RECORDED];

/// Queues of webhooks that one process serves at a time.
const WEBHOOKS: usize = 256;
/// Queues of mails that one process serves at a time. One mail server takes all of them.
const MAILS: usize = 8;
/// Webhooks of a queue that are sent at a time.
const AT_ONCE: usize = 8;
/// How long a queue is held. All of a turn takes less, unless the process stands still; then another one sends again.
const LEASE: Duration = Duration::from_secs(60);
/// The pause between two looks for work of other processes, and for what has become due.
const POLL: Duration = Duration::from_millis(500);
/// The rests of an endpoint or mailbox after failures in a row. A single message is tried after each.
const RESTS: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_hours(1),
];
/// A subscription is disabled when its endpoint has failed, or its mailbox has refused, for this long.
const FAILS_FOR: Duration = Duration::from_hours(5 * 24);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Counter: attempts, by `outcome` and `channel`.
const ATTEMPTS: &str = "notifications_attempts_total";
/// Counter: deliveries that were given up.
const GIVEN_UP: &str = "notifications_given_up_total";
/// Counter: subscriptions that were disabled because of their endpoints, by `reason`.
const DISABLED: &str = "notifications_disabled_total";
/// Gauge: how long the queue that was claimed last had been due.
const DELAY: &str = "notifications_delay_seconds";

/// Sends deliveries from the queues of a store.
pub struct Courier {
    /// The queues.
    pub notifications: Notifications,
    /// Sends webhooks.
    pub endpoints: Endpoints,
    /// Sends mails. Without it, they wait.
    pub mailer: Option<Mailer>,
    /// The place where the process aborts, in tests.
    pub abort_at: Option<AbortPoint>,
}

impl Courier {
    /// Sends what is due until it is stopped. Then it finishes what it has begun.
    pub async fn run(self, stop: CancellationToken) {
        describe();
        let courier = Arc::new(self);
        let mut turns = JoinSet::new();
        let mails = if courier.mailer.is_some() { MAILS } else { 0 };
        // Mails wait for one server. They must not take the places of webhooks.
        let places = [(Carrier::Webhooks, WEBHOOKS), (Carrier::Mails, mails)]
            .map(|(carrier, places)| (carrier, Arc::new(Semaphore::new(places))));
        while !stop.is_cancelled() {
            let open = places.iter().filter(|(_, places)| places.available_permits() > 0);
            let open: Vec<Carrier> = open.map(|(carrier, _)| *carrier).collect();
            if !open.is_empty() {
                match courier.claim(&open).await {
                    Ok(Some(claim)) => {
                        let courier = Arc::clone(&courier);
                        let carrier = claim.subscription.channel.carrier();
                        let place = places.iter().find(|(of, _)| *of == carrier);
                        let place = place.and_then(|(_, places)| Arc::clone(places).try_acquire_owned().ok());
                        turns.spawn(async move {
                            courier.turn(claim).await;
                            drop(place);
                        });
                        continue;
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(error = with_causes(&error), "deliveries can't be claimed");
                        stop.run_until_cancelled(tokio::time::sleep(STORE_PAUSE)).await;
                        continue;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(_) = turns.join_next() => {}
                () = courier.notifications.wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        while turns.join_next().await.is_some() {}
    }

    async fn claim(&self, open: &[Carrier]) -> Result<Option<Claim>, StoreError> {
        let now = self.notifications.now();
        let claim = self.notifications.store.claim(open, new_id(), now, later(now, LEASE)).await?;
        let due = claim.as_ref().map_or(now, |claim| claim.due);
        metrics::gauge!(DELAY).set(now.since(due).as_secs_f64());
        Ok(claim)
    }

    /// One turn of a queue. After an error of the store its lease ends by itself.
    async fn turn(&self, claim: Claim) {
        CLAIMED.reached(self.abort_at);
        if let Err(error) = self.serve(&claim).await {
            let subscription = claim.subscription.id;
            tracing::warn!(%subscription, error = with_causes(&error), "a turn of a queue failed");
        }
    }

    async fn serve(&self, claim: &Claim) -> Result<(), StoreError> {
        let (store, subscription) = (&self.notifications.store, &claim.subscription);
        // An endpoint that fails gets a single message after its rest, a mailbox always.
        let limit = match subscription.channel {
            Channel::Webhook(..) if claim.failures == 0 => AT_ONCE,
            Channel::Webhook(..) | Channel::Mail(_) => 1,
        };
        let now = self.notifications.now();
        let due = store.due(subscription.id, now, limit).await?;
        let (late, due): (Vec<_>, Vec<_>) = due.into_iter().partition(|delivery| delivery.is_useless(now));
        for delivery in late {
            store.record(&Delivery { status: Status::Dropped, ..delivery }).await?;
        }
        let attempts: Vec<_> = due.iter().map(|delivery| self.send(subscription, delivery)).collect();
        let outcomes = join_all(attempts).await;
        SENT.reached(self.abort_at);
        let release = self.release(claim, &outcomes);
        for (delivery, outcome) in due.into_iter().zip(outcomes) {
            count(subscription.channel.carrier(), outcome.verdict);
            let recorded = delivery.after(outcome);
            if recorded.status == Status::Failed {
                metrics::counter!(GIVEN_UP).increment(1);
            }
            store.record(&recorded).await?;
        }
        RECORDED.reached(self.abort_at);
        store.release(claim, &release).await
    }

    async fn send(&self, subscription: &Subscription, delivery: &Delivery) -> Outcome {
        match (&subscription.channel, &self.mailer) {
            (Channel::Webhook(address, secrets), _) => self.endpoints.send(address, secrets, delivery).await,
            (Channel::Mail(address), Some(mailer)) => mailer.send(address, delivery).await,
            // Not claimed without one.
            (Channel::Mail(_), None) => {
                let answer =
                    Answer { at: self.notifications.now(), text: "there is no mail server".to_owned() };
                Outcome { answer, verdict: Verdict::Failed }
            }
        }
    }

    fn release(&self, claim: &Claim, outcomes: &[Outcome]) -> Release {
        let now = self.notifications.now();
        let well = Release { failures: 0, failing_since: None, paused_until: now, disable: None };
        if outcomes.is_empty() {
            return Release { failures: claim.failures, failing_since: claim.failing_since, ..well };
        }
        let any = |verdict: Verdict| outcomes.iter().any(|outcome| outcome.verdict == verdict);
        if any(Verdict::Gone) {
            return Release { disable: disabled(Reason::Gone), ..well };
        }
        if any(Verdict::Taken) {
            return well;
        }
        // A mail server that is away says nothing about a mailbox.
        let is_to_blame = claim.subscription.channel.carrier() == Carrier::Webhooks || any(Verdict::Refused);
        let since = claim.failing_since.or_else(|| is_to_blame.then_some(now));
        if is_to_blame && since.is_some_and(|since| later(since, FAILS_FOR) <= now) {
            return Release { disable: disabled(Reason::Failing), ..well };
        }
        let failures = claim.failures.saturating_add(1);
        let at = usize::try_from(claim.failures).unwrap_or(usize::MAX).min(RESTS.len() - 1);
        let rest = RESTS.get(at).copied().unwrap_or_default();
        let paused_until = later(now, with_jitter(rest));
        Release { failures, failing_since: since, paused_until, disable: None }
    }
}

fn disabled(reason: Reason) -> Option<Reason> {
    metrics::counter!(DISABLED, "reason" => reason.as_str()).increment(1);
    Some(reason)
}

fn count(carrier: Carrier, verdict: Verdict) {
    let outcome = if verdict == Verdict::Taken { "delivered" } else { "failed" };
    let channel = match carrier {
        Carrier::Webhooks => "webhook",
        Carrier::Mails => "email",
    };
    metrics::counter!(ATTEMPTS, "outcome" => outcome, "channel" => channel).increment(1);
}

fn describe() {
    metrics::describe_counter!(ATTEMPTS, "Attempts to deliver, by outcome and channel.");
    metrics::describe_counter!(GIVEN_UP, "Deliveries that were given up after their last attempt.");
    metrics::describe_counter!(
        DISABLED,
        "Subscriptions that were disabled because of their endpoints, by reason."
    );
    metrics::describe_gauge!(DELAY, "How long the queue that was claimed last had been due.");
}
