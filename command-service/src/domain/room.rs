//! The decision state of one room, folded from its stream of events.
//!
//! A room keeps what lies ahead of its *horizon*, the latest time of a reservation's event that it has seen, and forgets
//! what has ended before. So its size is that of its future, however long its stream is. What it may have forgotten is
//! decided against the whole stream instead (see [`Room::remembers`]): a clock that went back, or one event stamped in the
//! future, costs time and never an overlap.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shared_events::{Event, Interval, Minute, Reservation, ReservationId, RoomId, RoomSettings, Timestamp};

use super::{directory::RoomEntry, timeline::Timeline};

/// Fingerprint of the form in which a room is serialised: a snapshot with another one is not read. To be changed too when
/// [`Room::apply`] comes to mean something else.
pub const SNAPSHOT_SCHEMA: &str = "3c40574f7ffa29c9";

/// The decision state of one room at a version of its stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Room {
    id: RoomId,
    version: u64,
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
    pub version: u64,
    /// Version of the event.
    pub found: u64,
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
            version: 0,
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
    pub const fn version(&self) -> u64 {
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

    /// Whether it was retired.
    #[must_use]
    pub const fn is_retired(&self) -> bool {
        self.retired
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

    /// What the directory says of it; none before it was registered.
    #[must_use]
    pub fn entry(&self) -> Option<RoomEntry> {
        self.settings.as_ref().map(|settings| RoomEntry {
            room: self.id,
            name: settings.name.clone(),
            kind: settings.kind.clone(),
            retired: self.retired,
        })
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
    pub fn apply(&mut self, version: u64, time: Timestamp, event: &Event) -> Result<Undo, OutOfSequence> {
        if version != self.version + 1 {
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
        self.version -= 1;
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

/// The serialised form.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "S: Deserialize<'de>, R: Deserialize<'de>"))]
struct Snapshot<S, R> {
    id: RoomId,
    version: u64,
    settings: S,
    revision: u32,
    retired: bool,
    horizon: Timestamp,
    whole: bool,
    has_forgotten: bool,
    reservations: Vec<R>,
    departed: Vec<Departure>,
}

#[derive(Serialize, Deserialize)]
struct Departure {
    id: ReservationId,
    until: Minute,
    to: Option<RoomId>,
}

impl Serialize for Room {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Snapshot {
            id: self.id,
            version: self.version,
            settings: &self.settings,
            revision: self.revision,
            retired: self.retired,
            horizon: self.horizon,
            whole: self.whole,
            has_forgotten: self.has_forgotten,
            reservations: self.reservations().collect(),
            departed: self.departed.iter().map(|(until, id, to)| Departure { id, until, to: *to }).collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Room {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let snapshot = Snapshot::<Option<RoomSettings>, Reservation>::deserialize(deserializer)?;
        let mut room = Self {
            id: snapshot.id,
            version: snapshot.version,
            settings: snapshot.settings,
            revision: snapshot.revision,
            retired: snapshot.retired,
            horizon: snapshot.horizon,
            whole: snapshot.whole,
            has_forgotten: snapshot.has_forgotten,
            reservations: Timeline::new(),
            departed: Timeline::new(),
        };
        for reservation in snapshot.reservations {
            room.reservations.insert(reservation.from, reservation.id, reservation);
        }
        for Departure { id, until, to } in snapshot.departed {
            room.departed.insert(until, id, to);
        }
        Ok(room)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use sha2::{Digest, Sha256};
    use shared_events::{
        OpeningHours, OpeningSpan, TimeZone, UserId,
        reservation_events::{
            ReservationCancelled, ReservationMade, ReservationMovedIn, ReservationMovedOut,
        },
        room_events::{RoomChanged, RoomRegistered},
    };
    use uuid::Uuid;

    use super::*;

    const ROOM: RoomId = RoomId(Uuid::from_u128(1));
    const OTHER: RoomId = RoomId(Uuid::from_u128(2));

    fn at(minutes: i64) -> Minute {
        Minute::from_epoch_minutes(minutes).unwrap()
    }

    fn span(from: i64, to: i64) -> Interval {
        Interval { from: at(from), to: at(to) }
    }

    fn reservation(n: u128, from: i64, to: i64) -> Reservation {
        Reservation {
            id: ReservationId(Uuid::from_u128(n)),
            revision: 1,
            room: ROOM,
            time_zone: TimeZone(chrono_tz::UTC),
            from: at(from),
            to: at(to),
            people: 3,
            title: Some("Talk".into()),
            reserved_for: Some("Bob".into()),
            reserved_by: UserId("ana".into()),
        }
    }

    fn registered() -> Event {
        let settings = RoomSettings {
            name: "Blue".into(),
            kind: "meeting".into(),
            capacity: 4,
            time_zone: TimeZone(chrono_tz::Europe::Lisbon),
            opening_hours: Some(OpeningHours {
                monday: OpeningSpan::new(480, 1440).ok(),
                ..OpeningHours::default()
            }),
            slot_minutes: Some(15),
            min_minutes: Some(15),
            max_minutes: Some(600),
            max_days_ahead: Some(90),
        };
        RoomRegistered { room: shared_events::Room { id: ROOM, revision: 1, settings } }.into()
    }

    fn made(reservation: &Reservation) -> Event {
        ReservationMade { reservation: reservation.clone() }.into()
    }

    fn cancelled(reservation: &Reservation) -> Event {
        ReservationCancelled { reservation: reservation.clone() }.into()
    }

    fn moved_out(before: &Reservation) -> Event {
        let reservation = Reservation { room: OTHER, revision: before.revision + 1, ..before.clone() };
        ReservationMovedOut { reservation, previous: before.place() }.into()
    }

    /// A room after these events, each at its minute.
    fn folded(mut room: Room, events: &[(i64, Event)]) -> Room {
        for (minutes, event) in events {
            room.apply(room.version() + 1, at(*minutes).start(), event).unwrap();
        }
        room
    }

    #[test]
    fn a_changed_form_of_the_snapshot_has_a_changed_fingerprint() {
        let room = folded(
            Room::new(ROOM),
            &[
                (1, registered()),
                (2, made(&reservation(1, 3, 4))),
                (2, made(&reservation(2, 100, 110))),
                (2, made(&reservation(3, 120, 130))),
                (3, made(&reservation(4, 140, 150))),
                (4, moved_out(&reservation(3, 120, 130))),
                (5, cancelled(&reservation(4, 140, 150))),
            ],
        );
        let json = serde_json::to_string(&room).unwrap();
        let fingerprint: String =
            Sha256::digest(&json).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(fingerprint, SNAPSHOT_SCHEMA, "set SNAPSHOT_SCHEMA: the form is now {json}");
        assert_eq!(serde_json::from_str::<Room>(&json).unwrap(), room);
    }

    #[test]
    fn an_event_that_is_not_the_next_changes_nothing() {
        let mut room = folded(Room::new(ROOM), &[(1, registered())]);
        let before = room.clone();
        for found in [0, 1, 3, u64::MAX] {
            let out = room.apply(found, at(1).start(), &made(&reservation(1, 3, 4)));
            assert_eq!(out, Err(OutOfSequence { room: ROOM, version: 1, found }));
            assert_eq!(room, before);
        }
    }

    #[test]
    fn a_reservation_is_kept_until_its_end_lies_before_the_horizon() {
        let (old, next) = (reservation(1, 3, 10), reservation(2, 20, 30));
        let mut room = folded(Room::new(ROOM), &[(1, registered()), (2, made(&old)), (10, made(&next))]);
        assert_eq!(room.horizon(), at(10).start());
        assert!(room.reservation(old.id).is_some() && room.remembers_all());
        room.apply(4, Timestamp::from_epoch_millis(10 * 60_000 + 1), &cancelled(&next)).unwrap();
        assert!(room.reservation(old.id).is_none() && !room.remembers_all());
        assert!(room.remembers(room.horizon()) && !room.remembers(at(10).start()));
    }

    #[test]
    fn an_event_of_an_earlier_time_does_not_take_the_horizon_back() {
        let room = folded(
            Room::new(ROOM),
            &[(9, made(&reservation(1, 20, 30))), (5, made(&reservation(2, 30, 40)))],
        );
        assert_eq!(room.horizon(), at(9).start());
    }

    #[test]
    fn changes_of_the_room_itself_do_not_move_its_horizon() {
        let Event::RoomRegistered(RoomRegistered { room: values }) = registered() else { panic!() };
        let changed = Event::from(RoomChanged { room: values });
        let room = folded(Room::new(ROOM), &[(5_000, registered()), (6_000, changed)]);
        assert_eq!(room.horizon(), at(0).start());
    }

    #[test]
    fn a_whole_room_never_forgets() {
        let (old, gone) = (reservation(1, 3, 10), reservation(2, 20, 30));
        let events = [
            (2, made(&old)),
            (2, made(&gone)),
            (3, moved_out(&gone)),
            (9_000, made(&reservation(3, 9_000, 9_001))),
        ];
        let (pruned, whole) = (folded(Room::new(ROOM), &events), folded(Room::whole(ROOM), &events));
        assert_eq!((pruned.reservation(old.id), pruned.moved_to(gone.id)), (None, None));
        assert_eq!((whole.reservation(old.id), whole.moved_to(gone.id)), (Some(&old), Some(OTHER)));
        assert!(whole.remembers(at(0).start()));
    }

    #[test]
    fn where_a_reservation_went_is_known_until_it_comes_back() {
        let here = reservation(1, 100, 110);
        let back = Reservation { revision: 3, ..here.clone() };
        let previous = shared_events::Place { room: OTHER, ..here.place() };
        let returned = Event::from(ReservationMovedIn { reservation: back.clone(), previous });
        let room = folded(Room::new(ROOM), &[(1, made(&here)), (2, moved_out(&here))]);
        assert_eq!((room.moved_to(here.id), room.has_lost(here.id)), (Some(OTHER), true));
        let room = folded(room, &[(3, returned)]);
        assert_eq!((room.moved_to(here.id), room.has_lost(here.id)), (None, false));
        assert_eq!(room.reservation(here.id), Some(&back));
    }

    #[test]
    fn only_what_shares_a_minute_overlaps() {
        let room = folded(
            Room::new(ROOM),
            &[
                (1, made(&reservation(1, 10, 20))),
                (1, made(&reservation(2, 20, 30))),
                (1, made(&reservation(3, 40, 50))),
            ],
        );
        let found = |from, to| room.overlapping(span(from, to), None).map(|found| found.id.0.as_u128());
        assert_eq!(found(5, 10), None);
        assert_eq!(found(5, 11), Some(1));
        assert_eq!(found(19, 20), Some(1));
        assert_eq!(found(20, 21), Some(2));
        assert_eq!(found(30, 40), None);
        assert_eq!(found(12, 13), Some(1));
        assert_eq!(found(0, 100), Some(3));
        let but_two = room.overlapping(span(15, 25), Some(reservation(2, 20, 30).id));
        assert_eq!(but_two.map(|found| found.id.0.as_u128()), Some(1));
        assert_eq!(room.overlapping(span(22, 40), Some(reservation(2, 20, 30).id)), None);
    }

    /// A scan of a room with a thousand times as many reservations would take a thousand times as long.
    #[test]
    fn looking_for_an_overlap_does_not_scan_the_room() {
        let room_with = |count: u32| {
            let events: Vec<_> = (0..i64::from(count))
                .zip(1..)
                .map(|(at, n)| (0, made(&reservation(n, at * 10, at * 10 + 5))))
                .collect();
            folded(Room::new(ROOM), &events)
        };
        let search = |room: &Room, count: i64| {
            let started = Instant::now();
            for n in 0..50_000_i64 {
                let from = (n * 7_919 % count) * 10 + 5;
                assert_eq!(room.overlapping(span(from, from + 5), None), None);
            }
            started.elapsed()
        };
        let (small, large) = (room_with(100), room_with(100_000));
        let (few, many) = (search(&small, 100), search(&large, 100_000));
        assert!(many < few * 100, "{few:?} among 100 reservations, {many:?} among 100,000");
    }
}
