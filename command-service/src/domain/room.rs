//! The decision state of one room, folded from its stream of events.
//!
//! A room keeps what lies ahead of its *horizon*, the latest time of a reservation's event that it has seen, and forgets
//! what has ended before. So its size is that of its future, however long its stream is. What it may have forgotten is
//! decided against the whole stream instead (see [`Room::remembers`]): a clock that went back, or one event stamped in the
//! future, costs time and never an overlap.

use shared_events::{
    Erasures, Event, Interval, Minute, Reservation, ReservationId, RoomId, RoomSettings, Timestamp, Version,
};

use super::timeline::Timeline;

mod snapshot;
#[cfg(test)]
mod tests;

pub use snapshot::SNAPSHOT_SCHEMA;

/// The decision state of one room at a version of its stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Room {
    id: RoomId,
    version: Version,
    settings: Option<RoomSettings>,
    revision: u32,
    retired: bool,
    horizon: Timestamp,
    whole: bool,
    /// Whether anything was ever dropped because it lay before the horizon.
    has_forgotten: bool,
    /// By `from`. They never overlap, so their ends are in the same order.
    reservations: Timeline<Reservation>,
    /// Reservations that were cancelled (`None`) or left for another room, by the end of what they held here.
    departed: Timeline<Option<RoomId>>,
}

/// An event that does not follow the room's version: applying it would skip or repeat one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("room {room} is at version {version} and can't take event {found}")]
pub struct OutOfSequence {
    /// Which room.
    pub room: RoomId,
    /// Version at which it is.
    pub version: Version,
    /// Version of the event.
    pub found: Version,
}

/// What takes one [`Room::apply`] back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undo {
    horizon: Timestamp,
    has_forgotten: bool,
    change: Change,
    forgotten: Vec<Reservation>,
    forgotten_departures: Vec<(Minute, ReservationId, Option<RoomId>)>,
}

/// What the event replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Change {
    Room(Box<(Option<RoomSettings>, u32, bool)>),
    Reservation(ReservationId, Option<Box<Reservation>>, Option<(Minute, Option<RoomId>)>),
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
            horizon: Timestamp::from_epoch_millis(0),
            whole: false,
            has_forgotten: false,
            reservations: Timeline::new(),
            departed: Timeline::new(),
        }
    }

    /// A room before its first event that never forgets: for one decision about time before the horizon.
    #[must_use]
    pub fn whole(id: RoomId) -> Self {
        Self { whole: true, ..Self::new(id) }
    }

    /// Which room.
    #[must_use]
    pub const fn id(&self) -> RoomId {
        self.id
    }

    /// The last event that was applied; 0 before the first.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Its settings; none before it was registered.
    #[must_use]
    pub const fn settings(&self) -> Option<&RoomSettings> {
        self.settings.as_ref()
    }

    /// Its settings while it can be booked: registered and not retired.
    #[must_use]
    pub fn open_settings(&self) -> Option<&RoomSettings> {
        self.settings.as_ref().filter(|_| !self.retired)
    }

    /// Revision of its settings; 0 before it was registered.
    #[must_use]
    pub const fn revision(&self) -> u32 {
        self.revision
    }

    /// The latest time of a reservation's event that it has seen. Changes of the room itself don't count: historic bookings
    /// can be imported into a room that was registered today.
    #[must_use]
    pub const fn horizon(&self) -> Timestamp {
        self.horizon
    }

    /// Whether it was made by [`Room::whole`].
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether it still knows all that ever held a time from `time` on.
    #[must_use]
    pub fn remembers(&self, time: Timestamp) -> bool {
        self.remembers_all() || time >= self.horizon
    }

    /// Whether it has forgotten nothing: what it doesn't know never was here.
    #[must_use]
    pub const fn remembers_all(&self) -> bool {
        !self.has_forgotten
    }

    /// A reservation that holds this room.
    #[must_use]
    pub fn reservation(&self, id: ReservationId) -> Option<&Reservation> {
        self.reservations.get(id)
    }

    /// Where a reservation went that left this room and did not come back. Kept as long as its place here would have been.
    #[must_use]
    pub fn moved_to(&self, id: ReservationId) -> Option<RoomId> {
        self.departed.get(id).copied().flatten()
    }

    /// Whether a reservation was cancelled in this room or left it. Kept as long as its place here would have been.
    #[must_use]
    pub fn has_lost(&self, id: ReservationId) -> bool {
        self.departed.get(id).is_some()
    }

    /// How many reservations it knows, those that were cancelled or left counted too.
    #[must_use]
    pub fn size(&self) -> usize {
        self.reservations.len() + self.departed.len()
    }

    /// The reservations that it knows, by `from`.
    pub fn reservations(&self) -> impl DoubleEndedIterator<Item = &Reservation> {
        self.reservations.iter().map(|(_, _, reservation)| reservation)
    }

    /// The reservation other than `except` that shares a minute with the interval; where there are several, the latest.
    ///
    /// Only the last one that begins before the interval's end can reach into it, since they never overlap one another:
    /// O(log n).
    #[must_use]
    pub fn overlapping(&self, interval: Interval, except: Option<ReservationId>) -> Option<&Reservation> {
        self.reservations
            .before(interval.to)
            .find(|(id, _)| Some(*id) != except)
            .map(|(_, reservation)| reservation)
            .filter(|reservation| reservation.interval().overlaps(interval))
    }

    /// Takes the next event of the room's stream, which happened at `time`.
    ///
    /// # Errors
    /// When `version` is not the next one; nothing is changed then.
    pub fn apply(&mut self, version: Version, time: Timestamp, event: &Event) -> Result<Undo, OutOfSequence> {
        if version != self.version.next() {
            return Err(OutOfSequence { room: self.id, version: self.version, found: version });
        }
        self.version = version;
        let (horizon, has_forgotten) = (self.horizon, self.has_forgotten);
        let change = self.change(event);
        if event.reservation().is_some() {
            self.horizon = self.horizon.max(time);
        }
        let (forgotten, forgotten_departures) = self.forget();
        Ok(Undo { horizon, has_forgotten, change, forgotten, forgotten_departures })
    }

    /// Takes the last [`Room::apply`] back that was not yet taken back: the room is as it was before it.
    pub fn undo(&mut self, undo: Undo) {
        for reservation in undo.forgotten {
            self.reservations.insert(reservation.from, reservation.id, reservation);
        }
        for (until, id, to) in undo.forgotten_departures {
            self.departed.insert(until, id, to);
        }
        match undo.change {
            Change::Room(before) => (self.settings, self.revision, self.retired) = *before,
            Change::Reservation(id, before, departure) => {
                self.reservations.remove(id);
                self.departed.remove(id);
                if let Some(before) = before {
                    self.reservations.insert(before.from, id, *before);
                }
                if let Some((until, to)) = departure {
                    self.departed.insert(until, id, to);
                }
            }
        }
        self.horizon = undo.horizon;
        self.has_forgotten = undo.has_forgotten;
        self.version = self.version.previous().unwrap_or_default();
    }

    /// Masks the reservations of persons who were erased after it was folded.
    pub fn mask(&mut self, erasures: &Erasures) {
        for reservation in self.reservations.values_mut() {
            erasures.mask_reservation(reservation);
        }
    }

    fn change(&mut self, event: &Event) -> Change {
        match event {
            Event::RoomRegistered(e) => self.set_room(&e.room, false),
            Event::RoomChanged(e) => self.set_room(&e.room, false),
            Event::RoomRetired(e) => self.set_room(&e.room, true),
            Event::ReservationMade(e) => self.set_reservation(&e.reservation),
            Event::ReservationRescheduled(e) => self.set_reservation(&e.reservation),
            Event::ReservationMovedIn(e) => self.set_reservation(&e.reservation),
            Event::ReservationMovedOut(e) => {
                self.lose_reservation(e.reservation.id, e.previous.to, Some(e.reservation.room))
            }
            Event::ReservationCancelled(e) => self.lose_reservation(e.reservation.id, e.reservation.to, None),
        }
    }

    fn set_room(&mut self, room: &shared_events::Room, retired: bool) -> Change {
        let before = (self.settings.replace(room.settings.clone()), self.revision, self.retired);
        (self.revision, self.retired) = (room.revision, retired);
        Change::Room(Box::new(before))
    }

    fn set_reservation(&mut self, reservation: &Reservation) -> Change {
        let change = self.take(reservation.id);
        self.reservations.insert(reservation.from, reservation.id, reservation.clone());
        change
    }

    fn lose_reservation(&mut self, id: ReservationId, until: Minute, to: Option<RoomId>) -> Change {
        let change = self.take(id);
        self.departed.insert(until, id, to);
        change
    }

    fn take(&mut self, id: ReservationId) -> Change {
        let before = self.reservations.remove(id).map(|(_, reservation)| Box::new(reservation));
        Change::Reservation(id, before, self.departed.remove(id))
    }

    /// Drops what ended before the horizon. Ends are ordered like starts, so it looks at no more than it drops.
    #[expect(clippy::type_complexity, reason = "the two lists of an undo, named there")]
    fn forget(&mut self) -> (Vec<Reservation>, Vec<(Minute, ReservationId, Option<RoomId>)>) {
        let (mut forgotten, mut departures) = (Vec::new(), Vec::new());
        if self.whole {
            return (forgotten, departures);
        }
        let ended = |until: Minute| until.start() < self.horizon;
        while self.reservations.first().is_some_and(|(_, reservation)| ended(reservation.to)) {
            forgotten.extend(self.reservations.pop_first().map(|(_, _, reservation)| reservation));
        }
        while self.departed.first().is_some_and(|(until, _)| ended(until)) {
            departures.extend(self.departed.pop_first());
        }
        self.has_forgotten |= !forgotten.is_empty() || !departures.is_empty();
        (forgotten, departures)
    }
}
