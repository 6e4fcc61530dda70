//! Why an attempt failed.

use service_kit::telemetry::with_causes;

use crate::event_store::StoreError;

/// The reason why an attempt failed. Nothing that it applied is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::writer) enum AttemptError {
    /// Another writer was first: decide again.
    Conflict,
    /// The store was not reached, or did not answer in time.
    Transient,
    /// The same, but the group may have been committed.
    Unknown,
    /// The store refuses the group.
    Permanent,
}

impl AttemptError {
    pub(in crate::writer) const fn reason(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Transient => "transient",
            Self::Unknown => "unknown",
            Self::Permanent => "permanent",
        }
    }
}

impl From<StoreError> for AttemptError {
    fn from(error: StoreError) -> Self {
        let permanent = !matches!(error, StoreError::Unavailable { .. });
        tracing::warn!(error = with_causes(&error), permanent, "the event store could not be read");
        if permanent { Self::Permanent } else { Self::Transient }
    }
}

impl From<serde_json::Error> for AttemptError {
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(error = with_causes(&error), "an event or outcome can't be encoded");
        Self::Permanent
    }
}
