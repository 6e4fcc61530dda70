//! The rules, said once more without the code that decides.

use std::collections::BTreeSet;

use shared_events::{Event, Interval, Minute, Reservation, ReservationId, RoomId, RoomSettings, SeriesId};

use super::run::Run;
use crate::{
    commands::{
        Action, CancelSeries, ChangeSeries, Command, Decision, Following, NewEvent, OnConflict, Origin,
        ReserveSeries, SeriesDecision,
    },
    domain::{Rejection, Undo},
};

const DAY: i64 = 24 * 60;

/// Decides a command and commits its events, each of which keeps all rules. Returns their undo information.
pub(super) fn handle(run: &mut Run, command: &Command) -> Vec<(RoomId, Undo)> {
    let decision = run.world.decide(command);
    series(run, command, &decision);
    let events = match decision {
        Decision::Events(events) => events,
        Decision::Series(decision) => {
            if matches!(command.action, Action::ReserveSeries(_)) && !decision.events.is_empty() {
                run.series.push((decision.room, decision.series));
            }
            decision.events
        }
        _ => Vec::new(),
    };
    let mut undos = Vec::new();
    for event in &events {
        let before = event.event.reservation().and_then(|about| run.live.get(&about.id)).cloned();
        undos.push((event.room, run.commit(command.now, event)));
        no_overlap(run);
        if let Some(about) = event.event.reservation().filter(|about| about.room == event.room) {
            reservation(run, command, &event.event, before.as_ref(), about);
        }
    }
    undos
}

/// A stay with these buffers.
fn widened(stay: Interval, settings: &RoomSettings) -> Interval {
    let minute = |minute: Minute, by: i64| Minute::from_epoch_minutes(minute.epoch_minutes() + by).unwrap();
    let buffer = |minutes: Option<u32>| i64::from(minutes.unwrap_or(0));
    Interval {
        from: minute(stay.from, -buffer(settings.buffer_before)),
        to: minute(stay.to, buffer(settings.buffer_after)),
    }
}

/// The parts of an interval outside another one.
fn beyond(interval: Interval, held: Interval) -> Vec<Interval> {
    let earlier = Interval { from: interval.from, to: interval.to.min(held.from) };
    let later = Interval { from: interval.from.max(held.to), to: interval.to };
    [earlier, later].into_iter().filter(|part| part.from < part.to).collect()
}

/// No two live reservations of a room keep it busy at the same time, ended or not.
fn no_overlap(run: &Run) {
    let live: Vec<_> = run.live.values().collect();
    for (n, one) in live.iter().enumerate() {
        for other in live.iter().skip(n + 1).filter(|other| other.room == one.room) {
            assert!(!one.busy_interval().overlaps(other.busy_interval()), "{one:?} overlaps {other:?}");
        }
    }
}

/// Holds a reservation after an event against the rules of its room. It keeps its buffers and takes no closed time. Its owner
/// has no more ahead than the room allows. It says whose it is.
fn reservation(
    run: &Run,
    command: &Command,
    event: &Event,
    before: Option<&Reservation>,
    after: &Reservation,
) {
    let settings = &run.settings[&after.room];
    if let Event::ReservationMade(_) = event {
        let wanted = match &command.action {
            Action::Reserve(action) => &action.stay.reserved_by,
            Action::ReserveKind(action) => &action.stay.reserved_by,
            Action::ReserveSeries(action) => &action.stay.reserved_by,
            other => panic!("{other:?} makes no reservation"),
        };
        let owner = wanted.as_ref().unwrap_or(&command.actor.user);
        let booker = Some(&command.actor.user).filter(|actor| *actor != owner);
        assert_eq!((&after.reserved_by, after.booked_by.as_ref()), (owner, booker));
    }
    if let Some(before) = before {
        let people = |about: &Reservation| (about.reserved_by.clone(), about.booked_by.clone(), about.series);
        assert_eq!(people(before), people(after));
    }
    if matches!(event, Event::ReservationCancelled(_)) {
        return;
    }
    let (stay, busy) = (after.interval(), after.busy_interval());
    assert!(busy.from <= stay.from && stay.to <= busy.to, "{after:?}");
    if matches!(event, Event::ReservationMade(_) | Event::ReservationMovedIn(_)) && !restores(command) {
        assert_eq!(busy, widened(stay, settings), "{after:?}");
    }
    let held = before.filter(|held| held.room == after.room);
    let added = held.map_or_else(|| vec![busy], |held| beyond(busy, held.busy_interval()));
    for closure in run.closures.values().filter(|closure| closure.room == after.room) {
        let took = added.iter().any(|part| part.overlaps(closure.interval()));
        assert!(!took, "{after:?} took time of {closure:?}");
    }
    let grows = held.is_none_or(|held| held.interval().minutes() < stay.minutes());
    if grows && !restores(command) && command.origin != Origin::RollBack {
        assert!(keeps_quota(run, after.room, command, &after.reserved_by, &[]), "{after:?}");
    }
}

/// Whether it takes the values of an earlier revision, which keep no rule of today.
const fn restores(command: &Command) -> bool {
    matches!(command.action, Action::RestoreReservation(_))
}

/// Whether an owner has no more ahead than a room allows, with these stays more.
fn keeps_quota(
    run: &Run,
    room: RoomId,
    command: &Command,
    owner: &shared_events::UserId,
    more: &[Interval],
) -> bool {
    let Some(most) = run.settings[&room].max_ahead.filter(|_| command.origin != Origin::RollBack) else {
        return true;
    };
    let own = run.live.values().filter(|live| live.room == room && live.reserved_by == *owner);
    let ahead = own.map(Reservation::interval).filter(|stay| stay.to.start() > command.now);
    let stays: Vec<Interval> = ahead.chain(more.iter().copied()).collect();
    let minutes: i64 = stays.iter().map(|stay| stay.minutes()).sum();
    most.reservations.is_none_or(|most| stays.len() <= most as usize)
        && most.minutes.is_none_or(|most| minutes <= i64::from(most))
}

/// A command about a series has all of its effect, or exactly what it says, or none.
fn series(run: &Run, command: &Command, decision: &Decision) {
    match (&command.action, decision) {
        (Action::ReserveSeries(action), Decision::Series(decision)) => made(run, command, action, decision),
        (Action::ReserveSeries(action), Decision::Rejected(Rejection::Series { of, misfits })) => {
            let (fitting, others) = fit(run, command, action);
            assert_eq!(misfits.iter().map(|misfit| misfit.from).collect::<Vec<_>>(), begins(&others));
            assert_eq!(*of, fitting.len() + others.len());
            assert!(action.on_conflict == OnConflict::Refuse || fitting.is_empty());
        }
        (Action::ChangeSeries(action), Decision::Series(decision)) => {
            let ChangeSeries { room, series, following, values } = &**action;
            let members = members(run, command, *room, *series, *following);
            let retimed = values.from.is_some() || values.to.is_some();
            let moves = members.first().is_some_and(|first| {
                values.from.is_some_and(|from| from != first.from)
                    || values.to.is_some_and(|to| to != first.to)
            });
            let renamed = |member: &Reservation| values.title.as_ref().is_some_and(|to| *to != member.title);
            let changed = members.iter().filter(|member| if retimed { moves } else { renamed(member) });
            let changed: BTreeSet<ReservationId> = changed.map(|member| member.id).collect();
            assert_eq!(touched(&decision.events), changed, "{action:?}");
        }
        (Action::CancelSeries(action), Decision::Series(decision)) => {
            let CancelSeries { room, series, following } = *action;
            let members = members(run, command, room, series, following);
            let all: BTreeSet<ReservationId> = members.iter().map(|member| member.id).collect();
            assert_eq!(touched(&decision.events), all, "{action:?}");
        }
        _ => {}
    }
}

fn made(run: &Run, command: &Command, action: &ReserveSeries, decision: &SeriesDecision) {
    let (fitting, others) = fit(run, command, action);
    assert_eq!(decision.occurrences.iter().map(|one| one.from).collect::<Vec<_>>(), begins(&fitting));
    assert_eq!(decision.skipped.iter().map(|one| one.from).collect::<Vec<_>>(), begins(&others));
    let events = if action.dry_run { 0 } else { fitting.len() };
    assert_eq!((decision.events.len(), touched(&decision.events).len()), (events, events));
    assert!(action.dry_run || action.on_conflict == OnConflict::Skip || others.is_empty());
    assert!(action.dry_run || !fitting.is_empty());
    let of_series = |event: &NewEvent| {
        event.event.reservation().is_some_and(|about| about.series == Some(decision.series))
    };
    assert!(decision.events.iter().all(of_series));
}

fn begins(stays: &[Interval]) -> Vec<Minute> {
    stays.iter().map(|stay| stay.from).collect()
}

fn touched(events: &[NewEvent]) -> BTreeSet<ReservationId> {
    events.iter().filter_map(|event| event.event.reservation()).map(|about| about.id).collect()
}

/// The occurrences of a daily series that fit one after the other, and the others. No clock changes meanwhile.
fn fit(run: &Run, command: &Command, action: &ReserveSeries) -> (Vec<Interval>, Vec<Interval>) {
    let Interval { from, to } = action.stay.interval;
    let settings = &run.settings[&action.room];
    let owner = action.stay.reserved_by.as_ref().unwrap_or(&command.actor.user);
    let (mut fitting, mut others) = (Vec::new(), Vec::new());
    for day in 0..2 + 2 * i64::from(action.stay.people) {
        let stay = Interval { from: from.plus(day * DAY).unwrap(), to: to.plus(day * DAY).unwrap() };
        let busy = widened(stay, settings);
        let held = run.live.values().filter(|live| live.room == action.room);
        let mut taken =
            held.map(Reservation::busy_interval).chain(fitting.iter().map(|stay| widened(*stay, settings)));
        let mut closures = run.closures.values().filter(|closure| closure.room == action.room);
        let more: Vec<Interval> = fitting.iter().copied().chain([stay]).collect();
        let fits = stay.from.start() >= command.now
            && settings.max_minutes.is_none_or(|most| stay.minutes() <= i64::from(most))
            && !taken.any(|other| other.overlaps(busy))
            && !closures.any(|closure| closure.interval().overlaps(busy))
            && keeps_quota(run, action.room, command, owner, &more);
        if fits { fitting.push(stay) } else { others.push(stay) }
    }
    (fitting, others)
}

/// The reservations of a series in a room that have not begun: all, or one and those that follow.
fn members<'a>(
    run: &'a Run,
    command: &Command,
    room: RoomId,
    series: SeriesId,
    following: Option<Following>,
) -> Vec<&'a Reservation> {
    let mine = run.live.values().filter(|live| live.room == room && live.series == Some(series));
    let mut members: Vec<_> = mine.filter(|live| live.from.start() > command.now).collect();
    members.sort_by_key(|live| (live.from, live.id));
    let first = match following {
        None => return members,
        Some(Following::Reservation(first)) => members.iter().position(|live| live.id == first),
        Some(Following::Since(from)) => members.iter().position(|live| live.from >= from),
    };
    members.split_off(first.unwrap_or(members.len()))
}
