//! The pace of group commit, for some commands at a time.
//!
//! A transaction costs MySQL and its disk the same for one command as for ten, and causes one message and one write
//! downstream. So after a group with several events the writer rests twice as long as that group took. It commits the commands
//! that arrive meanwhile together. A command that comes alone does not wait. Commands without an effect cause no rest. With
//! many commands waiting a rest gains nothing.

use std::time::Duration;

use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, timeout_at},
};

/// The fewest events of a group after which the writer rests.
const SEVERAL: usize = 3;
/// With this many commands in progress, groups are large enough without a rest.
const MANY: usize = 64;
/// The rest as a multiple of the last group's duration.
const REST: u32 = 2;
/// The longest rest, however slow the store is.
const LONGEST_REST: Duration = Duration::from_millis(20);

/// The writer's pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the rest after the last group ends.
    rested: Instant,
    /// Commands that were in progress at once lately. If every client waits for its reply, no more will come.
    in_progress: usize,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { rested: Instant::now(), in_progress: 0 }
    }

    /// Notes a group of `commands` with `events` that took `took`, while `waiting` others came.
    pub(super) fn carried_out(&mut self, commands: usize, events: usize, took: Duration, waiting: usize) {
        // Falls slowly, because clients that pause for a moment come back.
        self.in_progress = (self.in_progress - self.in_progress.div_ceil(8)).max(commands + waiting);
        let rests = events >= SEVERAL && self.in_progress < MANY;
        let rest = if rests { (took * REST).min(LONGEST_REST) } else { Duration::ZERO };
        self.rested = Instant::now() + rest;
    }

    /// Takes commands from the queue, at most `most`, until the rest is over or no more can be expected.
    pub(super) async fn gather<T>(&self, queue: &mut Receiver<T>, group: &mut Vec<T>, most: usize) {
        while group.len() < self.in_progress && Instant::now() < self.rested {
            let came = queue.recv_many(group, most.saturating_sub(group.len()));
            // The queue may be closed.
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

    /// How long the first command waits, and how many are taken, if one comes each millisecond.
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
    async fn a_command_that_comes_after_one_alone_does_not_wait() {
        let mut pace = Pace::new();
        pace.carried_out(SEVERAL - 1, SEVERAL - 1, TOOK, 50);
        assert_eq!(rest_of(&pace, 10).await, (Duration::ZERO, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn commands_without_an_effect_cause_no_rest() {
        let mut pace = Pace::new();
        pace.carried_out(50, SEVERAL - 1, TOOK, 0);
        assert_eq!(rest_of(&pace, 10).await, (Duration::ZERO, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn after_several_the_writer_rests_twice_as_long_as_they_took() {
        let mut pace = Pace::new();
        pace.carried_out(SEVERAL, SEVERAL, TOOK, 50);
        let (rested, taken) = rest_of(&pace, 100).await;
        assert!((TOOK * 2..TOOK * 2 + Duration::from_millis(2)).contains(&rested), "{rested:?}");
        assert!((5..=7).contains(&taken), "{taken}");
        assert_eq!(rest_of(&pace, 100).await.1, 1, "the rest is over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_ends_when_all_clients_that_wait_for_their_answers_are_back() {
        let mut pace = Pace::new();
        pace.carried_out(SEVERAL, SEVERAL, TOOK, 1);
        assert_eq!(rest_of(&pace, 100).await, (Duration::from_millis(3), 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_store_makes_no_long_rest() {
        let mut pace = Pace::new();
        pace.carried_out(20, 20, Duration::from_secs(5), 30);
        let (rested, _) = rest_of(&pace, 10).await;
        assert!((LONGEST_REST..LONGEST_REST * 2).contains(&rested), "{rested:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_writer_does_not_rest_with_many_commands_in_progress() {
        let mut pace = Pace::new();
        pace.carried_out(SEVERAL, SEVERAL, TOOK, MANY - SEVERAL);
        assert_eq!(rest_of(&pace, 10).await, (Duration::ZERO, 1));
        // Some groups later the clients count as gone.
        (0..20).for_each(|_| pace.carried_out(SEVERAL, SEVERAL, TOOK, 0));
        assert!(rest_of(&pace, 10).await.0 > Duration::ZERO);
    }
}
