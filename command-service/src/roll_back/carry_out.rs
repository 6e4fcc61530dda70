//! Carries a plan out: each step is one command of this process's own writer.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use anyhow::bail;
use service_kit::{clock::Clock, meter::Meter};
use shared_events::{ClosureId, ReservationId, UserId};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{How, Present, Step, Subject, plan::each_event};
use crate::{
    commands::{
        Action, Actor, CancelReservation, Command, IfMatch, LiftClosure, Origin, RestoreReservation,
        RetireRoom, Revision,
    },
    digest::digest,
    domain::Rejection,
    event_store::{EventStore, KeyId},
    outbox::handoff,
    writer::{self, Failure, IdempotencyKey, Reply, Sequence, Submission, Writer, writer},
};

/// Most steps that wait for their outcome.
const WINDOW: usize = 128;
/// The longest time until a step has its outcome: others of its window may need whole streams.
const DEADLINE: Duration = Duration::from_secs(600);

/// Why a change was not taken back.
pub(super) type Refusal = Option<String>;

/// Carries the steps out and returns a refusal, or none, for each of them.
pub(super) async fn carry_out(
    store: Arc<dyn EventStore>,
    clock: Clock,
    run: Uuid,
    actor: UserId,
    steps: &[Step],
) -> anyhow::Result<Vec<Refusal>> {
    let values = values(store.as_ref(), steps).await?;
    // The outbox has every event: the instances that relay it read them there.
    let (committed, _) = handoff();
    let options = writer::Options { deadline: DEADLINE, ..writer::Options::default() };
    let (writer, writing) = writer(store.into(), clock, committed, &options);
    let writing = tokio::spawn(writing);
    let mut progress = Progress {
        writer,
        run,
        actor: Actor { user: actor, admin: true, delegate: false, roles: Vec::new() },
        steps,
        values,
        present: HashMap::new(),
        outcomes: steps.iter().map(|_| None).collect(),
        waiting: VecDeque::new(),
        sequence: Sequence::default(),
        meter: Meter::new("rolling back", steps.len() as u64),
    };
    let done = progress.all().await;
    let Progress { writer, outcomes, meter, .. } = progress;
    meter.finish();
    drop(writer);
    writing.await?;
    done.map(|()| outcomes)
}

type Values = HashMap<(ReservationId, u32), Revision>;

/// What the reservations were before the changes.
async fn values(store: &dyn EventStore, steps: &[Step]) -> anyhow::Result<Values> {
    let before =
        |step: &Step| matches!(step.how, How::Restore(_)).then_some((step.reservation?, step.revision - 1));
    let mut values: Values =
        steps.iter().filter_map(before).map(|wanted| (wanted, Revision::Unknown)).collect();
    if !values.is_empty() {
        each_event(store, Some("reading"), |_, event| {
            let Some(found) = event.reservation() else { return };
            if let Some(wanted) = values.get_mut(&(found.id, found.revision)) {
                *wanted = Revision::after(event);
            }
        })
        .await?;
    }
    Ok(values)
}

struct Progress<'a> {
    writer: Writer,
    run: Uuid,
    actor: Actor,
    steps: &'a [Step],
    values: Values,
    /// Where each reservation and room is after the steps before.
    present: HashMap<Subject, Present>,
    outcomes: Vec<Refusal>,
    waiting: VecDeque<(usize, Subject, oneshot::Receiver<Reply>)>,
    sequence: Sequence,
    meter: Meter,
}

impl Progress<'_> {
    async fn all(&mut self) -> anyhow::Result<()> {
        for (at, step) in self.steps.iter().enumerate() {
            let present = match &step.how {
                How::Cancel(present) | How::Restore(present) | How::Retire(present) | How::Lift(present) => {
                    *present
                }
                How::With { .. } => continue,
                How::Leave { reason } => {
                    self.refuse(at, reason.clone());
                    continue;
                }
            };
            let subject = step.subject();
            // A change is taken back on top of the later one of the same reservation.
            while self.waiting.len() >= WINDOW || self.waiting.iter().any(|(_, of, _)| *of == subject) {
                self.settle().await?;
            }
            let present = self.present.get(&subject).copied().unwrap_or(present);
            let submission = self.submission(step, present);
            let reply = self.writer.enqueue(submission, &self.sequence).await?;
            self.waiting.push_back((at, subject, reply));
        }
        while !self.waiting.is_empty() {
            self.settle().await?;
        }
        self.settle_together();
        Ok(())
    }

    fn submission(&self, step: &Step, present: Present) -> Submission {
        let Present { room, revision } = present;
        let reservation = step.reservation.unwrap_or(ReservationId(Uuid::nil()));
        let action = match &step.how {
            How::Restore(_) => {
                let revision = step.revision - 1;
                let was = self.values.get(&(reservation, revision)).cloned().unwrap_or(Revision::Unknown);
                Action::RestoreReservation(RestoreReservation { room, reservation, revision, was })
            }
            How::Retire(_) => Action::RetireRoom(RetireRoom { room }),
            How::Lift(_) => {
                let closure = step.closure.unwrap_or(ClosureId(Uuid::nil()));
                Action::LiftClosure(LiftClosure { room, closure })
            }
            How::Cancel(_) | How::With { .. } | How::Leave { .. } => {
                Action::CancelReservation(CancelReservation { room: Some(room), reservation })
            }
        };
        let command = Command {
            id: step.command,
            actor: self.actor.clone(),
            // The writer sets it.
            now: step.recorded_at,
            origin: Origin::RollBack,
            if_match: IfMatch::Revision(revision),
            action,
        };
        Submission {
            command,
            made_by: None,
            key: Some(key_of(step.command)),
            correlation_id: format!("roll-back-{}", self.run),
            traceparent: None,
        }
    }

    /// Waits for the oldest outcome.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let Some((at, subject, reply)) = self.waiting.pop_front() else { return Ok(()) };
        let outcome = match reply.await.unwrap_or(Err(Failure::OutcomeUnknown)) {
            Ok(outcome) => outcome,
            Err(Failure::NotYetWritten) => {
                bail!("instances of an older build can't read the events: raise the form of writing")
            }
            Err(failure) => bail!(failure),
        };
        match outcome.result {
            Ok(done) => {
                self.present.insert(subject, Present { room: done.room, revision: done.revision });
            }
            Err(rejection) => self.refuse(at, reason(&rejection)),
        }
        self.meter.add(1);
        Ok(())
    }

    fn refuse(&mut self, at: usize, reason: String) {
        if let Some(outcome) = self.outcomes.get_mut(at) {
            *outcome = Some(reason);
        }
    }

    /// Changes that are taken back with a later one have its outcome.
    fn settle_together(&mut self) {
        let refused: HashMap<(Subject, u32), String> = self
            .steps
            .iter()
            .zip(&self.outcomes)
            .filter_map(|(step, outcome)| Some(((step.subject(), step.revision), outcome.clone()?)))
            .collect();
        for (step, outcome) in self.steps.iter().zip(&mut self.outcomes) {
            if let How::With { revision } = step.how {
                *outcome = refused.get(&(step.subject(), revision)).cloned();
            }
        }
    }
}

fn reason(rejection: &Rejection) -> String {
    match rejection {
        Rejection::Overlap { reservation, .. } => format!("{rejection} by reservation {reservation}"),
        Rejection::Stale { .. } => format!("it was changed since: {rejection}"),
        _ => rejection.to_string(),
    }
}

/// The idempotency key of a step.
fn key_of(command: Uuid) -> IdempotencyKey {
    let (mut id, mut fingerprint) = ([0; 16], [0; 16]);
    let hashed = digest::<32>(&[b"roll-back", command.as_bytes()]);
    id.iter_mut().chain(&mut fingerprint).zip(hashed).for_each(|(byte, hashed)| *byte = hashed);
    IdempotencyKey { id: KeyId(id), fingerprint }
}
