//! Changes reservations of a series.

use std::collections::{BTreeMap, HashSet};

use chrono::{NaiveDateTime, TimeDelta};
use shared_events::{
    Interval, Minute, Reservation, ReservationId, RoomId, RoomSettings, SeriesId,
    reservation_events::ReservationRescheduled, time_zone::Tz,
};

use super::{
    ChangeReservation, Checked, Command, Decision,
    change_reservation::{added, check_change},
    room_checks::{ahead, check_free_but, open_room},
    series::{Following, Occurrence, SeriesDecision, members},
};
use crate::domain::{Misfit, Rejection, Room, Rooms, Why, shifted};

/// Gives reservations of a series that have not begun new values, all of them or none.
///
/// A new time is that of the first of them. By the clock, the others move as far: one that was moved by itself keeps its
/// distance. Other values are the same for all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeSeries {
    /// The room.
    pub room: RoomId,
    /// The series.
    pub series: SeriesId,
    /// The first reservation that changes; `None` for all that have not begun.
    pub following: Option<Following>,
    /// The new values.
    pub values: ChangeReservation,
}

impl ChangeSeries {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        let (room, settings) = open_room(rooms, self.room)?;
        let members = members(command, room, self.series, self.following)?;
        let zone = settings.time_zone.0;
        let shift = members.first().map(|first| self.shift(first, zone)).unwrap_or_default();
        let (mut changes, mut misfits) = (Vec::new(), Vec::new());
        for before in &members {
            let misfit = |stay: Interval, why| Misfit { from: stay.from, to: stay.to, why };
            let stay = match shift.of(before.interval(), zone) {
                Ok(stay) => stay,
                Err(why) => {
                    misfits.push(misfit(before.interval(), why));
                    continue;
                }
            };
            let mut after = self.values.applied_to(before);
            (after.from, after.to) = (stay.from, stay.to);
            if after == **before {
                continue;
            }
            match check_change(command, settings, before, &after) {
                Ok(()) => {
                    if stay != before.interval() {
                        let busy = settings.busy_after_change(before, stay);
                        after.set_interval(stay, busy, settings.time_zone);
                    }
                    after.revision += 1;
                    let added = added(before.busy_interval(), after.busy_interval());
                    changes.push(Change { before, after, added });
                }
                Err(Decision::Rejected(rejection)) => {
                    let Some(why) = Why::of(&rejection) else { return Err(rejection.into()) };
                    misfits.push(misfit(stay, why));
                }
                Err(needs_more) => return Err(needs_more),
            }
        }
        check_growth(command, room, settings, &changes)?;
        overlaps(room, &changes, &mut misfits)?;
        let refused = |mut misfits: Vec<Misfit>| {
            misfits.sort_by_key(|misfit| misfit.from);
            Rejection::Series { of: members.len(), misfits }
        };
        if !misfits.is_empty() {
            return Err(refused(misfits).into());
        }
        let mut decision = SeriesDecision::new(self.room, self.series);
        decision.occurrences = changes.iter().map(|change| Occurrence::of(&change.after)).collect();
        for Change { before, after, .. } in in_order(changes).map_err(refused)? {
            decision.push(ReservationRescheduled { reservation: after, previous: before.place() });
        }
        Ok(decision.decision())
    }

    /// How far the first reservation moves.
    fn shift(&self, first: &Reservation, zone: Tz) -> Shift {
        let by = |before: Minute, after: Option<Minute>| {
            after.map_or(TimeDelta::zero(), |after| {
                shown(after, zone).signed_duration_since(shown(before, zone))
            })
        };
        let after =
            Interval { from: self.values.from.unwrap_or(first.from), to: self.values.to.unwrap_or(first.to) };
        Shift {
            first: Some((first.interval(), after)),
            from: by(first.from, self.values.from),
            to: by(first.to, self.values.to),
        }
    }
}

/// How far reservations move by the clock.
#[derive(Default)]
struct Shift {
    /// The first stay, before and after: the latter exactly as it was asked for.
    first: Option<(Interval, Interval)>,
    from: TimeDelta,
    to: TimeDelta,
}

impl Shift {
    /// The stay afterwards, or why there is none.
    fn of(&self, before: Interval, zone: Tz) -> Result<Interval, Why> {
        if let Some((first, after)) = self.first
            && first == before
        {
            return Ok(after);
        }
        let moved = |minute: Minute, by: TimeDelta| {
            if by.is_zero() {
                return Ok(minute);
            }
            let moved = shifted(shown(minute, zone), by, zone).ok_or(Why::OutOfRange)?;
            Minute::from_utc(moved).map_err(|_| Why::OutOfRange)
        };
        let after = Interval { from: moved(before.from, self.from)?, to: moved(before.to, self.to)? };
        let wanted = |minute: Minute, by| shown(minute, zone).checked_add_signed(by);
        if after.from < after.to {
            Ok(after)
        } else if after.from == after.to && wanted(before.from, self.from) < wanted(before.to, self.to) {
            Err(Why::SkippedByClocks)
        } else {
            Err(Why::NothingLeft)
        }
    }
}

fn shown(minute: Minute, zone: Tz) -> NaiveDateTime {
    minute.to_utc().with_timezone(&zone).naive_local()
}

struct Change<'a> {
    before: &'a Reservation,
    after: Reservation,
    /// The parts of its busy interval that it did not keep busy before.
    added: Vec<Interval>,
}

/// Checks that longer stays leave their owner with no more ahead than the room's rule allows.
fn check_growth(
    command: &Command,
    room: &Room,
    settings: &RoomSettings,
    changes: &[Change<'_>],
) -> Checked<()> {
    let growth = |change: &Change<'_>| change.after.interval().minutes() - change.before.interval().minutes();
    let Some(first) = changes.first().filter(|_| changes.iter().map(growth).sum::<i64>() > 0) else {
        return Ok(());
    };
    let changed: HashSet<ReservationId> = changes.iter().map(|change| change.before.id).collect();
    let others = ahead(command, room, settings, &first.before.reserved_by, |id| !changed.contains(&id))?;
    let Some(others) = others else { return Ok(()) };
    Ok(settings
        .check_ahead(changes.iter().fold(others, |ahead, change| ahead.and(change.after.interval())))?)
}

/// Adds the changes that overlap one another or a reservation that stays.
fn overlaps(room: &Room, changes: &[Change<'_>], misfits: &mut Vec<Misfit>) -> Checked<()> {
    let changed: HashSet<ReservationId> = changes.iter().map(|change| change.before.id).collect();
    let mut by_time: Vec<&Change<'_>> = changes.iter().collect();
    by_time.sort_by_key(|change| change.after.from);
    let mut last: Option<&Reservation> = None;
    for Change { before, after, added } in by_time {
        let (stay, busy) = (after.interval(), after.busy_interval());
        if stay != before.interval() {
            match check_free_but(room, busy, added, |id| !changed.contains(&id)) {
                Ok(()) => {}
                Err(Decision::Rejected(rejection)) => {
                    let Some(why) = Why::of(&rejection) else { return Err(rejection.into()) };
                    misfits.push(Misfit { from: stay.from, to: stay.to, why });
                }
                Err(needs_more) => return Err(needs_more),
            }
        }
        if let Some(last) = last.filter(|last| last.busy_interval().overlaps(busy)) {
            let why = Why::Overlap { reservation: last.id };
            misfits.push(Misfit { from: stay.from, to: stay.to, why });
        }
        last = Some(after);
    }
    Ok(())
}

/// The changes in an order in which none takes time that another one still holds. Usually that is from the last one on if they
/// move later, and from the first one on if they move earlier. Where clocks change, some may move later and others earlier.
///
/// # Errors
/// The changes that stand in the way of one another, so that no order is right.
fn in_order(mut left: Vec<Change<'_>>) -> Result<Vec<Change<'_>>, Vec<Misfit>> {
    let holds = |busy: Interval, by: &Change<'_>| (busy.from, (busy.to, by.before.id));
    let mut held: BTreeMap<Minute, (Minute, ReservationId)> =
        left.iter().map(|change| holds(change.before.busy_interval(), change)).collect();
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        // Each pass goes the other way.
        left.reverse();
        let (mut blocked, mut misfits) = (Vec::new(), Vec::new());
        let before = ordered.len();
        for change in left {
            let (was, busy) = (change.before.busy_interval(), change.after.busy_interval());
            held.remove(&was.from);
            let last = held.range(..busy.to).next_back();
            if let Some((_, (_, reservation))) = last.filter(|(_, (to, _))| busy.from < *to) {
                let (stay, why) = (change.after.interval(), Why::Overlap { reservation: *reservation });
                misfits.push(Misfit { from: stay.from, to: stay.to, why });
                held.extend([holds(was, &change)]);
                blocked.push(change);
            } else {
                held.extend([holds(busy, &change)]);
                ordered.push(change);
            }
        }
        if ordered.len() == before {
            return Err(misfits);
        }
        left = blocked;
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests;
