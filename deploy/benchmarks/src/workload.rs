//! Events as a year of 500 rooms brings them: reservations made, changed and cancelled.

use std::{collections::HashMap, sync::Arc};

use anyhow::Result;
use command_service::event_store::{EventStore, Group, mysql::MySqlStore};
use shared_events::{
    Envelope, Event, Metadata, Minute, RecordedEvent, Reservation, ReservationId, Room, RoomId, RoomSettings,
    TimeZone, Timestamp, UserId,
    reservation_events::{ReservationCancelled, ReservationMade, ReservationRescheduled},
    room_events::RoomRegistered,
};
use uuid::Uuid;

pub(crate) const ROOMS: u64 = 500;
/// 2033-05-18T03:00:00Z.
const FIRST_MINUTE: i64 = 2_000_000_000 / 3600 * 60;
const HOURS: u64 = 365 * 24;
/// Events of one transaction of a backlog.
const TRANSACTION: usize = 1000;

/// Every room of a [`Workload`].
pub(crate) fn rooms() -> impl Iterator<Item = RoomId> {
    (0..ROOMS)
        .map(|number| RoomId(Uuid::from_u64_pair(0x0198_0000_0002_7000, 0x8000_0000_0000_0000 | number)))
}

/// Events in the order in which they were committed: first the rooms, then of 100 events 65 make a reservation, 16 change
/// one and 19 cancel one. The same ones each time.
pub(crate) struct Workload {
    rooms: Vec<RoomId>,
    /// Versions of the rooms, and their reservations.
    state: HashMap<RoomId, (u64, Vec<Reservation>)>,
    registered: usize,
    made: u64,
    chance: u64,
}

impl Workload {
    pub(crate) fn new() -> Self {
        Self { rooms: rooms().collect(), state: HashMap::new(), registered: 0, made: 0, chance: 7 }
    }

    /// Splitmix: even enough, and the same everywhere.
    fn below(&mut self, bound: u64) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn stay(&mut self) -> (Minute, Minute) {
        let hour = i64::try_from(self.below(HOURS)).unwrap_or_default();
        let from = Minute::from_epoch_minutes(FIRST_MINUTE + hour * 60).unwrap_or(Minute::EARLIEST);
        (from, from.plus(60).unwrap_or(Minute::LATEST))
    }

    fn register(&mut self, room: RoomId) -> Event {
        let number = self.registered;
        self.registered += 1;
        let settings = RoomSettings {
            name: format!("Room {number}"),
            kind: format!("Kind {}", number % 20),
            capacity: 12,
            time_zone: TimeZone(chrono_tz::Europe::Lisbon),
            opening_hours: None,
            slot_minutes: None,
            min_minutes: None,
            max_minutes: None,
            max_days_ahead: None,
        };
        RoomRegistered { room: Room { id: room, revision: 1, settings } }.into()
    }

    fn make(&mut self, room: RoomId) -> Reservation {
        let (from, to) = self.stay();
        self.made += 1;
        let unique = Uuid::from_u64_pair(0x0198_0001_0000_7000, 0x8000_0000_0000_0000 | self.made << 32);
        let caller = self.below(2000);
        Reservation {
            id: ReservationId::made_in(room, unique),
            revision: 1,
            room,
            time_zone: TimeZone(chrono_tz::Europe::Lisbon),
            from,
            to,
            people: 4,
            title: Some("Planning of the quarter".to_owned()),
            reserved_for: Some("The whole team".to_owned()),
            reserved_by: UserId(format!("caller-{caller}@example.com")),
        }
    }

    fn event(&mut self, room: RoomId) -> Event {
        let (of_hundred, (from, to)) = (self.below(100), self.stay());
        let which = self.below(u64::MAX);
        let live = self.state.get_mut(&room).map(|(_, live)| live).filter(|live| !live.is_empty());
        if let (65.., Some(live)) = (of_hundred, live) {
            let which = usize::try_from(which).unwrap_or_default() % live.len();
            let mut reservation = live.swap_remove(which);
            reservation.revision += 1;
            if of_hundred >= 81 {
                return ReservationCancelled { reservation }.into();
            }
            let previous = reservation.place();
            (reservation.from, reservation.to) = (from, to);
            live.push(reservation.clone());
            return ReservationRescheduled { reservation, previous }.into();
        }
        let reservation = self.make(room);
        self.state.entry(room).or_default().1.push(reservation.clone());
        ReservationMade { reservation }.into()
    }
}

impl Iterator for Workload {
    type Item = RecordedEvent;

    fn next(&mut self) -> Option<RecordedEvent> {
        let unregistered = self.rooms.get(self.registered).copied();
        let event = match unregistered {
            Some(room) => (room, self.register(room)),
            None => {
                let which = usize::try_from(self.below(ROOMS)).ok()?;
                let room = *self.rooms.get(which)?;
                (room, self.event(room))
            }
        };
        let (room, event) = event;
        let version = &mut self.state.entry(room).or_default().0;
        *version += 1;
        let time = Timestamp::from_epoch_millis(1_900_000_000_000);
        let metadata = Metadata {
            time,
            subject: event.subject(),
            actor: UserId("caller-1@example.com".to_owned()),
            correlation_id: format!("01980000-0000-7000-9000-{:012x}", *version),
            causation_id: format!("01980000-0000-7000-a000-{:012x}", *version),
            traceparent: None,
        };
        Some(Envelope { room, version: *version, metadata, recorded_at: time, event }.record())
    }
}

/// Commits events with their outbox rows, in transactions of 1,000, as if nobody had relayed for a while.
///
/// # Errors
/// When the store refuses.
pub(crate) async fn commit(
    database_url: &str,
    mut events: impl Iterator<Item = RecordedEvent>,
) -> Result<()> {
    let store = Arc::new(MySqlStore::open(database_url, 1, None)?);
    store.migrate().await?;
    loop {
        let group = Group { events: events.by_ref().take(TRANSACTION).collect(), ..Group::default() };
        if group.events.is_empty() {
            store.close().await;
            return Ok(());
        }
        store.append(&group).await?;
    }
}
