//! Closures of rooms as queries see them.

use serde::{Deserialize, Serialize};
use shared_events::{Closure, Version};

/// A closure in one room, with the values of its latest event. Each event makes the whole document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosureDoc {
    /// Its values.
    pub closure: Closure,
    /// Whether the room is closed: it was not lifted.
    pub live: bool,
    /// The version of the room's stream that gave it this form.
    pub version: Version,
}
