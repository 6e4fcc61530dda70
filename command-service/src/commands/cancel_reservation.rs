//! The end of a reservation.

use shared_events::{Reservation, ReservationId, RoomId, reservation_events::ReservationCancelled};

use super::{
    Command, Decided, Decision,
    about_reservation::{Found, check_not_begun, find},
};
use crate::domain::Rooms;

/// Gives up a stay that has not begun; its time is free again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CancelReservation {
    /// In which room it is; none means wherever it is.
    pub room: Option<RoomId>,
    /// Which reservation.
    pub reservation: ReservationId,
}

impl CancelReservation {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Decided {
        let Found { room, reservation, .. } = find(command, rooms, self.room, self.reservation)?;
        check_not_begun(reservation, command.now)?;
        let reservation = Reservation { revision: reservation.revision + 1, ..reservation.clone() };
        Ok(Decision::event(room.id(), ReservationCancelled { reservation }))
    }
}
