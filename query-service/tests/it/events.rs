//! Events as the command service makes them.

use query_service::{
    read_models::{UsageDoc, usage::Month},
    stores::Queries,
};
use service_kit::ids;
use shared_events::{
    DecodedEvent, Event, Metadata, Place, RawEvent, Reservation, ReservationId, Room, RoomId, RoomSettings,
    Timestamp, UserId,
    reservation_events::{
        ReservationCancelled, ReservationMade, ReservationMovedIn, ReservationMovedOut,
        ReservationRescheduled,
    },
    room_events::{RoomChanged, RoomRegistered},
};

use crate::{conformance::settle, store_double::Store};

/// The day of the streams' reservations.
pub(crate) const DAY: &str = "2031-05-05";

/// The event of a room's version, made and recorded at `at`, in milliseconds since 1970.
pub(crate) fn decoded(room: RoomId, version: u64, at: i64, user: &str, event: Event) -> DecodedEvent {
    let at = Timestamp::from_epoch_millis(at);
    DecodedEvent {
        room,
        version: version.into(),
        metadata: Metadata {
            time: at,
            subject: event.subject(),
            actor: UserId::new(user).unwrap(),
            correlation_id: "test".to_owned(),
            causation_id: ids::new_id().to_string(),
            traceparent: None,
        },
        recorded_at: at,
        event,
    }
}

/// A room's stream, written by hand.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) room: RoomId,
    pub(crate) settings: RoomSettings,
    pub(crate) events: Vec<RawEvent>,
    revision: u32,
}

impl Stream {
    /// A room with its registration alone.
    pub(crate) fn new(name: &str) -> Self {
        Self::of_kind(name, "meeting")
    }

    /// The same of this kind.
    pub(crate) fn of_kind(name: &str, kind: &str) -> Self {
        let settings = RoomSettings {
            name: name.to_owned(),
            kind: kind.to_owned(),
            capacity: 8,
            time_zone: "Europe/Lisbon".parse().unwrap(),
            opening_hours: None,
            slot_minutes: None,
            min_minutes: None,
            max_minutes: None,
            buffer_before: None,
            buffer_after: None,
            max_days_ahead: None,
            building: None,
            floor: None,
            attributes: Vec::new(),
            bookable_by: Vec::new(),
            max_ahead: None,
        };
        let room = RoomId(ids::new_id());
        let mut stream = Self { room, settings, events: Vec::new(), revision: 1 };
        let registered = RoomRegistered { room: stream.room_now() };
        stream.push("admin", registered.into());
        stream
    }

    fn room_now(&self) -> Room {
        Room { id: self.room, revision: self.revision, settings: self.settings.clone() }
    }

    pub(crate) fn push(&mut self, user: &str, event: Event) -> RawEvent {
        let version = u64::try_from(self.events.len()).unwrap() + 1;
        let at = 1_800_000_000_000 + i64::try_from(version).unwrap();
        self.events.push(decoded(self.room, version, at, user, event).encode().unwrap());
        self.events.last().unwrap().clone()
    }

    /// Changes the room's settings.
    pub(crate) fn change(&mut self, name: &str) -> RawEvent {
        self.revision += 1;
        self.settings.name = name.to_owned();
        let changed = RoomChanged { room: self.room_now() };
        self.push("admin", changed.into())
    }

    /// Reserves from one hour of [`DAY`] to another.
    pub(crate) fn reserve(&mut self, user: &str, from_hour: u32, to_hour: u32) -> Reservation {
        let reservation = Reservation {
            id: ReservationId::made_in(self.room, ids::new_id()),
            revision: 1,
            room: self.room,
            time_zone: self.settings.time_zone,
            from: hour(from_hour),
            to: hour(to_hour),
            offsets: None,
            busy: None,
            people: 2,
            title: Some("$5 lunch $$x".to_owned()),
            reserved_for: None,
            reserved_by: UserId::new(user).unwrap(),
            booked_by: None,
            series: None,
        };
        self.push(user, ReservationMade { reservation: reservation.clone() }.into());
        reservation
    }

    pub(crate) fn reschedule(&mut self, old: &Reservation, from_hour: u32, to_hour: u32) -> Reservation {
        let mut reservation = old.clone();
        reservation.revision += 1;
        reservation.from = hour(from_hour);
        reservation.to = hour(to_hour);
        let event = ReservationRescheduled { reservation: reservation.clone(), previous: old.place() };
        self.push(old.reserved_by.as_str(), event.into());
        reservation
    }

    pub(crate) fn cancel(&mut self, old: &Reservation) -> Reservation {
        let mut reservation = old.clone();
        reservation.revision += 1;
        self.push(old.reserved_by.as_str(), ReservationCancelled { reservation: reservation.clone() }.into());
        reservation
    }

    /// Moves a reservation from this room to another.
    pub(crate) fn move_to(&mut self, other: &mut Self, old: &Reservation) -> Reservation {
        let previous: Place = old.place();
        let mut reservation = old.clone();
        reservation.revision += 1;
        reservation.room = other.room;
        let user = old.reserved_by.as_str();
        self.push(user, ReservationMovedOut { reservation: reservation.clone(), previous }.into());
        other.push(user, ReservationMovedIn { reservation: reservation.clone(), previous }.into());
        reservation
    }

    /// The latest version.
    pub(crate) fn head(&self) -> u64 {
        u64::try_from(self.events.len()).unwrap()
    }
}

pub(crate) fn hour(hour: u32) -> shared_events::Minute {
    format!("{DAY}T{hour:02}:00:00Z").parse().unwrap()
}

/// Usage of rooms on [`DAY`].
pub(crate) async fn usage_of(store: &dyn Queries, rooms: &[RoomId]) -> Vec<UsageDoc> {
    let days = shared_events::Interval { from: hour(0), to: hour(23) };
    store.usage(rooms, Month::around(days)).await.unwrap()
}

/// Reserved minutes of rooms on [`DAY`], once all usage is written.
pub(crate) async fn reserved_minutes(store: &dyn Store, rooms: &[RoomId]) -> u64 {
    settle(store).await;
    usage_of(store, rooms).await.iter().map(UsageDoc::all_minutes).sum()
}
