//! Writes one log line for each act of an administrator or operator.
//!
//! The lines have the target `audit`. No log level leaves them out. They name the actor; of other people they hold ids only.

/// The target of audit lines.
pub(crate) const TARGET: &str = "audit";

/// An act in progress. Drop writes its line, so an act is logged even if the client does not wait.
#[derive(Debug)]
#[must_use = "dropped at once, it logs an unknown outcome"]
pub struct Act {
    actor: String,
    act: &'static str,
    on: String,
    correlation_id: Option<String>,
    outcome: String,
}

impl Act {
    /// Begins an act. `on` names the object by ids alone; `correlation_id` is the request's.
    pub fn begun(
        actor: impl Into<String>,
        act: &'static str,
        on: impl Into<String>,
        correlation_id: Option<&str>,
    ) -> Self {
        Self {
            actor: actor.into(),
            act,
            on: on.into(),
            correlation_id: correlation_id.map(str::to_owned),
            outcome: "unknown: the client did not wait".to_owned(),
        }
    }

    /// Records the outcome, and writes the line.
    pub fn ended(mut self, outcome: impl Into<String>) {
        self.outcome = outcome.into();
    }
}

impl Drop for Act {
    fn drop(&mut self) {
        tracing::info!(
            target: TARGET,
            actor = self.actor,
            act = self.act,
            on = self.on,
            outcome = self.outcome,
            correlation_id = self.correlation_id,
            "an administrator or operator acted"
        );
    }
}

/// The user who runs an operator's command, from the variable `USER`.
#[must_use]
pub fn operator() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "operator".to_owned())
}
