//! Group commit: carries out a group of commands, however many attempts that takes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use service_kit::clock::Clock;
use tokio::{sync::Notify, time::Instant};

use super::{
    Failure, Pending,
    attempt::{Attempt, Setback},
    cache::Cache,
};
use crate::event_store::EventStore;

/// After so many failures of the store a group is halved, so that one command, or one room that another session
/// blocks, can't keep the others waiting.
const FAILURES_BEFORE_SPLIT: u32 = 2;
/// Back-off after a failure of the store: doubled each time up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct GroupCommit<S: ?Sized> {
    cache: Cache<S>,
    clock: Clock,
    committed: Arc<Notify>,
}

impl<S: EventStore + ?Sized> GroupCommit<S> {
    pub(super) fn new(store: Arc<S>, clock: Clock, committed: Arc<Notify>, cached_rooms: usize) -> Self {
        Self { cache: Cache::new(store, cached_rooms), clock, committed }
    }

    /// Decides and commits these commands and answers each of them.
    pub(super) async fn carry_out(&mut self, group: Vec<Pending>) {
        let mut groups = vec![Remaining { pending: group, failures: 0, outcome_unknown: false }];
        while let Some(mut group) = groups.pop() {
            group.answer_overdue();
            if group.pending.is_empty() {
                continue;
            }
            let started = Instant::now();
            let setback = match Attempt::new(&mut self.cache, &self.clock, &group.pending).run().await {
                Ok(committed) => {
                    metrics::histogram!("command_commit_duration_seconds").record(started.elapsed());
                    if !committed.written.is_empty() {
                        self.committed.notify_one();
                    }
                    self.cache.end_group(&committed.written);
                    group.answer(committed.replies);
                    if !group.pending.is_empty() {
                        groups.push(Remaining { failures: 0, ..group });
                    }
                    continue;
                }
                Err(setback) => setback,
            };
            metrics::counter!("command_group_setbacks_total", "reason" => setback.reason()).increment(1);
            match setback {
                Setback::Conflict => {}
                Setback::Transient | Setback::Unknown => {
                    group.outcome_unknown |= matches!(setback, Setback::Unknown);
                    group.failures += 1;
                    let pause = SHORTEST_PAUSE.saturating_mul(1 << group.failures.min(10)).min(LONGEST_PAUSE);
                    tokio::time::sleep(pause).await;
                }
                Setback::Permanent if group.pending.len() == 1 => {
                    group.answer_all(Failure::Refused);
                    continue;
                }
                Setback::Permanent => group.failures = FAILURES_BEFORE_SPLIT,
            }
            if group.failures >= FAILURES_BEFORE_SPLIT && group.pending.len() > 1 {
                // The first half is on top of the stack, so that commands are still decided in their order.
                let second = group.pending.split_off(group.pending.len() / 2);
                groups.push(Remaining {
                    pending: second,
                    failures: 0,
                    outcome_unknown: group.outcome_unknown,
                });
                groups.push(Remaining { failures: 0, ..group });
            } else {
                groups.push(group);
            }
        }
    }
}

/// Commands of a group that have no answer yet.
struct Remaining {
    pending: Vec<Pending>,
    failures: u32,
    outcome_unknown: bool,
}

impl Remaining {
    /// Answers those that have a reply and keeps the others.
    fn answer(&mut self, mut replies: HashMap<usize, super::Reply>) {
        let mut kept = Vec::new();
        for (index, pending) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            match replies.remove(&index) {
                // The client may have gone; its command was carried out all the same.
                Some(reply) => drop(pending.reply.send(reply)),
                None => kept.push(pending),
            }
        }
        self.pending = kept;
    }

    fn answer_all(&mut self, failure: Failure) {
        for pending in self.pending.drain(..) {
            drop(pending.reply.send(Err(failure)));
        }
    }

    fn answer_overdue(&mut self) {
        let now = Instant::now();
        let failure = if self.outcome_unknown { Failure::OutcomeUnknown } else { Failure::Unavailable };
        let (overdue, in_time): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|pending| pending.deadline <= now);
        for pending in overdue {
            drop(pending.reply.send(Err(failure)));
        }
        self.pending = in_time;
    }
}
