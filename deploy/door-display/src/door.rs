//! What a door shows.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use shared_events::{ClosureId, Event, Interval, Minute, RawEvent, ReservationId, TimeZone, Unreadable};

/// A room as its door shows it. Folds the room's events in order.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Door {
    room: Option<(String, TimeZone)>,
    retired: bool,
    /// With their buffers.
    stays: HashMap<ReservationId, Interval>,
    closures: HashMap<ClosureId, Interval>,
}

impl Door {
    /// Applies the room's next event.
    ///
    /// # Errors
    /// When the event can't be read. An unknown one may come from a newer service.
    pub fn apply(&mut self, event: &RawEvent) -> Result<(), Unreadable> {
        match event.event()? {
            Event::RoomRegistered(event) => self.set(event.room.settings.name, event.room.settings.time_zone),
            Event::RoomChanged(event) => self.set(event.room.settings.name, event.room.settings.time_zone),
            Event::RoomRetired(_) => self.retired = true,
            Event::ReservationCancelled(event) => _ = self.stays.remove(&event.reservation.id),
            Event::ReservationMovedOut(event) => _ = self.stays.remove(&event.reservation.id),
            Event::ClosureAdded(event) => {
                self.closures.insert(event.closure.id, event.closure.interval());
            }
            Event::ClosureLifted(event) => _ = self.closures.remove(&event.closure.id),
            // It is in another room, and was cancelled in this one.
            Event::ReservationRestored(restored) if restored.reservation.room != event.room => {}
            // All others carry a live reservation of this room.
            event => {
                if let Some(reservation) = event.reservation() {
                    self.stays.insert(reservation.id, reservation.busy_interval());
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, name: String, time_zone: TimeZone) {
        self.room = Some((name, time_zone));
    }

    /// What the door shows now. Forgets what has ended.
    pub fn line(&mut self, now: DateTime<Utc>) -> String {
        let Some((name, zone)) = &self.room else { return "no such room yet".to_owned() };
        if self.retired {
            return format!("{name}: not in use");
        }
        let minute = Minute::from_utc(now).unwrap_or(Minute::LATEST);
        self.stays.retain(|_, stay| stay.to > minute);
        self.closures.retain(|_, closed| closed.to > minute);
        let mut taken: Vec<_> = self.stays.values().chain(self.closures.values()).copied().collect();
        taken.sort_unstable_by_key(|time| time.from);
        let local = |minute: Minute| {
            let time = minute.to_utc().with_timezone(&zone.0);
            let same_day = time.date_naive() == now.with_timezone(&zone.0).date_naive();
            time.format(if same_day { "%H:%M" } else { "%a %-d %b %H:%M" }).to_string()
        };
        match taken.first() {
            None => format!("{name}: free"),
            Some(next) if next.from > minute => format!("{name}: free until {}", local(next.from)),
            Some(current) => {
                // Times that follow without a gap are one to who stands at the door.
                let end = taken
                    .iter()
                    .fold(current.to, |end, time| if time.from <= end { end.max(time.to) } else { end });
                format!("{name}: taken until {}", local(end))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use shared_events::{Metadata, RoomId, Timestamp, UserId};

    use super::*;

    const ROOM: &str = "0198c4f2-6a10-7c3e-9b61-0f2d3a4b5c6d";

    /// The event of this type with this payload.
    fn event(event_type: &'static str, payload: String) -> RawEvent {
        let at = Timestamp::from_epoch_millis(0);
        RawEvent {
            room: ROOM.parse::<RoomId>().unwrap(),
            version: 1.into(),
            event_type: event_type.into(),
            payload: payload.into_bytes(),
            metadata: Metadata {
                time: at,
                subject: String::new(),
                actor: UserId::new("ann").unwrap(),
                correlation_id: String::new(),
                causation_id: String::new(),
                traceparent: None,
            },
            recorded_at: at,
        }
    }

    fn about_room(event_type: &'static str) -> RawEvent {
        let settings = r#"{"name": "Blue", "kind": "meeting", "capacity": 4, "timeZone": "Europe/Lisbon"}"#;
        event(event_type, format!(r#"{{"room": {{"id": "{ROOM}", "revision": 1, "settings": {settings}}}}}"#))
    }

    /// An event about a stay of the 1st of July, an hour ahead of UTC in Lisbon.
    fn about_stay(event_type: &'static str, number: u8, from: &str, to: &str) -> RawEvent {
        let id = format!("0198d3a7-1c44-7d20-a5f3-0000000000{number:02}");
        let place = format!(
            r#""room": "{ROOM}", "timeZone": "Europe/Lisbon", "from": "2026-07-01T{from}:00Z", "to": "2026-07-01T{to}:00Z""#
        );
        event(
            event_type,
            format!(
                r#"{{"reservation": {{"id": "{id}", "revision": 1, {place}, "people": 2, "reservedBy": "ann"}},
                    "previous": {{{place}}}}}"#
            ),
        )
    }

    #[test]
    fn a_door_shows_buffers_and_closures_as_taken() {
        let mut door = Door::default();
        door.apply(&about_room("reservations.room-registered.v1")).unwrap();
        let stay = about_stay("reservations.reservation-made.v1", 1, "10:00", "11:00");
        let mut payload: serde_json::Value = serde_json::from_slice(&stay.payload).unwrap();
        payload["reservation"]["busy"] =
            serde_json::json!({"from": "2026-07-01T09:45:00Z", "to": "2026-07-01T11:30:00Z"});
        door.apply(&RawEvent { payload: payload.to_string().into_bytes(), ..stay }).unwrap();
        let closure = |event_type| {
            let id = "0198d3c4-7a10-8d20-a5f3-0123456789ab";
            let time = r#""from": "2026-07-01T11:30:00Z", "to": "2026-07-01T14:00:00Z""#;
            event(
                event_type,
                format!(r#"{{"closure": "{id}", "room": "{ROOM}", {time}, "reason": "New floor"}}"#),
            )
        };
        door.apply(&closure("reservations.closure-added.v1")).unwrap();
        assert_eq!(door.line(at("08:00")), "Blue: free until 10:45");
        assert_eq!(door.line(at("09:50")), "Blue: taken until 15:00");
        door.apply(&closure("reservations.closure-lifted.v1")).unwrap();
        assert_eq!(door.line(at("09:50")), "Blue: taken until 12:30");
    }

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-07-01T{time}:00Z").parse().unwrap()
    }

    #[test]
    fn a_door_shows_until_when_its_room_is_free_or_taken_in_the_rooms_time() {
        let mut door = Door::default();
        assert_eq!(door.line(at("08:00")), "no such room yet");
        door.apply(&about_room("reservations.room-registered.v1")).unwrap();
        assert_eq!(door.line(at("08:00")), "Blue: free");
        let made = "reservations.reservation-made.v1";
        for (number, from, to) in [(1, "10:00", "11:00"), (2, "11:00", "12:00"), (3, "14:00", "15:00")] {
            door.apply(&about_stay(made, number, from, to)).unwrap();
        }
        assert_eq!(door.line(at("08:00")), "Blue: free until 11:00");
        assert_eq!(door.line(at("10:30")), "Blue: taken until 13:00", "two stays without a gap");
        assert_eq!(door.line(at("12:00")), "Blue: free until 15:00");
        let rescheduled = about_stay("reservations.reservation-rescheduled.v1", 3, "16:00", "17:00");
        door.apply(&rescheduled).unwrap();
        assert_eq!(door.line(at("12:00")), "Blue: free until 17:00");
        door.apply(&about_stay("reservations.reservation-cancelled.v1", 3, "16:00", "17:00")).unwrap();
        assert_eq!(door.line(at("12:00")), "Blue: free");
        door.apply(&about_stay("reservations.reservation-moved-in.v1", 4, "18:00", "19:00")).unwrap();
        assert_eq!(door.line("2026-06-30T12:00:00Z".parse().unwrap()), "Blue: free until Wed 1 Jul 19:00");
        door.apply(&about_stay("reservations.reservation-moved-out.v1", 4, "18:00", "19:00")).unwrap();
        assert_eq!(door.line(at("12:00")), "Blue: free");
        let restored = about_stay("reservations.reservation-restored.v1", 4, "18:00", "19:00");
        let with = |cancelled_in: &str| {
            let mut payload: serde_json::Value = serde_json::from_slice(&restored.payload).unwrap();
            (payload["restores"], payload["cancelledIn"]) = (3.into(), cancelled_in.into());
            RawEvent { payload: payload.to_string().into_bytes(), ..restored.clone() }
        };
        let other = "0198c4f2-8b7f-7a91-8e05-7d1c2b3a4958".parse().unwrap();
        let elsewhere = RawEvent { room: other, ..with(ROOM) };
        door.apply(&elsewhere).unwrap();
        assert_eq!(door.line(at("12:00")), "Blue: free", "it is restored in another room");
        door.apply(&with(ROOM)).unwrap();
        assert_eq!(door.line(at("12:00")), "Blue: free until 19:00");
        door.apply(&about_room("reservations.room-retired.v1")).unwrap();
        assert_eq!(door.line(at("12:00")), "Blue: not in use");
    }
}
