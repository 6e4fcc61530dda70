//! Group commit: carries out a group of commands, however many attempts that takes.

use std::{collections::HashMap, time::Duration};

use service_kit::{
    clock::Clock,
    traces::{SpanKind, of_request},
};
use tokio::time::Instant;

use super::{
    Failure, Pending, Sequence, WriterStore,
    attempt::{Attempt, AttemptError},
    cache::Cache,
};
use crate::outbox::HandoffSender;

/// After so many failures of the store a group is halved, so that one command, or one room that another session
/// blocks, can't keep the others waiting.
const FAILURES_BEFORE_SPLIT: u32 = 2;
/// Back-off after a failure of the store: doubled each time up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct GroupCommit {
    cache: Cache,
    clock: Clock,
    committed: HandoffSender,
}

impl GroupCommit {
    pub(super) fn new(
        store: WriterStore,
        clock: Clock,
        committed: HandoffSender,
        cached_rooms: usize,
    ) -> Self {
        Self { cache: Cache::new(store, cached_rooms), clock, committed }
    }

    /// Decides and commits these commands and answers each of them.
    pub(super) async fn carry_out(&mut self, group: Vec<Pending>) {
        let mut groups =
            vec![Remaining { pending: group, failures: 0, outcome_unknown: false, keys_first: false }];
        while let Some(mut group) = groups.pop() {
            group.answer_overdue();
            if group.pending.is_empty() {
                continue;
            }
            let started = Instant::now();
            let setback = match Attempt::new(&mut self.cache, &self.clock, &group.pending, group.keys_first)
                .run()
                .await
            {
                Ok(committed) => {
                    metrics::histogram!("command_commit_duration_seconds").record(started.elapsed());
                    if !committed.events.is_empty() {
                        self.committed.hand_over(committed.events);
                    }
                    self.cache.end_group(&committed.written);
                    group.answer(committed.replies, started);
                    if !group.pending.is_empty() {
                        groups.push(Remaining { failures: 0, keys_first: true, ..group });
                    }
                    continue;
                }
                Err(setback) => setback,
            };
            metrics::counter!("command_group_setbacks_total", "reason" => setback.reason()).increment(1);
            group.keys_first = true;
            match setback {
                AttemptError::Conflict => {}
                AttemptError::Transient | AttemptError::Unknown => {
                    group.outcome_unknown |= matches!(setback, AttemptError::Unknown);
                    group.failures += 1;
                    let pause = SHORTEST_PAUSE.saturating_mul(1 << group.failures.min(10)).min(LONGEST_PAUSE);
                    tokio::time::sleep(pause).await;
                }
                AttemptError::Permanent if group.pending.len() == 1 => {
                    group.answer_all(Failure::Refused);
                    continue;
                }
                AttemptError::Permanent => group.failures = FAILURES_BEFORE_SPLIT,
            }
            if group.failures >= FAILURES_BEFORE_SPLIT && group.pending.len() > 1 {
                // The first half is on top of the stack, so that commands are still decided in their order.
                let second = group.pending.split_off(group.pending.len() / 2);
                groups.push(Remaining {
                    pending: second,
                    failures: 0,
                    outcome_unknown: group.outcome_unknown,
                    keys_first: true,
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
    /// Whether a key may be one that is taken: then all keys are looked up first.
    keys_first: bool,
}

impl Remaining {
    /// Answers those that have a reply and keeps the others.
    fn answer(&mut self, mut replies: HashMap<usize, super::Reply>, started: Instant) {
        let mut kept = Vec::new();
        let together = i64::try_from(replies.len()).unwrap_or(i64::MAX);
        for (index, pending) in std::mem::take(&mut self.pending).into_iter().enumerate() {
            match replies.remove(&index) {
                Some(reply) => {
                    let traceparent = pending.submission.traceparent.as_deref();
                    let work = "decide and commit";
                    if let Some(mut span) =
                        of_request(traceparent, work, SpanKind::Internal, started.elapsed())
                    {
                        span.set("commands", together);
                        span.end();
                    }
                    // The client may have gone; its command was carried out all the same.
                    drop(pending.reply.send(reply));
                }
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

    /// Gives up those whose time is over, and those that come after one of them in its sequence.
    fn answer_overdue(&mut self) {
        let now = Instant::now();
        let failure = if self.outcome_unknown { Failure::OutcomeUnknown } else { Failure::Unavailable };
        for pending in std::mem::take(&mut self.pending) {
            let overdue = pending.deadline <= now;
            if !overdue && !pending.sequence.as_ref().is_some_and(Sequence::is_given_up) {
                self.pending.push(pending);
                continue;
            }
            if let Some(sequence) = &pending.sequence {
                sequence.give_up();
            }
            drop(pending.reply.send(Err(failure)));
        }
    }
}

#[cfg(test)]
mod tests {
    use shared_events::{ReservationId, RoomId, Timestamp};
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;
    use crate::{
        commands::{Action, Actor, CancelReservation, Command, IfMatch},
        writer::{Reply, Submission},
    };

    fn pending(in_time: bool, sequence: Option<&Sequence>) -> (Pending, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        let action =
            CancelReservation { room: Some(RoomId(Uuid::nil())), reservation: ReservationId(Uuid::nil()) };
        let command = Command {
            id: Uuid::nil(),
            actor: Actor { user: "ann".into(), admin: false },
            now: Timestamp::from_epoch_millis(0),
            imported: true,
            if_match: IfMatch::Any,
            action: Action::CancelReservation(action),
        };
        let submission = Submission {
            command,
            made_by: None,
            key: None,
            correlation_id: "1".to_owned(),
            traceparent: None,
        };
        let deadline = if in_time { Instant::now() + Duration::from_secs(3600) } else { Instant::now() };
        (Pending { submission, reply, deadline, sequence: sequence.cloned() }, receiver)
    }

    fn remaining(pending: Vec<Pending>) -> Remaining {
        Remaining { pending, failures: 0, outcome_unknown: false, keys_first: false }
    }

    #[test]
    fn what_follows_a_command_that_was_given_up_is_given_up_in_its_sequence_alone() {
        let (import, other) = (Sequence::default(), Sequence::default());
        let (before, mut of_before) = pending(true, Some(&import));
        let (overdue, mut of_overdue) = pending(false, Some(&import));
        let (after, mut of_after) = pending(true, Some(&import));
        let (of_other, _kept) = pending(true, Some(&other));
        let (alone, _kept_too) = pending(true, None);
        let mut group = remaining(vec![before, overdue, after, of_other, alone]);
        group.answer_overdue();
        assert_eq!(group.pending.len(), 3);
        assert!(of_before.try_recv().is_err(), "it is still to be carried out");
        assert_eq!(of_overdue.try_recv(), Ok(Err(Failure::Unavailable)));
        assert_eq!(of_after.try_recv(), Ok(Err(Failure::Unavailable)));
        let (later, mut of_later) = pending(true, Some(&import));
        remaining(vec![later]).answer_overdue();
        assert_eq!(of_later.try_recv(), Ok(Err(Failure::Unavailable)), "also in a later group");
    }
}
