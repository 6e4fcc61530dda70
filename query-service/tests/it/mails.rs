//! Notifications by e-mail on both stores, with a mail server that is good or bad.

use std::{collections::HashMap, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use query_service::notifications::{About, Reason, State, Status, test_of};
use shared_events::Timestamp;

use crate::{
    events::Stream,
    mail_server::{Certificate, MailServer, Manners, Received, Way},
    notify_world::World,
    pipelines::until,
    receiver::{Behaviour, Receiver},
};

/// A machine that is busy with other things must not look like a server that hangs.
const LONG: Duration = Duration::from_secs(600);

async fn mails(server: &MailServer, count: usize) -> Vec<Received> {
    until("mails", async || server.count() >= count).await;
    let mut received = server.received();
    received.sort_by_key(Received::id);
    received
}

#[tokio::test]
async fn each_change_of_a_stay_is_a_mail_for_its_owner_with_the_same_calendar_entry() {
    for mut world in World::both().await {
        let server = MailServer::start(Manners::Takes).await;
        let ann = world.subscribe_mail("ann", None).await;
        let (mut blue, mut red) = (Stream::new("Blue, ground floor"), Stream::new("Red"));
        let made = blue.reserve("ann", 9, 10);
        let changed = blue.reschedule(&made, 11, 12);
        let moved = blue.move_to(&mut red, &changed);
        red.cancel(&moved);
        blue.reserve("bob", 1, 2);
        world.tell(&[blue.events.clone(), red.events.clone()].concat()).await;
        world.start_mail_courier(server.port, LONG);
        let received = mails(&server, 4).await;
        let by_sequence: HashMap<String, &Received> =
            received.iter().map(|mail| (mail.calendar().unwrap()["SEQUENCE"].clone(), mail)).collect();
        assert_eq!(by_sequence.len(), 4, "{received:?}");
        let (id, sender) = (made.id.to_string(), "mailto:rooms@example.org");
        for (sequence, subject, method, status, location, from) in [
            (
                "0",
                "Reserved: Blue, ground floor, Monday 5 May 2031, 10:00",
                "REQUEST",
                "CONFIRMED",
                r"Blue\, ground floor",
                "09",
            ),
            (
                "1",
                "Changed: Blue, ground floor, Monday 5 May 2031, 12:00",
                "REQUEST",
                "CONFIRMED",
                r"Blue\, ground floor",
                "11",
            ),
            ("2", "Changed: Red, Monday 5 May 2031, 12:00", "REQUEST", "CONFIRMED", "Red", "11"),
            ("3", "Cancelled: Red, Monday 5 May 2031, 12:00", "CANCEL", "CANCELLED", "Red", "11"),
        ] {
            let mail = by_sequence[sequence];
            assert_eq!((mail.to.as_str(), mail.subject().as_str()), ("ann@example.org", subject));
            assert!(mail.text().contains("Title: $5 lunch $$x\n"), "{}", mail.text());
            assert!(mail.text().contains("(Europe/Lisbon)\n"), "{}", mail.text());
            let calendar = mail.calendar().unwrap();
            assert_eq!(calendar["METHOD"], method);
            assert_eq!((&calendar["method"], &calendar["UID"]), (&calendar["METHOD"], &id));
            assert_eq!(calendar["DTSTART"], format!("20310505T{from}0000Z"));
            assert_eq!((calendar["STATUS"].as_str(), calendar["LOCATION"].as_str()), (status, location));
            assert_eq!(
                (calendar["ORGANIZER"].as_str(), calendar["SUMMARY"].as_str()),
                (sender, "$5 lunch $$x")
            );
            assert_eq!(calendar["ATTENDEE;PARTSTAT=ACCEPTED;RSVP=FALSE"], "mailto:ann@example.org");
            assert!(mail.raw.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{}", mail.raw);
        }
        let first = &blue.events[1];
        let expected = format!("{}.{}@example.org", first.id().replace(':', "."), ann.id);
        assert_eq!(by_sequence["0"].id(), expected);
        world.end().await;
    }
}

#[tokio::test]
async fn a_mail_that_is_not_taken_now_is_sent_again_and_one_that_is_never_taken_has_failed() {
    for mut world in World::both().await {
        let server = MailServer::start(Manners::Answers(451)).await;
        let ann = world.subscribe_mail("ann", None).await;
        world.store().file(&[test_of(ann.id, world.now())], world.now()).await.unwrap();
        world.start_mail_courier(server.port, LONG);
        let waiting = world.attempted(ann.id, 1).await;
        assert_eq!((waiting.status, waiting.last.unwrap().text.as_str()), (Status::Waiting, "SMTP 451"));
        server.behave(Manners::Takes);
        world.clock.advance(TimeDelta::minutes(10));
        world.notifications.wake.notify_one();
        let received = mails(&server, 1).await.remove(0);
        assert_eq!(received.id(), format!("{}@example.org", waiting.id.replace(':', ".")));
        assert_eq!(received.subject(), "Test of notifications");
        until("delivered", async || world.deliveries(ann.id).await[0].status == Status::Delivered).await;

        server.behave(Manners::Answers(550));
        let bob = world.subscribe_mail("bob", None).await;
        world.store().file(&[test_of(bob.id, world.now())], world.now()).await.unwrap();
        world.notifications.wake.notify_one();
        let failed = world.attempted(bob.id, 1).await;
        assert_eq!((failed.status, failed.last.unwrap().text.as_str()), (Status::Failed, "SMTP 550"));
        // An address that is refused for five days gets no more mails.
        world.clock.advance(TimeDelta::days(5));
        world.store().file(&[test_of(bob.id, world.now())], world.now()).await.unwrap();
        world.notifications.wake.notify_one();
        world.disabled(&bob, Reason::Failing).await;
        world.end().await;
    }
}

#[tokio::test]
async fn a_mail_server_that_is_away_for_weeks_disables_no_subscription() {
    let mut world = World::in_memory();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let ann = world.subscribe_mail("ann", None).await;
    world.start_mail_courier(port, LONG);
    for attempts in 1..=3 {
        world.store().file(&[test_of(ann.id, world.now())], world.now()).await.unwrap();
        world.notifications.wake.notify_one();
        until("an attempt", async || {
            world.deliveries(ann.id).await.iter().map(|delivery| delivery.attempts).sum::<u32>() == attempts
        })
        .await;
        let last = world.deliveries(ann.id).await.iter().find_map(|delivery| delivery.last.clone());
        assert_eq!(last.unwrap().text, "the mail server can't be used");
        world.clock.advance(TimeDelta::days(7));
    }
    let found = world.store().find(&ann.user, ann.id).await.unwrap().unwrap();
    assert_eq!(found.state, State::Enabled);
    world.end().await;
}

#[tokio::test]
async fn a_mail_server_that_hangs_delays_no_webhook_and_gets_its_mail_again_with_the_same_id() {
    for mut world in World::both().await {
        let server = MailServer::start(Manners::Hangs).await;
        let quick = Receiver::start(Behaviour::Status(200)).await;
        let mut subscriptions = Vec::new();
        for number in 0..20 {
            let subscription = world.subscribe_mail(&format!("user-{number}"), None).await;
            world.store().file(&[test_of(subscription.id, world.now())], world.now()).await.unwrap();
            subscriptions.push(subscription);
        }
        world.start_mail_courier(server.port, LONG);
        until("eight mails", async || server.count() == 8).await;
        let webhook = world.subscribe("bob", About::Mine, &quick.url()).await;
        for number in 0..10 {
            world.store().file(&[test_of(webhook.id, world.now())], world.now()).await.unwrap();
            world.notifications.wake.notify_one();
            until("a webhook", async || quick.count() > number).await;
        }
        assert_eq!(server.count(), 8, "no more conversations than that at a time");
        let hung: Vec<String> = server.received().iter().map(Received::id).collect();
        world.abort();
        server.behave(Manners::Takes);
        world.clock.advance(TimeDelta::minutes(2));
        world.start_mail_courier(server.port, LONG);
        until("all mails", async || server.count() == 28).await;
        let all: Vec<String> = server.received().iter().map(Received::id).collect();
        assert!(hung.iter().all(|id| all.iter().filter(|other| *other == id).count() == 2), "{all:?}");
        for subscription in &subscriptions {
            until("delivered", async || {
                world.deliveries(subscription.id).await[0].status == Status::Delivered
            })
            .await;
        }
        world.end().await;
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_mail_server_that_should_offer_tls_and_does_not() {
    let mut world = World::in_memory();
    let server = MailServer::start(Manners::Takes).await;
    let ann = world.subscribe_mail("ann", None).await;
    world.store().file(&[test_of(ann.id, world.now())], world.now()).await.unwrap();
    world.start_mail_courier_to(&format!("smtp://127.0.0.1:{}?tls=true", server.port), None, LONG);
    let delivery = world.attempted(ann.id, 1).await;
    assert_eq!(delivery.last.unwrap().text, "the mail server can't be used");
    assert_eq!(delivery.status, Status::Waiting);
    assert_eq!(server.count(), 0);
    assert_eq!(server.commands(), ["EHLO"]);
    world.end().await;
}

/// Two addresses of a mail server with a user: TLS from the start, and after `STARTTLS`.
fn secure_ways(certificate: &Certificate) -> [(Way, &'static str, &'static str); 2] {
    [(Way::Tls(certificate.clone()), "smtps", ""), (Way::StartTls(certificate.clone()), "smtp", "?tls=true")]
}

#[tokio::test]
async fn a_mail_and_the_password_go_over_tls_to_a_server_whose_authority_is_trusted() {
    let (certificate, folder) = (Certificate::of("127.0.0.1"), tempfile::tempdir().unwrap());
    let trusted = certificate.trusted(&folder);
    for (way, scheme, query) in secure_ways(&certificate) {
        let mut world = World::in_memory();
        let server = MailServer::start_behind(way, Manners::Takes).await;
        let ann = world.subscribe_mail("ann", None).await;
        world.store().file(&[test_of(ann.id, world.now())], world.now()).await.unwrap();
        let url = format!("{scheme}://rooms:p%40ss%2Fword@127.0.0.1:{}{query}", server.port);
        world.start_mail_courier_to(&url, Some(&trusted), LONG);
        let received = mails(&server, 1).await.remove(0);
        assert_eq!(
            (received.to.as_str(), received.subject().as_str()),
            ("ann@example.org", "Test of notifications")
        );
        until("delivered", async || world.deliveries(ann.id).await[0].status == Status::Delivered).await;
        let password = BASE64_STANDARD.encode("\0rooms\0p@ss/word");
        let login = format!("AUTH PLAIN {password}*");
        let mut expected = vec!["EHLO*", &login, "MAIL*", "RCPT*", "DATA*"];
        if scheme == "smtp" {
            expected.splice(..0, ["EHLO", "STARTTLS"]);
        }
        assert_eq!(server.commands(), expected);
        world.end().await;
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_mail_server_whose_certificate_is_unknown_or_of_another_host() {
    let folder = tempfile::tempdir().unwrap();
    for (host, is_trusted) in [("127.0.0.1", false), ("mail.example.org", true)] {
        let certificate = Certificate::of(host);
        let trusted = is_trusted.then(|| certificate.trusted(&folder));
        for (way, scheme, query) in secure_ways(&certificate) {
            let mut world = World::in_memory();
            let server = MailServer::start_behind(way, Manners::Takes).await;
            let ann = world.subscribe_mail("ann", None).await;
            world.store().file(&[test_of(ann.id, world.now())], world.now()).await.unwrap();
            let url = format!("{scheme}://rooms:secret@127.0.0.1:{}{query}", server.port);
            world.start_mail_courier_to(&url, trusted.as_ref(), LONG);
            let delivery = world.attempted(ann.id, 1).await;
            assert_eq!(delivery.last.unwrap().text, "the mail server can't be used", "{host}");
            let expected: &[&str] = if scheme == "smtp" { &["EHLO", "STARTTLS"] } else { &[] };
            assert_eq!(server.commands(), expected, "{host}");
            assert_eq!(server.count(), 0, "{host}");
            world.end().await;
        }
    }
}

#[tokio::test]
async fn a_mail_server_that_gives_no_answer_in_time_gets_the_mail_again() {
    let mut world = World::in_memory();
    let server = MailServer::start(Manners::Hangs).await;
    let ann = world.subscribe_mail("ann", None).await;
    world.store().file(&[test_of(ann.id, world.now())], world.now()).await.unwrap();
    world.start_mail_courier(server.port, Duration::from_secs(1));
    let delivery = world.attempted(ann.id, 1).await;
    assert_eq!(
        (delivery.status, delivery.last.unwrap().text.as_str()),
        (Status::Waiting, "no answer in time")
    );
    world.end().await;
}

#[tokio::test]
async fn old_imported_and_rolled_back_events_are_in_no_mail_and_make_no_reminder() {
    for world in World::both().await {
        let mut room = Stream::new("Blue");
        for _ in 0..5 {
            room.reserve("ann", 1, 2);
        }
        let now = world.now().epoch_millis();
        let at = |millis: i64| Timestamp::from_epoch_millis(millis);
        let hour = 3_600_000;
        world.clock.advance(TimeDelta::hours(-26));
        let ann = world.subscribe_mail("ann", Some(15)).await;
        world.clock.advance(TimeDelta::hours(26));
        for (event, (time, recorded)) in room.events[1..].iter_mut().zip([
            (now - 27 * hour, now - 27 * hour),
            (now - 25 * hour, now - 25 * hour),
            (now - 9_000 * hour, now),
            (now, now),
            (now - 1_000, now),
        ]) {
            (event.metadata.time, event.recorded_at) = (at(time), at(recorded));
        }
        room.events[4].metadata.correlation_id = "roll-back-7".to_owned();
        world.tell(&room.events).await;
        let mut told: Vec<String> =
            world.deliveries(ann.id).await.into_iter().map(|delivery| delivery.message_type).collect();
        told.sort();
        assert_eq!(told, ["notifications.reminder", "reservations.reservation-made.v1"]);
    }
}
