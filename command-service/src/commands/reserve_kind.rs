//! A stay in any room of a kind.

use shared_events::room_rules::BrokenRule;

use super::{
    Command, Decided, Decision,
    reserve::Stay,
    room_checks::{check_free, check_not_past, check_order, check_time, open_room},
};
use crate::domain::{Rejection, Rooms, values::check_interval};

/// Reserves the first room of a kind, in the order of registration, that accepts the stay and is free.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReserveKind {
    /// Which kind, in the form that [`normalise`](crate::domain::values::normalise) gives.
    pub kind: String,
    /// When, for how many, what for.
    pub stay: Stay,
}

impl ReserveKind {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Decided {
        let Stay { interval, people, .. } = self.stay;
        check_interval(interval).map_err(Rejection::from)?;
        let mut refusal = Refusal::UnknownKind;
        for id in rooms.directory.rooms_of_kind(&self.kind) {
            let (room, settings) = match open_room(rooms, *id) {
                Ok((room, settings)) if settings.kind == self.kind => (room, settings),
                Err(Decision::NeedsRoom(id)) => return Err(Decision::NeedsRoom(id)),
                // The directory is behind the room's stream.
                Ok(_) | Err(_) => continue,
            };
            check_not_past(interval, command.now)?;
            let broken = settings
                .check_people(people)
                .and_then(|()| check_time(settings, interval, command.now))
                .err();
            if let Some(rule) = broken {
                refusal = refusal.closest(Refusal::Rule(rule));
            } else if let Err(out_of_order) = check_order(command, room) {
                refusal = refusal.closest(Refusal::OutOfOrder(out_of_order));
            } else {
                match check_free(room, interval, &[interval], None) {
                    Ok(()) => return Ok(self.stay.made_in(*id, settings, command)),
                    Err(Decision::Rejected(_)) => refusal = Refusal::Reserved,
                    Err(needs_more) => return Err(needs_more),
                }
            }
        }
        Err(match refusal {
            Refusal::UnknownKind => Rejection::UnknownKind { kind: self.kind.clone() },
            Refusal::Rule(rule) => rule.into(),
            Refusal::OutOfOrder(rejection) => rejection,
            Refusal::Reserved => Rejection::NoFreeRoom,
        }
        .into())
    }
}

/// What stands in the way in the rooms that were looked at, in the room that came closest to accepting the stay.
enum Refusal {
    UnknownKind,
    Rule(BrokenRule),
    OutOfOrder(Rejection),
    Reserved,
}

impl Refusal {
    /// The one of both that came closer; this one where they are level.
    fn closest(self, other: Self) -> Self {
        if other.closeness() > self.closeness() { other } else { self }
    }

    /// How many checks were passed, then how generous the limit is.
    fn closeness(&self) -> (u8, i64) {
        match self {
            Self::UnknownKind => (0, 0),
            Self::Rule(rule) => match *rule {
                BrokenRule::Capacity { limit } => (1, i64::from(limit)),
                BrokenRule::Slot { minutes } => (2, -i64::from(minutes)),
                BrokenRule::ShortestStay { minutes } => (3, -i64::from(minutes)),
                BrokenRule::LongestStay { minutes } => (4, i64::from(minutes)),
                BrokenRule::OpeningHours => (5, 0),
                BrokenRule::DaysAhead { days } => (6, i64::from(days)),
            },
            Self::OutOfOrder(Rejection::OutOfOrder { horizon }) => (7, -horizon.epoch_millis()),
            Self::OutOfOrder(_) => (7, i64::MIN),
            Self::Reserved => (8, 0),
        }
    }
}
