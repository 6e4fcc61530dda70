//! The erasure of a person in the event store: they are put on the list, then what was stored before is masked.
//!
//! From the moment they are on the list nothing that names them is committed any more (see `append` of the store). What
//! was committed before is masked event by event, in small transactions that note how far it has come, so that it
//! can end anywhere and goes on from there.

use std::time::Duration;

use service_kit::ids::new_id;
use shared_events::{Erasures, Metadata, UserId};
use tokio::time::Instant;

use crate::event_store::{ErasureList, EventLog, StoreError, StoredEvent};

/// Events that are read, and masked in one transaction, together.
const PAGE: u32 = 1000;

/// What one step of an erasure did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErasureProgress {
    /// Who stands in the person's place.
    pub pseudonym: UserId,
    /// Events that were looked at.
    pub examined: usize,
    /// Those of them that spoke of the person, or of another one on the list.
    pub masked: usize,
    /// Whether all events have been looked at.
    pub done: bool,
}

/// Puts a person on the list where they are not on it, and masks for about as long as `limit`, one page at least. To be called until it is
/// done; called again after that, it looks at all events once more.
///
/// # Errors
/// When the store can't be read or written. It may be called again.
pub async fn erase(
    list: &dyn ErasureList,
    log: &dyn EventLog,
    user: &UserId,
    limit: Duration,
) -> Result<ErasureProgress, StoreError> {
    let began = Instant::now();
    let person = list.erasures().await?.fingerprint(user);
    // Made of nothing that is the person's, so that nobody who lacks the list can lead it back.
    let random = UserId(format!("erased-{}", new_id()));
    let masked_to = list.begin_erasure(person, &random).await?;
    let erasures = list.erasures().await?;
    let pseudonym = erasures.pseudonym(user).cloned().unwrap_or(random);
    let mut step = ErasureProgress { pseudonym, examined: 0, masked: 0, done: false };
    let mut position = masked_to.unwrap_or(0);
    loop {
        let events = log.events_after(position, PAGE).await?;
        step.done = events.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        step.examined += events.len();
        position = events.last().map_or(position, |event| event.position);
        let masked: Vec<StoredEvent> =
            events.into_iter().filter_map(|event| masked(&erasures, event)).collect();
        step.masked += masked.len();
        list.mask_events(person, &masked, (!step.done).then_some(position)).await?;
        if step.done || began.elapsed() >= limit {
            return Ok(step);
        }
    }
}

/// The event as it is to be stored from now on, if it speaks of an erased person.
fn masked(erasures: &Erasures, mut event: StoredEvent) -> Option<StoredEvent> {
    let mut metadata: Option<Metadata> = serde_json::from_slice(&event.metadata).ok();
    let acted = metadata.as_mut().is_some_and(|metadata| erasures.mask_metadata(metadata));
    let payload = erasures.masked_payload(&event.payload);
    if !acted && payload.is_none() {
        return None;
    }
    if let Some(metadata) = metadata.filter(|_| acted) {
        event.metadata = serde_json::to_vec(&metadata).ok()?;
    }
    event.payload = payload.unwrap_or(event.payload);
    Some(event)
}
