//! Registers a room.

use shared_events::{Room, RoomId, RoomSettings, names::normal_form, room_events::RoomRegistered};

use super::{Checked, Command, Decision, room_checks::check_admin};
use crate::domain::{Rejection, Rooms, check_bookable, values::validate_settings};

/// Registers a room. Its id is the command's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterRoom {
    /// The settings, with normalised name and kind.
    pub settings: RoomSettings,
}

impl RegisterRoom {
    /// Normalises name, kind and buffers.
    pub fn new(settings: RoomSettings) -> Self {
        let (name, kind) =
            (normal_form(&settings.name).into_owned(), normal_form(&settings.kind).into_owned());
        // No buffer has one form only.
        let buffer = |minutes: Option<u32>| minutes.filter(|minutes| *minutes > 0);
        let (buffer_before, buffer_after) = (buffer(settings.buffer_before), buffer(settings.buffer_after));
        Self { settings: RoomSettings { name, kind, buffer_before, buffer_after, ..settings } }
    }

    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        check_admin(command)?;
        validate_settings(&self.settings)?;
        check_bookable(&self.settings)?;
        if let Some(by) = rooms.directory.named_like(&self.settings.name).first().copied() {
            return Err(Rejection::NameTaken { by }.into());
        }
        let room = Room { id: RoomId(command.id), revision: 1, settings: self.settings.clone() };
        Ok(Decision::event(room.id, RoomRegistered { room }))
    }
}

#[cfg(test)]
mod tests {
    use shared_events::{OpeningHours, OpeningSpan, room_events::RoomRegistered};

    use super::*;
    use crate::commands::{
        Action, NewEvent,
        scenario::{COMMAND, When, given, room, room_id, room_retired, settings},
    };

    fn register(change: impl FnOnce(&mut RoomSettings)) -> Action {
        let mut settings = settings("Blue");
        change(&mut settings);
        Action::RegisterRoom(RegisterRoom::new(settings))
    }

    #[track_caller]
    fn invalid(when: When, field: &str) {
        match when.decided().0 {
            Decision::Rejected(Rejection::InvalidSetting(invalid)) => assert_eq!(invalid.field, field),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_room_has_the_id_of_its_command() {
        let room = Room { id: RoomId(COMMAND), revision: 1, settings: settings("Blue") };
        let event = NewEvent { room: room.id, event: RoomRegistered { room }.into() };
        given([]).when(register(|_| ())).by_admin().then([event]);
    }

    #[test]
    fn only_administrators_register_rooms() {
        given([]).when(register(|_| ())).rejected(Rejection::NotAdmin);
    }

    #[test]
    fn a_name_belongs_to_one_room_until_that_is_retired() {
        let same = || register(|settings| settings.name = "room 1".into());
        given([room(1)]).when(same()).by_admin().rejected(Rejection::NameTaken { by: room_id(1) });
        given([room(1), room_retired(1, 2)]).when(same()).by_admin().accepted();
    }

    #[test]
    fn a_name_that_looks_like_that_of_another_room_is_taken_until_that_is_retired() {
        for name in ["ROOM 1", "room\u{200b} 1", "ro\u{ad}om\u{a0}1", "\u{202e}room 1", "ｒｏｏｍ １"] {
            let same = || register(|settings| settings.name = name.into());
            given([room(1)]).when(same()).by_admin().rejected(Rejection::NameTaken { by: room_id(1) });
            given([room(1), room_retired(1, 2)]).when(same()).by_admin().accepted();
        }
        given([room(1)]).when(register(|settings| settings.name = "room l".into())).by_admin().accepted();
    }

    #[test]
    fn names_that_look_the_same_are_the_same() {
        // A decomposed e with acute, and white space around it.
        let taken = register(|settings| settings.name = "  Cafe\u{301}\u{a0}".into());
        let mut first = room(1);
        if let shared_events::Event::RoomRegistered(event) = &mut first.event {
            event.room.settings.name = "Caf\u{e9}".into();
        }
        given([first]).when(taken).by_admin().rejected(Rejection::NameTaken { by: room_id(1) });
    }

    #[test]
    fn settings_without_a_meaning_are_refused_by_name() {
        let when = |change: fn(&mut RoomSettings)| given([]).when(register(change)).by_admin();
        invalid(when(|settings| settings.name = " ".into()), "name");
        invalid(when(|settings| settings.name = "é".repeat(201)), "name");
        invalid(when(|settings| settings.kind = "a\u{7}b".into()), "kind");
        for nothing_visible in ["\u{200b}", "\u{3164}", "\u{ad} \u{2060}"] {
            let named = |settings: &mut RoomSettings| settings.name = nothing_visible.into();
            invalid(given([]).when(register(named)).by_admin(), "name");
            let of_kind = |settings: &mut RoomSettings| settings.kind = nothing_visible.into();
            invalid(given([]).when(register(of_kind)).by_admin(), "kind");
        }
        invalid(when(|settings| settings.capacity = 0), "capacity");
        invalid(when(|settings| settings.slot_minutes = Some(0)), "slotMinutes");
        invalid(when(|settings| settings.slot_minutes = Some(7)), "slotMinutes");
        invalid(when(|settings| settings.min_minutes = Some(0)), "minMinutes");
        invalid(when(|settings| settings.max_minutes = Some(0)), "maxMinutes");
        invalid(
            when(|settings| (settings.min_minutes, settings.max_minutes) = (Some(61), Some(60))),
            "minMinutes",
        );
    }

    /// The same hours on every weekday.
    fn daily(opens: u16, closes: u16) -> Option<OpeningHours> {
        let day = || OpeningSpan::new(opens * 60, closes * 60).unwrap().into();
        Some(OpeningHours {
            monday: day(),
            tuesday: day(),
            wednesday: day(),
            thursday: day(),
            friday: day(),
            saturday: day(),
            sunday: day(),
        })
    }

    #[test]
    fn a_room_that_can_never_be_booked_is_refused_with_the_settings_that_contradict() {
        let contradicts = |change: fn(&mut RoomSettings), field: &str, other: &str| {
            match given([]).when(register(change)).by_admin().decided().0 {
                Decision::Rejected(Rejection::InvalidSetting(invalid)) => {
                    assert_eq!(invalid.field, field);
                    assert!(invalid.reason.contains(other), "{}", invalid.reason);
                }
                other => panic!("{other:?}"),
            }
            // Nor does an existing room become one.
            let changed = super::super::ChangeRoom::made_by(room_id(1), change);
            let when = given([room(1)]).when(Action::ChangeRoom(changed)).by_admin();
            assert!(matches!(when.decided().0, Decision::Rejected(Rejection::InvalidSetting(_))), "{field}");
        };
        let day =
            |room: &mut RoomSettings| (room.slot_minutes, room.opening_hours) = (Some(1440), daily(8, 18));
        contradicts(day, "slotMinutes", "openingHours");
        let uneven =
            |room: &mut RoomSettings| (room.slot_minutes, room.opening_hours) = (Some(720), daily(8, 18));
        contradicts(uneven, "slotMinutes", "openingHours");
        let long =
            |room: &mut RoomSettings| (room.min_minutes, room.opening_hours) = (Some(601), daily(8, 18));
        contradicts(long, "minMinutes", "openingHours");
        let slots = |room: &mut RoomSettings| {
            (room.slot_minutes, room.min_minutes) = (Some(240), Some(241));
            room.opening_hours = daily(7, 15);
        };
        contradicts(slots, "minMinutes", "openingHours");
        let year = |room: &mut RoomSettings| room.min_minutes = Some(366 * 1440 + 1);
        contradicts(year, "minMinutes", "366 days");
        let short = |room: &mut RoomSettings| (room.slot_minutes, room.max_minutes) = (Some(60), Some(59));
        contradicts(short, "slotMinutes", "maxMinutes");
        let between = |room: &mut RoomSettings| {
            (room.slot_minutes, room.min_minutes, room.max_minutes) = (Some(60), Some(61), Some(119));
        };
        contradicts(between, "minMinutes", "maxMinutes");
        contradicts(
            |room| room.opening_hours = Some(OpeningHours::default()),
            "openingHours",
            "no stay fits",
        );
    }

    #[test]
    fn rooms_whose_stays_just_fit_are_registered() {
        let fit = |change: fn(&mut RoomSettings)| given([]).when(register(change)).by_admin().accepted();
        fit(|room| (room.min_minutes, room.opening_hours) = (Some(600), daily(8, 18)));
        fit(|room| (room.slot_minutes, room.opening_hours) = (Some(240), daily(7, 16)));
        fit(|room| (room.slot_minutes, room.opening_hours) = (Some(1440), daily(0, 24)));
        fit(|room| (room.min_minutes, room.opening_hours) = (Some(366 * 1440), daily(0, 24)));
        fit(|room| {
            (room.slot_minutes, room.min_minutes, room.max_minutes) = (Some(60), Some(61), Some(120));
        });
        // Through the night, and from Sunday to Monday.
        fit(|room| (room.min_minutes, room.opening_hours) = (Some(480), daily(18, 26)));
        fit(|room| {
            room.min_minutes = Some(240);
            room.opening_hours = Some(OpeningHours {
                sunday: OpeningSpan::new(22 * 60, 24 * 60).unwrap().into(),
                monday: OpeningSpan::new(0, 2 * 60).unwrap().into(),
                ..OpeningHours::default()
            });
        });
    }

    #[test]
    fn names_of_two_hundred_characters_and_limits_at_their_bounds_are_accepted() {
        let most = |settings: &mut RoomSettings| {
            settings.name = "é".repeat(200);
            settings.capacity = u32::MAX;
            settings.slot_minutes = Some(1440);
            (settings.min_minutes, settings.max_minutes) = (Some(1440), Some(1440));
            settings.max_days_ahead = Some(0);
        };
        given([]).when(register(most)).by_admin().accepted();
    }
}
