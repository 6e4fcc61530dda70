//! The domain: the state of rooms, the directory of names and kinds, values, and rejections.
//!
//! Everything here is pure: no clock, no randomness, no input or output.

mod bookable;
mod closures;
mod directory;
mod held;
mod recurrence;
mod rejection;
mod room;
mod rooms;
mod timeline;
pub mod values;

pub(crate) use bookable::check_bookable;
pub(crate) use closures::{KnownClosure, MOST_CLOSURES};
pub(crate) use directory::Directory;
pub use directory::RoomEntry;
pub(crate) use recurrence::shifted;
pub use recurrence::{InvalidRecurrence, MOST_OCCURRENCES, Recurrence};
pub use rejection::{Misfit, Rejection, Why};
pub use room::{OutOfSequence, Room, SNAPSHOT_SCHEMA, Undo};
pub(crate) use rooms::{Located, Recalled, Rooms};
pub use values::{InvalidInterval, InvalidSetting, NameKey};
