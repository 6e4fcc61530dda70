//! What operators ask a pipeline to do with one of its rooms: by the same code that delivers its events the first time.

use std::{collections::BTreeSet, time::Duration};

use service_kit::audit::Act;
use shared_events::{ReservationId, RoomId, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{
    Projector,
    pipeline::{Pipeline, Suspects, read},
};
use crate::{
    feed::FeedError,
    read_models::{Checkpoint, DroppedEvent, Outcome, Request, RequestedAction},
    stores::{StoreError, in_time},
};

/// How often requests are looked for. An operator waits for it.
const LOOK: Duration = Duration::from_millis(500);

impl Pipeline {
    /// Does what an operator asked, and notes what became of it. Doing it again, after a crash, leads to the same.
    ///
    /// # Errors
    /// As [`Pipeline::step`].
    pub async fn operate(&mut self, request: &Request) -> Result<(), StoreError> {
        // It may have been done since it was handed over.
        if !self.parts.store.requests().await?.iter().any(|waiting| waiting.id == request.id) {
            return Ok(());
        }
        self.late_by_design = true;
        let outcome = self.do_it(request).await;
        self.late_by_design = false;
        if outcome.is_err() {
            self.forget_everything();
        }
        let outcome = outcome?;
        let act = match request.action {
            RequestedAction::Redrive => "redrive",
            RequestedAction::Drop { .. } => "drop",
            RequestedAction::Repair => "repair",
        };
        Act::begun(&request.by, act, format!("room {}", request.room), None).ended(&outcome.text);
        self.parts.store.answer(request.id, &outcome).await
    }

    async fn do_it(&mut self, request: &Request) -> Result<Outcome, StoreError> {
        let room = request.room;
        match &request.action {
            RequestedAction::Redrive => {
                let before = self.parts.store.checkpoint(room).await?;
                if before.parked.is_none() {
                    let version = before.version;
                    return Ok(Outcome { done: true, text: format!("is not parked: at version {version}") });
                }
            }
            RequestedAction::Drop { version, reason } => {
                if let Some(refusal) = self.note_drop(request, *version, reason).await? {
                    return Ok(refusal);
                }
            }
            RequestedAction::Repair => {
                if let Err(error) = self.take_apart(room).await? {
                    return Ok(Outcome { done: false, text: format!("nothing was done: {error}") });
                }
            }
        }
        self.fill_from_its_checkpoint(room).await?;
        self.outcome(room).await
    }

    /// Removes what is stored of a room, unless the feed, from which it is to be made again, can't be read now. A query
    /// with a token waits from then on.
    async fn take_apart(&mut self, room: RoomId) -> Result<Result<(), FeedError>, StoreError> {
        let mut reservations = BTreeSet::new();
        let mut after = 0;
        loop {
            let events = match self.parts.feed.events(room, after).await {
                Ok(events) => events,
                Err(error) => return Ok(Err(error)),
            };
            let Some(last) = events.last() else { break };
            after = last.version;
            let subjects = events.iter().map(|event| event.metadata.subject.parse::<ReservationId>());
            reservations.extend(subjects.flatten());
        }
        self.parts.store.forget_checkpoint(room).await?;
        self.forget(room);
        let reservations: Vec<ReservationId> = reservations.into_iter().collect();
        self.parts.store.delete_documents(room, &reservations).await?;
        Ok(Ok(()))
    }

    /// Notes that an event is left out: only one that the event store has, and that can't be applied. What else a room
    /// may wait behind, a broken copy or a foreign message, is mended by a redrive.
    async fn note_drop(
        &self,
        request: &Request,
        version: u64,
        reason: &str,
    ) -> Result<Option<Outcome>, StoreError> {
        let (store, room) = (&self.parts.store, request.room);
        if store.is_dropped(room, version).await? {
            return Ok(None);
        }
        let parked = self.parts.store.checkpoint(room).await?.parked.map(|parked| parked.version);
        let message = store.parked_message(room).await?.filter(|message| message.version == version);
        let (Some(message), true) = (message, parked == Some(version)) else {
            let text = format!("the room does not wait behind version {version}, nothing was dropped");
            return Ok(Some(Outcome { done: false, text }));
        };
        let refusal = match self.parts.feed.events(room, version - 1).await {
            Err(error) => Some(format!("nothing was dropped: {error}")),
            Ok(events) => match events.first().map(read) {
                None => {
                    Some(format!("the event store has no version {version}: redrive the room when it has"))
                }
                Some(Ok(_)) => Some("this build can apply the event: redrive the room".to_owned()),
                Some(Err(_)) => None,
            },
        };
        if let Some(text) = refusal {
            return Ok(Some(Outcome { done: false, text }));
        }
        let at = Timestamp::from_epoch_millis(self.parts.clock.now_ms());
        let (reason, by) = (reason.to_owned(), request.by.clone());
        store.drop_event(&DroppedEvent { message, reason, by, at }).await?;
        Ok(None)
    }

    /// Reads everything that the feed has after the room's checkpoint, parked or not.
    async fn fill_from_its_checkpoint(&mut self, room: RoomId) -> Result<(), StoreError> {
        self.feed_rests_until = None;
        self.forget(room);
        self.load([room].into_iter()).await?;
        if let Some(state) = self.rooms.get_mut(&room) {
            state.try_again = true;
            state.ask = true;
        }
        // A room that another owner wrote meanwhile is looked at below.
        self.fill(vec![room], Suspects::new()).await.map(|_| ())
    }

    async fn outcome(&self, room: RoomId) -> Result<Outcome, StoreError> {
        let Checkpoint { version, parked } = self.parts.store.checkpoint(room).await?;
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

/// Hands requests to the pipelines of their rooms until it is stopped.
pub async fn take_requests(projector: &Projector, stop: CancellationToken) {
    loop {
        match in_time(projector.parts().store.requests()).await {
            // One that can't be handed over now is found again.
            Ok(requests) => requests.into_iter().for_each(|request| _ = projector.operate(request)),
            Err(error) => tracing::info!(%error, "operators' requests can't be read now"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
            return;
        }
    }
}
