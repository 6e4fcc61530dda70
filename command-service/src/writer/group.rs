//! Group commit: carries out a group of commands in as many attempts as needed.

use std::{collections::HashMap, time::Duration};

use service_kit::{
    clock::Clock,
    retry::Backoff,
    traces::{SpanKind, of_request},
};
use tokio::time::Instant;

use super::{
    Failure, Pending, Sequence, WriterStore,
    attempt::{Attempt, AttemptError, KeyLookup},
    cache::Cache,
};
use crate::{domain::MOST_OCCURRENCES, outbox::HandoffSender};

/// Failures of the store after which a group is halved, so that one command or one blocked room does not hold up the others.
const FAILURES_BEFORE_SPLIT: u32 = 2;
/// Pauses after failures of the store.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Most events of a group, about. More than its commands, so that series alone divide it.
const MAX_WEIGHT: usize = 2_000;

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

    /// Decides and commits these commands and answers each of them. Returns the number of committed events.
    pub(super) async fn carry_out(&mut self, group: Vec<Pending>) -> usize {
        let mut events = 0;
        // A stack, so the first ones go on top.
        let mut groups: Vec<Remaining> = by_weight(group).into_iter().map(Remaining::new).rev().collect();
        while let Some(mut group) = groups.pop() {
            group.answer_overdue();
            if group.pending.is_empty() {
                continue;
            }
            let started = Instant::now();
            let error = match Attempt::new(&mut self.cache, &self.clock, &group.pending, group.key_lookup)
                .run()
                .await
            {
                Ok(committed) => {
                    metrics::histogram!("command_commit_duration_seconds").record(started.elapsed());
                    events += committed.events.len();
                    // Without outbox rows another source relays them, in its own order.
                    if committed.in_outbox && !committed.events.is_empty() {
                        self.committed.send(committed.events);
                    }
                    self.cache.end_group(&committed.written);
                    group.answer(committed.replies, started);
                    if !group.pending.is_empty() {
                        group.key_lookup = KeyLookup::Before;
                        groups.push(group.afresh());
                    }
                    continue;
                }
                Err(error) => error,
            };
            metrics::counter!("command_group_setbacks_total", "reason" => error.reason()).increment(1);
            group.key_lookup = KeyLookup::Before;
            match error {
                AttemptError::Conflict => {}
                AttemptError::Transient | AttemptError::Unknown => {
                    group.outcome_unknown |= matches!(error, AttemptError::Unknown);
                    group.failures += 1;
                    tokio::time::sleep(group.backoff.next_delay()).await;
                }
                AttemptError::Permanent if group.pending.len() == 1 => {
                    group.answer_all(Failure::Refused);
                    continue;
                }
                AttemptError::Permanent => group.failures = FAILURES_BEFORE_SPLIT,
            }
            if group.failures >= FAILURES_BEFORE_SPLIT && group.pending.len() > 1 {
                // The first half goes on top of the stack, so that commands keep their order.
                let second = group.pending.split_off(group.pending.len() / 2);
                groups.push(Remaining {
                    outcome_unknown: group.outcome_unknown,
                    key_lookup: group.key_lookup,
                    ..Remaining::new(second)
                });
                groups.push(group.afresh());
            } else {
                groups.push(group);
            }
        }
        events
    }
}

/// Divides commands so that no transaction grows with the number of series among them.
fn by_weight(group: Vec<Pending>) -> Vec<Vec<Pending>> {
    let (mut groups, mut weight) = (vec![Vec::new()], 0);
    for pending in group {
        let own = if pending.submission.command.action.is_about_series() { MOST_OCCURRENCES } else { 1 };
        if weight + own > MAX_WEIGHT {
            groups.push(Vec::new());
            weight = 0;
        }
        weight += own;
        if let Some(last) = groups.last_mut() {
            last.push(pending);
        }
    }
    groups
}

/// Commands of a group without a reply yet.
struct Remaining {
    pending: Vec<Pending>,
    failures: u32,
    backoff: Backoff,
    outcome_unknown: bool,
    key_lookup: KeyLookup,
}

impl Remaining {
    fn new(pending: Vec<Pending>) -> Self {
        let backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        Self { pending, failures: 0, backoff, outcome_unknown: false, key_lookup: KeyLookup::After }
    }

    /// The same commands without the failures so far.
    fn afresh(mut self) -> Self {
        self.failures = 0;
        self.backoff.reset();
        self
    }

    /// Answers the commands that have a reply, and keeps the others.
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
                    // Fails if the client has gone. Its command was carried out all the same.
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

    /// Gives up overdue commands, and the later ones of their sequences.
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
    use std::sync::Arc;

    use shared_events::{ReservationId, RoomId, SeriesId, Timestamp, UserId};
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;
    use crate::{
        commands::{Action, Actor, CancelReservation, CancelSeries, Command, IfMatch, Origin},
        writer::{Reply, Submission},
    };

    fn pending(in_time: bool, sequence: Option<&Sequence>) -> (Pending, oneshot::Receiver<Reply>) {
        let (reply, receiver) = oneshot::channel();
        let action =
            CancelReservation { room: Some(RoomId(Uuid::nil())), reservation: ReservationId(Uuid::nil()) };
        let command = Command {
            id: Uuid::nil(),
            actor: Actor {
                user: UserId::new("ann").unwrap(),
                admin: false,
                delegate: false,
                roles: Vec::new(),
            },
            now: Timestamp::from_epoch_millis(0),
            origin: Origin::Import,
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
        (
            Pending {
                submission: submission.into(),
                recalled: Vec::new(),
                reply,
                deadline,
                sequence: sequence.cloned(),
                _line_place: None,
            },
            receiver,
        )
    }

    #[test]
    fn what_follows_a_command_that_was_given_up_is_given_up_in_its_sequence_alone() {
        let (import, other) = (Sequence::default(), Sequence::default());
        let (before, mut of_before) = pending(true, Some(&import));
        let (overdue, mut of_overdue) = pending(false, Some(&import));
        let (after, mut of_after) = pending(true, Some(&import));
        let (of_other, _kept) = pending(true, Some(&other));
        let (alone, _kept_too) = pending(true, None);
        let mut group = Remaining::new(vec![before, overdue, after, of_other, alone]);
        group.answer_overdue();
        assert_eq!(group.pending.len(), 3);
        assert!(of_before.try_recv().is_err(), "it is still pending");
        assert_eq!(of_overdue.try_recv(), Ok(Err(Failure::Unavailable)));
        assert_eq!(of_after.try_recv(), Ok(Err(Failure::Unavailable)));
        let (later, mut of_later) = pending(true, Some(&import));
        Remaining::new(vec![later]).answer_overdue();
        assert_eq!(of_later.try_recv(), Ok(Err(Failure::Unavailable)), "also in a later group");
    }

    #[test]
    fn a_group_of_series_is_divided_so_that_no_transaction_has_more_events_than_it_may() {
        let series = |series: bool| {
            let (mut pending, _) = pending(true, None);
            if series {
                let (room, series) = (RoomId(Uuid::nil()), SeriesId(Uuid::nil()));
                let action = CancelSeries { room, series, following: None };
                Arc::get_mut(&mut pending.submission).unwrap().command.action = Action::CancelSeries(action);
            }
            pending
        };
        // A series has at most 400 reservations, so five of them are 2,000 events.
        let group = |series_of: &[bool]| series_of.iter().map(|of| series(*of)).collect::<Vec<_>>();
        let sizes = |series_of: &[bool]| by_weight(group(series_of)).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[true; 5]), [5]);
        assert_eq!(sizes(&[true; 12]), [5, 5, 2]);
        let mixed = [&[false][..], &[true; 5]].concat();
        assert_eq!(sizes(&mixed), [5, 1]);
        assert_eq!(sizes(&[false; 2_000]), [2_000]);
    }
}
