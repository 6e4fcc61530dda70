//! Abort points: a process aborts at a named place, and tests see what a crash there leaves behind.

use crate::config::{Key, Settings};

/// A place at which the process aborts, as by `kill -9`, where a setting names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AbortPoint(&'static str);

impl AbortPoint {
    /// The point with this name, by which the setting chooses it.
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        Self(name)
    }

    /// The point that a setting names. A name that is not in `points` is a mistake.
    pub fn read(settings: &mut Settings, key: &Key<String>, points: &[Self]) -> Option<Self> {
        let name = settings.read(key)?;
        let chosen = points.iter().find(|point| point.0 == name).copied();
        if chosen.is_none() {
            let names: Vec<&str> = points.iter().map(|point| point.0).collect();
            settings.mistake(key, format!("must be one of {}", names.join(", ")));
        }
        chosen
    }

    /// Aborts the process where `chosen` is this point.
    pub fn reached(self, chosen: Option<Self>) {
        if chosen == Some(self) {
            tracing::error!(point = self.0, "the process aborts at its abort point");
            std::process::abort();
        }
    }
}
