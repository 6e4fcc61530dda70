//! The decision state of one room, folded from its stream of events.
//!
//! The *horizon* of a room is the latest time of a reservation event in its stream. A room keeps reservations that end at or
//! after its horizon and forgets the others, so its size does not grow with its stream. Closures are forgotten likewise, but for
//! the ids of the last ones. A decision about time that a forgotten one may hold needs the whole stream instead (see
//! [`Room::remembers`]). A clock that goes back, or one event stamped in the future, then costs time and never an overlap.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use shared_events::{
    ClosureId, Erasures, Event, Interval, Minute, Reservation, ReservationId, RoomId, RoomSettings, SeriesId,
    Timestamp, UserId, Version, room_rules::Ahead,
};

use super::{
    closures::{Closures, ForgottenClosures, TakenClosure},
    held::Held,
    timeline::{Timed, Timeline},
};

#[cfg(test)]
mod tests;

/// Fingerprint of a room's serialised form; a snapshot with another one is not read. Change it as well when [`Room::apply`]
/// changes its meaning.
pub const SNAPSHOT_SCHEMA: &str = "ea9bda02a8a80c04";

/// The decision state of one room at a version of its stream. Its serialised form is a snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    id: RoomId,
    version: Version,
    settings: Option<RoomSettings>,
    revision: u32,
    retired: bool,
    horizon: Timestamp,
    recorded_at: Timestamp,
    /// Whether the room never forgets.
    whole: bool,
    /// When each reservation was last changed here. Of a whole room only.
    #[serde(skip)]
    last_changes: HashMap<ReservationId, Timestamp>,
    has_forgotten: bool,
    /// The end of the last forgotten reservation or closure.
    forgotten_until: Minute,
    /// By the begin of their busy intervals. These never overlap, so their ends have the same order.
    reservations: Held,
    /// By the end of the time that they held here.
    departed: Timeline<Departure>,
    closures: Closures,
}

/// A reservation that was cancelled in the room, or moved to another one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Departure {
    id: ReservationId,
    until: Minute,
    /// The other room; `None` if cancelled.
    to: Option<RoomId>,
    /// The revision that left the room.
    revision: u32,
}

impl Timed for Departure {
    fn id(&self) -> ReservationId {
        self.id
    }

    fn time(&self) -> Minute {
        self.until
    }
}

/// An event that does not follow the room's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("room {room} is at version {version} and can't take event {found}")]
pub struct OutOfSequence {
    /// The room.
    pub room: RoomId,
    /// Version of the room.
    pub version: Version,
    /// Version of the event.
    pub found: Version,
}

/// The information that `Room::undo` needs to undo one [`Room::apply`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undo {
    horizon: Timestamp,
    recorded_at: Timestamp,
    has_forgotten: bool,
    forgotten_until: Minute,
    replaced: Replaced,
    forgotten: Vec<Reservation>,
    forgotten_departures: Vec<Departure>,
    forgotten_closures: ForgottenClosures,
}

/// The values that an event replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Replaced {
    Room { settings: Box<Option<RoomSettings>>, revision: u32, retired: bool },
    Reservation { id: ReservationId, reservation: Option<Box<Reservation>>, departure: Option<Departure> },
    Closure { id: ClosureId, taken: TakenClosure },
}

impl Room {
    /// A room before its first event.
    #[must_use]
    pub fn new(id: RoomId) -> Self {
        Self {
            id,
            version: Version::NONE,
            settings: None,
            revision: 0,
            retired: false,
            horizon: Timestamp::EARLIEST,
            recorded_at: Timestamp::EARLIEST,
            whole: false,
            last_changes: HashMap::new(),
            has_forgotten: false,
            forgotten_until: Minute::EARLIEST,
            reservations: Held::default(),
            departed: Timeline::default(),
            closures: Closures::default(),
        }
    }

    /// A room before its first event that never forgets, for one decision about time before the horizon.
    #[must_use]
    pub fn whole(id: RoomId) -> Self {
        Self { whole: true, ..Self::new(id) }
    }

    pub(crate) const fn id(&self) -> RoomId {
        self.id
    }

    /// The version of the last applied event.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The latest time at which an event of the room was recorded.
    pub(crate) const fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// Notes the time at which the last applied event was recorded.
    pub(crate) fn record(&mut self, recorded_at: Timestamp) {
        self.recorded_at = self.recorded_at.max(recorded_at);
    }

    /// The settings of a room that is registered and not retired.
    pub(crate) fn open_settings(&self) -> Option<&RoomSettings> {
        self.settings.as_ref().filter(|_| !self.retired)
    }

    /// The revision of the settings.
    pub(crate) const fn revision(&self) -> u32 {
        self.revision
    }

    /// The latest time of a reservation event. Events of the room itself don't count: historic bookings can be imported into
    /// a room that was registered today.
    pub(crate) const fn horizon(&self) -> Timestamp {
        self.horizon
    }

    /// When a reservation was last changed here, if this is a whole room.
    pub(crate) fn last_change(&self, id: ReservationId) -> Option<Timestamp> {
        self.whole.then(|| self.last_changes.get(&id).copied().unwrap_or(Timestamp::EARLIEST))
    }

    /// Whether it knows every reservation and every closure that holds time from `time` on.
    pub(crate) fn remembers(&self, time: Minute) -> bool {
        time >= self.forgotten_until
    }

    /// Whether it has forgotten nothing: a reservation that it does not know was never here.
    pub(crate) const fn remembers_all(&self) -> bool {
        !self.has_forgotten
    }

    /// A reservation that holds time of this room.
    pub(crate) fn reservation(&self, id: ReservationId) -> Option<&Reservation> {
        self.reservations.get(id)
    }

    /// The room to which a reservation was moved, if it has not come back. Known as long as the room would remember the
    /// reservation.
    pub(crate) fn moved_to(&self, id: ReservationId) -> Option<RoomId> {
        self.departed.get(id)?.to
    }

    /// Whether a reservation was cancelled here or moved away. Known as long as the room would remember the reservation.
    pub(crate) fn has_lost(&self, id: ReservationId) -> bool {
        self.departed.get(id).is_some()
    }

    /// The last revision of a reservation that was cancelled here. Known as long as the room would remember the reservation.
    pub(crate) fn cancelled(&self, id: ReservationId) -> Option<u32> {
        let departure = self.departed.get(id)?;
        departure.to.is_none().then_some(departure.revision)
    }

    /// Number of known reservations, including those that were cancelled or moved away.
    pub(crate) fn size(&self) -> usize {
        self.reservations.len() + self.departed.len()
    }

    /// The known reservations, by `from`.
    pub fn reservations(&self) -> impl DoubleEndedIterator<Item = &Reservation> {
        self.reservations.values()
    }

    /// What an owner has ahead: the known stays that have not ended, as far as they count.
    pub(crate) fn ahead(
        &self,
        owner: &UserId,
        now: Timestamp,
        counts: impl Fn(ReservationId) -> bool,
    ) -> Ahead {
        // Ends have the order of starts.
        let ahead = self.reservations.of_owner(owner).take_while(|own| own.to.start() > now);
        ahead.filter(|own| counts(own.id)).fold(Ahead::default(), |ahead, own| ahead.and(own.interval()))
    }

    /// The known reservations of a series, by `from`.
    pub(crate) fn of_series(&self, series: SeriesId) -> impl Iterator<Item = &Reservation> {
        self.reservations.of_series(series)
    }

    /// The latest reservation whose busy interval overlaps this one, without those that don't count.
    ///
    /// Busy intervals never overlap one another, so only the last ones that begin before the interval's end can reach into it:
    /// O(log n + overlapping ones).
    pub(crate) fn overlapping(
        &self,
        busy: Interval,
        counts: impl Fn(ReservationId) -> bool,
    ) -> Option<&Reservation> {
        let last = self.reservations.before(busy.to);
        let last = last.take_while(|last| last.busy_interval().overlaps(busy));
        last.into_iter().find(|reservation| counts(reservation.id))
    }

    /// The closures: those that have not ended before the horizon.
    pub(crate) const fn closures(&self) -> &Closures {
        &self.closures
    }

    /// The reservations whose stays overlap the interval, the latest first.
    pub(crate) fn stays_in(&self, interval: Interval) -> impl Iterator<Item = &Reservation> {
        // Stays have the order of their busy intervals.
        let before_end = self.reservations.before(interval.to);
        let reach_into = before_end.take_while(move |reservation| reservation.to > interval.from);
        reach_into.filter(move |reservation| reservation.interval().overlaps(interval))
    }

    /// Applies the next event of the room's stream, which happened at `time`.
    ///
    /// # Errors
    /// If `version` is not the next one. The room is unchanged.
    pub fn apply(&mut self, version: Version, time: Timestamp, event: &Event) -> Result<Undo, OutOfSequence> {
        if version != self.version.next() {
            return Err(OutOfSequence { room: self.id, version: self.version, found: version });
        }
        self.version = version;
        let (horizon, recorded_at) = (self.horizon, self.recorded_at);
        let (has_forgotten, forgotten_until) = (self.has_forgotten, self.forgotten_until);
        let replaced = self.replace(event);
        if let Some(reservation) = event.reservation() {
            self.horizon = self.horizon.max(time);
            if self.whole {
                let last = self.last_changes.entry(reservation.id).or_insert(time);
                *last = time.max(*last);
            }
        }
        let (forgotten, forgotten_departures, forgotten_closures) = self.forget();
        Ok(Undo {
            horizon,
            recorded_at,
            has_forgotten,
            forgotten_until,
            replaced,
            forgotten,
            forgotten_departures,
            forgotten_closures,
        })
    }

    /// Undoes the last [`Room::apply`] that is not yet undone.
    pub(crate) fn undo(&mut self, undo: Undo) {
        undo.forgotten.into_iter().for_each(|reservation| self.reservations.insert(reservation));
        undo.forgotten_departures.into_iter().for_each(|departure| self.departed.insert(departure));
        self.closures.remember(undo.forgotten_closures);
        match undo.replaced {
            Replaced::Room { settings, revision, retired } => {
                (self.settings, self.revision, self.retired) = (*settings, revision, retired);
            }
            Replaced::Reservation { id, reservation, departure } => {
                self.reservations.remove(id);
                self.departed.remove(id);
                reservation.into_iter().for_each(|before| self.reservations.insert(*before));
                departure.into_iter().for_each(|before| self.departed.insert(before));
            }
            Replaced::Closure { id, taken } => self.closures.put_back(id, taken),
        }
        self.horizon = undo.horizon;
        self.recorded_at = undo.recorded_at;
        self.has_forgotten = undo.has_forgotten;
        self.forgotten_until = undo.forgotten_until;
        self.version = self.version.previous().unwrap_or_default();
    }

    /// Masks reservations of persons erased after the events were applied.
    pub(crate) fn mask(&mut self, erasures: &Erasures) {
        self.reservations.mask(erasures);
    }

    fn replace(&mut self, event: &Event) -> Replaced {
        match event {
            Event::RoomRegistered(e) => self.set_room(&e.room, false),
            Event::RoomChanged(e) => self.set_room(&e.room, false),
            Event::RoomRetired(e) => self.set_room(&e.room, true),
            Event::ReservationMade(e) => self.set_reservation(&e.reservation),
            Event::ReservationRescheduled(e) => self.set_reservation(&e.reservation),
            Event::ReservationMovedIn(e) => self.set_reservation(&e.reservation),
            Event::ReservationMovedOut(e) => {
                self.lose_reservation(&e.reservation, e.previous.to, Some(e.reservation.room))
            }
            Event::ReservationCancelled(e) => self.lose_reservation(&e.reservation, e.reservation.to, None),
            Event::ReservationRestored(e) if e.reservation.room == self.id => {
                self.set_reservation(&e.reservation)
            }
            Event::ReservationRestored(e) => {
                self.lose_reservation(&e.reservation, e.reservation.to, Some(e.reservation.room))
            }
            Event::ClosureAdded(e) => {
                let taken = self.closures.take(e.closure.id);
                self.closures.insert(e.closure.clone());
                Replaced::Closure { id: e.closure.id, taken }
            }
            Event::ClosureLifted(e) => {
                Replaced::Closure { id: e.closure.id, taken: self.closures.take(e.closure.id) }
            }
        }
    }

    fn set_room(&mut self, room: &shared_events::Room, retired: bool) -> Replaced {
        Replaced::Room {
            settings: Box::new(self.settings.replace(room.settings.clone())),
            revision: std::mem::replace(&mut self.revision, room.revision),
            retired: std::mem::replace(&mut self.retired, retired),
        }
    }

    fn set_reservation(&mut self, reservation: &Reservation) -> Replaced {
        let replaced = self.take(reservation.id);
        self.reservations.insert(reservation.clone());
        replaced
    }

    fn lose_reservation(&mut self, lost: &Reservation, until: Minute, to: Option<RoomId>) -> Replaced {
        let replaced = self.take(lost.id);
        self.departed.insert(Departure { id: lost.id, until, to, revision: lost.revision });
        replaced
    }

    fn take(&mut self, id: ReservationId) -> Replaced {
        let reservation = self.reservations.remove(id).map(Box::new);
        Replaced::Reservation { id, reservation, departure: self.departed.remove(id) }
    }

    /// Forgets reservations that kept the room busy, and closures that lasted, until a buffer before the horizon: a stay that
    /// begins now may need that much time before it. Ends have the order of starts, so it reads only those that it removes.
    fn forget(&mut self) -> (Vec<Reservation>, Vec<Departure>, ForgottenClosures) {
        let (horizon, whole) = (self.horizon, self.whole);
        let buffer = self.settings.as_ref().and_then(|settings| settings.buffer_before).unwrap_or_default();
        let is_over =
            |end: Minute| !whole && end.plus(i64::from(buffer)).unwrap_or(Minute::LATEST).start() < horizon;
        let reservations =
            self.reservations.remove_first(|reservation| is_over(reservation.busy_interval().to));
        let departures = self.departed.remove_first(|departure| !whole && departure.until.start() < horizon);
        let closures = self.closures.forget(is_over);
        self.has_forgotten |= !reservations.is_empty() || !departures.is_empty();
        let last = reservations.last().map(|reservation| reservation.busy_interval().to);
        for until in last.into_iter().chain(closures.until()) {
            self.forgotten_until = self.forgotten_until.max(until);
        }
        (reservations, departures, closures)
    }
}
