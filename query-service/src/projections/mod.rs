//! How events become documents: pure folds. A fold never deletes, and an event that comes again changes nothing.

pub mod closures;
pub mod history;
pub mod reservations;
pub mod rooms;
pub mod usage;

use shared_events::{Event, Interval, RawEvent, RoomId};

use crate::read_models::reservation::with_buffers;

/// The longest stay in minutes: 366 days and an hour of daylight saving.
pub const LONGEST_STAY: i64 = 366 * 24 * 60 + 60;

/// Why a decoded event can't be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Inapplicable {
    /// A stay or a closure that does not end after it begins.
    #[error("the stay or closure does not end after it begins")]
    EmptyStay,
    /// A stay or a closure that no command could have made.
    #[error("the stay or closure is longer than 366 days")]
    EndlessStay,
    /// A busy interval that no command could have given.
    #[error("the busy interval does not hold the stay, or is longer than its buffers may be")]
    OtherBusy,
    /// An event in the stream of a room that it does not name.
    #[error("the event names another room than its stream")]
    OtherRoom,
}

/// Decodes the payload of an event that the projections can apply.
///
/// # Errors
/// Why they can't.
pub fn read(raw: &RawEvent) -> Result<Event, String> {
    let event = raw.event().map_err(|error| error.to_string())?;
    check(raw.room, &event).map_err(|error| error.to_string())?;
    Ok(event)
}

/// Whether the projections can apply an event of a room. The projector parks the room if not.
///
/// # Errors
/// What is wrong with the event.
pub fn check(room: RoomId, event: &Event) -> Result<(), Inapplicable> {
    let stay = |interval: Interval| {
        if interval.minutes() <= 0 {
            Err(Inapplicable::EmptyStay)
        } else if interval.minutes() > LONGEST_STAY {
            Err(Inapplicable::EndlessStay)
        } else {
            Ok(())
        }
    };
    let (named, previous) = match event {
        Event::RoomRegistered(e) => (e.room.id, None),
        Event::RoomChanged(e) => (e.room.id, None),
        Event::RoomRetired(e) => (e.room.id, None),
        Event::ReservationMade(e) => (e.reservation.room, None),
        Event::ReservationRescheduled(e) => (e.reservation.room, Some(e.previous)),
        Event::ReservationMovedOut(e) => (e.previous.room, Some(e.previous)),
        Event::ReservationMovedIn(e) => (e.reservation.room, Some(e.previous)),
        Event::ReservationCancelled(e) => (e.reservation.room, None),
        Event::ReservationRestored(e) if e.cancelled_in == room => (e.cancelled_in, None),
        Event::ReservationRestored(e) => (e.reservation.room, None),
        Event::ClosureAdded(e) => (e.closure.room, None),
        Event::ClosureLifted(e) => (e.closure.room, None),
    };
    if named != room {
        return Err(Inapplicable::OtherRoom);
    }
    if let Some(reservation) = event.reservation() {
        stay(reservation.interval())?;
        let (busy, most) = (reservation.busy_interval(), with_buffers(reservation.interval()));
        if busy.from > reservation.from
            || busy.to < reservation.to
            || busy.from < most.from
            || busy.to > most.to
        {
            return Err(Inapplicable::OtherBusy);
        }
    }
    if let Some(closure) = event.closure() {
        stay(closure.interval())?;
    }
    previous.map_or(Ok(()), |place| stay(place.interval()))
}
