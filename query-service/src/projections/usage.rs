//! Usage: reserved minutes and starts of a room, in the zone that the reservation carries.
//!
//! A fold adds to what is there, so it is guarded by the room's version: an event that is counted is skipped.

use chrono::Datelike;
use shared_events::{Envelope, Event, Place};

use crate::read_models::{
    UsageDoc, UsageKey,
    local_time::{cells, local_date, local_year},
    usage::HOURS,
};

/// What an event takes away from its room and what it adds to it.
fn change(envelope: &Envelope) -> (Option<Place>, Option<Place>) {
    match &envelope.event {
        Event::ReservationMade(e) => (None, Some(e.reservation.place())),
        Event::ReservationRescheduled(e) => (Some(e.previous), Some(e.reservation.place())),
        Event::ReservationMovedOut(e) => (Some(e.previous), None),
        Event::ReservationMovedIn(e) => (None, Some(e.reservation.place())),
        Event::ReservationCancelled(e) => (Some(e.reservation.place()), None),
        Event::RoomRegistered(_) | Event::RoomChanged(_) | Event::RoomRetired(_) => (None, None),
    }
}

/// The documents that an event changes: usually one, two where a stay goes over the end of a local year or its zone
/// changes. None where it changes neither place nor time.
#[must_use]
pub fn touches(envelope: &Envelope) -> Vec<UsageKey> {
    let (removed, added) = change(envelope);
    if removed == added {
        return Vec::new();
    }
    let mut keys = Vec::new();
    for place in [removed, added].into_iter().flatten() {
        let zone = place.time_zone.0;
        let last = place.to.plus(-1).unwrap_or(place.from);
        for year in local_year(zone, place.from)..=local_year(zone, last) {
            let key = UsageKey { room: envelope.room, zone: place.time_zone, year };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

/// The document of `key` after the event.
#[must_use]
pub fn fold(stored: Option<UsageDoc>, key: UsageKey, envelope: &Envelope) -> UsageDoc {
    let mut doc = stored.unwrap_or_else(|| UsageDoc::empty(key));
    if envelope.version <= doc.version {
        return doc;
    }
    doc.version = envelope.version;
    let (removed, added) = change(envelope);
    // Taken away first: no hour is ever counted twice on the way.
    if let Some(place) = removed {
        count(&mut doc, place, u8::saturating_sub, u16::saturating_sub);
    }
    if let Some(place) = added {
        count(&mut doc, place, u8::saturating_add, u16::saturating_add);
    }
    doc
}

fn count(doc: &mut UsageDoc, place: Place, narrow: fn(u8, u8) -> u8, wide: fn(u16, u16) -> u16) {
    if place.time_zone != doc.key.zone {
        return;
    }
    let zone = place.time_zone.0;
    let day_of = |date: chrono::NaiveDate| {
        (date.year() == doc.key.year).then_some(usize::try_from(date.ordinal0()).unwrap_or(usize::MAX))
    };
    if let Some(starts) = day_of(local_date(zone, place.from)).and_then(|day| doc.starts.get_mut(day)) {
        *starts = wide(*starts, 1);
    }
    for cell in cells(zone, place.interval()) {
        let Some(day) = day_of(cell.date) else { continue };
        if let Some(hour) = doc.hours.get_mut(day * HOURS + usize::from(cell.hour)) {
            *hour = narrow(*hour, cell.minutes);
        }
        if let Some(minutes) = doc.minutes.get_mut(day) {
            *minutes = wide(*minutes, u16::from(cell.minutes));
        }
    }
}
