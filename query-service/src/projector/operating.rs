//! Operators' requests. The pipeline that owns a room carries them out, by the code that first delivered its events.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use service_kit::audit::Act;
use shared_events::{ReservationId, RoomId, Version};
use tokio_util::sync::CancellationToken;

use super::{
    Projector,
    pipeline::{Pipeline, Suspects},
    room::ParkedState,
};
use crate::{
    feed::FeedError,
    projections::read,
    read_models::{Checkpoint, DroppedEvent, Outcome, Request, RequestedAction},
    stores::{StoreError, in_time},
};

/// The pause between two reads of the requests. An operator waits for it.
const POLL: Duration = Duration::from_millis(500);

impl Pipeline {
    /// Carries out a request and records its outcome. After a crash, a second try has the same outcome.
    pub async fn operate(&mut self, request: &Request) -> Result<(), StoreError> {
        // It may be done since it was handed over.
        if !self.dependencies.store.requests().await?.iter().any(|waiting| waiting.id == request.id) {
            return Ok(());
        }
        self.late_by_design = true;
        let outcome = self.carry_out(request).await;
        let outcome = self.ended(outcome)?;
        let act = match request.action {
            RequestedAction::Redrive => "redrive",
            RequestedAction::Drop { .. } => "drop",
            RequestedAction::Repair => "repair",
        };
        Act::begun(&request.by, act, format!("room {}", request.room), None).ended(&outcome.text);
        self.dependencies.store.answer(request.id, &outcome).await
    }

    async fn carry_out(&mut self, request: &Request) -> Result<Outcome, StoreError> {
        let room = request.room;
        let refusal = match &request.action {
            RequestedAction::Redrive => {
                let Checkpoint { version, parked } = self.dependencies.store.checkpoint(room).await?;
                let done = || Outcome { done: true, text: format!("is not parked: at version {version}") };
                parked.is_none().then(done)
            }
            RequestedAction::Drop { version, reason } => self.drop_event(request, *version, reason).await?,
            RequestedAction::Repair => {
                let removed = self.remove(room).await?;
                removed.err().map(|error| Outcome { done: false, text: format!("nothing was done: {error}") })
            }
        };
        if let Some(refusal) = refusal {
            return Ok(refusal);
        }
        self.fill_from_its_checkpoint(room).await?;
        self.outcome(room).await
    }

    /// Removes a room's documents and checkpoint, unless the feed can't be read: the room is filled from it afterwards.
    /// Until then, queries with a token wait.
    async fn remove(&mut self, room: RoomId) -> Result<Result<(), FeedError>, StoreError> {
        let mut reservations = BTreeSet::new();
        let mut after = Version::NONE;
        loop {
            let events = match self.dependencies.feed.events(room, after).await {
                Ok(events) => events,
                Err(error) => return Ok(Err(error)),
            };
            let Some(last) = events.last() else { break };
            after = last.version;
            let subjects = events.iter().map(|event| event.metadata.subject.parse::<ReservationId>());
            reservations.extend(subjects.flatten());
        }
        self.dependencies.store.forget_checkpoint(room).await?;
        self.forget(room);
        let reservations: Vec<ReservationId> = reservations.into_iter().collect();
        self.dependencies.store.delete_documents(room, &reservations).await?;
        Ok(Ok(()))
    }

    /// Drops an event that the event store has and this build can't apply, or returns why not. A redrive mends any other
    /// cause, such as a broken copy or a foreign message.
    async fn drop_event(
        &self,
        request: &Request,
        version: Version,
        reason: &str,
    ) -> Result<Option<Outcome>, StoreError> {
        let (store, room) = (&self.dependencies.store, request.room);
        if store.is_dropped(room, version).await? {
            return Ok(None);
        }
        let refuse = |text: String| Ok(Some(Outcome { done: false, text }));
        let parked = store.checkpoint(room).await?.parked.map(|parked| parked.version);
        let message = store.parked_message(room).await?.filter(|message| message.version == version);
        let (Some(message), true) = (message, parked == Some(version)) else {
            return refuse(format!("the room does not wait behind version {version}, nothing was dropped"));
        };
        match self.dependencies.feed.events(room, version.previous().unwrap_or_default()).await {
            Err(error) => return refuse(format!("nothing was dropped: {error}")),
            Ok(events) => match events.first().map(read) {
                None => {
                    let text =
                        format!("the event store has no version {version}: redrive the room when it has");
                    return refuse(text);
                }
                Some(Ok(_)) => return refuse("this build can apply the event: redrive the room".to_owned()),
                Some(Err(_)) => {}
            },
        }
        let (reason, by) = (reason.to_owned(), request.by.clone());
        store.drop_event(&DroppedEvent { message, reason, by, at: self.now() }).await?;
        Ok(None)
    }

    /// Fills a room, parked or not, from the feed.
    async fn fill_from_its_checkpoint(&mut self, room: RoomId) -> Result<(), StoreError> {
        self.feed_rests_until = None;
        self.forget(room);
        self.load(&HashSet::from([room])).await?;
        if let Some(state) = self.rooms.get_mut(&room) {
            state.ask = true;
            if state.parked == ParkedState::Waits {
                state.parked = ParkedState::TryAgain;
            }
        }
        self.fill(vec![room], Suspects::new()).await
    }

    async fn outcome(&self, room: RoomId) -> Result<Outcome, StoreError> {
        let Checkpoint { version, parked } = self.dependencies.store.checkpoint(room).await?;
        Ok(match parked {
            Some(parked) => {
                let (parked, reason) = (parked.version, parked.reason);
                Outcome { done: false, text: format!("parked at version {parked}: {reason}") }
            }
            None if self.behind.contains(&room) => Outcome {
                done: false,
                text: format!("at version {version}; the feed can't be reached, the rest follows by itself"),
            },
            None => Outcome { done: true, text: format!("at version {version}") },
        })
    }
}

/// Hands requests to the pipelines of their rooms until it is stopped. A request that no pipeline takes is handed over again.
pub async fn take_requests(projector: &Projector, stop: CancellationToken) {
    loop {
        match in_time(projector.dependencies().store.requests()).await {
            Ok(requests) => requests.into_iter().for_each(|request| projector.operate(request)),
            Err(error) => tracing::info!(%error, "operators' requests can't be read now"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(POLL)).await.is_none() {
            return;
        }
    }
}
