//! Parks a room at an event that can't be applied. The room waits for another build or an operator; other rooms go on.

use shared_events::{RoomId, Version};

use super::{pipeline::Pipeline, room::ParkedState};
use crate::{
    read_models::ParkedMessage,
    stores::{StoreError, Swap},
};

impl Pipeline {
    /// Parks a room at a message, or passes over the event if an operator dropped it. A room whose checkpoint has moved is
    /// unloaded.
    pub(super) async fn park(&mut self, message: ParkedMessage) -> Result<(), StoreError> {
        let message = message.masked(&*self.erasures().await?).unwrap_or(message);
        let (room, version) = (message.room, message.version);
        let Some(state) = self.rooms.get_mut(&room) else { return Ok(()) };
        let Some(checkpoint) = state.checkpoint else { return Ok(()) };
        let store = &self.dependencies.store;
        if store.is_dropped(room, version).await? {
            return self.pass_over(room, version).await;
        }
        state.tried();
        if state.parked == ParkedState::Waits && checkpoint.next() == version {
            return Ok(());
        }
        match store.park(&message).await? {
            Swap::Moved => self.moved(room),
            Swap::Done => {
                state.parked = ParkedState::Waits;
                self.metrics.handles().parked.increment(1);
                self.dependencies.progress.park(room);
                let reason = message.reason;
                tracing::error!(%room, version = version.get(), reason, "the room is parked: its next event can't be read");
            }
        }
        Ok(())
    }

    /// Advances the room over a dropped event.
    async fn pass_over(&mut self, room: RoomId, version: Version) -> Result<(), StoreError> {
        match self.dependencies.store.pass_over(room, version).await? {
            Swap::Moved => self.moved(room),
            Swap::Done => {
                tracing::warn!(%room, version = version.get(), "an event is left out, as an operator said");
                self.advance(&[], &[(room, version)]);
            }
        }
        Ok(())
    }
}
