//! A room after each of its events: what is live, when it is busy and closed, and what a command finds there.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::Findings;
use crate::campaign::{
    evidence::{Closure, Event, Kind, Reservation},
    operation::{Operation, Repeated, Rules},
    record::{Command, Stay},
};

/// Most reservations that an event of a closure names.
const NAMED_HITS: usize = 100;
const MINUTE: i64 = 60_000;

/// Why a stay does not fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Obstacle {
    /// A reservation keeps the room busy.
    Reservation(Uuid),
    Closure(Uuid),
    /// The owner has too many reservations ahead, or too many minutes.
    Reservations,
    Minutes,
    /// Its end would not be after its start.
    NoTime,
}

/// A room at a version.
#[derive(Debug, Default, Clone)]
pub(super) struct Room {
    pub(super) rules: Rules,
    pub(super) live: HashMap<Uuid, Reservation>,
    /// Busy times by start.
    calendar: BTreeMap<i64, (i64, Uuid)>,
    pub(super) closures: BTreeMap<Uuid, Stay>,
}

impl Room {
    /// Applies an event of a command.
    pub(super) fn apply(&mut self, event: &Event, command: Option<&Command>, findings: &mut Findings) {
        if event.kind == Kind::Registered {
            self.rules = event.rules;
        }
        if let Some(closure) = &event.closure {
            self.apply_closure(event, closure, findings);
        }
        if let Some(reservation) = &event.reservation {
            self.apply_reservation(event, reservation, command, findings);
        }
    }

    fn apply_closure(&mut self, event: &Event, closure: &Closure, findings: &mut Findings) {
        if event.kind == Kind::Lifted {
            let was = self.closures.remove(&closure.id);
            findings.check(was == Some(closure.stay), "only what is closed opens", || {
                format!("{} lifts {closure:?}, which was {was:?}", event.id())
            });
            return;
        }
        let was = self.closures.insert(closure.id, closure.stay);
        findings
            .check(was.is_none(), "only what is open is closed", || format!("{} {closure:?}", event.id()));
        let ahead = |about: &&Reservation| about.stay.to * MINUTE > event.time;
        let mut hit: Vec<&Reservation> =
            self.live.values().filter(|about| about.stay.overlaps(closure.stay)).filter(ahead).collect();
        hit.sort_unstable_by_key(|about| about.stay.from);
        let more = hit.len().saturating_sub(NAMED_HITS);
        let named: Vec<Uuid> = hit.iter().take(NAMED_HITS).map(|about| about.id).collect();
        let hits = (named, u64::try_from(more).unwrap());
        findings.check(closure.hits == hits, "a closure names the stays that it hits", || {
            format!("{} hits {hits:?}, but names {:?}", event.id(), closure.hits)
        });
    }

    fn apply_reservation(
        &mut self,
        event: &Event,
        reservation: &Reservation,
        command: Option<&Command>,
        findings: &mut Findings,
    ) {
        if event.kind == Kind::RestoredElsewhere {
            return;
        }
        let before = self.live.remove(&reservation.id);
        if let Some(before) = &before {
            self.calendar.remove(&before.busy.from);
        }
        let enters = matches!(event.kind, Kind::Made | Kind::MovedIn | Kind::Restored);
        findings.check(before.is_some() != enters, "only what is live changes", || {
            format!("{} {:?} of reservation {}", event.id(), event.kind, reservation.id)
        });
        if matches!(event.kind, Kind::Cancelled | Kind::MovedOut) {
            return;
        }
        let busy = reservation.busy;
        findings.check(busy == self.rules.busy(reservation.stay), "a stay keeps its buffers busy", || {
            format!("{} keeps {busy:?} busy for {:?}: {:?}", event.id(), reservation.stay, self.rules)
        });
        let in_the_way = self.busy_in(busy);
        findings.check(in_the_way.is_empty(), "live reservations never overlap", || {
            format!("{} takes {} to {}, which {in_the_way:?} has", event.id(), busy.begins(), busy.ends())
        });
        let closed = self.closed_in(busy, before.as_ref());
        findings.check(closed.is_empty(), "no stay takes closed time", || {
            format!("{} takes {} to {} of closures {closed:?}", event.id(), busy.begins(), busy.ends())
        });
        let grows = before.as_ref().is_none_or(|before| before.stay.minutes() < reservation.stay.minutes());
        // A restored stay counts, but keeps no rule.
        let restored = matches!(command, Some(Command { operation: Operation::Restore { .. }, .. }));
        if grows && !restored {
            let over = self.over(&reservation.user, &[reservation.stay], Some(event.time));
            findings.check(over.is_empty(), "nobody has more ahead than the room allows", || {
                format!("{} gives {} too many {over:?}: {:?}", event.id(), reservation.user, self.rules)
            });
        }
        self.calendar.insert(busy.from, (busy.to, reservation.id));
        self.live.insert(reservation.id, reservation.clone());
    }

    /// The reservations that keep the room busy in a time. Busy times do not overlap, so of all that begin before it only the
    /// last one can reach into it.
    pub(super) fn busy_in(&self, time: Stay) -> Vec<Uuid> {
        let before = self.calendar.range(..time.from).next_back().filter(|(_, (to, _))| *to > time.from);
        let inside = self.calendar.range(time.from..time.to);
        before.into_iter().chain(inside).map(|(_, (_, id))| *id).collect()
    }

    /// The closures in the part of a busy time that `held` did not keep busy.
    fn closed_in(&self, busy: Stay, held: Option<&Reservation>) -> Vec<Uuid> {
        let added = held.map_or_else(|| vec![busy], |held| busy.beyond(held.busy));
        let closed = |stay: &Stay| added.iter().any(|part| part.overlaps(*stay));
        self.closures.iter().filter(|(_, stay)| closed(stay)).map(|(id, _)| *id).collect()
    }

    /// What an owner with these stays more would have too much of. Stays that have ended at a time, in milliseconds, don't count.
    fn over(&self, owner: &str, more: &[Stay], at: Option<i64>) -> Vec<Obstacle> {
        let ahead = |about: &&Reservation| at.is_none_or(|at| about.stay.to * MINUTE > at);
        let of_owner = self.live.values().filter(|about| about.user == owner).filter(ahead);
        let stays: Vec<Stay> = of_owner.map(|about| about.stay).chain(more.iter().copied()).collect();
        let count = i64::try_from(stays.len()).unwrap();
        let minutes: i64 = stays.iter().map(|stay| stay.minutes()).sum();
        let [reservations, most] = self.rules.most;
        let over = [
            (reservations.is_some_and(|most| count > most), Obstacle::Reservations),
            (most.is_some_and(|most| minutes > most), Obstacle::Minutes),
        ];
        over.into_iter().filter(|(is_over, _)| *is_over).map(|(_, obstacle)| obstacle).collect()
    }

    /// All that is in the way of a stay of an owner. `held` is the reservation that it changes.
    pub(super) fn obstacles(
        &self,
        stay: Stay,
        owner: &str,
        held: Option<Uuid>,
        at: Option<i64>,
    ) -> Vec<Obstacle> {
        let mut without = self.clone();
        let held = held.and_then(|held| without.take(held));
        let busy = self.rules.busy(stay);
        let mut obstacles: Vec<_> = without.busy_in(busy).into_iter().map(Obstacle::Reservation).collect();
        obstacles.extend(without.closed_in(busy, held.as_ref()).into_iter().map(Obstacle::Closure));
        if held.is_none_or(|held| held.stay.minutes() < stay.minutes()) {
            obstacles.extend(without.over(owner, &[stay], at));
        }
        obstacles
    }

    fn take(&mut self, reservation: Uuid) -> Option<Reservation> {
        let taken = self.live.remove(&reservation)?;
        self.calendar.remove(&taken.busy.from);
        Some(taken)
    }

    fn put(&mut self, reservation: Reservation) {
        self.calendar.insert(reservation.busy.from, (reservation.busy.to, reservation.id));
        self.live.insert(reservation.id, reservation);
    }

    /// The occurrences of a series by time, each with what is in its way. Those that fit take their place, as of a series of
    /// which the others are left out.
    pub(super) fn fit(&self, series: &Repeated, owner: &str, at: Option<i64>) -> Vec<(Stay, Vec<Obstacle>)> {
        let mut room = self.clone();
        let mut place = |(number, stay): (u128, Stay)| {
            let obstacles = room.obstacles(stay, owner, None, at);
            if obstacles.is_empty() {
                let (id, user) = (Uuid::from_u128(number), owner.to_owned());
                let (busy, room_id) = (room.rules.busy(stay), series.room);
                room.put(Reservation {
                    id,
                    revision: 1,
                    room: room_id,
                    stay,
                    busy,
                    user,
                    booker: None,
                    series: None,
                    title: String::new(),
                    people: 0,
                });
            }
            (stay, obstacles)
        };
        (0..).zip(series.occurrences()).map(&mut place).collect()
    }

    /// The reservations of a series that have not begun at a time, by time: all, or one and those that follow.
    pub(super) fn members(
        &self,
        series: Uuid,
        following: Option<Uuid>,
        at: Option<i64>,
    ) -> Vec<&Reservation> {
        let ahead = |about: &&Reservation| at.is_none_or(|at| about.stay.from * MINUTE > at);
        let of_series = |about: &&Reservation| about.series == Some(series);
        let mut members: Vec<_> = self.live.values().filter(of_series).filter(ahead).collect();
        members.sort_unstable_by_key(|about| (about.stay.from, about.id));
        match following {
            None => members,
            Some(first) => {
                let from = members.iter().position(|about| about.id == first).unwrap_or(members.len());
                members.split_off(from)
            }
        }
    }

    /// The members with their stays after a change of the first one's.
    pub(super) fn shifted<'a>(members: &[&'a Reservation], first: Stay) -> Vec<(&'a Reservation, Stay)> {
        let before = members.first().map_or(first, |first| first.stay);
        let (from, to) = (first.from - before.from, first.to - before.to);
        let shift =
            |about: &&'a Reservation| (*about, Stay { from: about.stay.from + from, to: about.stay.to + to });
        members.iter().map(shift).collect()
    }

    /// What is in the way of the stays of members of a series: reservations that are not among them, closures, and the clock.
    /// Then what is in the way of all of them together.
    pub(super) fn obstacles_of(
        &self,
        shifted: &[(&Reservation, Stay)],
    ) -> (Vec<(Stay, Vec<Obstacle>)>, Vec<Obstacle>) {
        let mut others = self.clone();
        // Those that can't move stay in the way.
        for (about, _) in shifted.iter().filter(|(_, stay)| stay.from < stay.to) {
            others.take(about.id);
        }
        let obstacles = |(about, stay): &(&Reservation, Stay)| {
            if stay.from >= stay.to {
                return (about.stay, vec![Obstacle::NoTime]);
            }
            let busy = self.rules.busy(*stay);
            let mut found: Vec<_> = others.busy_in(busy).into_iter().map(Obstacle::Reservation).collect();
            found.extend(self.closed_in(busy, Some(about)).into_iter().map(Obstacle::Closure));
            (*stay, found)
        };
        let each = shifted.iter().map(obstacles).collect();
        let grows =
            shifted.iter().map(|(about, stay)| stay.minutes() - about.stay.minutes()).sum::<i64>() > 0;
        let stays: Vec<Stay> = shifted.iter().map(|(_, stay)| *stay).collect();
        let owner = shifted.first().map_or("", |(about, _)| about.user.as_str());
        (each, if grows { others.over(owner, &stays, None) } else { Vec::new() })
    }
}
