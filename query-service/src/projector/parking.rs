//! A room whose next event can't be read waits behind it, until a build or an operator helps.

use shared_events::{RawEvent, RoomId, Timestamp};

use super::{
    message::UnreadableMessage,
    pipeline::{Pipeline, UNKNOWN},
};
use crate::{
    read_models::ParkedMessage,
    stores::{CheckpointWrite, StoreError},
};

impl Pipeline {
    /// Lets a room wait behind a message, unless an operator has said that it is left out. False as in
    /// [`Pipeline::write`].
    pub(super) async fn park(&mut self, message: ParkedMessage) -> Result<bool, StoreError> {
        let message = message.masked(&*self.erasures().await?).unwrap_or(message);
        let (room, version) = (message.room, message.version);
        let Some(state) = self.rooms.get_mut(&room) else { return Ok(true) };
        if state.version == UNKNOWN {
            return Ok(false);
        }
        if self.parts.store.is_dropped(room, version).await? {
            return self.pass_over(room, version).await;
        }
        state.try_again = false;
        if state.parked && state.version + 1 == version {
            return Ok(true);
        }
        if self.parts.store.park(&message).await? == CheckpointWrite::Moved {
            self.metrics.conflict();
            self.forget(room);
            return Ok(false);
        }
        state.parked = true;
        self.metrics.parked();
        self.parts.progress.park(room);
        tracing::error!(%room, version, reason = message.reason, "the room is parked: its next event can't be read");
        Ok(true)
    }

    /// Goes on after an event that is left out. False as in [`Pipeline::write`].
    async fn pass_over(&mut self, room: RoomId, version: u64) -> Result<bool, StoreError> {
        if self.parts.store.pass_over(room, version).await? == CheckpointWrite::Moved {
            self.metrics.conflict();
            self.forget(room);
            return Ok(false);
        }
        tracing::warn!(%room, version, "an event is left out, as an operator said");
        self.advance(&[], &[(room, version)]);
        Ok(true)
    }
}

/// What is kept of an event that can't be applied.
pub(super) fn parked_event(event: &RawEvent, reason: String, now: i64) -> ParkedMessage {
    let headers = event.headers().into_iter();
    ParkedMessage {
        room: event.room,
        version: event.version,
        reason,
        at: Timestamp::from_epoch_millis(now),
        headers: headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect(),
        payload: event.payload.clone(),
    }
}

/// What is kept of a message that can't be read.
pub(super) fn parked_message(
    room: RoomId,
    version: u64,
    message: &UnreadableMessage,
    now: i64,
) -> ParkedMessage {
    ParkedMessage {
        room,
        version,
        reason: message.why.to_string(),
        at: Timestamp::from_epoch_millis(now),
        headers: message.headers.clone(),
        payload: message.payload.clone(),
    }
}
