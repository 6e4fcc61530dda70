//! Why an event can't be read.

/// Why an event can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No current type and no upcaster has this name. Third parties ignore such events; our services must not.
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// The type is known, its payload or its metadata is not of its form.
    #[error("malformed {event_type}: {reason}")]
    Malformed {
        /// The type that it claims to be.
        event_type: String,
        /// What is wrong with it.
        reason: String,
    },
}
