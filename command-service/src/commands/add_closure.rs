//! Closes a room for some time.

use shared_events::{
    Closure, Interval,
    closure_events::{ClosureAdded, Hit, MOST_HITS},
};

use super::{
    Checked, Command, Decision,
    room_checks::{check_admin, open_room},
};
use crate::domain::{KnownClosure, MOST_CLOSURES, Rejection, Rooms, values::check_interval};

/// Closes a room for some time that has not ended. It takes no new stays then, and existing ones stay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddClosure {
    /// The closure, with its room. Another one with its id has the same times.
    pub closure: Closure,
}

impl AddClosure {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        check_admin(command)?;
        let closed = self.closure.interval();
        check_interval(closed)?;
        let (room, _) = open_room(rooms, self.closure.room)?;
        match room.closures().get(self.closure.id) {
            KnownClosure::Here(_) | KnownClosure::Ended => {
                let (room, revision) = (room.id(), room.revision());
                return Ok(Decision::Unchanged { room, reservation: None, revision });
            }
            KnownClosure::Lost if !room.remembers(closed.to) => {
                return Err(Decision::NeedsWholeStream(room.id()));
            }
            KnownClosure::Lost | KnownClosure::Nowhere => {}
        }
        let now = command.now.minute();
        if closed.to.start() <= command.now {
            return Err(Rejection::InThePast.into());
        }
        if !room.remembers(now) {
            return Err(Decision::NeedsWholeStream(room.id()));
        }
        if room.closures().ahead_of(now) >= MOST_CLOSURES {
            return Err(Rejection::TooManyClosures { limit: MOST_CLOSURES }.into());
        }
        let ahead = Interval { from: closed.from.max(now), to: closed.to };
        let hit = |reservation: &shared_events::Reservation| Hit {
            reservation: reservation.id,
            from: reservation.from,
            to: reservation.to,
        };
        let mut hits: Vec<Hit> =
            room.stays_in(ahead).filter(|stay| stay.to.start() > command.now).map(hit).collect();
        hits.reverse();
        let more = hits.len().saturating_sub(MOST_HITS);
        hits.truncate(MOST_HITS);
        let more_hits = u32::try_from(more).ok().filter(|more| *more > 0);
        let closure = self.closure.clone();
        Ok(Decision::event(room.id(), ClosureAdded { closure, hits, more_hits }))
    }
}

#[cfg(test)]
mod tests;
