//! What administrators and operators did, for those who have to answer for it: one log line for each act.
//!
//! Lines have the target `audit` and are written whatever the log's level is, so that they can be led to where nobody
//! changes them. They name who acted, and of others nothing but ids.

/// The target of the lines.
pub const TARGET: &str = "audit";

/// An act that has begun. Its line is written when it is dropped, so that none is lost when a client does not wait.
#[derive(Debug)]
#[must_use = "dropped at once, it says that the outcome is not known"]
pub struct Act {
    actor: String,
    act: &'static str,
    on: String,
    correlation_id: Option<String>,
    outcome: String,
}

impl Act {
    /// Somebody begins something: `on` is what it is done to, by ids alone, and `correlation_id` that of the request.
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
            outcome: "not known: nobody waited for it".to_owned(),
        }
    }

    /// It has ended like this.
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
            "somebody with power acted"
        );
    }
}

/// Who runs an operator's command, as the system calls them (`USER`).
#[must_use]
pub fn operator() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "operator".to_owned())
}
