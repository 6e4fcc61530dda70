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
    pub const KNOWN: Self = Self(2);

    /// The form to which an event belongs.
    #[must_use]
    pub const fn of(event: &Event) -> Self {
        match event {
            Event::ReservationRestored(_) => Self(2),
            _ => Self::FIRST,
        }
    }
}
