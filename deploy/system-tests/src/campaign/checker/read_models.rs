//! The read models: a simple second fold of all events gives the same result.

use std::collections::{BTreeMap, HashMap};

use chrono::{Datelike, Timelike};
use uuid::Uuid;

use super::{Findings, closures};
use crate::{
    campaign::evidence::{Counts, Event, Evidence, Kind, Reservation, Scheduled, Shown},
    mongo::{HistoryDoc, ReservationDoc},
};

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let last = last_changes(evidence);
    compare_reservations(&documents(&last), &evidence.documents.reservations, findings);
    compare_history(evidence, findings);
    for shown in &evidence.shown {
        compare_shown(evidence, &last, shown, findings);
    }
}

/// The event of each reservation's highest revision, in the room that has it.
fn last_changes(evidence: &Evidence) -> HashMap<Uuid, &Event> {
    let mut latest: HashMap<Uuid, &Event> = HashMap::new();
    let changes = evidence.streams.values().flatten().filter(|event| !event.is_of_the_other_room());
    for event in changes {
        let Some(reservation) = &event.reservation else { continue };
        let kept = latest.entry(reservation.id).or_insert(event);
        if kept.reservation.as_ref().is_some_and(|kept| kept.revision <= reservation.revision) {
            *kept = event;
        }
    }
    latest
}

fn documents(last: &HashMap<Uuid, &Event>) -> HashMap<Uuid, ReservationDoc> {
    let document = |event: &&Event| {
        let reservation = event.reservation.as_ref()?;
        let document = ReservationDoc {
            id: reservation.id,
            room: reservation.room,
            revision: reservation.revision,
            live: event.kind != Kind::Cancelled,
            version: Some(event.version),
            from: reservation.stay.from,
            to: reservation.stay.to,
            user: reservation.user.clone(),
        };
        Some((document.id, document))
    };
    last.values().filter_map(document).collect()
}

fn compare_reservations(
    expected: &HashMap<Uuid, ReservationDoc>,
    found: &[ReservationDoc],
    findings: &mut Findings,
) {
    let rule = "every reservation is in the read model as its last event left it";
    let by_id: HashMap<Uuid, &ReservationDoc> = found.iter().map(|found| (found.id, found)).collect();
    for (id, expected) in expected {
        let found = by_id.get(id).copied();
        findings.check(found == Some(expected), rule, || format!("{expected:?} is {found:?}"));
    }
    for found in found.iter().filter(|found| !expected.contains_key(&found.id)) {
        findings.add(rule, format!("{found:?} has no events"));
    }
}

fn compare_history(evidence: &Evidence, findings: &mut Findings) {
    let rule = "every event is in the history once";
    let mut found: HashMap<(Uuid, u64), Vec<&HistoryDoc>> = HashMap::new();
    for entry in &evidence.documents.history {
        found.entry((entry.room, entry.version)).or_default().push(entry);
    }
    for event in evidence.streams.values().flatten() {
        let (Some(what), Some(reservation)) = (what(event.kind), &event.reservation) else { continue };
        let expected = HistoryDoc {
            room: event.room,
            version: event.version,
            people: people(event, reservation),
            what: what.to_owned(),
            reservation: reservation.id,
            revision: reservation.revision,
        };
        let entries = found.remove(&(event.room, event.version)).unwrap_or_default();
        findings.check(entries.as_slice() == [&expected], rule, || format!("{expected:?} is {entries:?}"));
    }
    for entries in found.into_values() {
        findings.add(rule, format!("{entries:?} have no event"));
    }
}

/// Who did it, whose reservation it is, and who made it for its owner: each once.
fn people(event: &Event, reservation: &Reservation) -> Vec<String> {
    let mut people = vec![event.actor.clone()];
    for other in [Some(&reservation.user), reservation.booker.as_ref()].into_iter().flatten() {
        if !people.contains(other) {
            people.push(other.clone());
        }
    }
    people
}

const fn what(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Made => Some("made"),
        Kind::Rescheduled => Some("changed"),
        Kind::MovedIn => Some("moved"),
        Kind::Cancelled => Some("cancelled"),
        Kind::Restored => Some("restored"),
        Kind::Registered | Kind::MovedOut | Kind::RestoredElsewhere | Kind::Closed | Kind::Lifted => None,
    }
}

fn scheduled(live: &Reservation) -> Scheduled {
    let Reservation { id, revision, stay, busy, user, booker, series, title, people, .. } = live.clone();
    Scheduled { id, revision, stay, busy, user, booker, series, title, people }
}

fn add(counts: &mut Counts, more: Counts) {
    for (count, more) in counts.iter_mut().zip(more) {
        *count += more;
    }
}

fn compare_shown(evidence: &Evidence, last: &HashMap<Uuid, &Event>, shown: &Shown, findings: &mut Findings) {
    let who = format!("query-service {}", shown.instance);
    let closures = closures::left(evidence);
    let mut schedules: BTreeMap<Uuid, Vec<Scheduled>> = BTreeMap::new();
    let mut popular: BTreeMap<Uuid, Counts> = BTreeMap::new();
    let mut busiest: BTreeMap<(String, i64, i64), Counts> = BTreeMap::new();
    let live = last.values().filter(|event| event.kind != Kind::Cancelled);
    for live in live.filter_map(|event| event.reservation.as_ref()) {
        let stay = live.stay;
        schedules.entry(live.room).or_default().push(scheduled(live));
        add(popular.entry(live.room).or_default(), [stay.minutes(), 1, live.people]);
        let kind = evidence.streams.get(&live.room).and_then(|events| events.first()?.room_kind.clone());
        for minute in stay.from..stay.to {
            let time = chrono::DateTime::from_timestamp(minute * 60, 0).unwrap();
            let (weekday, hour) = (i64::from(time.weekday().number_from_monday()), i64::from(time.hour()));
            let enters = i64::from(minute == stay.from || time.minute() == 0);
            let counts = busiest.entry((kind.clone().unwrap_or_default(), weekday, hour)).or_default();
            add(counts, [1, enters, enters * live.people]);
        }
    }
    for (room, events) in &evidence.streams {
        let head = u64::try_from(events.len()).unwrap();
        let (version, kind) = shown.rooms.get(room).cloned().unzip();
        findings.check(version == Some(head), "read models are level with the store", || {
            format!("{who} shows room {room} at version {version:?} of {head}")
        });
        let registered = events.first().and_then(|event| event.room_kind.clone());
        findings.check(kind == registered, "a room is shown as it was registered", || {
            format!("{who} shows room {room} of kind {registered:?} with {kind:?}")
        });
        let mut expected = schedules.remove(room).unwrap_or_default();
        expected.sort_unstable_by_key(|stay| stay.id);
        let found = shown.schedules.get(room).cloned().unwrap_or_default();
        findings.check(found == expected, "a schedule shows every live reservation", || {
            let missing: Vec<_> = expected.iter().filter(|stay| !found.contains(stay)).collect();
            let strange: Vec<_> = found.iter().filter(|stay| !expected.contains(stay)).collect();
            format!("{who}, room {room}: {missing:?} are missing, {strange:?} are not live")
        });
        let (closed, told) = (closures.get(room), shown.closures.get(room));
        findings.check(closed == told, "a schedule shows every closure", || {
            format!("{who}, room {room}: {closed:?} are {told:?}")
        });
        let (counted, told) = (popular.get(room), shown.popular.get(room));
        findings.check(counted == told, "a room's minutes, reservations and people are counted once", || {
            format!("{who}, room {room}: {counted:?} are {told:?}")
        });
    }
    findings.check(
        busiest == shown.busiest,
        "minutes, reservations and people of weekdays and hours are counted once",
        || {
            let wrong: Vec<_> =
                busiest.iter().filter(|(at, counts)| shown.busiest.get(at) != Some(counts)).collect();
            format!("{who}: {wrong:?} are not shown so")
        },
    );
}
