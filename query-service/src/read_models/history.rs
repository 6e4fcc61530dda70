//! History: one document for each event of a room. It is filed under the people whom the event concerns: who did it, whose
//! reservation it is, and who made it for its owner. A room or reservation of the past is read from all of them.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    ops::RangeInclusive,
};

use serde::{Deserialize, Serialize};
use shared_events::{
    Closure, Interval, Minute, Place, Reservation, ReservationId, RoomId, Timestamp, UserId, Version,
};

use super::{ReservationDoc, RoomDoc, Status};

/// An action of a user on a reservation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HistoryKind {
    /// Reserved a room.
    Made,
    /// Changed a reservation within its room.
    Changed,
    /// Moved it to this room.
    Moved,
    /// Gave it up.
    Cancelled,
    /// Took a cancellation back.
    Restored,
}

/// One event. `room` and `version` name it. Entries change only when a person is erased.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryDoc {
    /// The stream of the event; for a move the room that was entered.
    pub room: RoomId,
    /// The event's version in that stream.
    pub version: Version,
    /// Who did it.
    pub by: UserId,
    /// The time of the command.
    pub at: Timestamp,
    /// The time of the commit. In one room it never goes back.
    pub recorded_at: Timestamp,
    /// What was changed.
    pub change: Change,
}

/// What an event changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::large_enum_variant, reason = "nearly all events are about reservations")]
pub enum Change {
    /// A reservation.
    Reservation {
        /// The action.
        what: HistoryKind,
        /// The reservation afterwards.
        reservation: Reservation,
        /// Its place and time before, if the event changed them.
        previous: Option<Place>,
    },
    /// The room itself, which was like this afterwards.
    Room(Box<RoomDoc>),
    /// A closure of the room.
    Closure {
        /// The closure.
        closure: Box<Closure>,
        /// Whether it was taken back.
        lifted: bool,
    },
}

/// A state of the past.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AsOf<N> {
    /// The state at a moment, by the times at which events were recorded.
    Moment(Timestamp),
    /// The state after the event with this number: the version of a room, or the revision of a reservation.
    Number(N),
}

/// A part of a room that an event touches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// The room itself.
    Settings,
    /// Its closures.
    Closures,
    /// The reservations of a week, counted from 1970.
    Week(i64),
}

impl HistoryDoc {
    /// The document's id: `{room}:{version}`, the id of the event.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.room, self.version)
    }

    /// The people in whose histories it is: who did it, then the owner and who made it for the owner, if those are others. Of
    /// two events of one command, that in the reservation's room is in histories.
    pub fn people(&self) -> impl Iterator<Item = &UserId> {
        let of_history = self.reservation().filter(|reservation| reservation.room == self.room);
        let owner = of_history.map(|reservation| &reservation.reserved_by);
        let booker = of_history.and_then(|reservation| reservation.booked_by.as_ref());
        let booker = booker.filter(|booker| **booker != self.by && Some(*booker) != owner);
        let others = owner.filter(|owner| **owner != self.by).into_iter().chain(booker);
        of_history.map(|_| &self.by).into_iter().chain(others)
    }

    /// The reservation after the event, if it is about one.
    #[must_use]
    pub const fn reservation(&self) -> Option<&Reservation> {
        match &self.change {
            Change::Reservation { reservation, .. } => Some(reservation),
            Change::Room(_) | Change::Closure { .. } => None,
        }
    }

    /// The room after the event, if it is about the room itself.
    #[must_use]
    pub fn into_room(self) -> Option<RoomDoc> {
        match self.change {
            Change::Room(form) => Some(*form),
            Change::Reservation { .. } | Change::Closure { .. } => None,
        }
    }

    /// The reservation as the event alone tells of it.
    #[must_use]
    pub fn into_reservation(self) -> Option<ReservationDoc> {
        let Change::Reservation { what, reservation, .. } = self.change else { return None };
        let status = if what == HistoryKind::Cancelled { Status::Cancelled } else { Status::Live };
        let version = (reservation.room == self.room).then_some(self.version);
        Some(ReservationDoc { reservation, status, version })
    }

    /// The parts of its room that the event touches: weeks in which it frees or takes time, or the room itself. So the
    /// last entry of a reservation in any week tells whether it holds time there.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let (reservation, previous) = match &self.change {
            Change::Reservation { reservation, previous, .. } => (reservation, previous),
            Change::Room(_) => return vec![Part::Settings],
            Change::Closure { .. } => return vec![Part::Closures],
        };
        let places = [Some(reservation.place()), *previous].into_iter().flatten();
        let here = places.filter(|place| place.room == self.room);
        let mut weeks: Vec<i64> = here.flat_map(|place| weeks(place.interval())).collect();
        weeks.sort_unstable();
        weeks.dedup();
        weeks.into_iter().map(Part::Week).collect()
    }
}

/// Bookings of a room by the begin of their stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Booked {
    /// Reservations that were made.
    pub made: u64,
    /// Milliseconds from making each of them to its begin, if that was later.
    pub lead_ms: u64,
    /// Cancellations, of reservations that were restored too.
    pub cancelled: u64,
}

impl Booked {
    /// Adds other bookings.
    pub const fn add(&mut self, other: Self) {
        self.made += other.made;
        self.lead_ms += other.lead_ms;
        self.cancelled += other.cancelled;
    }

    /// What an entry counts as, whose reservation begins within an interval.
    #[must_use]
    pub fn by(entry: &HistoryDoc, during: Interval) -> Self {
        let Change::Reservation { what, reservation, .. } = &entry.change else { return Self::default() };
        let from = reservation.from;
        match what {
            _ if from < during.from || during.to <= from => Self::default(),
            HistoryKind::Made => {
                let lead = from.start().epoch_millis() - entry.at.epoch_millis();
                Self { made: 1, lead_ms: lead.max(0).unsigned_abs(), cancelled: 0 }
            }
            HistoryKind::Cancelled => Self { cancelled: 1, ..Self::default() },
            HistoryKind::Changed | HistoryKind::Moved | HistoryKind::Restored => Self::default(),
        }
    }
}

/// The last entry of each reservation.
#[derive(Default, Debug)]
pub struct LastEntries(HashMap<ReservationId, HistoryDoc>);

impl LastEntries {
    /// Adds an entry, and keeps the one of the higher version.
    pub fn add(&mut self, entry: HistoryDoc) {
        let Some(id) = entry.reservation().map(|reservation| reservation.id) else { return };
        match self.0.entry(id) {
            Entry::Occupied(mut known) => {
                if known.get().version < entry.version {
                    known.insert(entry);
                }
            }
            Entry::Vacant(free) => _ = free.insert(entry),
        }
    }

    /// The entries, in no order.
    pub fn into_entries(self) -> impl Iterator<Item = HistoryDoc> {
        self.0.into_values()
    }
}

/// The closures that are left after these events of one room, in the order of their versions: by `from`, then id.
#[must_use]
pub fn closures_after(events: impl IntoIterator<Item = HistoryDoc>) -> Vec<Closure> {
    let mut left = BTreeMap::new();
    for event in events {
        if let Change::Closure { closure, lifted } = event.change {
            let place = (closure.from, closure.id);
            if lifted {
                left.remove(&place)
            } else {
                left.insert(place, *closure)
            };
        }
    }
    left.into_values().collect()
}

/// The events of the last revision that was recorded up to a moment, from a reservation's events, the last one first.
pub fn last_revision(events: impl IntoIterator<Item = HistoryDoc>, at: Timestamp) -> Vec<HistoryDoc> {
    let revision = |event: &HistoryDoc| event.reservation().map(|reservation| reservation.revision);
    let mut until = events.into_iter().filter(|event| event.recorded_at <= at).peekable();
    let last = until.peek().and_then(revision);
    until.take_while(|event| revision(event) == last).collect()
}

const MINUTES_OF_WEEK: i64 = 7 * 24 * 60;

/// The number of the week, counted from 1970, in which a minute lies.
#[must_use]
pub const fn week(minute: Minute) -> i64 {
    minute.epoch_minutes().div_euclid(MINUTES_OF_WEEK)
}

/// The weeks that an interval touches.
#[must_use]
pub const fn weeks(interval: Interval) -> RangeInclusive<i64> {
    week(interval.from)..=(interval.to.epoch_minutes() - 1).div_euclid(MINUTES_OF_WEEK)
}
