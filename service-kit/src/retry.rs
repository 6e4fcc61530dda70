//! Retries with exponential back-off.

use std::error::Error;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::readiness::Component;
use crate::telemetry::with_causes;

/// Delays that double up to a longest one. Each is shortened at random by up to half, so that many clients don't retry at the
/// same time.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Delays from `first` up to `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first.min(longest) }
    }

    /// Delays for a server that may not be up yet: 100 ms to 5 s.
    #[must_use]
    pub fn for_server() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// The delay before the next try.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.next.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        self.next = self.next.saturating_mul(2).min(self.longest);
        delay
    }

    /// Starts over. To be called after a success.
    pub fn reset(&mut self) {
        self.next = self.first.min(self.longest);
    }
}

/// The wait ended by `stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped while waiting")]
pub struct Stopped;

/// Tries `operation` until it succeeds. The log shows each error with its causes.
///
/// `component` shows the error's own text, which must hold no secret: readiness needs no token.
///
/// # Errors
/// [`Stopped`] if `stop` is cancelled first; a running try is dropped.
pub async fn until_it_succeeds<T, E, F>(
    component: &Component,
    stop: &CancellationToken,
    mut backoff: Backoff,
    // Not AsyncFnMut: the compiler can't tell that its futures are Send.
    mut operation: impl FnMut() -> F,
) -> Result<T, Stopped>
where
    E: Into<Box<dyn Error + Send + Sync>>,
    F: Future<Output = Result<T, E>>,
{
    loop {
        match stop.run_until_cancelled(operation()).await.ok_or(Stopped)? {
            Ok(value) => {
                component.ok();
                return Ok(value);
            }
            Err(error) => {
                let error = error.into();
                component.failing(error.to_string());
                let delay = backoff.next_delay();
                tracing::warn!(
                    component = component.name(),
                    error = with_causes(&*error),
                    delay_ms = delay.as_millis(),
                    "not reached yet, try again later"
                );
                stop.run_until_cancelled(tokio::time::sleep(delay)).await.ok_or(Stopped)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::readiness::Readiness;

    #[test]
    fn delays_grow_to_the_bound_and_are_spread() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let delays: Vec<Duration> = (0..20).map(|_| backoff.next_delay()).collect();
        assert!(delays[0] >= Duration::from_millis(50) && delays[0] <= Duration::from_millis(100));
        assert!(delays.iter().skip(5).all(|delay| *delay >= Duration::from_millis(500)));
        assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(1)));
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(100));
    }

    #[tokio::test]
    async fn a_server_that_comes_up_later_is_waited_for() {
        let readiness = Readiness::new(Clock::system());
        let component = readiness.component("mysql");
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2));
        let mut tries = 0;
        let value = until_it_succeeds(&component, &CancellationToken::new(), backoff, || {
            tries += 1;
            std::future::ready(if tries < 3 { Err("connection refused") } else { Ok(tries) })
        })
        .await;
        assert_eq!(value, Ok(3));
        assert!(readiness.is_ready());
    }

    #[tokio::test]
    async fn waiting_ends_when_it_is_stopped() {
        let readiness = Readiness::new(Clock::system());
        let component = readiness.component("mysql");
        let stop = CancellationToken::new();
        let backoff = Backoff::new(Duration::from_secs(3600), Duration::from_secs(3600));
        // Stopped during a try, whose error is still shown.
        let outcome = until_it_succeeds(&component, &stop, backoff, || async {
            stop.cancel();
            Err::<(), _>("connection refused")
        })
        .await;
        assert_eq!(outcome, Err(Stopped));
        assert_eq!(readiness.report().components["mysql"].reason.as_deref(), Some("connection refused"));
    }
}
