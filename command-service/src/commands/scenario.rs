//! Tests of decisions: given events, when a command, then events or a rejection.

use std::collections::HashMap;

use shared_events::{
    Event, Interval, Minute, Offsets, Reservation, ReservationId, Room, RoomId, RoomSettings, Timestamp,
    UserId, Version,
    reservation_events::{
        ReservationCancelled, ReservationMade, ReservationMovedIn, ReservationMovedOut,
        ReservationRescheduled,
    },
    room_events::{RoomChanged, RoomRegistered, RoomRetired},
};
use uuid::Uuid;

use super::{Action, Actor, Alternative, Command, Decision, IfMatch, NewEvent, Origin, Stay};
use crate::domain::{self, Recalled, Rejection, RoomEntry, Rooms, Undo};

/// Monday, 09:00 in Lisbon.
pub(super) const NOW: &str = "2026-06-01T08:00";
/// Time of given events without another one.
const EARLIER: &str = "2026-05-01T08:00";
/// Id of the command, of the room that it registers, and of the reservation that it makes, but for the room's fingerprint.
pub(super) const COMMAND: Uuid = Uuid::from_u128(0x0197_2a00_0000_7000_8000_0000_0000_0001);

/// A model of the event store and the writer's cache.
#[derive(Default)]
pub(super) struct World {
    pub(super) rooms: Rooms,
    pub(super) streams: HashMap<RoomId, Vec<(Timestamp, Event)>>,
    /// Number of whole streams that decisions needed.
    pub(super) whole_reads: usize,
    /// Number of forgotten reservations that decisions needed.
    pub(super) recalls: usize,
}

impl World {
    /// Decides a command like the writer: loads the rooms that the decision needs, and decides again.
    pub(super) fn decide(&mut self, command: &Command) -> Decision {
        for room in command.rooms(&self.rooms.directory) {
            self.load(room);
        }
        for _ in 0..100 {
            match command.decide(&self.rooms) {
                Decision::NeedsRoom(room) => self.load(room),
                Decision::NeedsRecall { room, reservation } => {
                    self.recalls += 1;
                    let about =
                        |event: &Event| event.reservation().is_some_and(|about| about.id == reservation);
                    let stream = self.streams.get(&room).into_iter().flatten();
                    let last = stream.rev().map(|(_, event)| event).find(|event| about(event));
                    self.rooms.recall(room, reservation, Recalled::by(room, last));
                }
                Decision::NeedsWholeStream(room) => {
                    self.whole_reads += 1;
                    let whole = self.fold(domain::Room::whole(room));
                    self.rooms.insert_whole(whole);
                }
                decision => {
                    self.rooms.forget_again();
                    return decision;
                }
            }
        }
        panic!("the decision needs something for ever: {command:?}");
    }

    /// The room after all events of its stream.
    pub(super) fn fold(&self, mut room: domain::Room) -> domain::Room {
        for ((time, event), version) in
            self.streams.get(&room.id()).into_iter().flatten().zip((1..).map(Version::from))
        {
            room.apply(version, *time, event).unwrap();
        }
        room
    }

    pub(super) fn commit(&mut self, time: Timestamp, new: &NewEvent) -> Undo {
        self.load(new.room);
        let stream = self.streams.entry(new.room).or_default();
        stream.push((time, new.event.clone()));
        let room = self.rooms.get_mut(new.room).unwrap();
        let undo = room.apply((stream.len() as u64).into(), time, &new.event).unwrap();
        if let Some(entry) = RoomEntry::after(&new.event) {
            self.rooms.directory.upsert(entry);
        }
        undo
    }

    fn load(&mut self, room: RoomId) {
        if !self.rooms.contains(room) {
            let folded = self.fold(domain::Room::new(room));
            self.rooms.insert(folded);
        }
    }
}

pub(super) struct Given(World);

pub(super) fn given(events: impl IntoIterator<Item = NewEvent>) -> Given {
    Given(World::default()).and_at(EARLIER, events)
}

impl Given {
    pub(super) fn and_at(mut self, time: &str, events: impl IntoIterator<Item = NewEvent>) -> Self {
        for event in events {
            self.0.commit(timestamp(time), &event);
        }
        self
    }

    /// Sent at [`NOW`] by Ana, not an administrator.
    pub(super) fn when(self, action: Action) -> When {
        let actor =
            Actor { user: UserId::new("ana").unwrap(), admin: false, delegate: false, roles: Vec::new() };
        let now = timestamp(NOW);
        let command =
            Command { id: COMMAND, actor, now, origin: Origin::Request, if_match: IfMatch::Any, action };
        When { world: self.0, command }
    }
}

pub(super) struct When {
    world: World,
    command: Command,
}

impl When {
    pub(super) fn at(mut self, time: &str) -> Self {
        self.command.now = timestamp(time);
        self
    }

    pub(super) fn by(mut self, user: &str) -> Self {
        self.command.actor.user = UserId::new(user).unwrap();
        self
    }

    pub(super) fn with_role(mut self, role: &str) -> Self {
        self.command.actor.roles.push(role.to_owned());
        self
    }

    pub(super) fn by_admin(mut self) -> Self {
        self.command.actor =
            Actor { user: UserId::new("root").unwrap(), admin: true, delegate: false, roles: Vec::new() };
        self
    }

    pub(super) fn by_delegate(mut self, user: &str) -> Self {
        self.command.actor.delegate = true;
        self.by(user)
    }

    pub(super) fn imported_at(mut self, time: &str) -> Self {
        self.command.origin = Origin::Import;
        self.at(time)
    }

    pub(super) fn if_match(mut self, revision: u32) -> Self {
        self.command.if_match = IfMatch::Revision(revision);
        self
    }

    /// The decision, and the number of whole streams that it needed.
    pub(super) fn decided(mut self) -> (Decision, usize) {
        let decision = self.world.decide(&self.command);
        (decision, self.world.whole_reads)
    }

    /// What is offered in place of a rejected stay.
    #[track_caller]
    pub(super) fn alternatives(mut self) -> Vec<Alternative> {
        match self.world.decide(&self.command) {
            Decision::Rejected(rejection) => self.command.alternatives(&self.world.rooms, &rejection),
            other => panic!("{other:?}"),
        }
    }

    /// The decision, which needed no whole stream, and the number of forgotten reservations that it needed.
    #[track_caller]
    pub(super) fn decided_by_recalls(mut self) -> (Decision, usize) {
        let decision = self.world.decide(&self.command);
        assert_eq!(self.world.whole_reads, 0);
        (decision, self.world.recalls)
    }

    #[track_caller]
    pub(super) fn then(self, events: impl IntoIterator<Item = NewEvent>) {
        assert_eq!(self.decided().0, Decision::Events(events.into_iter().collect()));
    }

    #[track_caller]
    pub(super) fn accepted(self) {
        let decision = self.decided().0;
        assert!(matches!(decision, Decision::Events(_)), "{decision:?}");
    }

    #[track_caller]
    pub(super) fn rejected(self, rejection: impl Into<Rejection>) {
        assert_eq!(self.decided().0, Decision::Rejected(rejection.into()));
    }

    #[track_caller]
    pub(super) fn unchanged(self, room: RoomId, reservation: Option<ReservationId>, revision: u32) {
        assert_eq!(self.decided().0, Decision::Unchanged { room, reservation, revision });
    }
}

/// `2026-06-01T08:00` in UTC, or a whole RFC 3339 time.
fn full(time: &str) -> String {
    if time.len() == "2026-06-01T08:00".len() { format!("{time}:00Z") } else { time.to_owned() }
}

pub(super) fn timestamp(time: &str) -> Timestamp {
    full(time).parse().unwrap()
}

pub(super) fn minute(time: &str) -> Minute {
    full(time).parse().unwrap()
}

pub(super) fn room_id(n: u128) -> RoomId {
    RoomId(Uuid::from_u128(n))
}

/// The reservation that the command makes.
pub(super) fn new_reservation(room: RoomId) -> ReservationId {
    ReservationId::made_in(room, COMMAND)
}

pub(super) fn stay(from: &str, to: &str) -> Stay {
    let interval = Interval { from: minute(from), to: minute(to) };
    Stay { interval, people: 2, title: None, reserved_for: None, reserved_by: None }
}

/// A meeting room in Lisbon for four people, without other limits.
pub(super) fn settings(name: &str) -> RoomSettings {
    RoomSettings {
        name: name.into(),
        kind: "meeting".into(),
        capacity: 4,
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
    }
}

/// Room number `n`, named after its number, with changed settings.
pub(super) fn room_with(n: u128, change: impl FnOnce(&mut RoomSettings)) -> NewEvent {
    let mut settings = settings(&format!("room {n}"));
    change(&mut settings);
    let room = Room { id: room_id(n), revision: 1, settings };
    NewEvent { room: room.id, event: RoomRegistered { room }.into() }
}

pub(super) fn room(n: u128) -> NewEvent {
    room_with(n, |_| ())
}

pub(super) fn room_changed(n: u128, revision: u32, change: impl FnOnce(&mut RoomSettings)) -> NewEvent {
    let mut settings = settings(&format!("room {n}"));
    change(&mut settings);
    let room = Room { id: room_id(n), revision, settings };
    NewEvent { room: room.id, event: RoomChanged { room }.into() }
}

pub(super) fn room_retired(n: u128, revision: u32) -> NewEvent {
    let room = Room { id: room_id(n), revision, settings: settings(&format!("room {n}")) };
    NewEvent { room: room.id, event: RoomRetired { room }.into() }
}

/// Ana's reservation number `n`, made in room 1.
pub(super) fn reservation(n: u128, from: &str, to: &str) -> Reservation {
    decided(Reservation {
        id: ReservationId::made_in(room_id(1), Uuid::from_u128(n << 64)),
        revision: 1,
        room: room_id(1),
        time_zone: "Europe/Lisbon".parse().unwrap(),
        from: minute(from),
        to: minute(to),
        offsets: None,
        busy: None,
        people: 2,
        title: None,
        reserved_for: None,
        reserved_by: UserId::new("ana").unwrap(),
        booked_by: None,
        series: None,
    })
}

/// The reservation with the offsets of its zone.
fn decided(reservation: Reservation) -> Reservation {
    let offsets = Offsets::of(reservation.interval(), reservation.time_zone);
    Reservation { offsets: Some(offsets), ..reservation }
}

pub(super) fn made(reservation: &Reservation) -> NewEvent {
    NewEvent { room: reservation.room, event: ReservationMade { reservation: reservation.clone() }.into() }
}

pub(super) fn rescheduled(before: &Reservation, after: &Reservation) -> NewEvent {
    let event = ReservationRescheduled { reservation: after.clone(), previous: before.place() };
    NewEvent { room: after.room, event: event.into() }
}

pub(super) fn moved(before: &Reservation, after: &Reservation) -> [NewEvent; 2] {
    let (reservation, previous) = (after.clone(), before.place());
    let out = ReservationMovedOut { reservation: reservation.clone(), previous };
    let into = ReservationMovedIn { reservation, previous };
    [NewEvent { room: before.room, event: out.into() }, NewEvent { room: after.room, event: into.into() }]
}

/// The cancellation, with the next revision.
pub(super) fn cancelled(before: &Reservation) -> NewEvent {
    let reservation = Reservation { revision: before.revision + 1, ..before.clone() };
    NewEvent { room: before.room, event: ReservationCancelled { reservation }.into() }
}

/// The same reservation after a change.
pub(super) fn after(before: &Reservation, change: impl FnOnce(&mut Reservation)) -> Reservation {
    let mut after = Reservation { revision: before.revision + 1, ..before.clone() };
    change(&mut after);
    decided(after)
}

/// The rejection that names this reservation.
pub(super) fn overlap(other: &Reservation) -> Rejection {
    Rejection::Overlap { reservation: other.id, from: other.from, to: other.to }
}
