//! Bounds on queries that read the documents of many rooms: statistics and searches.

use service_kit::places::{NoPlace, Places, Taken};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Most statistics that are computed at one time.
pub const AT_ONCE: usize = 4;
/// Most statistics that are computed or wait.
pub const MOST: usize = 64;
/// Most of them of one caller.
pub const MOST_OF_CALLER: usize = 16;

/// Most searches that run at one time.
pub const SEARCHES_AT_ONCE: usize = 16;
/// Most searches that run or wait.
pub const MOST_SEARCHES: usize = 1024;
/// Most of them of one caller.
pub const MOST_SEARCHES_OF_CALLER: usize = 128;

/// The queries of one sort in progress.
pub struct Crowd {
    running: Semaphore,
    /// Of those that run or wait.
    places: Places,
    most_of_caller: usize,
}

/// The turn of a query, which ends with it.
#[must_use = "dropped at once, it bounds nothing"]
pub struct Turn<'a> {
    _permit: Option<SemaphorePermit<'a>>,
    _place: Taken<'a>,
}

/// Why a query is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Crowded {
    /// Too many are in progress.
    #[error("too many queries that read many rooms are in progress")]
    Overloaded,
    /// Too many of this caller are in progress.
    #[error("a caller has at most {0} such queries in progress")]
    TooManyOfCaller(usize),
}

impl Crowd {
    /// No statistics.
    #[must_use]
    pub fn of_statistics() -> Self {
        Self::new(AT_ONCE, MOST, MOST_OF_CALLER)
    }

    /// No searches.
    #[must_use]
    pub fn of_searches() -> Self {
        Self::new(SEARCHES_AT_ONCE, MOST_SEARCHES, MOST_SEARCHES_OF_CALLER)
    }

    fn new(at_once: usize, most: usize, most_of_caller: usize) -> Self {
        let places = Places::new(most, most_of_caller);
        Self { running: Semaphore::new(at_once), places, most_of_caller }
    }

    /// Waits until the caller's query may run.
    ///
    /// # Errors
    /// [`Crowded`], at once.
    pub async fn enter<'a>(&'a self, caller: &'a str) -> Result<Turn<'a>, Crowded> {
        let place = self.places.take(caller, 1).map_err(|none| match none {
            NoPlace::Overloaded => Crowded::Overloaded,
            NoPlace::TooManyOfCaller => Crowded::TooManyOfCaller(self.most_of_caller),
        })?;
        Ok(Turn { _permit: self.running.acquire().await.ok(), _place: place })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn statistics_and_searches_run_a_few_at_a_time_and_one_too_many_is_refused() {
        let sorts = [
            (Crowd::of_statistics(), AT_ONCE, MOST),
            (Crowd::of_searches(), SEARCHES_AT_ONCE, MOST_SEARCHES),
        ];
        for (crowd, at_once, most) in sorts {
            let callers: Vec<String> = (0..=most).map(|number| number.to_string()).collect();
            let enter = |at: usize| Box::pin(crowd.enter(&callers[at]));
            let mut running: Vec<_> =
                (0..at_once).map(|at| enter(at).now_or_never().unwrap().unwrap()).collect();
            let mut waiting: Vec<_> = (at_once..most).map(enter).collect();
            assert!(waiting.iter_mut().all(|entering| entering.now_or_never().is_none()));
            assert_eq!(enter(most).now_or_never().unwrap().err(), Some(Crowded::Overloaded));
            running.pop();
            let next = (&mut waiting[0]).now_or_never();
            assert!(next.is_some(), "it runs now");
            assert!((&mut waiting[1]).now_or_never().is_none());
            drop((running, next, waiting));
            assert_eq!((crowd.places.callers(), crowd.running.available_permits()), (0, at_once));
        }
    }

    #[test]
    fn one_caller_has_few_of_them_and_others_go_on() {
        let sorts = [
            (Crowd::of_statistics(), AT_ONCE, MOST_OF_CALLER),
            (Crowd::of_searches(), SEARCHES_AT_ONCE, MOST_SEARCHES_OF_CALLER),
        ];
        for (crowd, at_once, most) in sorts {
            let mut of_ann: Vec<_> = (0..most).map(|_| Box::pin(crowd.enter("ann"))).collect();
            let running: Vec<_> = of_ann.iter_mut().filter_map(FutureExt::now_or_never).collect();
            assert!(running.len() == at_once && running.iter().all(Result::is_ok));
            let refused = crowd.enter("ann").now_or_never().unwrap().err();
            assert_eq!(refused, Some(Crowded::TooManyOfCaller(most)));
            assert!(Box::pin(crowd.enter("bob")).now_or_never().is_none(), "another caller waits");
            of_ann.pop();
            assert!(Box::pin(crowd.enter("ann")).now_or_never().is_none(), "there is a place");
        }
    }
}
