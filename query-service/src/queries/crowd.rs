//! Bounds on statistics: each reads the documents of all rooms.

use service_kit::places::{NoPlace, Places, Taken};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Most statistics that are computed at one time.
pub const AT_ONCE: usize = 4;
/// Most statistics that are computed or wait.
pub const MOST: usize = 64;
/// Most of them of one caller.
pub const MOST_OF_CALLER: usize = 16;

/// The statistics in progress.
pub struct Crowd {
    running: Semaphore,
    /// Of those that are computed or wait.
    places: Places,
}

/// The turn of a statistic, which ends with it.
#[must_use = "dropped at once, it bounds nothing"]
pub struct Turn<'a> {
    _permit: Option<SemaphorePermit<'a>>,
    _place: Taken<'a>,
}

/// Why a statistic is not computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Crowded {
    /// Too many are in progress.
    #[error("too many statistics are in progress")]
    Overloaded,
    /// Too many of this caller are in progress.
    #[error("a caller has at most {MOST_OF_CALLER} statistics in progress")]
    TooManyOfCaller,
}

impl From<NoPlace> for Crowded {
    fn from(none: NoPlace) -> Self {
        match none {
            NoPlace::Overloaded => Self::Overloaded,
            NoPlace::TooManyOfCaller => Self::TooManyOfCaller,
        }
    }
}

impl Default for Crowd {
    fn default() -> Self {
        Self { running: Semaphore::new(AT_ONCE), places: Places::new(MOST, MOST_OF_CALLER) }
    }
}

impl Crowd {
    /// Waits until the caller's statistic may be computed.
    ///
    /// # Errors
    /// [`Crowded`], at once.
    pub async fn enter<'a>(&'a self, caller: &'a str) -> Result<Turn<'a>, Crowded> {
        let place = self.places.take(caller, 1)?;
        Ok(Turn { _permit: self.running.acquire().await.ok(), _place: place })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn statistics_are_computed_a_few_at_a_time_and_one_too_many_is_refused() {
        let crowd = Crowd::default();
        let callers: Vec<String> = (0..=MOST).map(|number| number.to_string()).collect();
        let enter = |at: usize| Box::pin(crowd.enter(&callers[at]));
        let mut running: Vec<_> = (0..AT_ONCE).map(|at| enter(at).now_or_never().unwrap().unwrap()).collect();
        let mut waiting: Vec<_> = (AT_ONCE..MOST).map(enter).collect();
        assert!(waiting.iter_mut().all(|entering| entering.now_or_never().is_none()));
        assert_eq!(enter(MOST).now_or_never().unwrap().err(), Some(Crowded::Overloaded));
        running.pop();
        let next = (&mut waiting[0]).now_or_never();
        assert!(next.is_some(), "it is computed now");
        assert!((&mut waiting[1]).now_or_never().is_none());
        drop((running, next, waiting));
        assert_eq!((crowd.places.callers(), crowd.running.available_permits()), (0, AT_ONCE));
    }

    #[test]
    fn one_caller_has_few_statistics_and_others_go_on() {
        let crowd = Crowd::default();
        let mut of_ann: Vec<_> = (0..MOST_OF_CALLER).map(|_| Box::pin(crowd.enter("ann"))).collect();
        let computed: Vec<_> = of_ann.iter_mut().filter_map(FutureExt::now_or_never).collect();
        assert!(computed.len() == AT_ONCE && computed.iter().all(Result::is_ok));
        assert_eq!(crowd.enter("ann").now_or_never().unwrap().err(), Some(Crowded::TooManyOfCaller));
        assert!(Box::pin(crowd.enter("bob")).now_or_never().is_none(), "another caller waits");
        of_ann.pop();
        assert!(Box::pin(crowd.enter("ann")).now_or_never().is_none(), "there is a place");
    }
}
