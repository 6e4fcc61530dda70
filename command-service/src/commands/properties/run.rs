//! Sequences of commands, and the state that their events alone imply.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, sample::Index};
use shared_events::{
    Closure, ClosureId, Interval, MaxAhead, Minute, Reservation, ReservationId, RoomId, RoomSettings,
    SeriesId, Timestamp, UserId,
    closure_events::{ClosureAdded, ClosureLifted},
    reservation_events::*,
    room_events::{RoomChanged, RoomRegistered},
};
use uuid::Uuid;

use crate::commands::{
    Action, Actor, AddClosure, CancelReservation, CancelSeries, ChangeReservation, ChangeRoom, ChangeSeries,
    Command, Decision, Following, IfMatch, LiftClosure, MoveReservation, NewEvent, OnConflict, Origin,
    RegisterRoom, Reserve, ReserveKind, ReserveSeries, RestoreReservation, RetireRoom, Revision, Stay,
    scenario::{World, settings},
};
use crate::domain::{Room, Undo};

/// Number of rooms; the first one has a strict limit.
const ROOMS: u64 = 4;
const USERS: [&str; 2] = ["ana", "ben"];
/// The clock at the first command, in epoch minutes.
const START: i64 = 30_000_000;

/// One command, with times relative to the clock.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Minutes by which the clock moves first; backwards if negative.
    clock: i64,
    origin: Origin,
    admin: bool,
    /// Who sends it, and for whom a new reservation is: an index into [`USERS`].
    user: usize,
    owner: Option<usize>,
    from: i64,
    minutes: i64,
    people: u32,
    kind: Kind,
    room: Index,
    other_room: Index,
    reservation: Index,
    /// Whether the command names the reservation's room.
    says_room: bool,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Reserve,
    ReserveAny,
    Reschedule,
    ChangeEnd,
    Retitle,
    Move,
    MoveInTime,
    Cancel,
    Restore,
    ChangeRoom,
    Retire,
    Series,
    ChangeSeries,
    CancelSeries,
    Close,
    Lift,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => Just(Kind::Reserve),
        2 => Just(Kind::ReserveAny),
        3 => Just(Kind::Reschedule),
        2 => Just(Kind::ChangeEnd),
        1 => Just(Kind::Retitle),
        3 => Just(Kind::Move),
        2 => Just(Kind::MoveInTime),
        3 => Just(Kind::Cancel),
        6 => Just(Kind::Restore),
        1 => Just(Kind::ChangeRoom),
        1 => Just(Kind::Retire),
        2 => Just(Kind::Series),
        4 => Just(Kind::ChangeSeries),
        1 => Just(Kind::CancelSeries),
        1 => Just(Kind::Close),
        2 => Just(Kind::Lift),
    ]
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Mostly small steps forward, with some jumps forth and back.
    let clock = prop_oneof![8 => 0..6_i64, 1 => -60..0_i64, 1 => 20..90_i64];
    let numbers = (clock, -3..40_i64, 1..25_i64, 1..4_u32);
    let origin =
        prop_oneof![7 => Just(Origin::Request), 2 => Just(Origin::Import), 1 => Just(Origin::RollBack)];
    let user = prop_oneof![4 => Just(0_usize), 1 => Just(1)];
    let owner = prop_oneof![3 => Just(None), 1 => (0..USERS.len()).prop_map(Some)];
    let flags = (origin, prop::bool::weighted(0.8), any::<bool>(), user, owner);
    let targets = (any::<Index>(), any::<Index>(), any::<Index>());
    let step = (numbers, flags, kinds(), targets).prop_map(|(numbers, flags, kind, targets)| {
        let (clock, from, minutes, people) = numbers;
        let (origin, admin, says_room, user, owner) = flags;
        let (room, other_room, reservation) = targets;
        Step {
            clock,
            origin,
            admin,
            user,
            owner,
            from,
            minutes,
            people,
            kind,
            room,
            other_room,
            reservation,
            says_room,
        }
    });
    prop::collection::vec(step, 1..80)
}

/// A world, and the state that its events alone imply.
#[derive(Default)]
pub(super) struct Run {
    pub(super) world: World,
    /// All live reservations, past ones included.
    pub(super) live: BTreeMap<ReservationId, Reservation>,
    ever_made: Vec<ReservationId>,
    /// What each reservation was at each of its revisions.
    revisions: BTreeMap<ReservationId, Vec<Revision>>,
    /// Closures that were not lifted.
    pub(super) closures: BTreeMap<(RoomId, ClosureId), Closure>,
    /// The room of each reservation that was cancelled.
    cancelled_in: BTreeMap<ReservationId, RoomId>,
    pub(super) rooms: Vec<RoomId>,
    /// The present settings.
    pub(super) settings: BTreeMap<RoomId, RoomSettings>,
    /// The series that were made, with their rooms.
    pub(super) series: Vec<(RoomId, SeriesId)>,
    clock: i64,
    commands: u64,
}

impl Run {
    pub(super) fn new() -> Self {
        let mut run = Self { clock: START, ..Self::default() };
        for n in 0..ROOMS {
            let mut settings = settings(&format!("room {n}"));
            if n == 0 {
                settings = RoomSettings { capacity: 2, max_minutes: Some(15), ..settings };
            } else if n == 1 {
                settings.max_ahead = Some(MaxAhead { reservations: Some(3), minutes: Some(50) });
            }
            if n == 1 {
                settings = RoomSettings { buffer_before: Some(2), buffer_after: Some(3), ..settings };
            }
            let command =
                run.command(Action::RegisterRoom(RegisterRoom::new(settings)), Origin::Request, true, 0);
            run.rooms.push(RoomId(command.id));
            let Decision::Events(events) = run.world.decide(&command) else { panic!("{command:?}") };
            for event in &events {
                run.commit(command.now, event);
            }
        }
        run
    }

    fn command(&mut self, action: Action, origin: Origin, admin: bool, user: usize) -> Command {
        self.commands += 1;
        let id = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0000 | u128::from(self.commands) << 32);
        let actor = Actor {
            user: name_of(user),
            admin,
            delegate: self.commands.is_multiple_of(2),
            roles: Vec::new(),
        };
        let now = Timestamp::from_epoch_millis(self.clock * 60_000);
        Command { id, actor, now, origin, if_match: IfMatch::Any, action }
    }

    pub(super) fn next(&mut self, step: &Step) -> Command {
        self.clock += step.clock;
        let minute = |minutes| Minute::from_epoch_minutes(minutes).unwrap();
        let interval = Interval {
            from: minute(self.clock + step.from),
            to: minute(self.clock + step.from + step.minutes),
        };
        let stay = Stay {
            interval,
            people: step.people,
            title: None,
            reserved_for: None,
            reserved_by: step.owner.map(name_of),
        };
        let (room, to_room) = (*step.room.get(&self.rooms), *step.other_room.get(&self.rooms));
        let reservation = if self.ever_made.is_empty() {
            ReservationId(Uuid::from_u128(7))
        } else {
            *step.reservation.get(&self.ever_made)
        };
        let place = step.says_room.then(|| self.live.get(&reservation).map_or(room, |live| live.room));
        let mut change = ChangeReservation::new(place, reservation);
        let mut moving = MoveReservation { room: place, reservation, to_room, from: None, to: None };
        let action = match step.kind {
            Kind::Reserve => Action::Reserve(Reserve { room, stay }),
            Kind::ReserveAny => Action::ReserveKind(ReserveKind { kind: "meeting".into(), stay }),
            Kind::Reschedule => {
                (change.from, change.to) = (Some(interval.from), Some(interval.to));
                Action::ChangeReservation(change)
            }
            Kind::ChangeEnd => {
                change.to = Some(interval.to);
                Action::ChangeReservation(change)
            }
            Kind::Retitle => {
                change.title = Some(Some(format!("title {}", step.people)));
                Action::ChangeReservation(change)
            }
            Kind::Move => Action::MoveReservation(moving),
            Kind::MoveInTime => {
                (moving.from, moving.to) = (Some(interval.from), Some(interval.to));
                Action::MoveReservation(moving)
            }
            Kind::Cancel => Action::CancelReservation(CancelReservation { room: place, reservation }),
            Kind::Restore => {
                let cancelled_in = self.cancelled_in.get(&reservation).copied();
                let room = self.live.get(&reservation).map(|live| live.room).or(cancelled_in).unwrap_or(room);
                let revisions = self.revisions.get(&reservation).map_or(&[][..], Vec::as_slice);
                let revision = step.people as usize;
                let was = revisions.get(revision - 1).cloned().unwrap_or(Revision::Unknown);
                let revision = step.people;
                Action::RestoreReservation(RestoreReservation { room, reservation, revision, was })
            }
            Kind::ChangeRoom => {
                let mut change = ChangeRoom::new(room);
                change.capacity = Some(step.people);
                // Stays keep the buffers of when their time was set.
                change.buffer_before = step.says_room.then_some(Some(step.people - 1));
                change.buffer_after = step.admin.then_some(Some(step.people));
                Action::ChangeRoom(change)
            }
            Kind::Retire => Action::RetireRoom(RetireRoom { room }),
            Kind::Series => {
                let on_conflict = if step.admin { OnConflict::Skip } else { OnConflict::Refuse };
                let recurrence = format!("FREQ=DAILY;COUNT={}", 2 + step.people * 2).parse().unwrap();
                let exceptions = BTreeSet::new();
                let dry_run = step.people == 3 && step.says_room;
                let series = ReserveSeries { room, stay, recurrence, exceptions, on_conflict, dry_run };
                Action::ReserveSeries(Box::new(series))
            }
            Kind::ChangeSeries | Kind::CancelSeries => {
                let nothing = (room, SeriesId(Uuid::from_u128(7)));
                let (room, series) = match self.series.as_slice() {
                    [] => nothing,
                    known => *step.room.get(known),
                };
                let following = match (step.says_room, step.admin) {
                    (false, _) => None,
                    (true, true) => Some(Following::Reservation(reservation)),
                    (true, false) => Some(Following::Since(interval.from)),
                };
                if matches!(step.kind, Kind::CancelSeries) {
                    Action::CancelSeries(CancelSeries { room, series, following })
                } else {
                    let mut values = ChangeReservation::new(Some(room), reservation);
                    // The time of the first one, or another title.
                    if step.people < 3 {
                        (values.from, values.to) = (Some(interval.from), Some(interval.to));
                    } else {
                        values.title = Some(Some(format!("series {}", step.minutes)));
                    }
                    Action::ChangeSeries(Box::new(ChangeSeries { room, series, following, values }))
                }
            }
            Kind::Close => {
                // Few ids: some closures are added again after they were lifted.
                let id = ClosureId(Uuid::from_u128(u128::from(step.people)));
                let Interval { from, to } = interval;
                let reason = "New floor".to_owned();
                Action::AddClosure(AddClosure {
                    closure: Closure { id, room, from, to, reason, kind: None, all: false },
                })
            }
            Kind::Lift => {
                let here = self.closures.values().find(|closure| closure.room == room);
                let any = self.closures.values().next().filter(|_| step.says_room);
                let unknown = (room, ClosureId(Uuid::from_u128(9)));
                let (room, closure) = here.or(any).map_or(unknown, |closure| (closure.room, closure.id));
                Action::LiftClosure(LiftClosure { room, closure })
            }
        };
        self.command(action, step.origin, step.admin, step.user)
    }

    pub(super) fn commit(&mut self, now: Timestamp, new: &NewEvent) -> Undo {
        use shared_events::Event;
        if let Some(about) = new.event.reservation()
            && about.room == new.room
        {
            let revisions = self.revisions.entry(about.id).or_default();
            revisions.push(Revision::after(&new.event));
            assert_eq!(revisions.len(), about.revision as usize, "revisions are 1, 2, 3, ...");
        }
        match &new.event {
            Event::ReservationMade(ReservationMade { reservation }) => {
                self.ever_made.push(reservation.id);
                self.live.insert(reservation.id, reservation.clone());
            }
            Event::ReservationRescheduled(ReservationRescheduled { reservation, .. })
            | Event::ReservationMovedIn(ReservationMovedIn { reservation, .. })
            | Event::ReservationRestored(ReservationRestored { reservation, .. }) => {
                self.live.insert(reservation.id, reservation.clone());
            }
            Event::ReservationCancelled(ReservationCancelled { reservation }) => {
                self.live.remove(&reservation.id);
                self.cancelled_in.insert(reservation.id, reservation.room);
            }
            Event::RoomRegistered(RoomRegistered { room }) | Event::RoomChanged(RoomChanged { room }) => {
                self.settings.insert(room.id, room.settings.clone());
            }
            Event::ClosureAdded(ClosureAdded { closure, .. }) => {
                self.closures.insert((closure.room, closure.id), closure.clone());
            }
            Event::ClosureLifted(ClosureLifted { closure }) => {
                self.closures.remove(&(closure.room, closure.id));
            }
            _ => {}
        }
        self.world.commit(now, new)
    }

    /// The same world with rooms that never forget.
    pub(super) fn with_whole_rooms(&self) -> World {
        let mut world = World { streams: self.world.streams.clone(), ..World::default() };
        world.rooms.directory = self.world.rooms.directory.clone();
        for room in &self.rooms {
            let whole = world.fold(Room::whole(*room));
            world.rooms.insert(whole);
        }
        world
    }
}

fn name_of(user: usize) -> UserId {
    UserId::new(USERS[user]).unwrap()
}
