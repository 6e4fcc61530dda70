//! Generates the events of rooms: mostly new reservations, of which some change, move or end before they begin.
//! The same shape gives the same events.

use anyhow::{Context, Result};
use shared_events::{
    DecodedEvent, Event, Interval, Metadata, Minute, Offsets, Reservation, ReservationId, RoomId,
    RoomSettings, TimeZone, Timestamp, UserId,
    reservation_events::{
        ReservationCancelled, ReservationMade, ReservationMovedIn, ReservationMovedOut,
        ReservationRescheduled,
    },
    room_events::{Room, RoomRegistered},
};
use system_tests::Random;
use uuid::Uuid;

/// 1 March 2027, a Monday.
const FIRST_MINUTE: i64 = 30_064_320;
/// Minutes of half a day.
pub(crate) const HALF_DAY: i64 = 12 * 60;
/// The number of a room's latest reservations that have not begun and may change.
const AHEAD: usize = 40;
const ZONES: [&str; 4] = ["Europe/Lisbon", "Europe/Berlin", "America/New_York", "Asia/Kolkata"];
const TITLES: [&str; 8] = [
    "Planning of the quarter",
    "Weekly",
    "Interview with a candidate",
    "Retrospective of the team",
    "Budget",
    "A call with the suppliers",
    "Training: first aid at work",
    "One to one",
];

/// The mixture of events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) rooms: usize,
    pub(crate) users: u64,
    /// Minutes from the slot of one stay to that of the room's next stay. A stay lies in its slot's first twelve hours.
    pub(crate) slot: i64,
    /// Percentages of new reservations, changes and moves (two events each). The rest are cancellations.
    pub(crate) made: u64,
    pub(crate) changed: u64,
    pub(crate) moved: u64,
}

impl Shape {
    /// A mixture as in real use.
    pub(crate) const fn mixed(rooms: usize, users: u64) -> Self {
        Self { rooms, users, slot: HALF_DAY, made: 66, changed: 15, moved: 1 }
    }

    /// New reservations only.
    pub(crate) const fn only_made(rooms: usize, users: u64) -> Self {
        Self { rooms, users, slot: HALF_DAY, made: 100, changed: 0, moved: 0 }
    }
}

#[derive(Debug)]
pub(crate) struct EventGenerator {
    shape: Shape,
    rooms: Vec<RoomState>,
    random: Random,
    events: u64,
}

#[derive(Debug)]
struct RoomState {
    id: RoomId,
    zone: TimeZone,
    version: u64,
    /// The number of slots in use.
    slots: i64,
    /// Reservations that have not begun, each with the start of its slot.
    ahead: Vec<(Reservation, i64)>,
}

impl EventGenerator {
    /// Returns the events that register the rooms, too.
    fn new(shape: Shape) -> Result<(Self, Vec<DecodedEvent>)> {
        let random = Random::new(0x9e37_79b9_7f4a_7c15);
        let mut all = Self { shape, rooms: Vec::new(), random, events: 0 };
        let mut registered = Vec::new();
        for number in 0..shape.rooms {
            let zone: TimeZone = ZONES.get(number % ZONES.len()).context("a zone")?.parse()?;
            let id = RoomId(Uuid::from_u128(all.unique()));
            all.rooms.push(RoomState { id, zone, version: 0, slots: 0, ahead: Vec::new() });
            let settings = RoomSettings {
                name: format!("Room {number:05}"),
                kind: format!("Kind {:02}", number % 20),
                capacity: 12,
                time_zone: zone,
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
            let event = RoomRegistered { room: Room { id, revision: 1, settings } };
            registered.push(all.decoded(number, event.into())?);
        }
        Ok((all, registered))
    }

    /// Adds one event, or the two of a move.
    fn next(&mut self, events: &mut Vec<DecodedEvent>) -> Result<()> {
        let room = self.random.index(self.rooms.len());
        let Shape { made, changed, moved, .. } = self.shape;
        let part = self.random.draw() % 100;
        let ahead = self.room(room)?.ahead.len();
        if part < made || ahead == 0 {
            return self.make(room, events);
        }
        let at = self.random.index(ahead);
        let (mut reservation, slot) = self.room(room)?.ahead.swap_remove(at);
        let event = if part < made + changed {
            let previous = reservation.place();
            reservation.revision += 1;
            let stay = self.stay(slot)?;
            (reservation.from, reservation.to) = (stay.from, stay.to);
            self.room(room)?.ahead.push((reservation.clone(), slot));
            ReservationRescheduled { reservation: reservation.clone(), previous }.into()
        } else if part < made + changed + moved && self.rooms.len() > 1 {
            let other = (room + 1) % self.rooms.len();
            return self.move_to(room, other, reservation, events);
        } else {
            ReservationCancelled { reservation: reservation.clone() }.into()
        };
        events.push(self.decoded(room, event)?);
        Ok(())
    }

    fn make(&mut self, room: usize, events: &mut Vec<DecodedEvent>) -> Result<()> {
        let unique = self.time_ordered();
        let slot = self.next_slot(room)?;
        let stay = self.stay(slot)?;
        let user = self.random.draw() % self.shape.users;
        let people = u32::try_from(1 + self.random.draw() % 12)?;
        let title = self.random.index(TITLES.len());
        let state = self.room(room)?;
        let reservation = Reservation {
            id: ReservationId::made_in(state.id, unique),
            revision: 1,
            room: state.id,
            time_zone: state.zone,
            from: stay.from,
            to: stay.to,
            offsets: Some(Offsets::of(stay, state.zone)),
            busy: None,
            people,
            title: TITLES.get(title).map(|title| (*title).to_owned()),
            reserved_for: people.is_multiple_of(4).then(|| "The whole team".to_owned()),
            reserved_by: UserId::new(format!("user-{user}@example.com"))?,
            booked_by: None,
            series: None,
        };
        state.ahead.push((reservation.clone(), slot));
        if state.ahead.len() > AHEAD {
            state.ahead.remove(0);
        }
        events.push(self.decoded(room, ReservationMade { reservation }.into())?);
        Ok(())
    }

    fn move_to(
        &mut self,
        from: usize,
        to: usize,
        mut reservation: Reservation,
        events: &mut Vec<DecodedEvent>,
    ) -> Result<()> {
        let previous = reservation.place();
        let slot = self.next_slot(to)?;
        let stay = self.stay(slot)?;
        let state = self.room(to)?;
        reservation.revision += 1;
        (reservation.room, reservation.time_zone) = (state.id, state.zone);
        (reservation.from, reservation.to) = (stay.from, stay.to);
        state.ahead.push((reservation.clone(), slot));
        let left = ReservationMovedOut { reservation: reservation.clone(), previous };
        let entered = ReservationMovedIn { reservation, previous };
        events.push(self.decoded(from, left.into())?);
        events.push(self.decoded(to, entered.into())?);
        Ok(())
    }

    fn decoded(&mut self, room: usize, event: Event) -> Result<DecodedEvent> {
        self.events += 1;
        let at = Timestamp::from_epoch_millis(1_767_225_600_000 + i64::try_from(self.events)?);
        let actor = match event.reservation() {
            Some(reservation) => reservation.reserved_by.clone(),
            None => UserId::new("admin")?,
        };
        let (correlation, causation) = (self.unique(), self.unique());
        let state = self.room(room)?;
        state.version += 1;
        Ok(DecodedEvent {
            room: state.id,
            version: state.version.into(),
            metadata: Metadata {
                time: at,
                subject: event.subject(),
                actor,
                correlation_id: Uuid::from_u128(correlation).to_string(),
                causation_id: Uuid::from_u128(causation).to_string(),
                traceparent: None,
            },
            recorded_at: at,
            event,
        })
    }

    fn next_slot(&mut self, room: usize) -> Result<i64> {
        let slot = self.shape.slot;
        let state = self.room(room)?;
        state.slots += 1;
        Ok(FIRST_MINUTE + state.slots * slot)
    }

    /// One to four hours in steps of a quarter, in the first half day of a slot.
    fn stay(&mut self, slot: i64) -> Result<Interval> {
        let begin = i64::try_from(self.random.draw() % 32)? * 15;
        let length = i64::try_from(4 + self.random.draw() % 13)? * 15;
        let at = |minute| Minute::from_epoch_minutes(minute).context("a minute");
        Ok(Interval { from: at(slot + begin)?, to: at(slot + begin + length)? })
    }

    fn room(&mut self, room: usize) -> Result<&mut RoomState> {
        self.rooms.get_mut(room).context("no such room")
    }

    /// A UUIDv7, like the ids of real reservations.
    fn time_ordered(&mut self) -> Uuid {
        let millis = u128::from(1_767_225_600_000 + self.events);
        let (high, low) = (self.unique() >> 116, self.unique() >> 66);
        Uuid::from_u128(millis << 80 | 7 << 76 | high << 64 | 2 << 62 | low)
    }

    fn unique(&mut self) -> u128 {
        u128::from(self.random.draw()) << 64 | u128::from(self.random.draw())
    }
}

/// Generates events, registrations included. A move at the end may add one more.
pub(crate) fn events(shape: Shape, count: u64) -> Result<Vec<DecodedEvent>> {
    let count = usize::try_from(count)?;
    let (mut generator, mut events) = EventGenerator::new(shape)?;
    while events.len() < count {
        generator.next(&mut events)?;
    }
    Ok(events)
}
