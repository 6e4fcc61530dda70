//! Reminders on both stores: they follow their stays.

use std::time::Duration;

use chrono::TimeDelta;
use query_service::notifications::{Delivery, Reason, State, Status, test_of};
use shared_events::{RawEvent, Reservation, Timestamp};
use uuid::Uuid;

use crate::{
    events::Stream,
    mail_server::{MailServer, Manners},
    notify_world::World,
    pipelines::until,
};

const LONG: Duration = Duration::from_secs(600);

/// The reminders of a subscription by revision.
async fn reminders(world: &World, subscription: Uuid) -> Vec<Delivery> {
    let mut found = world.deliveries(subscription).await;
    found.retain(|delivery| delivery.message_type == "notifications.reminder");
    found.sort_by_key(|delivery| delivery.reminds.unwrap().revision);
    found
}

async fn statuses(world: &World, subscription: Uuid) -> Vec<Status> {
    reminders(world, subscription).await.iter().map(|reminder| reminder.status).collect()
}

fn before(stay: &Reservation, minutes: i64) -> Timestamp {
    Timestamp::from_epoch_millis(stay.from.start().epoch_millis() - minutes * 60_000)
}

/// Sets the clock to this time.
fn jump(world: &World, to: Timestamp) {
    world.clock.advance(TimeDelta::milliseconds(to.epoch_millis() - world.clock.now_ms()));
    world.notifications.wake.notify_one();
}

#[tokio::test]
async fn a_reminder_follows_its_stay_and_is_dropped_with_it_in_whatever_order_the_events_come() {
    for world in World::both().await {
        let (mut blue, mut red) = (Stream::new("Blue"), Stream::new("Red"));
        let made = blue.reserve("ann", 9, 10);
        let changed = blue.reschedule(&made, 11, 12);
        let moved = blue.move_to(&mut red, &changed);
        let later = red.reschedule(&moved, 15, 16);
        let mut events = [blue.events.clone(), red.events.clone()].concat();
        let in_order = world.subscribe_mail("ann", Some(15)).await;
        for event in &events {
            world.tell(std::slice::from_ref(event)).await;
        }
        let waits = |reminders: &[Delivery]| {
            let [first @ .., last] = reminders else { panic!("no reminders") };
            assert!(first.iter().all(|reminder| reminder.status == Status::Dropped), "{reminders:?}");
            assert_eq!((reminders.len(), last.status, last.due), (4, Status::Waiting, before(&later, 15)));
        };
        waits(&reminders(&world, in_order.id).await);
        // Another subscription hears of all in another order, and twice.
        let in_disorder = world.subscribe_mail("ann", Some(15)).await;
        events.reverse();
        for event in events.iter().chain(&events) {
            world.tell(std::slice::from_ref(event)).await;
        }
        for subscription in [in_order.id, in_disorder.id] {
            waits(&reminders(&world, subscription).await);
        }
        red.cancel(&later);
        world.tell(&red.events).await;
        for subscription in [in_order.id, in_disorder.id] {
            assert_eq!(statuses(&world, subscription).await, [Status::Dropped; 5]);
        }
    }
}

#[tokio::test]
async fn a_reminder_survives_its_process_and_clocks_that_jump_and_is_sent_before_the_stay_alone() {
    for mut world in World::both().await {
        let server = MailServer::start(Manners::Takes).await;
        let ann = world.subscribe_mail("ann", Some(60)).await;
        let mut room = Stream::new("Blue");
        let (first, second) = (room.reserve("ann", 9, 10), room.reserve("ann", 14, 15));
        world.tell(&room.events).await;
        world.start_mail_courier(server.port, LONG);
        until("both are told", async || {
            let delivered = world.store().deliveries(ann.id, Some(Status::Delivered), 10).await;
            delivered.unwrap().len() == 2
        })
        .await;
        // The process ends. The next one's clock goes back by a year, then ahead to a minute before the time.
        world.abort();
        jump(&world, Timestamp::from_epoch_millis(world.clock.now_ms() - 31_536_000_000));
        world.start_mail_courier(server.port, LONG);
        jump(&world, before(&first, 61));
        let witness = world.subscribe_mail("bob", None).await;
        let asked = test_of(witness.id, world.now());
        world.store().file(&[asked], world.now()).await.unwrap();
        until("another mail", async || server.count() == 3).await;
        assert_eq!(statuses(&world, ann.id).await, [Status::Waiting; 2]);
        jump(&world, before(&first, 60));
        until("the reminder", async || server.count() == 4).await;
        let reminder = server.received().remove(3);
        assert_eq!(reminder.subject(), "Reminder: Blue, Monday 5 May 2031, 10:00");
        assert!(reminder.calendar().is_none(), "calendars know the stay already");
        // Nobody was there when the second one was due, and now its stay has begun.
        jump(&world, second.from.start());
        until("dropped", async || {
            statuses(&world, ann.id).await.iter().all(|status| *status != Status::Waiting)
        })
        .await;
        assert_eq!(server.count(), 4);
        world.end().await;
    }
}

#[tokio::test]
async fn a_stay_that_is_booked_after_the_time_of_its_reminder_has_none() {
    for world in World::both().await {
        let mut room = Stream::new("Blue");
        room.reserve("ann", 9, 10);
        let soon = room.reserve("ann", 11, 12);
        for event in &mut room.events {
            let at = before(&soon, 30);
            (event.metadata.time, event.recorded_at) = (at, at);
        }
        let ann = world.subscribe_mail("ann", Some(60)).await;
        jump(&world, before(&soon, 30));
        world.tell(&room.events).await;
        assert_eq!(statuses(&world, ann.id).await, [Status::Dropped; 2]);
    }
}

#[tokio::test]
async fn what_notifies_nobody_still_moves_and_drops_reminders_that_are_there() {
    for world in World::both().await {
        let ann = world.subscribe_mail("ann", Some(15)).await;
        let mut room = Stream::new("Blue");
        let quietly = |event: &RawEvent| {
            let mut event = event.clone();
            event.metadata.correlation_id = "roll-back-7".to_owned();
            event
        };
        let made = room.reserve("ann", 9, 10);
        world.tell(&room.events).await;
        let changed = room.reschedule(&made, 11, 12);
        world.tell(&[quietly(&room.events[2])]).await;
        let last = reminders(&world, ann.id).await.pop().unwrap();
        assert_eq!((last.status, last.due), (Status::Waiting, before(&changed, 15)));
        // While the subscription is disabled, too.
        let disabled = State::Disabled(Reason::User);
        world.store().set_state(ann.id, disabled, world.now()).await.unwrap();
        room.cancel(&changed);
        world.tell(&[quietly(&room.events[3])]).await;
        assert_eq!(statuses(&world, ann.id).await, [Status::Dropped; 3]);
        // One chunk: the reservation is news, its roll-back is not.
        world.store().set_state(ann.id, State::Enabled, world.now()).await.unwrap();
        let other = room.reserve("ann", 13, 14);
        room.cancel(&other);
        let both = [room.events[4].clone(), quietly(&room.events[5])];
        world.tell(&both).await;
        assert_eq!(statuses(&world, ann.id).await, [Status::Dropped; 5]);
    }
}
