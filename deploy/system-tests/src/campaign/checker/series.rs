//! A command about a series has all of its effect, or none: in a room and at a version, the checker knows what that is.

use std::collections::HashSet;

use uuid::Uuid;

use super::{Findings, name, room::Room};
use crate::campaign::{
    evidence::{Event, Kind, Reservation},
    operation::{Operation, Repeated},
    record::{Command, Known, OfSeries, Stay},
};

/// Compares the events of a command with what it should do in the room as it was before.
pub(super) fn check(command: &Command, events: &[Event], room: &Room, findings: &mut Findings) {
    let at = events.first().map(|event| event.time);
    match &command.operation {
        Operation::ReserveSeries(series) => made(command, series, events, room, findings),
        Operation::ChangeSeries { series, following, stay, .. } => {
            let members = room.members(*series, *following, at);
            changed(command, &Room::shifted(&members, *stay), Kind::Rescheduled, events, findings);
        }
        Operation::CancelSeries { series, following, .. } => {
            let members = room.members(*series, *following, at);
            let as_it_is: Vec<_> = members.iter().map(|about| (*about, about.stay)).collect();
            changed(command, &as_it_is, Kind::Cancelled, events, findings);
        }
        _ => {}
    }
}

/// A series has all its occurrences, or exactly those that fit.
fn made(command: &Command, series: &Repeated, events: &[Event], room: &Room, findings: &mut Findings) {
    let owner = series.owner.as_deref().unwrap_or(&command.user);
    let fit = room.fit(series, owner, events.first().map(|event| event.time));
    // In the past lies what has begun, by the clock of the service.
    let begins = |stay: Stay| events.first().is_none_or(|event| stay.from * 60_000 >= event.time);
    let (fitting, others): (Vec<_>, Vec<_>) =
        fit.iter().partition(|(stay, obstacles)| obstacles.is_empty() && begins(*stay));
    let all = series.skip || others.is_empty();
    let stays = || events.iter().filter_map(|event| Some(event.reservation.as_ref()?.stay));
    let same = stays().eq(fitting.iter().map(|(stay, _)| *stay));
    findings.check(all && same, "a series is made whole, or exactly without what does not fit", || {
        let made: Vec<_> = stays().map(Stay::begins).collect();
        format!("{}: {made:?} of {fit:?}", name(command))
    });
    if let Known::Done(done) = command.known() {
        let skipped: Vec<Stay> = others.iter().map(|(stay, _)| *stay).collect();
        let told = done.series.as_ref().map(|series| &series.skipped);
        findings.check(told == Some(&skipped), "an answer names the occurrences that were left out", || {
            format!("{} left out {skipped:?} and named {told:?}", name(command))
        });
    }
}

/// All members change, each once.
fn changed(
    command: &Command,
    expected: &[(&Reservation, Stay)],
    kind: Kind,
    events: &[Event],
    findings: &mut Findings,
) {
    let mut expected: Vec<(Uuid, Stay)> = expected.iter().map(|(about, stay)| (about.id, *stay)).collect();
    let stays = events.iter().filter_map(|event| event.reservation.as_ref());
    let mut found: Vec<(Uuid, Stay)> = stays.map(|about| (about.id, about.stay)).collect();
    expected.sort_unstable_by_key(|(id, _)| *id);
    found.sort_unstable_by_key(|(id, _)| *id);
    let same = expected == found && events.iter().all(|event| event.kind == kind);
    findings.check(same, "a series changes whole", || {
        format!("{} has {found:?}, not {expected:?}", name(command))
    });
}

/// The events come from one execution of a command about a series in a room.
pub(super) fn one_effect(command: &Command, room: Uuid, events: &[&Event]) -> bool {
    let versions: Vec<u64> = events.iter().map(|event| event.version).collect();
    let (first, last) = (versions.iter().min().copied(), versions.iter().max().copied());
    let whole = first.zip(last).is_some_and(|(first, last)| {
        usize::try_from(last - first).is_ok_and(|between| between + 1 == events.len())
    });
    let in_series: HashSet<Option<Uuid>> =
        events.iter().map(|event| event.reservation.as_ref().and_then(|about| about.series)).collect();
    let series = match &command.operation {
        Operation::ChangeSeries { series, .. } | Operation::CancelSeries { series, .. } => Some(*series),
        _ => in_series.iter().next().copied().flatten(),
    };
    whole
        && series.is_some()
        && in_series.iter().all(|of| *of == series)
        && events.iter().all(|event| event.room == room && event.command == events[0].command)
}

/// The answer names what the events made.
pub(super) fn is_told(series: &OfSeries, version: u64, events: &[&Event]) -> bool {
    let mut made: Vec<(Uuid, u64, Stay)> = events
        .iter()
        .filter_map(|event| event.reservation.as_ref())
        .map(|about| (about.id, about.revision, about.stay))
        .collect();
    made.sort_unstable_by_key(|(id, _, stay)| (stay.from, *id));
    let mut told = series.occurrences.clone();
    told.sort_unstable_by_key(|(id, _, stay)| (stay.from, *id));
    let of_series = events
        .iter()
        .filter_map(|event| event.reservation.as_ref())
        .all(|about| about.series == Some(series.series));
    made == told && of_series && events.iter().map(|event| event.version).max() == Some(version)
}
