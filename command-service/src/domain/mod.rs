//! The domain: the state of rooms, the directory of names and kinds, values, and rejections.
//!
//! Everything here is pure: no clock, no randomness, no input or output.

pub mod directory;
pub mod rejection;
pub mod room;
pub mod rooms;
mod timeline;
pub mod values;

pub use directory::{Directory, RoomEntry};
pub use rejection::Rejection;
pub use room::{OutOfSequence, Room, SNAPSHOT_SCHEMA, Undo};
pub use rooms::{Located, Rooms};
pub use values::{InvalidInterval, InvalidSetting};
