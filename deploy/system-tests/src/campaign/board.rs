//! What the callers know together: the reservations, series and closures that they made.

use uuid::Uuid;

use super::{
    operation::{Operation, Repeated},
    record::{Done, Stay},
};

/// The number of recently cancelled reservations that callers may restore.
const CANCELLED: usize = 200;
/// The number of recent successes whose tokens queries send.
const RECENT: usize = 64;

/// A live reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Live {
    pub(crate) room: Uuid,
    pub(crate) reservation: Uuid,
    /// Its stay when it was made.
    pub(crate) stay: Option<Stay>,
    /// The owner, and who made it for the owner.
    pub(crate) users: [String; 2],
    pub(crate) series: Option<Uuid>,
}

/// A closure of some rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) closure: Uuid,
    pub(crate) rooms: Vec<Uuid>,
    pub(crate) stay: Stay,
}

/// The state that callers share.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) live: Vec<Live>,
    /// With the revisions at which they were cancelled. The one who takes it is the only one to restore it.
    pub(crate) cancelled: Vec<(Live, u64)>,
    /// Closures. The one who takes it is the only one to lift it.
    pub(crate) closures: Vec<Closed>,
    pub(crate) recent: Vec<Done>,
}

impl Board {
    /// Notes the effect of a command of a user.
    pub(crate) fn take(&mut self, operation: &Operation, done: Done, user: &str) {
        match operation {
            Operation::Reserve { room, stay, owner } => {
                self.made(
                    done.reservation,
                    *room,
                    Some(*stay),
                    [owner.as_deref().unwrap_or(user), user],
                    None,
                );
            }
            Operation::ReserveKind { stay, .. } => {
                self.made(done.reservation, done.room, Some(*stay), [user, user], None);
            }
            Operation::ReserveSeries(Repeated { room, owner, .. }) => {
                let users = [owner.as_deref().unwrap_or(user), user];
                if let Some(series) = &done.series {
                    for (reservation, _, stay) in &series.occurrences {
                        self.made(Some(*reservation), *room, Some(*stay), users, Some(series.series));
                    }
                }
            }
            Operation::Move { reservation, to_room, .. } => {
                for live in self.live.iter_mut().filter(|live| live.reservation == *reservation) {
                    live.room = *to_room;
                }
            }
            Operation::Cancel { reservation, .. } => {
                if let Some(gone) = self.gone(*reservation) {
                    self.cancelled.push((gone, done.revision));
                    if self.cancelled.len() > CANCELLED {
                        self.cancelled.remove(0);
                    }
                }
            }
            Operation::CancelSeries { .. } => {
                for (reservation, ..) in done.series.iter().flat_map(|series| &series.occurrences) {
                    self.gone(*reservation);
                }
            }
            // Whose it is was forgotten, and it may be in another room now.
            Operation::Restore { .. } => {
                self.made(done.reservation, done.room, None, [""; 2], None);
            }
            Operation::Close { rooms, stay, .. } => {
                let closure = done.closure.as_ref().and_then(|closed| closed.closure);
                let closed = closure.map(|closure| Closed { closure, rooms: rooms.clone(), stay: *stay });
                self.closures.extend(closed);
            }
            Operation::Register { .. }
            | Operation::Reschedule { .. }
            | Operation::ChangeSeries { .. }
            | Operation::Lift { .. } => {}
        }
        if !done.token.is_empty() {
            self.recent.push(done);
            if self.recent.len() > RECENT {
                self.recent.remove(0);
            }
        }
    }

    fn made(
        &mut self,
        reservation: Option<Uuid>,
        room: Uuid,
        stay: Option<Stay>,
        users: [&str; 2],
        series: Option<Uuid>,
    ) {
        if let Some(reservation) = reservation {
            self.live.push(Live { room, reservation, stay, users: users.map(str::to_owned), series });
        }
    }

    fn gone(&mut self, reservation: Uuid) -> Option<Live> {
        let place = self.live.iter().position(|live| live.reservation == reservation)?;
        Some(self.live.swap_remove(place))
    }
}
