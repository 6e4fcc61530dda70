//! Usage: reserved minutes, stays and people of a room, in the time zone that the reservation carries.
//!
//! It is a fold over the room's history entries, which adds to a document. The room's version guards it: an event that is
//! counted already is skipped.

use std::ops::Bound;

use shared_events::{Interval, Place, Version};

use crate::read_models::{
    Change, HistoryDoc, HistoryKind, RoomDocuments, UsageDoc, UsageKey,
    local_time::{Cell, cells},
    usage::{ENTERED, Month, People, START, place_of},
};

/// The place that an event frees in its room, and the one that it takes.
fn change(entry: &HistoryDoc) -> (Option<Place>, Option<Place>) {
    let Change::Reservation { what, reservation, previous } = &entry.change else { return (None, None) };
    let (place, is_here) = (reservation.place(), reservation.room == entry.room);
    match what {
        HistoryKind::Made => (None, Some(place)),
        HistoryKind::Changed => (*previous, Some(place)),
        HistoryKind::Moved if is_here => (None, Some(place)),
        HistoryKind::Moved => (*previous, None),
        HistoryKind::Cancelled => (Some(place), None),
        HistoryKind::Restored => (None, is_here.then_some(place)),
    }
}

/// The documents that an event changes: more than one if a stay crosses a local month or its zone changes. A change that
/// keeps the place may change the number of people.
#[must_use]
pub fn touches(entry: &HistoryDoc) -> Vec<UsageKey> {
    let (removed, added) = change(entry);
    let mut keys = Vec::new();
    for place in [removed, added].into_iter().flatten() {
        for month in months(place) {
            let key = UsageKey { room: entry.room, zone: place.time_zone, month };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

/// The local months of a stay.
fn months(place: Place) -> Vec<Month> {
    let around = Month::around(place.interval());
    let (mut month, last) = (*around.start(), *around.end());
    let mut months = Vec::new();
    while month <= last {
        // Most stays are far from a month's end.
        if around.start() == around.end() || hours(place, month).next().is_some() {
            months.push(month);
        }
        month = month.next();
    }
    months
}

/// An hour of a stay: its place in the month's tables, and what it adds to them.
struct Hour {
    place: usize,
    minutes: u8,
    begins: bool,
    is_entered: bool,
}

/// The hours of a stay in a local month.
fn hours(place: Place, month: Month) -> impl Iterator<Item = Hour> {
    let nothing = Interval { from: place.from, to: place.from };
    // A stay may take a year: only this month counts.
    let part = place.interval().intersection(month.about()).unwrap_or(nothing);
    let mut before: Option<Cell> = None;
    cells(place.time_zone.0, part).filter_map(move |cell| {
        let begins = before.is_none() && part.from == place.from;
        let goes_on = before.is_some_and(|before| (before.date, before.hour) == (cell.date, cell.hour));
        before = Some(cell);
        let place = place_of(month, cell.date, cell.hour)?;
        Some(Hour { place, minutes: cell.minutes, begins, is_entered: !begins && !goes_on })
    })
}

/// Counts, in a room's usage, those of its entries up to a version that are after its usage position. A document that was
/// counted by other rules of its zone stays as it is.
pub fn count_up_to(documents: &mut RoomDocuments, version: Version) {
    if documents.counted >= version {
        return;
    }
    let after = (Bound::Excluded(documents.counted), Bound::Included(version));
    for entry in documents.history.range(after).map(|(_, entry)| entry) {
        for key in touches(entry) {
            let stored = documents.usage.remove(&key.place());
            let counted = match stored {
                Some(other) if other.rules != key.rules() => other,
                stored => fold(stored, key, entry),
            };
            documents.usage.insert(key.place(), counted);
        }
    }
}

/// The document of `key` after the event. A stored one is counted by the rules of this process.
#[must_use]
pub fn fold(stored: Option<UsageDoc>, key: UsageKey, entry: &HistoryDoc) -> UsageDoc {
    let mut doc = stored.unwrap_or_else(|| UsageDoc::empty(key));
    if entry.version <= doc.version {
        return doc;
    }
    doc.version = entry.version;
    let (removed, added) = change(entry);
    // Removed first, so that no hour is counted twice in between.
    if let Some(place) = removed.filter(|place| place.time_zone == key.zone) {
        count(&mut doc, place, u8::saturating_sub, |stays| stays & !ENTERED);
        doc.people.remove(&place.from);
    }
    if let Some(place) = added.filter(|place| place.time_zone == key.zone)
        && let Some(begins) = count(&mut doc, place, u8::saturating_add, |stays| stays | ENTERED)
        && let Some(reservation) = entry.reservation()
    {
        doc.people.insert(place.from, People { number: reservation.people, begins });
    }
    doc
}

/// Changes the hours of a stay. Returns whether it begins in the month, or `None` if it has no hour there.
fn count(doc: &mut UsageDoc, place: Place, change: fn(u8, u8) -> u8, enter: fn(u8) -> u8) -> Option<bool> {
    let mut begins_here = None;
    for hour in hours(place, doc.key.month) {
        begins_here = Some(begins_here.unwrap_or_default() || hour.begins);
        if let Some(minutes) = doc.minutes.get_mut(hour.place) {
            *minutes = change(*minutes, hour.minutes);
        }
        if let Some(stays) = doc.stays.get_mut(hour.place) {
            if hour.begins {
                *stays = change(*stays, START);
            } else if hour.is_entered {
                *stays = enter(*stays);
            }
        }
    }
    begins_here
}
