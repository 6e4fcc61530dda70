//! Properties of every sequence of commands, whatever the clock does between them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, sample::Index};
use shared_events::{
    Closure, ClosureId, Interval, MaxAhead, Minute, Reservation, ReservationId, RoomId, RoomSettings,
    SeriesId, Timestamp, UserId,
    closure_events::{ClosureAdded, ClosureLifted},
    reservation_events::*,
};
use uuid::Uuid;

use super::{
    Action, Actor, AddClosure, CancelReservation, CancelSeries, ChangeReservation, ChangeRoom, ChangeSeries,
    Command, Decision, Following, IfMatch, LiftClosure, MoveReservation, NewEvent, OnConflict, Origin,
    RegisterRoom, Reserve, ReserveKind, ReserveSeries, RestoreReservation, RetireRoom, Revision, Stay,
    change_reservation::added,
    scenario::{World, settings},
};
use crate::domain::{Room, Undo};

/// Number of rooms; the first one has a strict limit.
const ROOMS: u64 = 4;
/// The clock at the first command, in epoch minutes.
const START: i64 = 30_000_000;

/// One command, with times relative to the clock.
#[derive(Clone, Debug)]
struct Step {
    /// Minutes by which the clock moves first; backwards if negative.
    clock: i64,
    origin: Origin,
    admin: bool,
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

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Mostly small steps forward, with some jumps forth and back.
    let clock = prop_oneof![8 => 0..6_i64, 1 => -60..0_i64, 1 => 20..90_i64];
    let numbers = (clock, -3..40_i64, 1..25_i64, 1..4_u32);
    let origin =
        prop_oneof![7 => Just(Origin::Request), 2 => Just(Origin::Import), 1 => Just(Origin::RollBack)];
    let flags = (origin, prop::bool::weighted(0.8), any::<bool>());
    let targets = (any::<Index>(), any::<Index>(), any::<Index>());
    let step = (numbers, flags, kinds(), targets).prop_map(|(numbers, flags, kind, targets)| {
        let (clock, from, minutes, people) = numbers;
        let (origin, admin, says_room) = flags;
        let (room, other_room, reservation) = targets;
        Step { clock, origin, admin, from, minutes, people, kind, room, other_room, reservation, says_room }
    });
    prop::collection::vec(step, 1..80)
}

/// A world, and the state that its events alone imply.
#[derive(Default)]
struct Run {
    world: World,
    /// All live reservations, past ones included.
    live: BTreeMap<ReservationId, Reservation>,
    ever_made: Vec<ReservationId>,
    /// What each reservation was at each of its revisions.
    revisions: BTreeMap<ReservationId, Vec<Revision>>,
    /// Closures that were not lifted.
    closures: BTreeMap<(RoomId, ClosureId), Closure>,
    /// The room of each reservation that was cancelled.
    cancelled_in: BTreeMap<ReservationId, RoomId>,
    rooms: Vec<RoomId>,
    /// The series that were made, with their rooms.
    series: Vec<(RoomId, SeriesId)>,
    clock: i64,
    commands: u64,
}

impl Run {
    fn new() -> Self {
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
                run.command(Action::RegisterRoom(RegisterRoom::new(settings)), Origin::Request, true);
            run.rooms.push(RoomId(command.id));
            run.handle(&command);
        }
        run
    }

    fn command(&mut self, action: Action, origin: Origin, admin: bool) -> Command {
        self.commands += 1;
        let id = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0000 | u128::from(self.commands) << 32);
        let actor = Actor { user: UserId::new("ana").unwrap(), admin, delegate: false, roles: Vec::new() };
        let now = Timestamp::from_epoch_millis(self.clock * 60_000);
        Command { id, actor, now, origin, if_match: IfMatch::Any, action }
    }

    fn next(&mut self, step: &Step) -> Command {
        self.clock += step.clock;
        let minute = |minutes| Minute::from_epoch_minutes(minutes).unwrap();
        let interval = Interval {
            from: minute(self.clock + step.from),
            to: minute(self.clock + step.from + step.minutes),
        };
        let stay = Stay { interval, people: step.people, title: None, reserved_for: None, reserved_by: None };
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
        self.command(action, step.origin, step.admin)
    }

    /// Decides the command and commits its events, after which nothing overlaps at any version. Returns their undo information.
    fn handle(&mut self, command: &Command) -> Vec<(RoomId, Undo)> {
        let events = match self.world.decide(command) {
            Decision::Events(events) => events,
            Decision::Series(decision) => {
                if matches!(command.action, Action::ReserveSeries(_)) && !decision.events.is_empty() {
                    self.series.push((decision.room, decision.series));
                }
                decision.events
            }
            _ => Vec::new(),
        };
        let commit = |event: &NewEvent| {
            let undo = self.commit(command.now, event);
            self.assert_no_overlap();
            (event.room, undo)
        };
        events.iter().map(commit).collect()
    }

    fn commit(&mut self, now: Timestamp, new: &NewEvent) -> Undo {
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

    /// What a command took beyond what the reservation kept busy before lies in no closure.
    fn assert_took_no_closed_time(&self, before: &BTreeMap<ReservationId, Reservation>) {
        for (id, live) in &self.live {
            let held = before.get(id).filter(|held| held.room == live.room).map(Reservation::busy_interval);
            let busy = live.busy_interval();
            let added = held.map_or_else(|| vec![busy], |held| added(held, busy));
            for closure in self.closures.values().filter(|closure| closure.room == live.room) {
                let took = added.iter().any(|part| part.overlaps(closure.interval()));
                assert!(!took, "{live:?} took time of {closure:?}");
            }
        }
    }

    /// No two live reservations of a room keep it busy at the same time, ended or not.
    fn assert_no_overlap(&self) {
        let live: Vec<_> = self.live.values().collect();
        for (n, one) in live.iter().enumerate() {
            for other in live.iter().skip(n + 1).filter(|other| other.room == one.room) {
                assert!(!one.busy_interval().overlaps(other.busy_interval()), "{one:?} overlaps {other:?}");
            }
        }
    }

    /// The same world with rooms that never forget.
    fn with_whole_rooms(&self) -> World {
        let mut world = World { streams: self.world.streams.clone(), ..World::default() };
        world.rooms.directory = self.world.rooms.directory.clone();
        for room in &self.rooms {
            let whole = world.fold(Room::whole(*room));
            world.rooms.insert(whole);
        }
        world
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_commands_makes_two_live_reservations_overlap(steps in steps()) {
        let mut run = Run::new();
        for step in &steps {
            let command = run.next(step);
            let before = run.live.clone();
            run.handle(&command);
            run.assert_took_no_closed_time(&before);
        }
    }

    #[test]
    fn folding_the_events_gives_the_state_that_the_commands_left(steps in steps()) {
        let mut run = Run::new();
        for step in &steps {
            let command = run.next(step);
            run.handle(&command);
        }
        for room in &run.rooms {
            let left = run.world.rooms.get(*room).unwrap();
            prop_assert_eq!(&run.world.fold(Room::new(*room)), left);
            let snapshot = serde_json::to_vec(left).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Room>(&snapshot).unwrap(), left);
            // A room has forgotten only live reservations that kept it busy until before its horizon.
            let whole = run.world.fold(Room::whole(*room));
            let live: Vec<_> = run.live.values().filter(|live| live.room == *room).collect();
            prop_assert_eq!(whole.reservations().count(), live.len());
            for reservation in live {
                prop_assert_eq!(whole.reservation(reservation.id), Some(reservation));
                let kept = left.reservation(reservation.id);
                prop_assert!(kept.is_some() || reservation.busy_interval().to.start() < left.horizon());
            }
        }
    }

    #[test]
    fn taking_events_back_leaves_no_trace(steps in steps(), kept in any::<Index>()) {
        let mut run = Run::new();
        let mut undos = Vec::new();
        let mut states = Vec::new();
        for step in &steps {
            let command = run.next(step);
            states.push(run.rooms.iter().map(|room| run.world.rooms.get(*room).unwrap().clone()).collect::<Vec<_>>());
            undos.push(run.handle(&command));
        }
        let kept = kept.index(steps.len());
        for (room, undo) in undos.drain(kept..).flatten().rev() {
            run.world.rooms.get_mut(room).unwrap().undo(undo);
        }
        for before in &states[kept] {
            prop_assert_eq!(run.world.rooms.get(before.id()).unwrap(), before);
        }
    }

    #[test]
    fn a_room_that_forgets_decides_as_one_that_does_not(steps in steps()) {
        let mut run = Run::new();
        for step in &steps {
            let command = run.next(step);
            let whole = run.with_whole_rooms().decide(&command);
            prop_assert_eq!(run.world.decide(&command), whole, "{:?}", command);
            run.handle(&command);
        }
    }
}

/// The properties prove little if no command is accepted, or no room forgets.
#[test]
fn the_sequences_of_these_tests_reach_every_kind_of_event_and_forget() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};

    let mut runner = TestRunner::deterministic();
    // The version of an event's form depends on the room's opening hours.
    let name = |event_type: &'static str| event_type.rsplit_once('.').map_or(event_type, |(name, _)| name);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut whole_reads, mut recalls, mut forgetful) = (0, 0, 0);
    for _ in 0..100 {
        let mut run = Run::new();
        for step in steps().new_tree(&mut runner).unwrap().current() {
            let command = run.next(&step);
            run.handle(&command);
        }
        for (_, event) in run.world.streams.values().flatten() {
            *seen.entry(name(event.event_type())).or_default() += 1;
        }
        whole_reads += run.world.whole_reads;
        recalls += run.world.recalls;
        forgetful +=
            run.rooms.iter().filter(|room| !run.world.rooms.get(**room).unwrap().remembers_all()).count();
    }
    let all: BTreeSet<_> =
        shared_events::event::EVENT_TYPES.iter().map(|event_type| name(event_type)).collect();
    assert_eq!(seen.len(), all.len(), "{seen:?}");
    assert!(seen.values().all(|count| *count >= 20), "{seen:?}");
    assert!(recalls >= 100 && forgetful >= 100, "{recalls} recalls, {forgetful} rooms");
    assert!(whole_reads >= 50, "{whole_reads}");
}
