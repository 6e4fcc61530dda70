//! A batch as documents: each is folded once, however many events touch it.

use std::collections::{BTreeMap, HashMap};

use mongodb::bson::RawDocumentBuf;
use shared_events::{ClosureId, DecodedEvent, Event, ReservationId, RoomId};

use super::documents::{Guarded, from_closure, from_history, from_reservation, from_room};
use crate::{
    projections::{closures, reservations, rooms},
    read_models::{ClosureDoc, HistoryDoc, ReservationDoc, RoomDoc},
    stores::{StoreError, batch::Span},
};

/// The documents of a batch, and the checkpoints that they lead to.
#[derive(Default, Debug)]
pub(super) struct Batch {
    /// How many events it has.
    pub(super) events: usize,
    pub(super) rooms: Vec<Guarded>,
    /// Reservations that the batch makes, which are rarely stored yet.
    pub(super) made: Vec<Guarded>,
    /// Other reservations.
    pub(super) changed: Vec<Guarded>,
    pub(super) closures: Vec<Guarded>,
    pub(super) history: Vec<RawDocumentBuf>,
    pub(super) spans: BTreeMap<RoomId, Span>,
}

impl Batch {
    /// Folds all documents but usage, which is written behind.
    pub(super) fn fold(events: &[DecodedEvent], entries: &[HistoryDoc]) -> Result<Self, StoreError> {
        let (made, changed) = fold_reservations(events);
        let (rooms, history) = (fold_rooms(events)?, history_of(entries)?);
        let closures = fold_closures(events);
        Ok(Self { events: events.len(), rooms, made, changed, closures, history, ..Self::default() })
    }
}

fn fold_rooms(events: &[DecodedEvent]) -> Result<Vec<Guarded>, StoreError> {
    let mut folded: HashMap<RoomId, Option<RoomDoc>> = HashMap::new();
    for decoded in events {
        if let Some(room) = rooms::touches(decoded) {
            let doc = folded.entry(room).or_default();
            *doc = rooms::fold(doc.take(), decoded);
        }
    }
    folded.values().flatten().map(from_room).collect()
}

fn fold_closures(events: &[DecodedEvent]) -> Vec<Guarded> {
    let mut folded: BTreeMap<(RoomId, ClosureId), Option<ClosureDoc>> = BTreeMap::new();
    for decoded in events {
        if let Some(closure) = closures::touches(decoded) {
            let doc = folded.entry((decoded.room, closure)).or_default();
            *doc = closures::fold(doc.take(), decoded);
        }
    }
    folded.values().flatten().map(from_closure).collect()
}

/// Reservations that are made here, and others.
fn fold_reservations(events: &[DecodedEvent]) -> (Vec<Guarded>, Vec<Guarded>) {
    // Ids are in the order of time: their index grows at its end.
    let mut folded: BTreeMap<ReservationId, (bool, Option<ReservationDoc>)> = BTreeMap::new();
    for decoded in events {
        if let Some(reservation) = reservations::touches(decoded) {
            let (is_made, doc) = folded.entry(reservation).or_default();
            *is_made |= matches!(decoded.event, Event::ReservationMade(_));
            *doc = reservations::fold(doc.take(), decoded);
        }
    }
    let (mut made, mut changed) = (Vec::new(), Vec::new());
    for (is_made, doc) in folded.into_values() {
        let list = if is_made { &mut made } else { &mut changed };
        list.extend(doc.as_ref().map(from_reservation));
    }
    (made, changed)
}

fn history_of(entries: &[HistoryDoc]) -> Result<Vec<RawDocumentBuf>, StoreError> {
    // Their index grows at its end, room by room.
    let mut sorted: Vec<&HistoryDoc> = entries.iter().collect();
    sorted.sort_unstable_by_key(|entry| (entry.room, entry.version));
    sorted.into_iter().map(from_history).collect()
}
