//! What a roll-back does or did, as a table or as JSON.

use serde::Serialize;
use service_kit::report::Format;
use shared_events::{ClosureId, ReservationId, RoomId, Timestamp, Version};
use uuid::Uuid;

use super::{How, Step, carry_out::Refusal};

/// What a roll-back does or did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The run. The same selection is the same run.
    pub run: Uuid,
    /// When its plan was made.
    pub planned_at: Timestamp,
    /// Whether it was carried out, not only planned.
    pub carried_out: bool,
    /// The number of changes that are taken back.
    pub taken_back: usize,
    /// The number of the others.
    pub not_taken_back: usize,
    /// Newest first.
    pub changes: Vec<Change>,
}

/// A selected change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// When it was committed.
    pub committed: Timestamp,
    /// The type of its event.
    pub change: String,
    /// The stream of its event.
    pub room: RoomId,
    /// The version of its event.
    pub version: Version,
    /// The reservation, if it is about one.
    pub reservation: Option<ReservationId>,
    /// The closure, if it is about one.
    pub closure: Option<ClosureId>,
    /// The revision that it made.
    pub revision: u32,
    /// Whether it is taken back.
    pub taken_back: bool,
    /// How, or why not.
    pub outcome: String,
}

impl Report {
    /// The report on a plan, or on its outcomes.
    pub(super) fn new(
        run: Uuid,
        planned_at: Timestamp,
        steps: &[Step],
        outcomes: Option<&[Refusal]>,
    ) -> Self {
        let change = |(at, step): (usize, &Step)| {
            let refusal = outcomes.and_then(|outcomes| outcomes.get(at)).cloned().flatten();
            let left = match &step.how {
                How::Leave { reason } => Some(format!("left: {reason}")),
                _ => refusal.map(|reason| format!("refused: {reason}")),
            };
            Change {
                committed: step.recorded_at,
                change: step.change.trim_start_matches("reservations.").to_owned(),
                room: step.room,
                version: step.version,
                reservation: step.reservation,
                closure: step.closure,
                revision: step.revision,
                taken_back: left.is_none(),
                outcome: left.unwrap_or_else(|| done(step, outcomes.is_some())),
            }
        };
        let changes: Vec<Change> = steps.iter().enumerate().map(change).collect();
        let taken_back = changes.iter().filter(|change| change.taken_back).count();
        let not_taken_back = changes.len() - taken_back;
        Self { run, planned_at, carried_out: outcomes.is_some(), taken_back, not_taken_back, changes }
    }

    /// The report for people, or as JSON.
    pub(super) fn text(&self, format: Format) -> serde_json::Result<String> {
        let columns = ["committed", "change", "room", "reservation", "revision", "outcome"];
        let table = Format { json: false }.rows(&self.changes, &columns)?;
        let Self { run, planned_at, carried_out, taken_back, not_taken_back, .. } = self;
        let (verb, not) = if *carried_out { ("taken back", "not") } else { ("to take back", "to leave") };
        let last = format!(
            "Run {run}, planned at {planned_at}: {taken_back} changes {verb}, {not_taken_back} {not}."
        );
        format.value(self, format!("{table}\n{last}"))
    }
}

fn done(step: &Step, carried_out: bool) -> String {
    let (done, planned) = match step.how {
        How::Cancel(_) => ("cancelled".to_owned(), "cancel".to_owned()),
        How::Retire(_) => ("retired".to_owned(), "retire if empty".to_owned()),
        How::Lift(_) => ("lifted".to_owned(), "lift".to_owned()),
        How::With { revision } => {
            let with = format!("with revision {revision}");
            (with.clone(), with)
        }
        How::Restore(_) | How::Leave { .. } => {
            let before = step.revision.saturating_sub(1);
            (format!("revision {before} restored"), format!("restore revision {before}"))
        }
    };
    if carried_out { done } else { planned }
}
