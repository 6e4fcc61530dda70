//! A pipeline's knowledge of one room.

use shared_events::Version;

/// A room of a pipeline.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoomState {
    /// The version up to which the room is projected. `None` until the checkpoint is loaded.
    pub(super) checkpoint: Option<Version>,
    /// The highest version that is known to exist.
    pub(super) known: Version,
    /// A message without a readable version came: only the feed can tell the head.
    pub(super) ask: bool,
    /// Whether the room is parked.
    pub(super) parked: ParkedState,
}

/// Whether a room is parked at an event that can't be applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum ParkedState {
    /// It is not.
    #[default]
    No,
    /// It is, and this build can't apply the event.
    Waits,
    /// It was when it was loaded. This build may be able to apply the event.
    TryAgain,
}

impl RoomState {
    /// Whether the feed may have events that are not projected. False for a room that is not loaded.
    pub(super) fn misses_events(self) -> bool {
        let Some(checkpoint) = self.checkpoint else { return false };
        match self.parked {
            ParkedState::No => self.known > checkpoint || self.ask,
            ParkedState::Waits => false,
            ParkedState::TryAgain => true,
        }
    }

    /// Whether the room may have events that are not projected.
    pub(super) fn is_behind(self) -> bool {
        self.checkpoint.is_none() || self.misses_events()
    }

    /// Sets the checkpoint to the stored one.
    pub(super) fn load(&mut self, checkpoint: Version, is_parked: bool) {
        self.checkpoint = Some(checkpoint);
        self.parked = match (is_parked, self.parked) {
            (false, _) => ParkedState::No,
            (true, ParkedState::No) => ParkedState::TryAgain,
            (true, known) => known,
        };
    }

    /// Notes that this build can't apply the event either.
    pub(super) fn tried(&mut self) {
        if self.parked == ParkedState::TryAgain {
            self.parked = ParkedState::Waits;
        }
    }

    /// Moves the checkpoint. The room is no longer parked.
    pub(super) fn advance(&mut self, to: Version) {
        *self =
            Self { checkpoint: Some(to), known: self.known.max(to), ask: self.ask, parked: ParkedState::No };
    }
}
