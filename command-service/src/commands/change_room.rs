//! Changes a room's settings. Existing reservations stay as they are.

use shared_events::{MaxAhead, OpeningHours, Room, RoomId, RoomSettings, TimeZone, room_events::RoomChanged};

use super::{
    Checked, Command, Decision,
    room_checks::{check_admin, check_revision, open_room},
};
use crate::domain::{Rejection, Rooms, check_bookable, values::validate_settings};

/// Changes the given settings; `Some(None)` removes a limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeRoom {
    /// The room.
    pub room: RoomId,
    /// New name, normalised.
    pub name: Option<String>,
    /// New kind, normalised.
    pub kind: Option<String>,
    /// Most people of a reservation.
    pub capacity: Option<u32>,
    /// Time zone of opening hours, slots and days.
    pub time_zone: Option<TimeZone>,
    /// Opening hours per weekday.
    pub opening_hours: Option<Option<OpeningHours>>,
    /// Slot length in minutes.
    pub slot_minutes: Option<Option<u32>>,
    /// Shortest stay in minutes.
    pub min_minutes: Option<Option<u32>>,
    /// Longest stay in minutes.
    pub max_minutes: Option<Option<u32>>,
    /// Minutes before a stay in which the room is busy.
    pub buffer_before: Option<Option<u32>>,
    /// Minutes after a stay in which the room is busy.
    pub buffer_after: Option<Option<u32>>,
    /// Local dates ahead of today on which a stay may begin.
    pub max_days_ahead: Option<Option<u32>>,
    /// Building, normalised.
    pub building: Option<Option<String>>,
    /// Floor, normalised.
    pub floor: Option<Option<String>>,
    /// Attributes, normalised.
    pub attributes: Option<Vec<String>>,
    /// Roles that may book it, normalised; empty for everybody.
    pub bookable_by: Option<Vec<String>>,
    /// What one owner may have ahead in this room.
    pub max_ahead: Option<Option<ChangeAhead>>,
}

/// Changes the given limits of what one owner may have ahead; `Some(None)` removes a limit.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ChangeAhead {
    /// Most reservations.
    pub reservations: Option<Option<u32>>,
    /// Most minutes.
    pub minutes: Option<Option<u32>>,
}

impl ChangeAhead {
    fn applied_to(self, before: Option<MaxAhead>) -> MaxAhead {
        let before = before.unwrap_or_default();
        MaxAhead {
            reservations: self.reservations.unwrap_or(before.reservations),
            minutes: self.minutes.unwrap_or(before.minutes),
        }
    }
}

impl ChangeRoom {
    /// A command that changes nothing; callers set fields.
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
            buffer_before: None,
            buffer_after: None,
            max_days_ahead: None,
            building: None,
            floor: None,
            attributes: None,
            bookable_by: None,
            max_ahead: None,
        }
    }

    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        check_admin(command)?;
        let (room, before) = open_room(rooms, self.room)?;
        check_revision(command, room.revision())?;
        let settings = self.applied_to(before);
        if settings == *before {
            return Ok(Decision::Unchanged { room: self.room, reservation: None, revision: room.revision() });
        }
        validate_settings(&settings)?;
        let limits = |settings: &RoomSettings| {
            let RoomSettings { slot_minutes, min_minutes, max_minutes, .. } = settings;
            (*slot_minutes, *min_minutes, *max_minutes, settings.opening_hours.clone())
        };
        // Older builds accepted rooms that can't be booked. Their other settings can change.
        if limits(&settings) != limits(before) {
            check_bookable(&settings)?;
        }
        // A room keeps its name, even if there are names that look alike from before they were refused.
        if settings.name != before.name {
            let others = rooms.directory.named_like(&settings.name).iter().find(|by| **by != self.room);
            if let Some(by) = others.copied() {
                return Err(Rejection::NameTaken { by }.into());
            }
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
            opening_hours: self.opening_hours.clone().unwrap_or_else(|| before.opening_hours.clone()),
            slot_minutes: self.slot_minutes.unwrap_or(before.slot_minutes),
            min_minutes: self.min_minutes.unwrap_or(before.min_minutes),
            max_minutes: self.max_minutes.unwrap_or(before.max_minutes),
            buffer_before: self.buffer_before.map_or(before.buffer_before, at_least_one),
            buffer_after: self.buffer_after.map_or(before.buffer_after, at_least_one),
            max_days_ahead: self.max_days_ahead.unwrap_or(before.max_days_ahead),
            building: self.building.clone().unwrap_or_else(|| before.building.clone()),
            floor: self.floor.clone().unwrap_or_else(|| before.floor.clone()),
            attributes: self.attributes.clone().unwrap_or_else(|| before.attributes.clone()),
            bookable_by: self.bookable_by.clone().unwrap_or_else(|| before.bookable_by.clone()),
            max_ahead: self
                .max_ahead
                .map_or(before.max_ahead, |change| change.map(|change| change.applied_to(before.max_ahead))),
        }
    }
}

/// No buffer has one form only.
fn at_least_one(buffer: Option<u32>) -> Option<u32> {
    buffer.filter(|minutes| *minutes > 0)
}

#[cfg(test)]
impl ChangeRoom {
    /// Sets the limits that a change of settings sets.
    pub(super) fn made_by(room: RoomId, change: fn(&mut RoomSettings)) -> Self {
        let mut settings = super::scenario::settings("room 1");
        change(&mut settings);
        Self {
            opening_hours: Some(settings.opening_hours),
            slot_minutes: Some(settings.slot_minutes),
            min_minutes: Some(settings.min_minutes),
            max_minutes: Some(settings.max_minutes),
            ..Self::new(room)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{
        Action,
        scenario::{given, made, reservation, room, room_changed, room_id, room_retired, room_with},
    };

    fn change(change: impl FnOnce(&mut ChangeRoom)) -> Action {
        let mut action = ChangeRoom::new(room_id(1));
        change(&mut action);
        Action::ChangeRoom(action)
    }

    #[test]
    fn a_change_touches_only_what_it_gives() {
        let given = given([room_with(1, |settings| settings.max_minutes = Some(60))]);
        let action = change(|change| {
            change.capacity = Some(9);
            change.min_minutes = Some(Some(30));
        });
        given.when(action).by_admin().then([room_changed(1, 2, |settings| {
            settings.capacity = 9;
            (settings.min_minutes, settings.max_minutes) = (Some(30), Some(60));
        })]);
    }

    #[test]
    fn a_limit_can_be_taken_away() {
        let given = given([room_with(1, |settings| settings.max_minutes = Some(60))]);
        let action = change(|change| change.max_minutes = Some(None));
        given.when(action).by_admin().then([room_changed(1, 2, |_| ())]);
    }

    #[test]
    fn a_change_that_changes_nothing_makes_no_event() {
        let action = || change(|change| change.name = Some("room 1".into()));
        given([room(1)]).when(action()).by_admin().unchanged(room_id(1), None, 1);
    }

    #[test]
    fn only_administrators_change_rooms() {
        given([room(1)]).when(change(|_| ())).rejected(Rejection::NotAdmin);
    }

    #[test]
    fn a_room_that_is_not_there_or_was_retired_is_unknown() {
        let unknown = || Rejection::UnknownRoom { room: room_id(1) };
        given([]).when(change(|_| ())).by_admin().rejected(unknown());
        given([room(1), room_retired(1, 2)]).when(change(|_| ())).by_admin().rejected(unknown());
    }

    #[test]
    fn another_rooms_name_is_taken_and_its_own_is_not() {
        let rename = |name: &str| change(|change| change.name = Some(name.into()));
        let two = || given([room(1), room(2)]);
        two().when(rename("room 2")).by_admin().rejected(Rejection::NameTaken { by: room_id(2) });
        two().when(rename("room 3")).by_admin().accepted();
        let renamed_before =
            given([room(1), room(2), room_changed(2, 2, |settings| settings.name = "x".into())]);
        renamed_before.when(rename("room 2")).by_admin().accepted();
    }

    #[test]
    fn a_stale_revision_is_refused_and_reservations_do_not_make_it_stale() {
        let held = made(&reservation(1, "2026-06-02T10:00", "2026-06-02T11:00"));
        let action = || change(|change| change.capacity = Some(1));
        let given = || given([room(1), room_changed(1, 2, |settings| settings.capacity = 5), held.clone()]);
        given().when(action()).by_admin().if_match(1).rejected(Rejection::Stale { revision: 2 });
        given().when(action()).by_admin().if_match(2).accepted();
    }

    #[test]
    fn what_a_change_leaves_must_mean_something() {
        let given = given([room_with(1, |settings| settings.max_minutes = Some(60))]);
        let when = given.when(change(|change| change.min_minutes = Some(Some(90)))).by_admin();
        assert!(matches!(when.decided().0, Decision::Rejected(Rejection::InvalidSetting(_))));
    }

    #[test]
    fn a_room_that_an_older_build_left_unbookable_can_be_renamed() {
        let never = |settings: &mut RoomSettings| {
            (settings.slot_minutes, settings.max_minutes) = (Some(60), Some(30));
        };
        let when = |action| given([room_with(1, never)]).when(action).by_admin();
        when(change(|change| change.name = Some("Blue".into()))).accepted();
        when(change(|change| change.max_minutes = Some(Some(60)))).accepted();
        let still = when(change(|change| change.max_minutes = Some(Some(31)))).decided().0;
        assert!(matches!(still, Decision::Rejected(Rejection::InvalidSetting(_))));
    }

    #[test]
    fn a_smaller_capacity_does_not_mind_reservations_that_exist() {
        let held = made(&reservation(1, "2026-06-02T10:00", "2026-06-02T11:00"));
        given([room(1), held]).when(change(|change| change.capacity = Some(1))).by_admin().accepted();
    }
}
