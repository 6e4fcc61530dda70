//! What commands about a series share. A series is reservations that were made together in one room by one rule. Each lives and
//! changes by itself.

use shared_events::{Event, Minute, Reservation, ReservationId, RoomId, SeriesId};

use super::{Checked, Command, Decision, NewEvent, about_reservation::check_owner, room_checks::check_order};
use crate::domain::{Misfit, Rejection, Room};

/// A reservation of a series after a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occurrence {
    /// The reservation; `None` in a dry run that would make it.
    pub reservation: Option<ReservationId>,
    /// Its revision.
    pub revision: u32,
    /// First minute.
    pub from: Minute,
    /// First minute after it.
    pub to: Minute,
}

impl Occurrence {
    /// A reservation that exists.
    #[must_use]
    pub const fn of(reservation: &Reservation) -> Self {
        let Reservation { id, revision, from, to, .. } = *reservation;
        Self { reservation: Some(id), revision, from, to }
    }
}

/// The first reservation that a command about a series is about. Those that follow it are too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Following {
    /// This one.
    Reservation(ReservationId),
    /// The first one that begins at this minute or later.
    Since(Minute),
}

/// The decision on a command about a series.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SeriesDecision {
    /// The room.
    pub(crate) room: RoomId,
    /// The series.
    pub(crate) series: SeriesId,
    /// The events, all of this room, in an order in which reservations overlap at no version. None in a dry run, or if nothing
    /// changes.
    pub(crate) events: Vec<NewEvent>,
    /// The occurrences, by time, as the answer names them: of a series that changes, those that change.
    pub(crate) occurrences: Vec<Occurrence>,
    /// Occurrences that were left out.
    pub(crate) skipped: Vec<Misfit>,
}

impl SeriesDecision {
    pub(super) fn new(room: RoomId, series: SeriesId) -> Self {
        Self { room, series, events: Vec::new(), occurrences: Vec::new(), skipped: Vec::new() }
    }

    pub(super) fn push(&mut self, event: impl Into<Event>) {
        self.events.push(NewEvent { room: self.room, event: event.into() });
    }

    /// The decision. Without an event, and without an occurrence of a dry run, there is nothing to do.
    pub(super) fn decision(self) -> Decision {
        Decision::Series(Box::new(self))
    }
}

/// The reservations of a series in this room that have not begun, by time: all of them, or one and those that follow. The actor
/// may change each of them.
pub(super) fn members<'a>(
    command: &Command,
    room: &'a Room,
    series: SeriesId,
    following: Option<Following>,
) -> Checked<Vec<&'a Reservation>> {
    // Of an earlier time than the latest one, the room may have forgotten stays that had not begun.
    if !room.remembers(command.now.minute()) {
        return Err(Decision::NeedsWholeStream(room.id()));
    }
    let ahead = room.of_series(series).filter(|member| member.from.start() > command.now);
    let mut members: Vec<&Reservation> = ahead.collect();
    match following {
        None => {}
        Some(Following::Since(from)) => members.retain(|member| member.from >= from),
        Some(Following::Reservation(first)) => {
            let place = members.iter().position(|member| member.id == first);
            members.drain(..place.ok_or_else(|| unknown(command, room, series, first))?);
        }
    }
    if members.is_empty() {
        return Err(Rejection::UnknownSeries.into());
    }
    for member in &members {
        check_order(command, room, member.id)?;
        check_owner(command, member)?;
    }
    Ok(members)
}

/// Why a reservation is none of the series that can change.
fn unknown(command: &Command, room: &Room, series: SeriesId, reservation: ReservationId) -> Rejection {
    match room.reservation(reservation).filter(|found| found.series == Some(series)) {
        Some(begun) if begun.to.start() > command.now => Rejection::AlreadyStarted { from: begun.from },
        // The room forgets those that have ended.
        Some(_) | None => Rejection::UnknownReservation,
    }
}
