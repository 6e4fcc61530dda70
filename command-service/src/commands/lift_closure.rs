//! Takes a closure of a room back.

use shared_events::{ClosureId, RoomId, closure_events::ClosureLifted};

use super::{
    Checked, Command, Decision,
    room_checks::{check_admin, open_room},
};
use crate::domain::{KnownClosure, Rooms};

/// Takes a closure of a room back. A room without it stays as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiftClosure {
    /// The room.
    pub room: RoomId,
    /// The closure.
    pub closure: ClosureId,
}

impl LiftClosure {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        check_admin(command)?;
        let (room, _) = open_room(rooms, self.room)?;
        match room.closures().get(self.closure) {
            KnownClosure::Here(closure) => {
                Ok(Decision::event(room.id(), ClosureLifted { closure: closure.clone() }))
            }
            // The event names all of the closure.
            KnownClosure::Ended | KnownClosure::Lost => Err(Decision::NeedsWholeStream(room.id())),
            KnownClosure::Nowhere => {
                let (room, revision) = (room.id(), room.revision());
                Ok(Decision::Unchanged { room, reservation: None, revision })
            }
        }
    }
}
