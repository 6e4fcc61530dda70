//! Erases a person from the event store: lists the person, then masks the stored events.
//!
//! After the listing, no append commits an event that names the person. Older events are masked in small transactions, which
//! note their position. So an erasure can stop anywhere and go on from there.

use std::time::Duration;

use service_kit::ids::new_id;
use shared_events::{Erasures, Metadata, UserId};
use tokio::time::Instant;

use crate::event_store::{ErasureList, EventLog, Masked, StoreError, StoredEvent};

/// Events that one transaction masks.
const PAGE: u32 = 1000;

/// The outcome of one call of [`erase`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErasureProgress {
    /// The pseudonym of the person.
    pub pseudonym: UserId,
    /// Number of examined events.
    pub examined: usize,
    /// Number of masked events.
    pub masked: usize,
    /// Whether all events are examined.
    pub done: bool,
}

/// Lists a person, and masks events for about `limit`, at least one page. To be called until it is done. A further call
/// examines all events again.
///
/// # Errors
/// If the store can't be read or written. The call can be repeated.
pub async fn erase(
    list: &dyn ErasureList,
    log: &dyn EventLog,
    user: &UserId,
    limit: Duration,
) -> Result<ErasureProgress, StoreError> {
    let began = Instant::now();
    let person = list.erasure_of(user).await?.fingerprint(user);
    // Random, so that only the list connects it with the person.
    let random = UserId::pseudonym(new_id());
    let mut position = list.begin_erasure(person, &random).await?;
    let erasures = list.erasure_of(user).await?;
    let pseudonym = erasures.pseudonym(user).cloned().unwrap_or(random);
    let mut step = ErasureProgress { pseudonym, examined: 0, masked: 0, done: false };
    loop {
        let events = log.events_after(position, PAGE).await?;
        step.done = events.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        step.examined += events.len();
        position = events.last().map_or(position, |event| event.position);
        let masked = events.into_iter().filter_map(|event| masked(&erasures, event).transpose());
        let masked = masked.collect::<Result<Vec<_>, _>>()?;
        step.masked += masked.len();
        let up_to = if step.done { Masked::All } else { Masked::UpTo(position) };
        list.mask_events(person, &masked, up_to).await?;
        if step.done || began.elapsed() >= limit {
            return Ok(step);
        }
    }
}

/// The masked event, if it names the person on the list.
fn masked(erasures: &Erasures, mut event: StoredEvent) -> Result<Option<StoredEvent>, StoreError> {
    let mut metadata: Option<Metadata> = serde_json::from_slice(&event.metadata).ok();
    let acted = metadata.as_mut().is_some_and(|metadata| erasures.mask_metadata(metadata));
    let payload = erasures.masked_payload(&event.payload);
    if !acted && payload.is_none() {
        return Ok(None);
    }
    if let Some(metadata) = metadata.filter(|_| acted) {
        let encoded = serde_json::to_vec(&metadata);
        event.metadata = encoded.map_err(|source| StoreError::Failed {
            operation: "masking metadata",
            source: Box::new(source),
        })?;
    }
    event.payload = payload.unwrap_or(event.payload);
    Ok(Some(event))
}
