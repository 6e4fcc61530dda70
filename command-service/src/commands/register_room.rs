//! A new room.

use shared_events::{Room, RoomId, RoomSettings, room_events::RoomRegistered};

use super::{Command, Decided, Decision, room_checks::check_admin};
use crate::domain::{
    Rejection, Rooms,
    values::{normalise, validate_settings},
};

/// Registers a room; its id is that of the command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterRoom {
    /// Its settings, name and kind in the form that [`normalise`] gives.
    pub settings: RoomSettings,
}

impl RegisterRoom {
    /// Gives name and kind their one form.
    #[must_use]
    pub fn new(settings: RoomSettings) -> Self {
        let (name, kind) = (normalise(&settings.name).into_owned(), normalise(&settings.kind).into_owned());
        Self { settings: RoomSettings { name, kind, ..settings } }
    }

    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Decided {
        check_admin(command)?;
        validate_settings(&self.settings).map_err(Rejection::from)?;
        if let Some(by) = rooms.directory.named(&self.settings.name) {
            return Err(Rejection::NameTaken { by }.into());
        }
        let room = Room { id: RoomId(command.id), revision: 1, settings: self.settings.clone() };
        Ok(Decision::event(room.id, RoomRegistered { room }))
    }
}
