//! The documents that projections fold from events and queries read. Pure types.
//!
//! Each document of a room names the room, and the version of its stream that it shows.

pub mod checkpoint;
pub mod closure;
pub mod generation;
pub mod history;
pub mod local_time;
pub mod of_room;
pub mod requests;
pub mod reservation;
pub mod room;
pub mod rules;
pub mod usage;

pub use checkpoint::{Checkpoint, DroppedEvent, Parked, ParkedMessage};
pub use closure::ClosureDoc;
pub use history::{AsOf, Change, HistoryDoc, HistoryKind};
pub use of_room::{Compared, Difference, RoomDocuments};
pub use requests::{Outcome, Request, RequestedAction};
pub use reservation::{ReservationDoc, Status};
pub use room::{KindCount, RoomDoc};
pub use rules::Rules;
pub use usage::{UsageDoc, UsageKey};
