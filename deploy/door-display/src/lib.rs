//! Shows until when one room is free.
//!
//! An example of a reader of `reservations.changes`: the topic tells that a room has new events, the feed of the command service
//! has them, and [`shared_events::changes`] decides what to ask for.

mod door;
mod feed;
mod follow;
mod kafka;

pub use door::Door;
pub use feed::{Credentials, Feed};
pub use follow::follow;
pub use kafka::listen;
