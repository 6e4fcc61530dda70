//! The error of an event that can't be decoded.

/// The error of an event that can't be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The type is neither a current one nor one of an upcaster. Third parties ignore such events; our services must not.
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// The type is known, but payload or metadata have another form.
    #[error("malformed {event_type}: {reason}")]
    Malformed {
        /// The event's type.
        event_type: String,
        /// What is wrong with it.
        reason: String,
    },
}
