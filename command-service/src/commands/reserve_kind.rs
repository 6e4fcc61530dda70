//! Reserves any room of a kind.

use shared_events::{RoomId, RoomSettings, room_rules::BrokenRule};

use super::{
    Checked, Command, Decision,
    reserve::Stay,
    room_checks::{ahead, check_free, check_not_past, check_roles, check_time, open_room},
};
use crate::domain::{Rejection, Rooms, values::check_interval};

/// Reserves the smallest room of a kind that is free and accepts the stay: of equals, the first that was registered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReserveKind {
    /// The kind, normalised.
    pub kind: String,
    /// The stay.
    pub stay: Stay,
}

impl ReserveKind {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        let Stay { interval, people, .. } = self.stay;
        check_interval(interval)?;
        self.stay.check_owner(command)?;
        let mut refusal = Refusal::UnknownKind;
        let mut smallest: Option<(RoomId, &RoomSettings)> = None;
        for id in rooms.directory.rooms_of_kind(&self.kind) {
            let (room, settings) = match open_room(rooms, *id) {
                Ok((room, settings)) if settings.kind == self.kind => (room, settings),
                Err(Decision::NeedsRoom(id)) => return Err(Decision::NeedsRoom(id)),
                // The directory is behind the room's stream.
                Ok(_) | Err(_) => continue,
            };
            if smallest.is_some_and(|(_, smallest)| smallest.capacity <= settings.capacity) {
                continue;
            }
            if check_not_past(settings, interval, command.now).is_err() {
                refusal = refusal.closest(Refusal::InThePast);
                continue;
            }
            let ahead = ahead(command, room, settings, self.stay.owner(command), |_| true)?;
            let broken = check_roles(command, settings)
                .and_then(|()| settings.check_people(people))
                .and_then(|()| check_time(settings, interval, command.now))
                .and_then(|()| ahead.map_or(Ok(()), |ahead| settings.check_ahead(ahead.and(interval))))
                .err();
            if let Some(rule) = broken {
                refusal = refusal.closest(Refusal::Rule(rule));
            } else {
                let busy = settings.busy(interval);
                match check_free(room, busy, &[busy], None) {
                    Ok(()) => smallest = Some((*id, settings)),
                    Err(Decision::Rejected(_)) => refusal = Refusal::Reserved,
                    Err(needs_more) => return Err(needs_more),
                }
            }
        }
        if let Some((room, settings)) = smallest {
            return Ok(self.stay.made_in(room, settings, command));
        }
        Err(match refusal {
            Refusal::UnknownKind => Rejection::UnknownKind { kind: self.kind.clone() },
            Refusal::InThePast => Rejection::InThePast,
            Refusal::Rule(rule) => rule.into(),
            Refusal::Reserved => Rejection::NoFreeRoom,
        }
        .into())
    }
}

/// Why no room was reserved, told by the room that came closest to accepting the stay.
enum Refusal {
    UnknownKind,
    InThePast,
    Rule(BrokenRule),
    Reserved,
}

impl Refusal {
    /// The closer one; `self` on a tie.
    fn closest(self, other: Self) -> Self {
        if other.closeness() > self.closeness() { other } else { self }
    }

    /// Number of passed checks, then generosity of the limit.
    fn closeness(&self) -> (u8, i64) {
        match self {
            Self::UnknownKind => (0, 0),
            Self::InThePast => (1, 0),
            Self::Rule(rule) => match *rule {
                BrokenRule::BookableBy => (1, 1),
                BrokenRule::Capacity { limit } => (2, i64::from(limit)),
                BrokenRule::Slot { minutes } => (3, -i64::from(minutes)),
                BrokenRule::ShortestStay { minutes } => (4, -i64::from(minutes)),
                BrokenRule::LongestStay { minutes } => (5, i64::from(minutes)),
                BrokenRule::OpeningHours => (6, 0),
                BrokenRule::DaysAhead { days } => (7, i64::from(days)),
                BrokenRule::ReservationsAhead { limit } => (8, i64::from(limit)),
                BrokenRule::MinutesAhead { limit } => (9, i64::from(limit)),
            },
            Self::Reserved => (10, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use shared_events::Reservation;

    use super::*;
    use crate::commands::{
        Action, NewEvent,
        scenario::{
            Given, given, made, minute, new_reservation, reservation, room, room_changed, room_id,
            room_retired, room_with, stay,
        },
    };

    const TEN: &str = "2026-06-02T10:00";
    const TWELVE: &str = "2026-06-02T12:00";

    fn reserve(people: u32) -> Action {
        let stay = Stay { people, ..stay(TEN, TWELVE) };
        Action::ReserveKind(ReserveKind { kind: "meeting".into(), stay })
    }

    /// Room `n` is held from ten to twelve.
    fn held(n: u128) -> NewEvent {
        made(&Reservation { room: room_id(n), ..reservation(n, TEN, TWELVE) })
    }

    fn expected(n: u128, people: u32) -> NewEvent {
        let (id, room) = (new_reservation(room_id(n)), room_id(n));
        made(&Reservation { id, room, people, ..reservation(1, TEN, TWELVE) })
    }

    fn capacity(n: u128, capacity: u32) -> NewEvent {
        room_with(n, |settings| settings.capacity = capacity)
    }

    #[test]
    fn the_smallest_free_room_that_fits_is_taken_whatever_was_registered_before() {
        let rooms = || given([capacity(1, 100), capacity(2, 4), capacity(3, 8), capacity(4, 4)]);
        rooms().when(reserve(2)).then([expected(2, 2)]);
        rooms().when(reserve(5)).then([expected(3, 5)]);
        rooms().when(reserve(9)).then([expected(1, 9)]);
        let without =
            |held_rooms: &[u128]| rooms().and_at("2026-05-02T00:00", held_rooms.iter().copied().map(held));
        without(&[2]).when(reserve(2)).then([expected(4, 2)]);
        without(&[2, 4]).when(reserve(2)).then([expected(3, 2)]);
        without(&[2, 3, 4]).when(reserve(2)).then([expected(1, 2)]);
        without(&[1, 2, 3, 4]).when(reserve(2)).rejected(Rejection::NoFreeRoom);
    }

    #[test]
    fn of_rooms_of_one_size_the_first_registered_that_is_free_is_taken() {
        given([room(5), room(3), room(4)]).when(reserve(2)).then([expected(5, 2)]);
        given([room(5), room(3), room(4), held(5)]).when(reserve(2)).then([expected(3, 2)]);
    }

    #[test]
    fn rooms_whose_rules_refuse_are_passed_over() {
        given([capacity(1, 2), capacity(2, 8)]).when(reserve(6)).then([expected(2, 6)]);
    }

    #[test]
    fn a_room_of_other_roles_is_passed_over_and_told_of_if_there_is_no_other() {
        let staff = |n| room_with(n, |settings| settings.bookable_by = vec!["staff".into()]);
        given([staff(1), room(2)]).when(reserve(2)).then([expected(2, 2)]);
        given([staff(1), room(2)]).when(reserve(2)).with_role("staff").then([expected(1, 2)]);
        given([staff(1)]).when(reserve(2)).rejected(BrokenRule::BookableBy);
        given([staff(1), capacity(2, 1)]).when(reserve(2)).rejected(BrokenRule::Capacity { limit: 1 });
    }

    #[test]
    fn a_kind_whose_suitable_rooms_are_reserved_has_no_free_room() {
        given([capacity(1, 2), capacity(2, 8), held(2)]).when(reserve(6)).rejected(Rejection::NoFreeRoom);
    }

    #[test]
    fn a_kind_whose_rooms_all_refuse_by_a_rule_answers_with_the_closest() {
        let given = || given([capacity(1, 2), capacity(2, 5), capacity(3, 4)]);
        given().when(reserve(6)).rejected(BrokenRule::Capacity { limit: 5 });
        let short = |settings: &mut RoomSettings| settings.max_minutes = Some(60);
        let given = given().and_at("2026-05-02T00:00", [room_with(4, short)]);
        given.when(reserve(6)).rejected(BrokenRule::Capacity { limit: 5 });
        let given = super::super::scenario::given([capacity(1, 1), room_with(2, short)]);
        given.when(reserve(2)).rejected(BrokenRule::LongestStay { minutes: 60 });
    }

    #[test]
    fn a_kind_without_rooms_is_unknown() {
        let unknown = || Rejection::UnknownKind { kind: "meeting".into() };
        given([]).when(reserve(2)).rejected(unknown());
        given([room(1), room_retired(1, 2)]).when(reserve(2)).rejected(unknown());
        let other = room_changed(1, 2, |settings| settings.kind = "hall".into());
        given([room(1), other]).when(reserve(2)).rejected(unknown());
    }

    #[test]
    fn the_past_is_refused_once_for_all_rooms() {
        given([room(1), room(2)]).when(reserve(2)).at("2026-06-02T10:01").rejected(Rejection::InThePast);
    }

    #[test]
    fn a_room_whose_slot_is_running_is_taken() {
        let slots = room_with(2, |settings| settings.slot_minutes = Some(60));
        given([room(1), slots]).when(reserve(2)).at("2026-06-02T10:59").then([expected(2, 2)]);
    }

    #[test]
    fn an_import_of_the_past_takes_the_first_room_whose_whole_stream_is_free() {
        let past = |n| {
            made(&Reservation {
                room: room_id(n),
                ..reservation(10 + n, "2025-06-02T10:00", "2025-06-02T12:00")
            })
        };
        let stay = stay("2025-06-02T10:00", "2025-06-02T12:00");
        let reserve = || Action::ReserveKind(ReserveKind { kind: "meeting".into(), stay: stay.clone() });
        let imported = |given: Given| given.when(reserve()).imported_at("2025-06-01T00:00").decided();
        let (decision, whole_reads) = imported(given([room(1), room(2), past(1), held(1), held(2)]));
        let Decision::Events(events) = decision else { panic!("{decision:?}") };
        assert_eq!((events[0].room, whole_reads), (room_id(2), 1));
        let none = given([room(1), room(2), past(1), past(2)]);
        assert_eq!(imported(none).0, Decision::Rejected(Rejection::NoFreeRoom));
    }

    #[test]
    fn whole_streams_are_read_only_of_rooms_that_look_free() {
        let later = |n| {
            let (from, to) = (minute("2026-08-02T10:00"), minute("2026-08-02T11:00"));
            made(&Reservation { room: room_id(n), from, to, ..reservation(9, TEN, TWELVE) })
        };
        let given = given([room(1), room(2), room(3), held(1), held(2), held(3)])
            .and_at("2026-07-01T00:00", [later(1), later(2)]);
        let (decision, whole_reads) = given.when(reserve(2)).decided();
        assert_eq!(decision, Decision::Rejected(Rejection::NoFreeRoom));
        assert_eq!(whole_reads, 2);
    }
}
