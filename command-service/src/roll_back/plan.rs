//! The plan: each selected change, newest first, with the command that takes it back.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use serde::Deserialize;
use service_kit::{ids::new_id, meter::Meter};
use shared_events::{Closure, Event, RawEvent, Timestamp};
use uuid::Uuid;

use super::{How, Present, Step, Subject, Whose};
use crate::event_store::{EventLog, Position, RollBacks};

/// Events of one read.
const PAGE: u32 = 5000;

/// Reads all events, in the order of their positions. With a name, it shows its progress.
pub(super) async fn each_event(
    log: &dyn EventLog,
    what: Option<&'static str>,
    mut each: impl FnMut(&RawEvent, &Event),
) -> anyhow::Result<()> {
    let mut meter = None;
    if let Some(what) = what {
        let heads = log.all_heads(None, u32::MAX).await?;
        meter = Some(Meter::new(what, heads.iter().map(|(_, version)| version.get()).sum()));
    }
    let mut position = Position::START;
    loop {
        let page = log.events_after(position, PAGE).await?;
        let Some(last) = page.last() else { break };
        position = last.position;
        if let Some(meter) = &meter {
            meter.add(page.len() as u64);
        }
        for stored in page {
            let raw = stored.into_raw()?;
            let event = raw.event().with_context(|| format!("event {}", raw.id()))?;
            each(&raw, &event);
        }
    }
    if let Some(meter) = meter {
        meter.finish();
    }
    Ok(())
}

/// A subject with a selected change.
struct Chain {
    selected: HashSet<u32>,
    present: Present,
    /// Whether the reservation is cancelled or the room retired.
    ended: bool,
}

/// Makes the plan. With a name, it shows its progress.
///
/// Changes that a roll-back made are not selected.
pub(super) async fn plan(
    log: &dyn EventLog,
    roll_backs: &dyn RollBacks,
    whose: &Whose,
    since: Timestamp,
    what: Option<&'static str>,
) -> anyhow::Result<Vec<Step>> {
    let own = commands_of_roll_backs(roll_backs).await?;
    let mut chains: HashMap<Subject, Chain> = HashMap::new();
    let mut changes: Vec<(Step, bool)> = Vec::new();
    each_event(log, what, |raw, event| {
        let Some((subject, present, ended)) = after(event) else { return };
        if let Some(chain) =
            chains.get_mut(&subject).filter(|chain| chain.present.revision < present.revision)
        {
            (chain.present, chain.ended) = (present, ended);
        }
        let is_selected = raw.recorded_at >= since
            && whose.includes(raw)
            && !raw.metadata.causation_id.parse::<Uuid>().is_ok_and(|command| own.contains(&command));
        if !is_selected {
            return;
        }
        let chain =
            chains.entry(subject).or_insert_with(|| Chain { selected: HashSet::new(), present, ended });
        // A move has two events.
        if chain.selected.insert(present.revision) {
            let step = Step {
                command: new_id(),
                recorded_at: raw.recorded_at,
                change: raw.event_type.to_string(),
                room: raw.room,
                version: raw.version,
                reservation: event.reservation().map(|reservation| reservation.id),
                closure: event.closure().map(|closure| closure.id),
                revision: present.revision,
                how: How::Leave { reason: String::new() },
            };
            changes.push((step, matches!(event, Event::ReservationRestored(_))));
        }
    })
    .await?;
    let steps = changes.into_iter().rev().filter_map(|(step, restored)| {
        let how = how(chains.get(&step.subject())?, &step, restored);
        Some(Step { how, ..step })
    });
    Ok(steps.collect())
}

/// What an event leaves: the subject, where it is, and whether it has ended.
fn after(event: &Event) -> Option<(Subject, Present, bool)> {
    let of_room = |room: &shared_events::Room, retired| {
        Some((Subject::Room(room.id), Present { room: room.id, revision: room.revision }, retired))
    };
    let of_closure = |closure: &Closure, revision| {
        let present = Present { room: closure.room, revision };
        Some((Subject::Closure(closure.room, closure.id), present, revision > 1))
    };
    match event {
        Event::RoomRegistered(e) => of_room(&e.room, false),
        Event::RoomChanged(e) => of_room(&e.room, false),
        Event::RoomRetired(e) => of_room(&e.room, true),
        Event::ClosureAdded(e) => of_closure(&e.closure, 1),
        Event::ClosureLifted(e) => of_closure(&e.closure, 2),
        _ => {
            let reservation = event.reservation()?;
            let present = Present { room: reservation.room, revision: reservation.revision };
            let cancelled = matches!(event, Event::ReservationCancelled(_));
            Some((Subject::Reservation(reservation.id), present, cancelled))
        }
    }
}

fn how(chain: &Chain, step: &Step, restored: bool) -> How {
    let leave = |reason: String| How::Leave { reason };
    let present = chain.present;
    // The changes from the present one back that are all selected.
    let first_of_run = (1..=present.revision)
        .rev()
        .take_while(|revision| chain.selected.contains(revision))
        .last()
        .unwrap_or(u32::MAX);
    if step.revision < first_of_run {
        return leave(format!("it was changed since: revision {} is not selected", present.revision));
    }
    match step.subject() {
        Subject::Room(_) if step.revision > 1 => {
            leave("settings and retirements are not taken back".to_owned())
        }
        Subject::Room(_) if chain.ended => leave("the room is retired already".to_owned()),
        Subject::Room(_) => How::Retire(present),
        Subject::Closure(..) if step.revision > 1 => leave("a lifted closure is not put back".to_owned()),
        Subject::Closure(..) if chain.ended => leave("the closure is lifted already".to_owned()),
        Subject::Closure(..) => How::Lift(present),
        // Nothing was there before its first change: one cancellation takes all of them back.
        Subject::Reservation(_) if first_of_run == 1 && chain.ended => {
            leave("the reservation is cancelled already".to_owned())
        }
        Subject::Reservation(_) if first_of_run == 1 && step.revision == present.revision => {
            How::Cancel(present)
        }
        Subject::Reservation(_) if first_of_run == 1 => How::With { revision: present.revision },
        Subject::Reservation(_) if restored => How::Cancel(present),
        Subject::Reservation(_) => How::Restore(present),
    }
}

/// The ids of the commands of all roll-backs.
async fn commands_of_roll_backs(store: &dyn RollBacks) -> anyhow::Result<HashSet<Uuid>> {
    #[derive(Deserialize)]
    struct Id {
        command: Uuid,
    }
    let mut commands = HashSet::new();
    for part in store.steps().await? {
        let steps: Vec<Id> = serde_json::from_slice(&part)?;
        commands.extend(steps.into_iter().map(|step| step.command));
    }
    Ok(commands)
}
