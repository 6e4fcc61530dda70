//! Which events may be written while instances of older builds run.

use shared_events::Event;

/// The form of writing: all events that instances of a build know. The store has one, which an operator raises when every
/// instance knows the next. An instance that knows only a lower one must not append.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WriterForm(pub u64);

impl WriterForm {
    /// The form of every build that reads the relay's mode.
    pub const FIRST: Self = Self(1);

    /// The form that this build knows.
    pub const KNOWN: Self = Self(3);

    /// The form to which an event belongs.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        // An older build would lose these fields with the next change. It loses `offsets` too, which belong to the first form:
        // without them, nobody knows what the clocks showed, and nothing else depends on them.
        if event.reservation().is_some_and(|about| about.booked_by.is_some() || about.series.is_some()) {
            return Self(3);
        }
        let room = match event {
            Event::RoomRegistered(event) => &event.room,
            Event::RoomChanged(event) => &event.room,
            Event::RoomRetired(event) => &event.room,
            Event::ClosureAdded(_) | Event::ClosureLifted(_) => return Self(3),
            // Older instances would reserve the buffers.
            _ if event.reservation().is_some_and(|reservation| reservation.busy.is_some()) => return Self(3),
            Event::ReservationRestored(_) => return Self(2),
            _ => return Self::FIRST,
        };
        if room.settings.needs_second_version() { Self(3) } else { Self::FIRST }
    }
}
