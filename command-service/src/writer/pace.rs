//! How often groups are committed while commands come faster than one at a time, but not by the hundred.
//!
//! A transaction costs MySQL and its disk the same for one command as for ten, and each is a message and a write for those
//! who come after it. So after a group of several the writer rests twice as long as that group took, and what comes
//! meanwhile goes together. A command that comes alone waits for nobody, and where many wait there is nothing to gain.

use std::time::Duration;

use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, timeout_at},
};

/// From so many commands on a group was several.
const SEVERAL: usize = 3;
/// With so many commands under way at once groups are large enough without a rest.
const MANY: usize = 64;
/// How many times as long as the last group took the writer rests.
const REST: u32 = 2;
/// It rests no longer than this, however slow the store was.
const LONGEST_REST: Duration = Duration::from_millis(20);

/// The writer's pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the rest after the last group ends.
    rested: Instant,
    /// How many commands were under way at once lately. Where each client waits for its answer, no more will come.
    under_way: usize,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { rested: Instant::now(), under_way: 0 }
    }

    /// Notes that a group of so many commands was carried out, which took so long, while so many others came.
    pub(super) fn carried_out(&mut self, commands: usize, took: Duration, waiting: usize) {
        // It falls slowly: clients that pause for a moment come back.
        self.under_way = (self.under_way - self.under_way.div_ceil(8)).max(commands + waiting);
        let rests = commands >= SEVERAL && self.under_way < MANY;
        let rest = if rests { (took * REST).min(LONGEST_REST) } else { Duration::ZERO };
        self.rested = Instant::now() + rest;
    }

    /// Takes what comes until the rest is over, or all that can be expected wait. At most `most` are taken.
    pub(super) async fn gather<T>(&self, queue: &mut Receiver<T>, group: &mut Vec<T>, most: usize) {
        while group.len() < self.under_way && Instant::now() < self.rested {
            let came = queue.recv_many(group, most.saturating_sub(group.len()));
            // No more will come when the queue was closed.
            if !matches!(timeout_at(self.rested, came).await, Ok(1..)) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    const TOOK: Duration = Duration::from_millis(3);

    /// How long the first of some commands waits when the others come one each millisecond.
    async fn rest_of(pace: &Pace, commands: u64) -> (Duration, usize) {
        let (sender, mut queue) = mpsc::channel(100);
        let started = Instant::now();
        let clients = tokio::spawn(async move {
            for command in 1..commands {
                tokio::time::sleep(Duration::from_millis(1)).await;
                sender.send(command).await.unwrap();
            }
            // The queue stays open.
            std::future::pending::<()>().await;
        });
        let mut group = vec![0];
        pace.gather(&mut queue, &mut group, 100).await;
        clients.abort();
        (started.elapsed(), group.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_comes_after_one_alone_waits_for_nobody() {
        let mut pace = Pace::new();
        pace.carried_out(SEVERAL - 1, TOOK, 50);
        assert_eq!(rest_of(&pace, 10).await, (Duration::ZERO, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn after_several_the_writer_rests_twice_as_long_as_they_took() {
        let mut pace = Pace::new();
        pace.carried_out(SEVERAL, TOOK, 50);
        let (rested, taken) = rest_of(&pace, 100).await;
        assert!((TOOK * 2..TOOK * 2 + Duration::from_millis(2)).contains(&rested), "{rested:?}");
        assert!((5..=7).contains(&taken), "{taken}");
        assert_eq!(rest_of(&pace, 100).await.1, 1, "the rest is over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_ends_when_all_clients_that_wait_for_their_answers_are_back() {
        let mut pace = Pace::new();
        pace.carried_out(SEVERAL, TOOK, 1);
        assert_eq!(rest_of(&pace, 100).await, (Duration::from_millis(3), 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_store_makes_no_long_rest() {
        let mut pace = Pace::new();
        pace.carried_out(20, Duration::from_secs(5), 30);
        let (rested, _) = rest_of(&pace, 10).await;
        assert!((LONGEST_REST..LONGEST_REST * 2).contains(&rested), "{rested:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_rests_where_many_are_under_way_at_once() {
        let mut pace = Pace::new();
        pace.carried_out(SEVERAL, TOOK, MANY - SEVERAL);
        assert_eq!(rest_of(&pace, 10).await, (Duration::ZERO, 1));
        // Some groups later they are known to be gone.
        (0..20).for_each(|_| pace.carried_out(SEVERAL, TOOK, 0));
        assert!(rest_of(&pace, 10).await.0 > Duration::ZERO);
    }
}
