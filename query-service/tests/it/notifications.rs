//! Subscriptions and their queues on both stores: which events are filed, and for whom.

use std::sync::Arc;

use chrono::TimeDelta;
use query_service::{
    notifications::{About, Carrier, Channel, MOST_OF_A_USER, Release, Secrets, Subscription, test_of},
    stores::{ProjectionStore, Swap, memory::MemoryReadModels},
};
use service_kit::ids::new_id;
use shared_events::{
    RawEvent, Reservation, SeriesId, Timestamp, UserId, reservation_events::ReservationMade,
};
use uuid::Uuid;

use crate::{events::Stream, notify_world::World};

fn secrets(subscription: &Subscription) -> Secrets {
    match &subscription.channel {
        Channel::Webhook(_, secrets) => secrets.clone(),
        Channel::Mail(_) => panic!("it is no webhook"),
    }
}

/// Asserts that a subscription's deliveries are of just these events.
async fn is_told_of(world: &World, subscription: Uuid, events: &[&RawEvent]) {
    let mut told: Vec<String> =
        world.deliveries(subscription).await.into_iter().map(|delivery| delivery.id).collect();
    let mut expected: Vec<_> = events.iter().map(|event| format!("{}:{subscription}", event.id())).collect();
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn an_event_is_told_once_to_its_owner_and_to_those_who_watch_its_room() {
    for world in World::both().await {
        let (mut blue, mut red) = (Stream::new("Blue"), Stream::new("Red"));
        let url = "https://example.org/";
        let ann = world.subscribe("ann", About::Mine, url).await;
        let bob = world.subscribe("bob", About::Mine, url).await;
        let watcher = world.subscribe("root", About::Room(blue.room), url).await;
        let made = blue.reserve("ann", 1, 2);
        let later = blue.reschedule(&made, 2, 3);
        let moved = blue.move_to(&mut red, &later);
        red.cancel(&moved);
        red.reserve("bob", 5, 6);
        let events = [blue.events.clone(), red.events.clone()].concat();
        for _ in 0..2 {
            world.tell(&events).await;
        }
        let [_, made, changed, moved_out] = &blue.events[..] else { panic!("the events of blue") };
        let [_, moved_in, cancelled, of_bob] = &red.events[..] else { panic!("the events of red") };
        is_told_of(&world, ann.id, &[made, changed, moved_in, cancelled]).await;
        is_told_of(&world, bob.id, &[of_bob]).await;
        is_told_of(&world, watcher.id, &[made, changed, moved_out]).await;
    }
}

#[tokio::test]
async fn what_one_command_does_to_a_series_is_one_message_though_its_events_come_apart() {
    for world in World::both().await {
        let mut blue = Stream::new("Blue");
        let ann = world.subscribe("ann", About::Mine, "https://example.org/").await;
        let mut members = Vec::new();
        for hour in [1, 3, 5] {
            let made =
                Reservation { series: Some(SeriesId(new_id())), ..blue.reserve("ann", hour, hour + 1) };
            blue.events.pop();
            blue.push("ann", ReservationMade { reservation: made.clone() }.into());
            members.push(made);
        }
        let command = new_id().to_string();
        for event in &mut blue.events[1..] {
            event.metadata.causation_id.clone_from(&command);
        }
        blue.cancel(&members[1]);
        world.tell(&blue.events[..3]).await;
        world.tell(&blue.events[3..]).await;
        world.tell(&blue.events).await;
        let told = world.deliveries(ann.id).await;
        let ids: Vec<_> = told.iter().map(|delivery| delivery.id.clone()).collect();
        assert_eq!(ids.len(), 2, "the series, and the one that was cancelled alone: {ids:?}");
        let of_series = told.iter().find(|delivery| delivery.id.contains(&command)).unwrap();
        let body: serde_json::Value = serde_json::from_str(&of_series.body).unwrap();
        assert_eq!(body["data"]["reservation"], serde_json::json!(members[0].id), "the first one");
        assert_eq!(body["data"]["series"], serde_json::json!(members[0].series));
    }
}

#[tokio::test]
async fn who_watches_a_kind_is_told_of_its_rooms_while_they_are_of_that_kind() {
    for world in World::both().await {
        let url = "https://example.org/";
        let watcher = world.subscribe("root", About::Kind("meeting".to_owned()), url).await;
        let other = world.subscribe("root", About::Kind("lab".to_owned()), url).await;
        let (mut blue, mut red) = (Stream::new("Blue"), Stream::new("Red"));
        blue.reserve("ann", 1, 2);
        world.tell(&blue.events).await;
        blue.settings.kind = "lab".to_owned();
        blue.change("Blue");
        blue.reserve("ann", 3, 4);
        world.tell(&blue.events[2..]).await;
        // This process never saw the registration of red: the read models know its kind.
        red.reserve("ann", 1, 2);
        world.tell(&red.events[1..]).await;
        let models = MemoryReadModels::new();
        models.apply(&[red.events[0].clone().decode().unwrap()]).await.unwrap();
        // They are behind the events of blue.
        models.apply(&[blue.events[0].clone().decode().unwrap()]).await.unwrap();
        world.teller.read_rooms_from(Arc::new(models));
        red.reserve("ann", 3, 4);
        blue.reserve("ann", 5, 6);
        world.tell(&[red.events[2].clone(), blue.events[4].clone()]).await;
        is_told_of(&world, watcher.id, &[&blue.events[1], &red.events[2]]).await;
        is_told_of(&world, other.id, &[&blue.events[3], &blue.events[4]]).await;
    }
}

#[tokio::test]
async fn old_imported_and_rolled_back_events_notify_nobody() {
    for world in World::both().await {
        let mut room = Stream::new("Blue");
        for _ in 0..5 {
            room.reserve("ann", 1, 2);
        }
        let [_, before, old, imported, rolled_back, fresh] = &mut room.events[..] else {
            panic!("the events")
        };
        let now = world.now().epoch_millis();
        let at = |millis: i64| Timestamp::from_epoch_millis(millis);
        let hour = 3_600_000;
        world.clock.advance(TimeDelta::hours(-26));
        let subscription = world.subscribe("ann", About::Mine, "https://example.org/").await;
        world.clock.advance(TimeDelta::hours(26));
        for (event, time, recorded) in [
            (&mut *before, now - 27 * hour, now - 27 * hour),
            (&mut *old, now - 25 * hour, now - 25 * hour),
            (&mut *imported, now - 9_000 * hour, now),
            (&mut *rolled_back, now, now),
            (&mut *fresh, now - 1_000, now),
        ] {
            (event.metadata.time, event.recorded_at) = (at(time), at(recorded));
        }
        rolled_back.metadata.correlation_id = "roll-back-7".to_owned();
        world.tell(&room.events).await;
        let told: Vec<String> =
            world.deliveries(subscription.id).await.into_iter().map(|delivery| delivery.id).collect();
        assert_eq!(told, [format!("{}:{}", room.events[5].id(), subscription.id)]);
        // An event from before the subscription, told as soon as it was made.
        let other = world.subscribe("ann", About::Mine, "https://example.org/").await;
        let mut earlier = room.events[5].clone();
        earlier.recorded_at = at(now - 1);
        world.tell(&[earlier]).await;
        assert_eq!(world.deliveries(other.id).await, []);
    }
}

#[tokio::test]
async fn a_delivery_that_is_filed_during_a_turn_is_due_when_the_turn_ends() {
    for world in World::both().await {
        let subscription = world.subscribe("ann", About::Mine, "https://example.org/").await;
        let (now, until) = (world.now(), Timestamp::from_epoch_millis(world.now().epoch_millis() + 60_000));
        world.store().file(&[test_of(subscription.id, now)], now).await.unwrap();
        let claim = world.store().claim(&[Carrier::Webhooks], new_id(), now, until).await.unwrap().unwrap();
        let other = world.store().claim(&[Carrier::Webhooks], new_id(), now, until).await.unwrap();
        assert!(other.is_none(), "the queue is held");
        let taken = world.store().due(subscription.id, now, 8).await.unwrap();
        assert_eq!(taken.len(), 1);
        world.store().file(&[test_of(subscription.id, now)], now).await.unwrap();
        let release = Release { failures: 0, failing_since: None, paused_until: now, disable: None };
        world.store().release(&claim, &release).await.unwrap();
        let again = world.store().claim(&[Carrier::Webhooks], new_id(), now, until).await.unwrap().unwrap();
        // Who lost the lease changes nothing: the queue stays held.
        world.store().release(&claim, &release).await.unwrap();
        assert!(world.store().claim(&[Carrier::Webhooks], new_id(), now, until).await.unwrap().is_none());
        // An endpoint that rests is not due before its rest is over, whatever is filed.
        let rests = Release { failures: 1, failing_since: Some(now), paused_until: until, disable: None };
        world.store().release(&again, &rests).await.unwrap();
        world.store().file(&[test_of(subscription.id, now)], now).await.unwrap();
        assert!(world.store().claim(&[Carrier::Webhooks], new_id(), now, until).await.unwrap().is_none());
        let later = Timestamp::from_epoch_millis(until.epoch_millis() + 60_000);
        let claim = world.store().claim(&[Carrier::Webhooks], new_id(), until, later).await.unwrap().unwrap();
        assert_eq!((claim.failures, claim.failing_since), (1, Some(now)));
    }
}

#[tokio::test]
async fn a_user_has_twenty_subscriptions_and_their_secrets_are_replaced_once_by_one_request() {
    for world in World::both().await {
        let url = "https://example.org/";
        let first = world.subscribe("ann", About::Mine, url).await;
        for _ in 1..MOST_OF_A_USER {
            world.subscribe("ann", About::Mine, url).await;
        }
        let one_more = Subscription { id: new_id(), ..first.clone() };
        assert!(!world.store().create(&one_more).await.unwrap());
        world.subscribe("bob", About::Mine, url).await;
        let ann = &first.user;
        assert_eq!(world.store().of_user(ann).await.unwrap().len(), MOST_OF_A_USER);
        assert!(world.store().find(&UserId::new("bob").unwrap(), first.id).await.unwrap().is_none());
        let rotated = secrets(&first).rotated(world.now());
        assert_eq!(world.store().set_secrets(&first, &rotated).await.unwrap(), Swap::Done);
        assert_eq!(world.store().set_secrets(&first, &rotated).await.unwrap(), Swap::Moved);
        let found = world.store().find(ann, first.id).await.unwrap().unwrap();
        assert_eq!(secrets(&found), rotated);
        world.store().delete(first.id).await.unwrap();
        assert!(world.store().find(ann, first.id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn the_erasure_of_a_person_removes_subscriptions_addresses_and_deliveries() {
    for world in World::both().await {
        let mut room = Stream::new("Blue");
        room.reserve("ann", 1, 2);
        let ann = world.subscribe("ann", About::Mine, "https://ann.example/hooks/ann-key").await;
        let watcher = world.subscribe("root", About::Room(room.room), "https://example.org/").await;
        // A webhook, and a mailbox with a mail and a reminder that wait.
        let mailbox = world.subscribe_mail("ann", Some(15)).await;
        world.tell(&room.events).await;
        assert_eq!(world.deliveries(mailbox.id).await.len(), 2);
        assert_eq!(world.store().erase(&ann.user).await.unwrap(), 5);
        assert_eq!(world.store().erase(&ann.user).await.unwrap(), 0);
        // Somebody had read the subscription before, and files a delivery now.
        world.store().file(&[test_of(mailbox.id, world.now())], world.now()).await.unwrap();
        assert_eq!(world.store().erase(&ann.user).await.unwrap(), 1);
        assert_eq!(world.deliveries(ann.id).await, []);
        assert_eq!(world.deliveries(mailbox.id).await, []);
        assert_eq!(world.deliveries(watcher.id).await.len(), 1);
        if let Some(database) = &world.database {
            assert!(!database.dump().await.contains("ann"), "{}", database.dump().await);
        }
    }
}

#[tokio::test]
async fn the_database_holds_neither_secrets_nor_addresses_in_clear() {
    let world = World::in_mongo().await;
    let subscription = world.subscribe("bob", About::Mine, "https://example.org/hooks/a-key").await;
    let rotated = secrets(&subscription).rotated(world.now());
    world.store().set_secrets(&subscription, &rotated).await.unwrap();
    world.store().file(&[test_of(subscription.id, world.now())], world.now()).await.unwrap();
    let dump = world.database.as_ref().unwrap().dump().await;
    assert!(dump.contains("bob"));
    for hidden in ["whsec", "example.org", "a-key"] {
        assert!(!dump.contains(hidden), "{hidden} in {dump}");
    }
}
