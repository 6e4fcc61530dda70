//! Cancels reservations of a series.

use shared_events::{Reservation, RoomId, SeriesId, reservation_events::ReservationCancelled};

use super::{
    Checked, Command,
    room_checks::open_room,
    series::{Following, Occurrence, SeriesDecision, members},
};
use crate::domain::Rooms;

/// Cancels the reservations of a series that have not begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CancelSeries {
    /// The room.
    pub room: RoomId,
    /// The series.
    pub series: SeriesId,
    /// The first reservation that is cancelled; `None` for all that have not begun.
    pub following: Option<Following>,
}

impl CancelSeries {
    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        let (room, _) = open_room(rooms, self.room)?;
        let mut decision = SeriesDecision::new(self.room, self.series);
        for before in members(command, room, self.series, self.following)? {
            let reservation = Reservation { revision: before.revision + 1, ..before.clone() };
            decision.occurrences.push(Occurrence::of(&reservation));
            decision.push(ReservationCancelled { reservation });
        }
        Ok(decision.decision())
    }
}
