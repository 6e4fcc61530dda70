//! Histories as the command service would write them, made from small steps.

use std::collections::{BTreeMap, BTreeSet};

use shared_events::{
    Closure, ClosureId, DecodedEvent, Event, Interval, MaxAhead, Minute, OpenDay, OpeningHours, OpeningSpan,
    Reservation, ReservationId, Room, RoomId, RoomSettings, SeriesId, Timestamp, UserId,
    closure_events::{ClosureAdded, ClosureLifted},
    reservation_events::{
        ReservationCancelled, ReservationMade, ReservationMovedIn, ReservationMovedOut,
        ReservationRescheduled, ReservationRestored,
    },
    room_events::{RoomChanged, RoomRegistered, RoomRetired},
};
use uuid::Uuid;

use crate::{
    conformance_steps::{ANCHORS, ROOMS, Step, USERS, ZONES},
    events::decoded,
};

const KINDS: [&str; 2] = ["meeting", "$suite.a"];
const TITLES: [&str; 5] = ["$5 lunch", "$$ROOT", "a.b: {\"$gt\": 1}", "", "plain"];

pub(crate) struct RoomState {
    pub(crate) id: RoomId,
    pub(crate) settings: RoomSettings,
    pub(crate) retired: bool,
    revision: u32,
    version: u64,
}

impl RoomState {
    fn now(&self) -> Room {
        Room { id: self.id, revision: self.revision, settings: self.settings.clone() }
    }
}

/// The events, and the state after them.
pub(crate) struct History {
    pub(crate) events: Vec<DecodedEvent>,
    pub(crate) rooms: Vec<RoomState>,
    pub(crate) live: BTreeMap<ReservationId, Reservation>,
    /// With the room in which each was cancelled.
    cancelled: Vec<Reservation>,
    pub(crate) all: BTreeSet<ReservationId>,
    /// Closures that are not lifted.
    pub(crate) closures: BTreeMap<ClosureId, Closure>,
    closures_ever: u128,
}

pub(crate) fn history(steps: &[Step]) -> History {
    let mut history = History {
        events: Vec::new(),
        rooms: Vec::new(),
        live: BTreeMap::new(),
        cancelled: Vec::new(),
        all: BTreeSet::new(),
        closures: BTreeMap::new(),
        closures_ever: 0,
    };
    for number in 0..ROOMS {
        history.register(number);
    }
    for step in steps {
        history.take(*step);
    }
    history
}

impl History {
    pub(crate) fn room_ids(&self) -> Vec<RoomId> {
        self.rooms.iter().map(|room| room.id).collect()
    }

    /// Live reservations of a room in the order of its schedule.
    pub(crate) fn live_in(&self, room: RoomId) -> Vec<&Reservation> {
        let mut live: Vec<_> = self.live.values().filter(|reservation| reservation.room == room).collect();
        live.sort_by_key(|reservation| (reservation.from, reservation.id));
        live
    }

    fn append(&mut self, room: usize, actor: &str, event: impl Into<Event>) {
        // Some events have equal times, and some are earlier than those before them, as after an import.
        let at = 1_780_000_000_000 + i64::try_from(self.events.len() * 7 % 50 / 3).unwrap();
        let state = &mut self.rooms[room];
        state.version += 1;
        self.events.push(decoded(state.id, state.version, at, actor, event.into()));
    }

    fn register(&mut self, number: u8) {
        let settings = RoomSettings {
            // Two rooms of one name.
            name: if number == 1 { "Room 0".into() } else { format!("Room {number}") },
            kind: KINDS[usize::from(number % 2)].into(),
            capacity: u32::from(number) + 1,
            time_zone: ZONES[usize::from(number)].parse().unwrap(),
            opening_hours: (number == 2).then(office_hours),
            slot_minutes: match number {
                1 => Some(1440),
                3 => Some(30),
                _ => None,
            },
            min_minutes: (number == 2).then_some(90),
            max_minutes: (number == 3).then_some(600),
            buffer_before: number.is_multiple_of(3).then_some(17),
            buffer_after: (number == 0 || number == 4).then_some(45),
            max_days_ahead: (number == 4).then_some(10),
            building: Some(if number < 2 { "$main".into() } else { format!("b{}", number % 2) }),
            floor: (number != 2).then(|| "2".into()),
            attributes: if number == 4 {
                Vec::new()
            } else {
                words(&["projector", "$screen"][..usize::from(number % 2) + 1])
            },
            bookable_by: if number == 3 { words(&["staff"]) } else { Vec::new() },
            max_ahead: match number {
                2 => Some(MaxAhead { reservations: Some(3), minutes: None }),
                4 => Some(MaxAhead { reservations: None, minutes: Some(1500) }),
                _ => None,
            },
        };
        let id = RoomId(Uuid::from_u128(
            0x0199_0000_0000_7000_8000_0000_0000_0000 + u128::from(number.wrapping_mul(77)),
        ));
        let state = RoomState { id, settings, retired: false, revision: 1, version: 0 };
        let room = state.now();
        self.rooms.push(state);
        self.append(self.rooms.len() - 1, "admin", RoomRegistered { room });
    }

    /// A stay with the buffers of a room.
    fn busy(&self, room: usize, stay: Interval) -> Interval {
        let minutes = |buffer: Option<u32>| i64::from(buffer.unwrap_or_default());
        let settings = &self.rooms[room].settings;
        let from = stay.from.plus(-minutes(settings.buffer_before)).unwrap();
        Interval { from, to: stay.to.plus(minutes(settings.buffer_after)).unwrap() }
    }

    fn is_free(&self, room: RoomId, stay: Interval, but: Option<ReservationId>) -> bool {
        self.live
            .values()
            .filter(|other| other.room == room && Some(other.id) != but)
            .all(|other| !other.busy_interval().overlaps(stay))
    }

    fn take(&mut self, step: Step) {
        let room = usize::from(step.room);
        let start: Minute = ANCHORS[usize::from(step.anchor)].parse().unwrap();
        let from = start.plus(i64::from(step.start)).unwrap();
        let stay = Interval { from, to: from.plus(i64::from(step.length)).unwrap() };
        let held = self.live_in(self.rooms[room].id);
        let chosen = held.get(usize::from(step.user) % held.len().max(1)).map(|held| (*held).clone());
        match (step.action, chosen) {
            (0..9, _) => self.make(room, stay, step),
            (9, _) => self.restore(room, step),
            (10..13, Some(held)) => self.reschedule(room, held, stay, step),
            (13..16, Some(held)) => self.move_to(room, usize::from(step.other), held, stay, step),
            (16..18, Some(reservation)) => {
                let reservation = Reservation { revision: reservation.revision + 1, ..reservation };
                self.live.remove(&reservation.id);
                self.cancelled.push(reservation.clone());
                self.append(room, USERS[usize::from(step.user)], ReservationCancelled { reservation });
            }
            (18, _) => self.change_room(room, step),
            (19, _) if seldom(step) => self.retire(room),
            (20..22, _) => self.close(room, stay, step),
            (22, _) => self.lift(room),
            _ => {}
        }
    }

    fn make(&mut self, room: usize, stay: Interval, step: Step) {
        let state = &self.rooms[room];
        let busy = self.busy(room, stay);
        if state.retired || !self.is_free(state.id, busy, None) {
            return;
        }
        let unique =
            0x0199_0000_0000_7000_8000_0000_0000_0000 + ((self.all.len() as u128 * 7919 % 1009) << 40);
        let title = TITLES[usize::from(step.other)];
        let mut reservation = Reservation {
            id: ReservationId::made_in(state.id, Uuid::from_u128(unique)),
            revision: 1,
            room: state.id,
            time_zone: state.settings.time_zone,
            from: stay.from,
            to: stay.to,
            offsets: None,
            busy: None,
            people: 1 + u32::from(step.length % 7),
            title: (!title.is_empty()).then(|| title.into()),
            reserved_for: (step.user == 1).then(|| "$$NOW".into()),
            reserved_by: UserId::new(USERS[usize::from(step.user)]).unwrap(),
            booked_by: (step.other == 1 && step.user != 2).then(|| UserId::new(USERS[2]).unwrap()),
            series: (step.other == 2).then(|| SeriesId(Uuid::from_u128(unique))),
        };
        reservation.set_interval(stay, busy, state.settings.time_zone);
        self.all.insert(reservation.id);
        self.live.insert(reservation.id, reservation.clone());
        self.append(room, USERS[usize::from(step.user)], ReservationMade { reservation });
    }

    fn reschedule(&mut self, room: usize, held: Reservation, stay: Interval, step: Step) {
        let previous = held.place();
        let mut reservation = Reservation { revision: held.revision + 1, ..held };
        if step.other == 0 {
            reservation.people += 1;
        } else if self.is_free(previous.room, self.busy(room, stay), Some(reservation.id)) {
            reservation.set_interval(stay, self.busy(room, stay), self.rooms[room].settings.time_zone);
        } else {
            return;
        }
        self.live.insert(reservation.id, reservation.clone());
        self.append(room, "admin", ReservationRescheduled { reservation, previous });
    }

    fn move_to(&mut self, room: usize, other: usize, held: Reservation, stay: Interval, step: Step) {
        let target = &self.rooms[other];
        let stay = if step.user == 0 { stay } else { held.interval() };
        let busy = self.busy(other, stay);
        if other == room || target.retired || !self.is_free(target.id, busy, None) {
            return;
        }
        let previous = held.place();
        let mut reservation = Reservation { revision: held.revision + 1, room: target.id, ..held };
        reservation.set_interval(stay, busy, target.settings.time_zone);
        self.live.insert(reservation.id, reservation.clone());
        let actor = USERS[usize::from(step.user)];
        self.append(room, actor, ReservationMovedOut { reservation: reservation.clone(), previous });
        self.append(other, actor, ReservationMovedIn { reservation, previous });
    }

    /// Restores what was cancelled last: into its room, or into this one, where an earlier revision may have been.
    fn restore(&mut self, room: usize, step: Step) {
        let Some(last) = self.cancelled.pop() else { return };
        let room =
            if step.user == 0 { Some(room) } else { self.rooms.iter().position(|room| room.id == last.room) };
        let Some(room) = room.filter(|room| !self.rooms[*room].retired) else { return };
        let id = self.rooms[room].id;
        let before = self.rooms.iter().position(|room| room.id == last.room).unwrap();
        if self.rooms[before].retired || !self.is_free(id, last.busy_interval(), None) {
            return;
        }
        let cancelled_in = last.room;
        let reservation = Reservation { revision: last.revision + 1, room: id, ..last };
        self.live.insert(reservation.id, reservation.clone());
        let event = ReservationRestored { restores: reservation.revision - 2, reservation, cancelled_in };
        let actor = USERS[usize::from(step.user)];
        if before != room {
            self.append(before, actor, event.clone());
        }
        self.append(room, actor, event);
    }

    fn close(&mut self, room: usize, during: Interval, step: Step) {
        if self.rooms[room].retired {
            return;
        }
        self.closures_ever += 1;
        let id =
            ClosureId(Uuid::from_u128(0x0199_0000_0000_8000_8000_0000_0000_0000 + self.closures_ever % 7));
        let kind = (step.user == 1).then(|| KINDS[0].to_owned());
        let closure = Closure {
            id,
            room: self.rooms[room].id,
            from: during.from,
            to: during.to,
            reason: "$closed".into(),
            kind,
            all: step.user == 2,
        };
        // A room has a closure once.
        if self.closures.contains_key(&id) {
            return;
        }
        self.closures.insert(id, closure.clone());
        self.append(room, "admin", ClosureAdded { closure, hits: Vec::new(), more_hits: None });
    }

    fn lift(&mut self, room: usize) {
        let here = self.rooms[room].id;
        let Some(closure) = self.closures.values().find(|closure| closure.room == here).cloned() else {
            return;
        };
        self.closures.remove(&closure.id);
        let from = closure.from.start().epoch_millis();
        let half = from + closure.interval().minutes() * 30_000 + 1;
        self.append(room, "admin", ClosureLifted { closure });
        // Some are lifted before they begin, some half-way, and some after their end.
        let at = [from - 1, half, half, 2 * half - from][self.events.len() % 4];
        let last = self.events.last_mut().unwrap();
        last.metadata.time = Timestamp::from_epoch_millis(at);
    }

    fn change_room(&mut self, room: usize, step: Step) {
        let state = &mut self.rooms[room];
        if state.retired {
            return;
        }
        state.revision += 1;
        state.settings.time_zone = ZONES[usize::from(step.other) + usize::from(step.user)].parse().unwrap();
        if step.user == 2 {
            state.settings.kind = KINDS[usize::from(step.anchor % 2)].into();
            state.settings.name = format!("{} $$", state.settings.name);
        }
        let now = state.now();
        self.append(room, "admin", RoomChanged { room: now });
    }

    pub(crate) fn retire(&mut self, room: usize) {
        let state = &mut self.rooms[room];
        if !state.retired {
            state.retired = true;
            let last = state.now();
            self.append(room, "admin", RoomRetired { room: last });
        }
    }

    /// The events in another possible order of arrival: rooms are mixed, each room is in order.
    pub(crate) fn mixed(&self, seed: u64) -> Vec<DecodedEvent> {
        let mut streams: Vec<Vec<DecodedEvent>> = self
            .rooms
            .iter()
            .map(|room| self.events.iter().rev().filter(|event| event.room == room.id).cloned().collect())
            .collect();
        let mut mixed = Vec::new();
        let mut state = seed;
        while !streams.is_empty() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(state >> 40).unwrap() % streams.len();
            match streams[at].pop() {
                Some(event) => mixed.push(event),
                None => drop(streams.swap_remove(at)),
            }
        }
        mixed
    }
}

/// Rooms are retired seldom: most steps need one that is not.
fn seldom(step: Step) -> bool {
    step.user == 0 && step.other == 0 && step.room == 4
}

/// In order, as in events.
fn words(words: &[&str]) -> Vec<String> {
    words.iter().rev().map(|word| (*word).to_owned()).collect()
}

fn office_hours() -> OpeningHours {
    let of = |opens, closes| OpeningSpan::new(opens, closes).unwrap();
    let span = |opens, closes| OpenDay::from(of(opens, closes));
    OpeningHours {
        monday: OpenDay::new(vec![of(480, 720), of(720, 1000), of(1080, 1560)]).unwrap(),
        tuesday: span(480, 1440),
        wednesday: span(0, 1080),
        friday: span(60, 1440),
        saturday: span(0, 1440),
        sunday: span(0, 150),
        ..Default::default()
    }
}
