//! Couriers and the endpoints of webhooks, good and bad, on both stores.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use futures_util::{FutureExt, StreamExt};
use query_service::notifications::{
    About, Address, Reason, Resolver, State, Status, system_resolver, test_of,
};

use crate::{
    events::Stream,
    notify_world::World,
    pipelines::until,
    receiver::{Behaviour, Receiver},
};

#[tokio::test]
async fn a_delivery_is_signed_and_sent_once_however_many_couriers_there_are() {
    for mut world in World::both().await {
        let receiver = Receiver::start(Behaviour::Status(204)).await;
        let mut room = Stream::new("Blue");
        let subscription = world.subscribe("ann", About::Mine, &receiver.url()).await;
        for _ in 0..3 {
            world.start_courier();
        }
        for hour in 0..20 {
            room.reserve("ann", hour, hour + 1);
        }
        for event in &room.events {
            world.tell(std::slice::from_ref(event)).await;
        }
        until("20 deliveries", async || {
            let delivered = world.store().deliveries(subscription.id, Some(Status::Delivered), 100).await;
            delivered.unwrap().len() == 20
        })
        .await;
        let mut ids = receiver.ids();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), receiver.ids().len()), (20, 20));
        let first = &receiver.received()[0];
        assert!(first.headers["webhook-signature"].starts_with("v1,"), "{first:?}");
        assert_eq!(first.headers["webhook-timestamp"], (world.clock.now_ms() / 1_000).to_string());
        assert!(
            !first.body.contains("ann") && !first.body.contains("lunch"),
            "ids and times alone: {first:?}"
        );
        world.end().await;
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_for_a_day_gets_its_message_afterwards_and_no_attempt_between_pauses() {
    for mut world in World::both().await {
        let receiver = Receiver::start(Behaviour::Status(500)).await;
        let mut room = Stream::new("Blue");
        let subscription = world.subscribe("ann", About::Mine, &receiver.url()).await;
        world.start_courier();
        room.reserve("ann", 1, 2);
        world.tell(&room.events).await;
        let start = world.clock.now_ms();
        let mut attempts = 0;
        while world.clock.now_ms() - start < 24 * 3_600_000 {
            attempts += 1;
            let delivery = world.attempted(subscription.id, attempts).await;
            assert_eq!((delivery.status, delivery.attempts), (Status::Waiting, attempts));
            assert_eq!(delivery.last.unwrap().text, "HTTP 500");
            // Each is due later than the one before, and not before its pause is over.
            let due = delivery.due.epoch_millis();
            world.clock.advance(TimeDelta::milliseconds(due - 1 - world.clock.now_ms()));
            world.notifications.wake.notify_one();
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(receiver.received().len(), attempts as usize, "an attempt before its time");
            if world.clock.now_ms() - start >= 24 * 3_600_000 {
                receiver.behave(Behaviour::Status(200));
            }
            world.clock.advance(TimeDelta::minutes(7));
        }
        let delivery = world.attempted(subscription.id, attempts + 1).await;
        assert_eq!(delivery.status, Status::Delivered);
        let ids = receiver.ids();
        assert!(ids.iter().all(|id| *id == ids[0]), "the same id in each attempt: {ids:?}");
        world.end().await;
    }
}

#[tokio::test]
async fn an_endpoint_that_never_recovers_has_its_delivery_failed_and_its_subscription_disabled() {
    for mut world in World::both().await {
        let receiver = Receiver::start(Behaviour::Status(503)).await;
        let subscription = world.subscribe("ann", About::Mine, &receiver.url()).await;
        world.start_courier();
        let first = test_of(subscription.id, world.now());
        world.store().file(std::slice::from_ref(&first), world.now()).await.unwrap();
        let mut attempts = 0;
        let failed = loop {
            attempts += 1;
            let delivery = world.attempted(subscription.id, attempts).await;
            if delivery.status != Status::Waiting {
                break delivery;
            }
            let ahead = delivery.due.epoch_millis() - world.clock.now_ms();
            world.clock.advance(TimeDelta::milliseconds(ahead.max(0)) + TimeDelta::hours(2));
            world.notifications.wake.notify_one();
        };
        assert_eq!((failed.status, failed.attempts), (Status::Failed, 9));
        // Five days after the first failure, the next one disables.
        world.clock.advance(TimeDelta::days(5));
        world.store().file(&[test_of(subscription.id, world.now())], world.now()).await.unwrap();
        world.disabled(&subscription, Reason::Failing).await;
        // It is delivered when the user wants so.
        receiver.behave(Behaviour::Status(200));
        world.store().set_state(subscription.id, State::Enabled, world.now()).await.unwrap();
        world.store().redeliver(subscription.id, &first.id, world.now()).await.unwrap().unwrap();
        until("redelivered", async || {
            let delivered = world.store().deliveries(subscription.id, Some(Status::Delivered), 10).await;
            delivered.unwrap().iter().any(|delivery| delivery.id == first.id)
        })
        .await;
        world.end().await;
    }
}

#[tokio::test]
async fn an_endpoint_that_answers_410_is_never_asked_again() {
    for mut world in World::both().await {
        let receiver = Receiver::start(Behaviour::Status(410)).await;
        let subscription = world.subscribe("ann", About::Mine, &receiver.url()).await;
        world.start_courier();
        world.store().file(&[test_of(subscription.id, world.now())], world.now()).await.unwrap();
        world.disabled(&subscription, Reason::Gone).await;
        let mut room = Stream::new("Blue");
        room.reserve("ann", 1, 2);
        world.tell(&room.events).await;
        world.clock.advance(TimeDelta::days(2));
        let (other, quiet) = (Receiver::start(Behaviour::Status(200)).await, receiver.received().len());
        let witness = world.subscribe("bob", About::Mine, &other.url()).await;
        world.store().file(&[test_of(witness.id, world.now())], world.now()).await.unwrap();
        until("another endpoint", async || other.received().len() == 1).await;
        assert_eq!((receiver.received().len(), quiet), (1, 1));
        assert_eq!(world.deliveries(subscription.id).await.len(), 1, "a disabled one gets no deliveries");
        world.end().await;
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let mut world = World::in_memory();
    let inner = Receiver::start(Behaviour::Status(200)).await;
    let receiver = Receiver::start(Behaviour::Redirects(inner.url())).await;
    let subscription = world.subscribe("ann", About::Mine, &receiver.url()).await;
    world.start_courier();
    world.store().file(&[test_of(subscription.id, world.now())], world.now()).await.unwrap();
    let delivery = world.attempted(subscription.id, 1).await;
    assert_eq!((delivery.status, delivery.last.unwrap().text.as_str()), (Status::Waiting, "HTTP 302"));
    assert_eq!(inner.connections(), 0);
    world.end().await;
}

#[tokio::test]
async fn endpoints_that_hang_or_drip_end_in_time_and_delay_no_other() {
    for mut world in World::both().await {
        let slow = [Receiver::start(Behaviour::Hangs).await, Receiver::start(Behaviour::DripsIn).await];
        let quick = Receiver::start(Behaviour::Status(200)).await;
        let mut delayed = Vec::new();
        for receiver in &slow {
            let subscription = world.subscribe("ann", About::Mine, &receiver.url()).await;
            for _ in 0..100 {
                world.store().file(&[test_of(subscription.id, world.now())], world.now()).await.unwrap();
            }
            delayed.push(subscription);
        }
        let subscription = world.subscribe("bob", About::Mine, &quick.url()).await;
        world.start_courier();
        until("the slow ones are busy", async || slow.iter().all(|receiver| receiver.connections() > 0))
            .await;
        for number in 0..10 {
            world.store().file(&[test_of(subscription.id, world.now())], world.now()).await.unwrap();
            world.notifications.wake.notify_one();
            until("a quick one", async || quick.count() > number).await;
        }
        // All the while, the slow ones have had no outcome.
        for subscription in &delayed {
            assert!(world.deliveries(subscription.id).await.iter().all(|delivery| delivery.last.is_none()));
        }
        world.abort();
        world.clock.advance(TimeDelta::minutes(2));
        world.start_courier_with(system_resolver(), true, Duration::from_secs(1));
        for subscription in &delayed {
            until("a time-out", async || {
                let deliveries = world.deliveries(subscription.id).await;
                deliveries.iter().any(|delivery| {
                    delivery.last.as_ref().is_some_and(|last| last.text == "no answer in time")
                })
            })
            .await;
        }
        // At most one turn of each courier, and then a rest: the clock stands.
        assert!(slow.iter().all(|receiver| receiver.count() <= 16));
        world.end().await;
    }
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_reaches_nothing_also_when_it_did_not_before() {
    let mut world = World::in_memory();
    let inner = Receiver::start(Behaviour::Status(200)).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // Where the name led when the subscription was made does not count: it is looked up at each attempt.
    let resolver: Resolver = Arc::new(move |name| {
        assert_eq!(name, "rebinds.example");
        let addresses = match count.fetch_add(1, Ordering::SeqCst) {
            0 => vec!["127.0.0.1".parse().unwrap()],
            _ => {
                vec!["10.0.0.7".parse().unwrap(), "169.254.169.254".parse().unwrap(), "::1".parse().unwrap()]
            }
        };
        Box::pin(async move { Ok(addresses) })
    });
    let address = format!("https://rebinds.example:{}/", inner.port);
    assert!(Address::read(&address, false).is_ok());
    let subscription = world.subscribe("ann", About::Mine, &address).await;
    world.start_courier_with(resolver, false, Duration::from_secs(600));
    world.store().file(&[test_of(subscription.id, world.now())], world.now()).await.unwrap();
    for attempts in 1..=2 {
        let delivery = world.attempted(subscription.id, attempts).await;
        let text = delivery.last.unwrap().text;
        assert_eq!(delivery.status, Status::Waiting);
        assert!(text.contains("no public address"), "{text}");
        world.clock.advance(TimeDelta::hours(12));
        world.notifications.wake.notify_one();
    }
    assert!(asked.load(Ordering::SeqCst) >= 2);
    assert_eq!(inner.connections(), 0);
    world.end().await;
}

#[tokio::test]
async fn an_address_that_was_allowed_and_is_not_any_more_is_not_reached() {
    let mut world = World::in_memory();
    let inner = Receiver::start(Behaviour::Status(200)).await;
    let subscription = world.subscribe("ann", About::Mine, &inner.url()).await;
    world.start_courier_with(system_resolver(), false, Duration::from_secs(600));
    world.store().file(&[test_of(subscription.id, world.now())], world.now()).await.unwrap();
    let delivery = world.attempted(subscription.id, 1).await;
    assert_eq!(delivery.last.unwrap().text, "it must name a public host");
    assert_eq!(inner.connections(), 0);
    world.end().await;
}

#[tokio::test]
async fn ten_thousand_subscriptions_of_a_room_are_told_of_one_event() {
    let mut world = World::in_mongo().await;
    let receiver = Receiver::start(Behaviour::Status(200)).await;
    let mut room = Stream::new("Blue");
    let users: Vec<String> = (0..1_000).map(|number| format!("user-{number}")).collect();
    let url = receiver.url();
    for _ in 0..10 {
        let made = users.iter().map(|user| world.subscribe(user, About::Room(room.room), &url).boxed());
        futures_util::stream::iter(made).buffer_unordered(32).collect::<Vec<_>>().await;
    }
    room.reserve("ann", 1, 2);
    for _ in 0..2 {
        world.start_courier();
    }
    let began = Instant::now();
    world.tell(&room.events).await;
    let filed = began.elapsed();
    for hundreds in 1..=100 {
        until("a hundred more", async || receiver.count() >= hundreds * 100).await;
    }
    let mut ids = receiver.ids();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10_000);
    println!("filed in {filed:?}, delivered in {:?}", began.elapsed());
    world.end().await;
}
