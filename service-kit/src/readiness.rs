//! The state of the components that a service needs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::clock::Clock;

/// Longest shown reason, in characters.
const MAX_REASON: usize = 200;

/// The components of a service, which is ready when all of them work. Clones share the components.
#[derive(Debug, Clone)]
pub struct Readiness {
    clock: Clock,
    states: Arc<Mutex<BTreeMap<&'static str, ComponentState>>>,
    part: Arc<Mutex<Option<Self>>>,
    time_zones: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ComponentState {
    Ok,
    Failing { since: DateTime<Utc>, reason: String },
}

/// One component. Its user reports the state.
#[derive(Debug, Clone)]
pub struct Component {
    name: &'static str,
    readiness: Readiness,
}

/// The state of all components at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Whether every component works.
    pub ready: bool,
    /// The components by name.
    pub components: BTreeMap<&'static str, ComponentReport>,
    /// Release and source of the rules of time zones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zones: Option<String>,
}

/// The state of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentReport {
    /// `ok` or `failing`.
    pub state: &'static str,
    /// Time of the first failure (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The reason of the failure, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Readiness {
    /// A readiness without components: ready.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, states: Arc::default(), part: Arc::default(), time_zones: None }
    }

    /// Names the time zone database of the process in reports, in the log, and in the metric `time_zones_info`.
    #[must_use]
    pub fn with_time_zones(mut self, version: &str, source: &'static str) -> Self {
        tracing::info!(version, source, "rules of time zones");
        metrics::describe_gauge!(
            "time_zones_info",
            "The rules of time zones, by version and source. Always 1."
        );
        metrics::gauge!("time_zones_info", "version" => version.to_owned(), "source" => source).set(1.0);
        self.time_zones = Some(format!("{version}, {source}"));
        self
    }

    /// Adds the components of `part`, in place of an earlier part's. A component that both have works if it works in both.
    ///
    /// For several parts of which one at a time does the work.
    pub fn count_in(&self, part: &Self) {
        *self.part.lock().unwrap_or_else(PoisonError::into_inner) = Some(part.clone());
    }

    /// Adds a component. It fails until [`Component::ok`].
    #[must_use]
    pub fn component(&self, name: &'static str) -> Component {
        let component = Component { name, readiness: self.clone() };
        component.failing("starting");
        component
    }

    /// The state of all components.
    #[must_use]
    pub fn report(&self) -> Report {
        let states = self.all_states();
        let components: BTreeMap<_, _> = states.iter().map(|(name, state)| (*name, state.report())).collect();
        let ready = states.values().all(|state| *state == ComponentState::Ok);
        Report { ready, components, time_zones: self.time_zones.clone() }
    }

    fn all_states(&self) -> BTreeMap<&'static str, ComponentState> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let part = self.part.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (name, state) in part.map(|part| part.all_states()).unwrap_or_default() {
            let known = states.entry(name).or_insert(ComponentState::Ok);
            if *known == ComponentState::Ok {
                *known = state;
            }
        }
        states
    }

    /// Whether every component works.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.all_states().values().all(|state| *state == ComponentState::Ok)
    }
}

impl ComponentState {
    fn report(&self) -> ComponentReport {
        match self {
            Self::Ok => ComponentReport { state: "ok", since: None, reason: None },
            Self::Failing { since, reason } => ComponentReport {
                state: "failing",
                since: Some(since.to_rfc3339_opts(SecondsFormat::Secs, true)),
                reason: Some(reason.clone()),
            },
        }
    }
}

impl Component {
    /// The shown name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Reports that the component works.
    pub fn ok(&self) {
        let mut states = self.readiness.states.lock().unwrap_or_else(PoisonError::into_inner);
        let before = states.insert(self.name, ComponentState::Ok);
        drop(states);
        if before != Some(ComponentState::Ok) {
            tracing::info!(component = self.name, "component is ready");
        }
    }

    /// Reports that the component fails. Anyone can read `reason`, so it must hold no secret. The time of the first failure
    /// stays.
    pub fn failing(&self, reason: impl Into<String>) {
        let reason: String = reason.into().chars().take(MAX_REASON).collect();
        let now = self.readiness.clock.now();
        let mut states = self.readiness.states.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match states.get(self.name) {
            Some(ComponentState::Failing { since, .. }) => *since,
            _ => now,
        };
        let before = states.insert(self.name, ComponentState::Failing { since, reason: reason.clone() });
        drop(states);
        if before == Some(ComponentState::Ok) {
            tracing::warn!(component = self.name, reason, "component fails");
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn of_several_parts_only_the_one_that_is_counted_in_matters() {
        let readiness = Readiness::new(Clock::system());
        let whole = readiness.component("mongodb");
        let [one, other] = [Readiness::new(Clock::system()), Readiness::new(Clock::system())];
        let (kafka, same) = (one.component("kafka"), one.component("mongodb"));
        other.component("kafka").failing("no broker answers");
        readiness.count_in(&one);
        whole.ok();
        kafka.ok();
        assert!(!readiness.is_ready(), "one of two that know a component says that it fails");
        same.ok();
        assert!(readiness.is_ready());
        readiness.count_in(&other);
        assert_eq!(readiness.report().components["kafka"].reason.as_deref(), Some("no broker answers"));
        assert_eq!(readiness.report().components["mongodb"].state, "ok");
    }

    #[test]
    fn a_report_names_the_rules_of_time_zones() {
        let readiness = Readiness::new(Clock::system()).with_time_zones("2026f", "compiled");
        let report = serde_json::to_value(readiness.report()).unwrap();
        assert_eq!(report["timeZones"], "2026f, compiled");
    }

    #[test]
    fn a_long_reason_is_cut() {
        let readiness = Readiness::new(Clock::system());
        readiness.component("mysql").failing("\u{e9}".repeat(MAX_REASON + 1));
        assert_eq!(readiness.report().components["mysql"].reason, Some("\u{e9}".repeat(200)));
    }

    #[test]
    fn a_service_is_ready_when_every_component_is() {
        let clock = Clock::standing_at(DateTime::from_timestamp(0, 0).unwrap());
        let readiness = Readiness::new(clock.clone());
        let (mysql, kafka) = (readiness.component("mysql"), readiness.component("kafka"));
        assert!(!readiness.is_ready());
        mysql.ok();
        clock.advance(TimeDelta::seconds(5));
        kafka.failing("no broker answers");
        let report = readiness.report();
        assert!(!report.ready);
        assert_eq!(report.components["mysql"].state, "ok");
        assert_eq!(report.components["kafka"].reason.as_deref(), Some("no broker answers"));
        assert_eq!(report.components["kafka"].since.as_deref(), Some("1970-01-01T00:00:00Z"));
        kafka.ok();
        assert!(readiness.is_ready());
        clock.advance(TimeDelta::seconds(5));
        kafka.failing("gone");
        assert_eq!(readiness.report().components["kafka"].since.as_deref(), Some("1970-01-01T00:00:10Z"));
    }
}
