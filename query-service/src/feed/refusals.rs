//! Notices that the feed refuses this service.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use reqwest::StatusCode;
use service_kit::readiness::Component;
use tokio::time::Instant;

/// Time of refusals after which the service is not ready. A token may be rotated on both sides in the meantime.
const PATIENCE: Duration = Duration::from_mins(2);
/// Gauge: 1 while the feed has refused for longer than [`PATIENCE`].
const REFUSES: &str = "feed_refuses";

/// The refusals since the feed last let this service read.
#[derive(Default)]
pub(super) struct Refusals {
    since: Mutex<Option<Instant>>,
    component: OnceLock<Component>,
}

impl Refusals {
    /// Shows refusals in `component` from now on.
    pub(super) fn report_to(&self, component: Component) {
        metrics::describe_gauge!(REFUSES, "1 while the feed has answered 401 or 403 for two minutes.");
        component.ok();
        // A second component would show the same.
        let _ = self.component.set(component);
    }

    /// Notes the status of an answer.
    pub(super) fn note(&self, status: StatusCode) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let refused_for = since.get_or_insert_with(Instant::now).elapsed();
                if refused_for >= PATIENCE
                    && let Some(component) = self.component.get()
                {
                    metrics::gauge!(REFUSES).set(1);
                    let what = "the feed refuses this service's token: see FEED_TOKEN";
                    component.failing(format!("{what} ({status})"));
                }
            }
            // The command service fails, whoever asks.
            status if status.is_server_error() => {}
            _ => {
                if since.take().is_some()
                    && let Some(component) = self.component.get()
                {
                    metrics::gauge!(REFUSES).set(0);
                    component.ok();
                }
            }
        }
    }
}
