//! Other settings of a room. Reservations that exist stay as they are.

use shared_events::{OpeningHours, Room, RoomId, RoomSettings, TimeZone, room_events::RoomChanged};

use super::{
    Command, Decided, Decision,
    room_checks::{check_admin, check_revision, open_room},
};
use crate::domain::{Rejection, Rooms, values::validate_settings};

/// Changes the settings that are given. Of those that a room need not have, `Some(None)` takes the limit away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeRoom {
    /// Which room.
    pub room: RoomId,
    /// Its new name, in the form that [`normalise`](crate::domain::values::normalise) gives.
    pub name: Option<String>,
    /// Its new kind, in the same form.
    pub kind: Option<String>,
    /// Most people.
    pub capacity: Option<u32>,
    /// The zone of opening hours, slots and days.
    pub time_zone: Option<TimeZone>,
    /// Open time per weekday.
    pub opening_hours: Option<Option<OpeningHours>>,
    /// Length of a slot in minutes.
    pub slot_minutes: Option<Option<u32>>,
    /// Shortest stay in minutes.
    pub min_minutes: Option<Option<u32>>,
    /// Longest stay in minutes.
    pub max_minutes: Option<Option<u32>>,
    /// How many local dates ahead a stay may begin.
    pub max_days_ahead: Option<Option<u32>>,
}

impl ChangeRoom {
    /// A change of nothing yet.
    #[must_use]
    pub const fn new(room: RoomId) -> Self {
        Self {
            room,
            name: None,
            kind: None,
            capacity: None,
            time_zone: None,
            opening_hours: None,
            slot_minutes: None,
            min_minutes: None,
            max_minutes: None,
            max_days_ahead: None,
        }
    }

    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Decided {
        check_admin(command)?;
        let (room, before) = open_room(rooms, self.room)?;
        check_revision(command, room.revision())?;
        let settings = self.applied_to(before);
        if settings == *before {
            return Ok(Decision::Unchanged { room: self.room, reservation: None, revision: room.revision() });
        }
        validate_settings(&settings).map_err(Rejection::from)?;
        if let Some(by) = rooms.directory.named(&settings.name).filter(|by| *by != self.room) {
            return Err(Rejection::NameTaken { by }.into());
        }
        let room = Room { id: self.room, revision: room.revision() + 1, settings };
        Ok(Decision::event(self.room, RoomChanged { room }))
    }

    fn applied_to(&self, before: &RoomSettings) -> RoomSettings {
        RoomSettings {
            name: self.name.clone().unwrap_or_else(|| before.name.clone()),
            kind: self.kind.clone().unwrap_or_else(|| before.kind.clone()),
            capacity: self.capacity.unwrap_or(before.capacity),
            time_zone: self.time_zone.unwrap_or(before.time_zone),
            opening_hours: self.opening_hours.unwrap_or(before.opening_hours),
            slot_minutes: self.slot_minutes.unwrap_or(before.slot_minutes),
            min_minutes: self.min_minutes.unwrap_or(before.min_minutes),
            max_minutes: self.max_minutes.unwrap_or(before.max_minutes),
            max_days_ahead: self.max_days_ahead.unwrap_or(before.max_days_ahead),
        }
    }
}
