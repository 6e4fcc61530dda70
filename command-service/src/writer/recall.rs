//! Recalls what a room has forgotten about a reservation, outside of the writer's task.
//!
//! A room keeps no reservation that ended long ago. The last event about it is found through an index of the room's stream,
//! which is filled when it is first needed: each event is read once for it, however many ids are asked for. So an id that was
//! never made costs no more than one that was.

use std::{collections::HashMap, sync::Arc};

use service_kit::{places::Places, telemetry::with_causes};
use shared_events::{Event, RawEvent, ReservationId, RoomId, UserId, Version};
use tokio::sync::Semaphore;

use super::{Failure, WriterStore};
use crate::{
    commands::{Actor, RestoreReservation, Revision},
    domain::Recalled,
    event_store::{EventLog, ReservationIndex, StoreError, StoredEvent},
};

/// Most events after the indexed ones that one look-up reads.
const MAX_SINCE: u8 = 32;
/// Events that are indexed together.
const PAGE: u32 = 1000;
/// Most recalls of one user at once. One that waits for the index of a long stream leaves the others' places free.
const MAX_OF_ONE_USER: usize = 4;
/// Most recalls at once.
const MAX: usize = 64;

/// What a room's stream says about a reservation, up to a version.
#[derive(Clone, Debug)]
pub(super) struct Recollection {
    pub(super) room: RoomId,
    pub(super) reservation: ReservationId,
    pub(super) version: Version,
    pub(super) recalled: Recalled,
}

/// Reads and fills the index. Clones share their limits.
#[derive(Clone)]
pub(super) struct Memory {
    log: Arc<dyn EventLog>,
    index: Arc<dyn ReservationIndex>,
    /// One look-up at a time, in the order of asking: the store's connections stay free for commands.
    look_ups: Arc<Semaphore>,
    /// One page of one stream is indexed at a time, in the order of asking: a short stream does not wait for a long one.
    turns: Arc<Semaphore>,
    running: Arc<Places>,
}

impl Memory {
    pub(super) fn new(store: &WriterStore) -> Self {
        Self {
            log: Arc::clone(&store.log),
            index: Arc::clone(&store.index),
            look_ups: Arc::new(Semaphore::new(1)),
            turns: Arc::new(Semaphore::new(1)),
            running: Arc::new(Places::new(MAX, MAX_OF_ONE_USER)),
        }
    }

    /// Recalls a reservation for a user: in this room, and in those to which it was moved from there.
    ///
    /// # Errors
    /// [`Failure::Overloaded`] if too many recalls run, [`Failure::Unavailable`] if the store can't be read.
    pub(super) async fn recall_for(
        &self,
        user: &UserId,
        room: RoomId,
        reservation: ReservationId,
    ) -> Result<Vec<Recollection>, Failure> {
        let _running = self.running.take(user.as_str(), 1).map_err(|_| Failure::Overloaded)?;
        let mut trail: Vec<Recollection> = Vec::new();
        let mut next = Some(room);
        while let Some(room) = next.filter(|room| trail.iter().all(|passed| passed.room != *room)) {
            let found = self.recall(room, reservation).await.map_err(|error| {
                tracing::warn!(error = with_causes(&error), room = %room, "a forgotten reservation can't be recalled");
                Failure::Unavailable
            })?;
            next = match found.recalled {
                Recalled::MovedTo(other) => Some(other),
                Recalled::Here(_) | Recalled::Cancelled(_) | Recalled::Never => None,
            };
            trail.push(found);
        }
        Ok(trail)
    }

    /// What a reservation was at a revision, for a user who may restore it.
    ///
    /// # Errors
    /// As [`Memory::recall_for`].
    pub(super) async fn revision_for(
        &self,
        actor: &Actor,
        restore: &RestoreReservation,
    ) -> Result<Revision, Failure> {
        let RestoreReservation { room, reservation, revision, .. } = *restore;
        let _running = self.running.take(actor.user.as_str(), 1).map_err(|_| Failure::Overloaded)?;
        let found = async {
            match self.recall(room, reservation).await?.recalled {
                // Whoever guesses ids reads no stream.
                Recalled::Never | Recalled::MovedTo(_) => return Ok(Revision::Unknown),
                Recalled::Here(found) if !actor.admin && !found.is_open_to(actor.user.as_str()) => {
                    return Ok(Revision::Unknown);
                }
                Recalled::Here(_) | Recalled::Cancelled(_) => {}
            }
            let (mut rooms, mut next) = (vec![room], 0);
            while let Some(room) = rooms.get(next).copied() {
                let about = self.all_about(room, reservation).await?;
                if let Some(event) =
                    about.iter().find(|event| event.reservation().is_some_and(|at| at.revision == revision))
                {
                    return Ok(Revision::after(event));
                }
                for event in &about {
                    let before = match event {
                        Event::ReservationMovedIn(event) => event.previous.room,
                        Event::ReservationRestored(event) => event.cancelled_in,
                        _ => continue,
                    };
                    if !rooms.contains(&before) {
                        rooms.push(before);
                    }
                }
                next += 1;
            }
            Ok(Revision::Unknown)
        };
        found.await.map_err(|error: StoreError| {
            tracing::warn!(error = with_causes(&error), room = %room, "a revision can't be read");
            Failure::Unavailable
        })
    }

    /// All events about a reservation in a room's stream.
    async fn all_about(&self, room: RoomId, reservation: ReservationId) -> Result<Vec<Event>, StoreError> {
        let subject = reservation.to_string();
        let (mut about, mut after) = (Vec::new(), Version::NONE);
        loop {
            let page = {
                let _turn = self.turns.acquire().await;
                self.log.stream(room, after, PAGE).await?
            };
            let Some(last) = page.last() else { return Ok(about) };
            after = last.version;
            for event in page {
                let raw = raw(event)?;
                if raw.metadata.subject == subject {
                    about.push(raw.event().map_err(|reason| inconsistent(&reason))?);
                }
            }
        }
    }

    /// Recalls a reservation.
    pub(super) async fn recall(
        &self,
        room: RoomId,
        reservation: ReservationId,
    ) -> Result<Recollection, StoreError> {
        loop {
            if let Some(found) = self.look_up(room, reservation).await? {
                return Ok(found);
            }
            self.index_page(room, reservation).await?;
        }
    }

    /// Recalls a reservation if all but few events of its room are indexed.
    async fn look_up(
        &self,
        room: RoomId,
        reservation: ReservationId,
    ) -> Result<Option<Recollection>, StoreError> {
        // Never closed.
        let _turn = self.look_ups.acquire().await;
        let found = self.index.look_up(room, reservation, u32::from(MAX_SINCE) + 1).await?;
        if found.since.len() > usize::from(MAX_SINCE) {
            return Ok(None);
        }
        let version = found.since.last().map_or(found.indexed, |(version, _)| *version);
        let before_last = found.last.and_then(Version::previous);
        let last = match before_last {
            Some(before) => self.log.stream(room, before, 1).await?.pop(),
            None => None,
        };
        let event =
            last.map(|event| raw(event)?.event().map_err(|reason| inconsistent(&reason))).transpose()?;
        Ok(Some(Recollection { room, reservation, version, recalled: Recalled::by(room, event.as_ref()) }))
    }

    async fn index_page(&self, room: RoomId, reservation: ReservationId) -> Result<(), StoreError> {
        let _turn = self.turns.acquire().await;
        // Others may have indexed a page meanwhile.
        let page = self.index.look_up(room, reservation, PAGE).await?.since;
        let Some((up_to, _)) = page.last().copied() else { return Ok(()) };
        let last: HashMap<_, _> = page.into_iter().filter_map(|(version, of)| Some((of?, version))).collect();
        let mut last: Vec<_> = last.into_iter().collect();
        last.sort_unstable();
        self.index.index(room, &last, up_to).await
    }
}

/// The last of these events about a reservation.
pub(super) fn last_about(
    reservation: ReservationId,
    events: Vec<StoredEvent>,
) -> Result<Option<Event>, StoreError> {
    let subject = reservation.to_string();
    for event in events.into_iter().rev() {
        let raw = raw(event)?;
        if raw.metadata.subject == subject {
            return raw.event().map(Some).map_err(|reason| inconsistent(&reason));
        }
    }
    Ok(None)
}

fn raw(event: StoredEvent) -> Result<RawEvent, StoreError> {
    event.into_raw().map_err(|reason| inconsistent(&reason))
}

fn inconsistent(reason: &impl ToString) -> StoreError {
    StoreError::Inconsistent { operation: "recall", detail: reason.to_string() }
}
