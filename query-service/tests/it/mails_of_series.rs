//! A mail about a series, on both stores: it names all reservations that a command has changed.

use std::time::Duration;

use service_kit::ids::new_id;
use shared_events::{
    Event, Reservation, SeriesId,
    reservation_events::{ReservationCancelled, ReservationMade, ReservationRescheduled},
};

use crate::{
    events::Stream,
    mail_server::{MailServer, Manners, Received},
    notify_world::World,
    pipelines::until,
};

const LONG: Duration = Duration::from_secs(600);

/// Adds the events of one command.
fn command(stream: &mut Stream, events: Vec<Event>) {
    let (first, command) = (stream.events.len(), new_id().to_string());
    for event in events {
        stream.push("ann", event);
    }
    for event in &mut stream.events[first..] {
        event.metadata.causation_id.clone_from(&command);
    }
}

/// The values of a property in the calendar of a mail, in their order.
fn values(mail: &Received, property: &str) -> Vec<String> {
    let (_, text) = mail.calendar_text().unwrap();
    let lines = text.split_terminator("\r\n").filter_map(|line| line.split_once(':'));
    lines.filter(|(name, _)| *name == property).map(|(_, value)| value.to_owned()).collect()
}

#[tokio::test]
async fn a_mail_names_every_reservation_of_a_series_that_a_command_has_changed() {
    for mut world in World::both().await {
        let server = MailServer::start(Manners::Takes).await;
        world.subscribe_mail("ann", None).await;
        let mut blue = Stream::new("Blue");
        let series = Some(SeriesId(new_id()));
        let made: Vec<Reservation> =
            [9, 12, 15].map(|hour| Reservation { series, ..blue.reserve("ann", hour, hour + 1) }).into();
        blue.events.truncate(1);
        command(
            &mut blue,
            made.iter().map(|made| ReservationMade { reservation: made.clone() }.into()).collect(),
        );
        // All an hour later, the last one first.
        let moved = |before: &Reservation| Reservation {
            revision: 2,
            from: before.from.plus(60).unwrap(),
            to: before.to.plus(60).unwrap(),
            ..before.clone()
        };
        let later = made.iter().rev().map(|before| {
            ReservationRescheduled { reservation: moved(before), previous: before.place() }.into()
        });
        command(&mut blue, later.collect());
        // One alone, then the other two together.
        let retitled = Reservation { revision: 3, title: Some("Talk".into()), ..moved(&made[1]) };
        let previous = retitled.place();
        command(&mut blue, vec![ReservationRescheduled { reservation: retitled, previous }.into()]);
        let gone = [0, 2].map(|at: usize| Reservation { revision: 3, ..moved(&made[at]) });
        let cancelled = gone.clone().map(|reservation| ReservationCancelled { reservation }.into());
        command(&mut blue, cancelled.into());
        for _ in 0..2 {
            world.tell(&blue.events).await;
        }
        world.start_mail_courier(server.port, LONG);
        until("mails", async || server.count() >= 4).await;
        let received = server.received();
        assert_eq!(received.len(), 4, "one for each command");
        let mail = |subject: &str| {
            let found = received.iter().find(|mail| mail.subject() == subject);
            found.unwrap_or_else(|| panic!("{subject}: {received:?}"))
        };
        let ids: Vec<String> = made.iter().map(|made| made.id.to_string()).collect();

        let first = mail("Reserved: Blue, Monday 5 May 2031, 10:00 and 2 more");
        assert_eq!(
            (values(first, "METHOD"), values(first, "UID")),
            (vec!["PUBLISH".to_owned()], ids.clone())
        );
        assert_eq!(first.calendar_text().unwrap().0, "PUBLISH");
        assert_eq!(values(first, "DTSTART"), ["20310505T090000Z", "20310505T120000Z", "20310505T150000Z"]);
        assert_eq!(values(first, "SEQUENCE"), ["0", "0", "0"]);
        assert_eq!(values(first, "ORGANIZER").len(), 3);
        assert!(!first.calendar_text().unwrap().1.contains("ATTENDEE"), "a published entry has none");
        let text = first.text();
        for hours in ["10:00 to Monday 5 May 2031, 11:00", "13:00 to", "16:00 to"] {
            assert!(text.contains(&format!("- Monday 5 May 2031, {hours}")), "{text}");
        }
        let changed = mail("Changed: Blue, Monday 5 May 2031, 11:00 and 2 more");
        assert_eq!(
            (values(changed, "UID"), values(changed, "SEQUENCE")),
            (ids.clone(), vec!["1".to_owned(); 3])
        );
        let alone = mail("Changed: Blue, Monday 5 May 2031, 14:00");
        assert_eq!(
            (values(alone, "METHOD"), values(alone, "UID")),
            (vec!["REQUEST".to_owned()], vec![ids[1].clone()])
        );
        let cancelled = mail("Cancelled: Blue, Monday 5 May 2031, 11:00 and 1 more");
        assert_eq!(values(cancelled, "UID"), [ids[0].clone(), ids[2].clone()]);
        assert_eq!(values(cancelled, "STATUS"), ["CANCELLED", "CANCELLED"]);
        assert_eq!(
            (values(cancelled, "METHOD"), values(cancelled, "SEQUENCE")),
            (vec!["PUBLISH".to_owned()], vec!["2".to_owned(); 2])
        );
        world.end().await;
    }
}
