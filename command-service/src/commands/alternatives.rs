//! What a client may reserve where its stay finds no free time: the same time in another room, or a later one.

use serde::Serialize;
use shared_events::{Interval, Minute, Reservation, RoomId, RoomSettings, room_rules::BrokenRule};

use super::{
    Action, Command, Decision, Origin,
    reserve::Stay,
    room_checks::{check_ahead, check_free, check_roles, open_room},
};
use crate::domain::{Rejection, Room, Rooms};

/// Most alternatives of a rejection.
const MOST_ALTERNATIVES: usize = 5;
/// Most rooms that are looked at.
const MOST_ROOMS: usize = 32;
/// Most times that are tried in a room.
const MOST_TIMES: usize = 12;
/// Minutes after the wanted time within which another is looked for.
const NEAR: i64 = 7 * 24 * 60;

/// A stay that the room would accept. It is not held: another request may come first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Alternative {
    /// The room.
    pub room: RoomId,
    /// First minute.
    pub from: Minute,
    /// First minute after the stay.
    pub to: Minute,
}

impl Command {
    /// What else the caller of a rejected request may reserve. Of rooms other than those of the command, it sees what is loaded.
    pub(crate) fn alternatives(&self, rooms: &Rooms, rejection: &Rejection) -> Vec<Alternative> {
        let is_taken =
            matches!(rejection, Rejection::Overlap { .. } | Rejection::Closed { .. } | Rejection::NoFreeRoom);
        if !is_taken || self.origin != Origin::Request {
            return Vec::new();
        }
        match &self.action {
            Action::Reserve(action) => {
                let Ok((own, settings)) = open_room(rooms, action.room) else { return Vec::new() };
                let wanted = Wanted { command: self, stay: &action.stay };
                let others = wanted.rooms(rooms, &settings.kind);
                let others = others.into_iter().filter(|(room, _)| room.id() != action.room);
                let same_time =
                    others.filter_map(|(room, settings)| wanted.at(room, settings, wanted.interval()));
                // At least one of the wanted room.
                let mut found: Vec<_> = same_time.take(MOST_ALTERNATIVES - 1).collect();
                found.extend(wanted.later(own, settings, MOST_ALTERNATIVES - found.len()));
                found
            }
            Action::ReserveKind(action) => {
                let wanted = Wanted { command: self, stay: &action.stay };
                let of_kind = wanted.rooms(rooms, &action.kind);
                let each = of_kind.into_iter().flat_map(|(room, settings)| wanted.later(room, settings, 1));
                let mut found: Vec<_> = each.collect();
                // Of equal times, the smallest room comes first.
                found.sort_by_key(|alternative| alternative.from);
                found.truncate(MOST_ALTERNATIVES);
                found
            }
            _ => Vec::new(),
        }
    }
}

/// A stay that its command can't have.
struct Wanted<'a> {
    command: &'a Command,
    stay: &'a Stay,
}

impl Wanted<'_> {
    const fn interval(&self) -> Interval {
        self.stay.interval
    }

    /// Loaded rooms of a kind that the caller may book for so many people, the smallest first.
    fn rooms<'r>(&self, rooms: &'r Rooms, kind: &str) -> Vec<(&'r Room, &'r RoomSettings)> {
        let of_kind = rooms.directory.rooms_of_kind(kind).iter().filter_map(|id| open_room(rooms, *id).ok());
        let suitable = of_kind.filter(|(_, settings)| {
            settings.kind == kind
                && check_roles(self.command, settings).is_ok()
                && settings.check_people(self.stay.people).is_ok()
        });
        let mut suitable: Vec<_> = suitable.take(MOST_ROOMS).collect();
        suitable.sort_by_key(|(_, settings)| settings.capacity);
        suitable
    }

    fn is_within_quota(&self, room: &Room, settings: &RoomSettings, stay: Interval) -> bool {
        check_ahead(self.command, room, settings, self.stay.owner(self.command), stay, None).is_ok()
    }

    /// The stay at another time or in another room, if it would be accepted.
    fn at(&self, room: &Room, settings: &RoomSettings, stay: Interval) -> Option<Alternative> {
        let is_accepted = settings.check_stay(stay).is_ok()
            && settings.check_days_ahead(stay.from, self.command.now).is_ok()
            && self.is_within_quota(room, settings, stay)
            && check_free(room, settings.busy(stay), &[settings.busy(stay)], None).is_ok();
        is_accepted.then(|| Alternative { room: room.id(), from: stay.from, to: stay.to })
    }

    /// Stays of the same length that come after the wanted one and don't overlap one another.
    fn later(&self, room: &Room, settings: &RoomSettings, most: usize) -> Vec<Alternative> {
        let (wanted, mut found) = (self.interval(), Vec::new());
        let mut from = settings.start_from(wanted.from);
        for _ in 0..MOST_TIMES {
            let Ok(to) = from.plus(wanted.minutes()) else { break };
            let stay = Interval { from, to };
            if found.len() == most || from.epoch_minutes() - wanted.from.epoch_minutes() > NEAR {
                break;
            }
            let busy = settings.busy(stay);
            let next = match check_free(room, busy, &[busy], None) {
                Err(Decision::Rejected(Rejection::Overlap { .. })) => {
                    let other = room.overlapping(busy, |_| true).map(Reservation::busy_interval);
                    other.map(|other| settings.barred_by(other).to)
                }
                Err(Decision::Rejected(Rejection::Closed { from, to, .. })) => {
                    Some(settings.barred_by(Interval { from, to }).to)
                }
                Err(_) => None,
                Ok(()) => match settings.check_stay(stay) {
                    Ok(()) if settings.check_days_ahead(from, self.command.now).is_err() => None,
                    Ok(()) if !self.is_within_quota(room, settings, stay) => None,
                    Ok(()) => {
                        found.push(Alternative { room: room.id(), from, to });
                        Some(settings.barred_by(busy).to)
                    }
                    Err(BrokenRule::OpeningHours) => settings.opens_after(from),
                    // A change of clocks makes its days or slots longer.
                    Err(_) => stay.from.plus(1).ok(),
                },
            };
            let Some(next) = next.map(|next| settings.start_from(next)).filter(|next| *next > from) else {
                break;
            };
            from = next;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use shared_events::{OpeningHours, OpeningSpan, Reservation};

    use super::*;
    use crate::commands::{
        Reserve, ReserveKind,
        scenario::{Given, given, made, minute, reservation, room, room_id, room_with, stay},
    };

    fn wanted() -> Stay {
        stay("2026-06-02T10:00", "2026-06-02T12:00")
    }

    fn in_room() -> Action {
        Action::Reserve(Reserve { room: room_id(1), stay: wanted() })
    }

    fn held(n: u128, from: &str, to: &str) -> Reservation {
        let id = n * 100 + u128::from(minute(from).epoch_minutes().unsigned_abs());
        Reservation { room: room_id(n), ..reservation(id, from, to) }
    }

    /// The alternatives, each by its room's number and its times in June.
    #[track_caller]
    fn offered(given: Given, action: Action) -> Vec<(RoomId, String, String)> {
        let short = |at: Minute| at.to_utc().format("%dT%H:%M").to_string();
        let found = given.when(action).alternatives();
        found.into_iter().map(|it| (it.room, short(it.from), short(it.to))).collect()
    }

    fn expected(offers: &[(u128, &str, &str)]) -> Vec<(RoomId, String, String)> {
        offers.iter().map(|(n, from, to)| (room_id(*n), (*from).to_owned(), (*to).to_owned())).collect()
    }

    #[test]
    fn the_same_time_in_other_rooms_of_the_kind_comes_before_later_times_in_the_room() {
        let large = |n| room_with(n, |settings| settings.capacity = 40);
        let other_kind = room_with(5, |settings| settings.kind = "hall".into());
        let staff = room_with(6, |settings| settings.bookable_by = vec!["staff".into()]);
        let given = given([room(1), large(2), room(3), room(4), other_kind, staff]).and_at(
            "2026-05-02T00:00",
            [
                made(&held(1, "2026-06-02T11:00", "2026-06-02T13:00")),
                made(&held(1, "2026-06-02T15:30", "2026-06-02T16:00")),
                made(&held(4, "2026-06-02T09:00", "2026-06-02T10:01")),
            ],
        );
        let offers = [
            (3, "02T10:00", "02T12:00"),
            (2, "02T10:00", "02T12:00"),
            (1, "02T13:00", "02T15:00"),
            (1, "02T16:00", "02T18:00"),
            (1, "02T18:00", "02T20:00"),
        ];
        assert_eq!(offered(given, in_room()), expected(&offers));
    }

    #[test]
    fn a_kind_offers_the_earliest_time_of_each_room() {
        let given = given([room(1), room(2)]).and_at(
            "2026-05-02T00:00",
            [
                made(&held(1, "2026-06-02T11:00", "2026-06-02T13:00")),
                made(&held(2, "2026-06-02T11:00", "2026-06-02T12:30")),
            ],
        );
        let action = Action::ReserveKind(ReserveKind { kind: "meeting".into(), stay: wanted() });
        let offers = [(2, "02T12:30", "02T14:30"), (1, "02T13:00", "02T15:00")];
        assert_eq!(offered(given, action), expected(&offers));
    }

    #[test]
    fn what_is_offered_keeps_slots_opening_hours_and_days_ahead() {
        let mornings = |settings: &mut RoomSettings| {
            let span = || OpeningSpan::new(9 * 60, 14 * 60).unwrap().into();
            settings.opening_hours = Some(OpeningHours {
                tuesday: span(),
                thursday: span(),
                friday: span(),
                ..OpeningHours::default()
            });
            settings.slot_minutes = Some(60);
            settings.max_days_ahead = Some(3);
        };
        let given = given([room_with(1, mornings), made(&held(1, "2026-06-02T11:00", "2026-06-02T11:30"))]);
        // Lisbon is an hour ahead of UTC. Friday is four days ahead.
        let offers = [(1, "04T08:00", "04T10:00"), (1, "04T10:00", "04T12:00")];
        assert_eq!(offered(given, in_room()), expected(&offers));
    }

    #[test]
    fn nothing_is_offered_in_place_of_a_broken_rule_and_to_an_import() {
        let small = given([room_with(1, |settings| settings.capacity = 1), room(2)]);
        assert_eq!(offered(small, in_room()), []);
        let taken = || given([room(1), made(&held(1, "2026-06-02T11:00", "2026-06-02T13:00"))]);
        assert!(!taken().when(in_room()).alternatives().is_empty());
        assert_eq!(taken().when(in_room()).imported_at("2026-05-20T00:00").alternatives(), []);
    }

    #[test]
    fn whatever_is_offered_is_accepted() {
        let slots = |settings: &mut RoomSettings| settings.slot_minutes = Some(30);
        let stays = (0..14).map(|n| {
            let from = minute("2026-06-02T11:00").plus(n * 260).unwrap();
            let id = 200 + u128::from(n.unsigned_abs());
            made(&Reservation {
                from,
                to: from.plus(100).unwrap(),
                ..reservation(id, "2026-06-02T11:00", "2026-06-02T13:00")
            })
        });
        let stays: Vec<_> = stays.collect();
        let given =
            || given([room_with(1, slots), room_with(2, slots)]).and_at("2026-05-02T00:00", stays.clone());
        let offers = given().when(in_room()).alternatives();
        assert!(offers.len() > 1, "{offers:?}");
        for Alternative { room, from, to } in offers {
            let stay = Stay { interval: Interval { from, to }, ..wanted() };
            given().when(Action::Reserve(Reserve { room, stay })).accepted();
        }
    }
}
