//! Takes back what one user, one import or anyone in one room did since a time.
//!
//! Every change is taken back by a command of its own, newest first. The writer decides each of them, as any command, beside
//! running instances: nothing is deleted, and a later change of somebody else stays. The plan is kept in the store before the
//! first command. The same selection is the same run: it goes on where it stopped.

mod carry_out;
mod plan;
mod report;
mod whose;

use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use service_kit::{
    audit::{Act, operator},
    clock::Clock,
    ids::new_id,
    report::{Format, Verdict},
};
use shared_events::{ClosureId, Erasures, ReservationId, RoomId, Timestamp, UserId, Version};
use uuid::Uuid;

pub use self::{
    report::{Change, Report},
    whose::Whose,
};
use crate::event_store::{ErasureList, EventLog, EventStore, RollBacks, StoreError};

/// Steps in one row of the store.
const STEPS_OF_A_PART: usize = 1000;

/// Arguments of `roll-back`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    whose: Whose,
    /// Only what was committed at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Timestamp,
    /// Shows the plan. Changes nothing and keeps nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

/// A change, and how it is taken back. Names nobody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    /// The id of the command that takes it back. Its events have it as their causation id.
    command: Uuid,
    /// The commit of the change.
    recorded_at: Timestamp,
    /// The change: the type of its event.
    change: String,
    /// The stream and version of its event.
    room: RoomId,
    version: Version,
    /// None for a change of the room itself.
    reservation: Option<ReservationId>,
    /// The closure, for a change of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closure: Option<ClosureId>,
    /// The revision that the change made. Of a closure 1, and 2 when it was lifted.
    revision: u32,
    /// What is done.
    how: How,
}

/// What changes: a reservation, a room, or a closure in a room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Subject {
    Reservation(ReservationId),
    Room(RoomId),
    Closure(RoomId, ClosureId),
}

impl Step {
    fn subject(&self) -> Subject {
        match (self.reservation, self.closure) {
            (Some(reservation), _) => Subject::Reservation(reservation),
            (None, Some(closure)) => Subject::Closure(self.room, closure),
            (None, None) => Subject::Room(self.room),
        }
    }
}

/// How a change is taken back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "do")]
enum How {
    /// The reservation is cancelled.
    Cancel(Present),
    /// The reservation gets the values of the revision before.
    Restore(Present),
    /// The room is retired, if it has no reservation.
    Retire(Present),
    /// The closure is lifted.
    Lift(Present),
    /// It is taken back together with a later change.
    With {
        /// The revision of the later change.
        revision: u32,
    },
    /// It is left as it is.
    Leave {
        /// Why.
        reason: String,
    },
}

/// Where a reservation, a room or a closure is, and at which revision, when the plan is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Present {
    room: RoomId,
    revision: u32,
}

/// The first row of a kept plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    /// Under which the steps are kept.
    plan: Uuid,
    made_at: Timestamp,
}

impl Arguments {
    /// Rolls changes back, or only plans it, and prints the result. As wanted when every change is taken back.
    ///
    /// # Errors
    /// As [`roll_back`].
    pub async fn run(self, store: Arc<dyn EventStore>, clock: Clock) -> anyhow::Result<Verdict> {
        let report = roll_back(&self, store, clock).await?;
        print!("{}", report.text(self.format)?);
        Ok(if report.not_taken_back == 0 { Verdict::AsWanted } else { Verdict::NotAsWanted })
    }
}

/// Rolls changes back, or only plans it.
///
/// # Errors
/// If the store can't be read or written. The same call goes on.
pub async fn roll_back(
    arguments: &Arguments,
    store: Arc<dyn EventStore>,
    clock: Clock,
) -> anyhow::Result<Report> {
    let Arguments { whose, since, dry_run, .. } = arguments;
    let since = *since;
    let run = whose.run(since, &erased(store.as_ref()).await?);
    let kept = kept_plan(store.as_ref(), run).await?;
    let (made_at, steps) = match kept {
        Some(kept) => kept,
        None => {
            let steps = plan::plan(store.as_ref(), store.as_ref(), whose, since, Some("planning")).await?;
            let made_at = Timestamp::from_epoch_millis(clock.now_ms());
            if *dry_run {
                (made_at, steps)
            } else {
                keep_plan(store.as_ref(), run, made_at, &steps).await?;
                // Another process may have been first.
                kept_plan(store.as_ref(), run).await?.context("the plan was not kept")?
            }
        }
    };
    if *dry_run {
        return Ok(Report::new(run, made_at, &steps, None));
    }
    let act = Act::begun(operator(), "roll-back", run.to_string(), None);
    let actor = UserId::new(operator()).context("USER can't be the name of a user")?;
    let outcomes = match carry_out::carry_out(store, clock, run, actor, &steps).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            act.ended("stopped");
            return Err(error.context(format!("the run {run} has stopped: the same command goes on")));
        }
    };
    let report = Report::new(run, made_at, &steps, Some(&outcomes));
    act.ended(format!("{} changes taken back, {} not", report.taken_back, report.not_taken_back));
    Ok(report)
}

/// What a roll-back would do: its kept plan, or one that is made now. Changes nothing and keeps nothing.
///
/// Reads every event.
///
/// # Errors
/// If the store can't be read.
pub async fn preview(
    log: &dyn EventLog,
    roll_backs: &dyn RollBacks,
    erasures: &dyn ErasureList,
    whose: &Whose,
    since: Timestamp,
    now: Timestamp,
) -> anyhow::Result<Report> {
    let run = whose.run(since, &erased(erasures).await?);
    let (made_at, steps) = match kept_plan(roll_backs, run).await? {
        Some(kept) => kept,
        None => (now, plan::plan(log, roll_backs, whose, since, None).await?),
    };
    Ok(Report::new(run, made_at, &steps, None))
}

async fn erased(list: &dyn ErasureList) -> Result<Erasures, StoreError> {
    let mut erasures = Erasures::default();
    list.read_on(&mut erasures).await?;
    Ok(erasures)
}

async fn kept_plan(store: &dyn RollBacks, run: Uuid) -> anyhow::Result<Option<(Timestamp, Vec<Step>)>> {
    let head = store.parts(run).await?;
    let Some(head) = head.first() else { return Ok(None) };
    let Head { plan, made_at } = serde_json::from_slice(head)?;
    let mut steps = Vec::new();
    for part in store.parts(plan).await? {
        steps.append(&mut serde_json::from_slice::<Vec<Step>>(&part)?);
    }
    Ok(Some((made_at, steps)))
}

/// Keeps a plan, unless the run has one. It counts when its head is there, which comes last.
async fn keep_plan(
    store: &dyn RollBacks,
    run: Uuid,
    made_at: Timestamp,
    steps: &[Step],
) -> anyhow::Result<()> {
    let plan = new_id();
    for (part, steps) in (0..).zip(steps.chunks(STEPS_OF_A_PART)) {
        store.keep(plan, part, &serde_json::to_vec(steps)?).await?;
    }
    Ok(store.keep(run, 0, &serde_json::to_vec(&Head { plan, made_at })?).await?)
}
