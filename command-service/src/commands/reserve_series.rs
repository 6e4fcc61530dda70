//! Reserves a room again and again.

use std::collections::{BTreeSet, HashSet};

use chrono::NaiveDate;
use shared_events::{
    Interval, Reservation, ReservationId, RoomId, RoomSettings, SeriesId,
    reservation_events::ReservationMade, room_rules::Ahead,
};
use uuid::Uuid;

use super::{
    Checked, Command, Decision, Stay,
    room_checks::{ahead, check_free, check_not_past, check_roles, check_time, open_room},
    series::{Occurrence, SeriesDecision},
};
use crate::{
    digest::digest,
    domain::{Misfit, Recurrence, Rejection, Room, Rooms, Why, values::check_interval},
};

/// Reserves one room for each occurrence of a rule, all in one decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReserveSeries {
    /// The room.
    pub room: RoomId,
    /// The first occurrence.
    pub stay: Stay,
    /// The rule.
    pub recurrence: Recurrence,
    /// Local dates of occurrences that don't take place.
    pub exceptions: BTreeSet<NaiveDate>,
    /// What becomes of occurrences that don't fit.
    pub on_conflict: OnConflict,
    /// Whether nothing is reserved: the answer says what would be.
    pub dry_run: bool,
}

/// What becomes of occurrences that don't fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnConflict {
    /// One of them refuses the whole series.
    Refuse,
    /// They are left out.
    Skip,
}

impl ReserveSeries {
    /// The id of the series that a command makes.
    pub(super) fn series(&self, command: Uuid) -> SeriesId {
        SeriesId(ReservationId::made_in(self.room, command).0)
    }

    pub(super) fn decide(&self, command: &Command, rooms: &Rooms) -> Checked {
        check_interval(self.stay.interval)?;
        self.stay.check_owner(command)?;
        let (room, settings) = open_room(rooms, self.room)?;
        check_roles(command, settings)?;
        settings.check_people(self.stay.people)?;
        let zone = settings.time_zone.0;
        let occurrences = self.recurrence.occurrences(self.stay.interval, zone, &self.exceptions)?;
        let series = self.series(command.id);
        let (mut decision, mut ids) = (SeriesDecision::new(self.room, series), HashSet::new());
        let mut last: Option<(Interval, ReservationId)> = None;
        let mut ahead = ahead(command, room, settings, self.stay.owner(command), |_| true)?;
        for stay in &occurrences {
            let busy = settings.busy(*stay);
            // With buffers, occurrences may be in each other's way.
            if let Some((_, reservation)) = last.filter(|(last, _)| last.overlaps(busy)) {
                let why = Why::Overlap { reservation };
                decision.skipped.push(Misfit { from: stay.from, to: stay.to, why });
                continue;
            }
            let with = ahead.map(|ahead| ahead.and(*stay));
            match fits(command, room, settings, *stay, with) {
                Ok(()) => ahead = with,
                Err(Decision::Rejected(rejection)) => {
                    let Some(why) = Why::of(&rejection) else { return Err(rejection.into()) };
                    decision.skipped.push(Misfit { from: stay.from, to: stay.to, why });
                    continue;
                }
                Err(needs_more) => return Err(needs_more),
            }
            let id = id_of(room, command.id, *stay, &mut ids);
            last = Some((busy, id));
            if self.dry_run {
                let (from, to) = (stay.from, stay.to);
                decision.occurrences.push(Occurrence { reservation: None, revision: 1, from, to });
                continue;
            }
            let reservation = Reservation {
                id,
                series: Some(series),
                ..self.stay.reservation(*stay, self.room, settings, command)
            };
            decision.occurrences.push(Occurrence::of(&reservation));
            decision.push(ReservationMade { reservation });
        }
        let refuses = match self.on_conflict {
            OnConflict::Refuse => !decision.skipped.is_empty(),
            OnConflict::Skip => decision.occurrences.is_empty(),
        };
        if refuses && !self.dry_run {
            return Err(Rejection::Series { of: occurrences.len(), misfits: decision.skipped }.into());
        }
        Ok(decision.decision())
    }
}

/// The checks of a reservation of one occurrence.
fn fits(
    command: &Command,
    room: &Room,
    settings: &RoomSettings,
    stay: Interval,
    ahead: Option<Ahead>,
) -> Checked<()> {
    check_interval(stay)?;
    check_not_past(settings, stay, command.now)?;
    check_time(settings, stay, command.now)?;
    ahead.map_or(Ok(()), |ahead| settings.check_ahead(ahead))?;
    let busy = settings.busy(stay);
    check_free(room, busy, &[busy], None)
}

/// The id of an occurrence's reservation, as of one that is made alone: the time of the command, then bits that depend on the
/// command and the occurrence. They are hashed, because the ids of commands of one moment are numbered.
fn id_of(room: &Room, command: Uuid, stay: Interval, known: &mut HashSet<ReservationId>) -> ReservationId {
    /// The bits of a UUIDv7 that are neither time nor version nor variant.
    const FREE: u128 = 0x0fff_3fff_ffff_ffff_ffff;
    let minute = stay.from.epoch_minutes().to_be_bytes();
    let mut salt = 0_u8;
    loop {
        let hashed = u128::from_be_bytes(digest(&[command.as_bytes(), &minute, &[salt]]));
        let unique = Uuid::from_u128(command.as_u128() & !FREE | hashed & FREE);
        let id = ReservationId::made_in(room.id(), unique);
        // The room's fingerprint leaves 42 bits of the hash: two occurrences, or commands of one moment, may have the same ones.
        if room.reservation(id).is_none() && !room.has_lost(id) && known.insert(id) {
            return id;
        }
        salt = salt.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests;
