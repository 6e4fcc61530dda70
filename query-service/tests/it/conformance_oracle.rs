//! The expected answers of queries, counted minute by minute from the live reservations of a history. The oracle shares
//! only types with the queries.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate, Timelike};
use query_service::{
    queries::{
        Availability, Booker, BusyHour, By, Day, FreeStays, KindBookings, Measure, PopularRoom, Reserved,
    },
    stores::RoomFilter,
};
use shared_events::{
    Closure, ClosureId, Event, Interval, MaxAhead, Minute, OpeningSpan, Reservation, RoomId, RoomSettings,
    Timestamp, names::sort_key,
};

use crate::conformance_histories::{History, RoomState};

fn minutes(interval: Interval) -> impl Iterator<Item = Minute> {
    (interval.from.epoch_minutes()..interval.to.epoch_minutes())
        .map(|minute| Minute::from_epoch_minutes(minute).unwrap())
}

/// Whether a room is open at a minute, by the clock of its zone.
fn is_open(settings: &RoomSettings, minute: Minute) -> bool {
    settings.opening_hours.as_ref().is_none_or(|hours| {
        let local = minute.to_utc().with_timezone(&settings.time_zone.0);
        let of_day = u16::try_from(local.hour() * 60 + local.minute()).unwrap();
        // A span of the day before may go on.
        let shown = [(local.weekday(), of_day), (local.weekday().pred(), of_day + 1440)];
        let is_in = |span: &OpeningSpan, shown| span.opens() <= shown && shown < span.closes();
        shown.iter().any(|(day, shown)| hours.on(*day).iter().any(|span| is_in(span, *shown)))
    })
}

/// Whether a slot of the room begins at a minute.
fn is_on_slot(settings: &RoomSettings, minute: Minute) -> bool {
    let slots = RoomSettings { min_minutes: None, opening_hours: None, ..settings.clone() };
    slots.check_stay(Interval { from: minute, to: minute }).is_ok()
}

/// The earliest minute at which a stay begins: the first that is not past, or that of the running slot.
fn earliest(settings: &RoomSettings, now: Timestamp) -> Minute {
    if settings.slot_minutes.is_some() {
        let mut back = (0..).map(|minutes| now.minute().plus(-minutes).unwrap());
        back.find(|minute| is_on_slot(settings, *minute)).unwrap()
    } else {
        (0..).map(|minutes| now.minute().plus(minutes).unwrap()).find(|minute| minute.start() >= now).unwrap()
    }
}

/// Minutes by local date and hour.
pub(crate) type Hours = BTreeMap<(NaiveDate, u8), u64>;

pub(crate) fn busiest_times(reserved: &[(u32, Hours)], by: By, measure: Measure) -> Vec<BusyHour> {
    let mut counts: BTreeMap<(Day, u8), u64> = BTreeMap::new();
    if by == By::Weekday {
        counts.extend((1..=7).flat_map(|day| (0..24).map(move |hour| ((Day::Weekday(day), hour), 0))));
    }
    for (people, hours) in reserved {
        for ((date, hour), minutes) in hours {
            let day = match by {
                By::Weekday => Day::Weekday(u8::try_from(date.weekday().number_from_monday()).unwrap()),
                By::Date => Day::Date(*date),
            };
            *counts.entry((day, *hour)).or_default() += match measure {
                Measure::Minutes => *minutes,
                Measure::Reservations => 1,
                Measure::People => u64::from(*people),
            };
        }
    }
    counts.into_iter().map(|((day, hour), count)| BusyHour { day, hour, count }).collect()
}

impl History {
    fn of_kind<'a>(&'a self, kind: Option<&'a str>) -> impl Iterator<Item = &'a RoomState> {
        self.rooms.iter().filter(move |room| kind.is_none_or(|kind| room.settings.kind == kind))
    }

    pub(crate) fn schedule(&self, room: RoomId, during: Interval) -> Vec<Reservation> {
        self.live_in(room)
            .into_iter()
            .filter(|reservation| {
                minutes(reservation.interval()).any(|minute| during.from <= minute && minute < during.to)
            })
            .cloned()
            .collect()
    }

    /// Of each room that can be booked, by name, what is reserved in it while its clock shows these dates.
    pub(crate) fn schedules(
        &self,
        first: NaiveDate,
        days: u8,
        kind: Option<&str>,
    ) -> Vec<(RoomId, Vec<Reservation>)> {
        let last = first + chrono::Days::new(u64::from(days) - 1);
        let mut rooms: Vec<&RoomState> = self.of_kind(kind).filter(|room| !room.retired).collect();
        rooms.sort_by_cached_key(|room| (sort_key(&room.settings.name), room.id));
        let reserved = |room: &RoomState| {
            let shown =
                |minute: Minute| minute.to_utc().with_timezone(&room.settings.time_zone.0).date_naive();
            let mut live = self.live_in(room.id).into_iter().cloned().collect::<Vec<_>>();
            live.retain(|one| minutes(one.interval()).any(|minute| (first..=last).contains(&shown(minute))));
            live
        };
        rooms.into_iter().map(|room| (room.id, reserved(room))).collect()
    }

    /// The closures of a room that have a minute of an interval, by `from`.
    pub(crate) fn closures(&self, room: RoomId, during: Interval) -> Vec<Closure> {
        let here = self.closures.values().filter(|closure| closure.room == room);
        let mut found: Vec<_> =
            here.filter(|closure| closure.from < during.to && during.from < closure.to).cloned().collect();
        found.sort_by_key(|closure| (closure.from, closure.id));
        found
    }

    /// The minutes in which a room is open and not closed: a closure that was lifted closes no minute that begins later.
    fn open_minutes(&self, room: &RoomState, during: Interval) -> u64 {
        let mut closures: BTreeMap<ClosureId, (Interval, Option<Timestamp>)> = BTreeMap::new();
        for event in self.events.iter().filter(|event| event.room == room.id) {
            if let Some(closure) = event.event.closure() {
                let lifted = matches!(event.event, Event::ClosureLifted(_)).then_some(event.metadata.time);
                closures.insert(closure.id, (closure.interval(), lifted));
            }
        }
        let is_closed = |minute: Minute| {
            closures.values().any(|(closed, lifted)| {
                closed.from <= minute
                    && minute < closed.to
                    && lifted.is_none_or(|lifted| minute.start() < lifted)
            })
        };
        let open = |minute: &Minute| is_open(&room.settings, *minute) && !is_closed(*minute);
        minutes(during).filter(open).count() as u64
    }

    /// Whether a room takes a stay, with its buffers, as far as others and closures are concerned.
    fn takes(&self, room: &RoomState, stay: Interval) -> bool {
        let minutes = |buffer: Option<u32>| i64::from(buffer.unwrap_or_default());
        let from = stay.from.plus(-minutes(room.settings.buffer_before)).unwrap();
        let to = stay.to.plus(minutes(room.settings.buffer_after)).unwrap();
        let is_apart = |busy: Interval| busy.to <= from || to <= busy.from;
        self.live_in(room.id).iter().all(|reservation| is_apart(reservation.busy_interval()))
            && self.closures.values().filter(|it| it.room == room.id).all(|it| is_apart(it.interval()))
    }

    pub(crate) fn popular_rooms(&self, during: Interval, kind: Option<&str>) -> Vec<PopularRoom> {
        let mut popular: Vec<PopularRoom> = self
            .of_kind(kind)
            .filter_map(|room| {
                let mut reserved = Reserved::default();
                for reservation in self.live_in(room.id) {
                    let within = minutes(reservation.interval())
                        .filter(|minute| during.from <= *minute && *minute < during.to)
                        .count() as u64;
                    reserved.minutes += within;
                    if within > 0 {
                        reserved.reservations += 1;
                        reserved.people += u64::from(reservation.people);
                    }
                }
                (reserved.reservations > 0).then(|| PopularRoom {
                    room: room.id,
                    name: room.settings.name.clone(),
                    reserved,
                    open_minutes: self.open_minutes(room, during),
                })
            })
            .collect();
        popular.sort_by(|a, b| b.reserved.minutes.cmp(&a.reserved.minutes).then(a.room.cmp(&b.room)));
        popular
    }

    pub(crate) fn bookings(&self, during: Interval, kind: Option<&str>) -> Vec<KindBookings> {
        let mut kinds: BTreeMap<String, KindBookings> = BTreeMap::new();
        let begins_within = |from: Minute| during.from <= from && from < during.to;
        for room in self.of_kind(kind) {
            let kind = room.settings.kind.clone();
            let of_kind = kinds.entry(sort_key(&kind)).or_default();
            of_kind.kind = kind;
            let begun = self.live_in(room.id).into_iter().filter(|one| begins_within(one.from));
            of_kind.reservations += begun.count() as u64;
            for event in self.events.iter().filter(|event| event.room == room.id) {
                match &event.event {
                    Event::ReservationMade(made) if begins_within(made.reservation.from) => {
                        let from = made.reservation.from.epoch_minutes() * 60_000;
                        of_kind.booked.made += 1;
                        of_kind.booked.lead_ms +=
                            u64::try_from(from - event.metadata.time.epoch_millis()).unwrap_or(0);
                    }
                    Event::ReservationCancelled(gone) if begins_within(gone.reservation.from) => {
                        of_kind.booked.cancelled += 1;
                    }
                    _ => {}
                }
            }
        }
        kinds.retain(|_, kind| kind.reservations + kind.booked.made + kind.booked.cancelled > 0);
        kinds.into_values().collect()
    }

    /// The people of each live reservation, and its minutes within an interval by local date and hour.
    pub(crate) fn hours(&self, during: Interval, kind: Option<&str>) -> Vec<(u32, Hours)> {
        let live = self.of_kind(kind).flat_map(|room| self.live_in(room.id));
        let hours = live.map(|reservation| {
            let mut hours = Hours::new();
            let part = reservation.interval().intersection(during);
            for minute in part.into_iter().flat_map(minutes) {
                let local = minute.to_utc().with_timezone(&reservation.time_zone.0);
                *hours.entry((local.date_naive(), u8::try_from(local.hour()).unwrap())).or_default() += 1;
            }
            (reservation.people, hours)
        });
        hours.collect()
    }

    /// Minutes that are open by the local clock, not reserved and not past, as intervals that a stay can hold.
    pub(crate) fn free(&self, room: &RoomState, during: Interval, now: Timestamp) -> Vec<Interval> {
        let earliest = earliest(&room.settings, now);
        let is_free = |minute: Minute| {
            !room.retired
                && is_open(&room.settings, minute)
                && minute >= earliest
                && self.takes(room, Interval { from: minute, to: minute.plus(1).unwrap() })
        };
        let mut free: Vec<Interval> = Vec::new();
        for minute in minutes(during).filter(|minute| is_free(*minute)) {
            let next = minute.plus(1).unwrap();
            match free.last_mut() {
                Some(last) if last.to == minute => last.to = next,
                _ => free.push(Interval { from: minute, to: next }),
            }
        }
        let held = |free: Interval| {
            let mut begins = minutes(Interval { to: free.to.plus(1).unwrap(), ..free })
                .filter(|minute| is_on_slot(&room.settings, *minute));
            let from = begins.next()?;
            let part = Interval { from, to: begins.last()? };
            let is_long = part.minutes() >= room.settings.min_minutes.unwrap_or(1).into();
            (is_long && room.settings.check_days_ahead(from, now).is_ok()).then_some(part)
        };
        free.into_iter().filter_map(held).collect()
    }

    /// Rooms with the earliest stay of a length in each of their free intervals, by name.
    pub(crate) fn free_stays(&self, query: &FreeStays, now: Timestamp) -> Vec<(RoomId, Vec<Interval>)> {
        let times = |room: RoomId| {
            let state = self.rooms.iter().find(|state| state.id == room).unwrap();
            let is_accepted = |stay: &Interval| {
                state.settings.check_stay(*stay).is_ok()
                    && state.settings.check_days_ahead(stay.from, now).is_ok()
            };
            let earliest = |free: Interval| {
                let end = |from| state.settings.end_of_stay(from, query.minutes).unwrap();
                let stays = minutes(free).map(|from| Interval { from, to: end(from) });
                stays.take_while(|stay| stay.to <= free.to).find(is_accepted)
            };
            let free = self.free(state, query.during, now);
            let mut times: Vec<_> = free.into_iter().filter_map(earliest).take(20).collect();
            times.retain(|stay| self.keeps_quota(state, &query.booker, *stay, now));
            (room, times)
        };
        let rooms = self.wanted(&query.filter).into_iter().map(times);
        rooms.filter(|(_, times)| !times.is_empty()).collect()
    }

    /// Rooms that would accept the stay, by name.
    pub(crate) fn available(&self, query: &Availability, now: Timestamp) -> Vec<RoomId> {
        let (stay, people) = (query.stay, query.filter.people.unwrap_or(1));
        let accepts = |settings: &RoomSettings| {
            let may_book = query.booker.is_admin
                || settings.bookable_by.is_empty()
                || settings.bookable_by.iter().any(|role| query.booker.roles.contains(role));
            may_book
                && stay.from >= earliest(settings, now)
                && settings.check_people(people).is_ok()
                && settings.check_stay(stay).is_ok()
                && settings.check_days_ahead(stay.from, now).is_ok()
        };
        let mut rooms = self.wanted(&query.filter);
        rooms.retain(|room| {
            let state = self.rooms.iter().find(|state| state.id == *room).unwrap();
            accepts(&state.settings)
                && self.takes(state, stay)
                && self.keeps_quota(state, &query.booker, stay, now)
        });
        rooms
    }

    /// Whether the owner has no more ahead than the room allows, with this stay.
    fn keeps_quota(&self, room: &RoomState, booker: &Booker, stay: Interval, now: Timestamp) -> bool {
        let Some(MaxAhead { reservations, minutes }) = room.settings.max_ahead else { return true };
        let is_own = |live: &&Reservation| {
            live.room == room.id && live.reserved_by == booker.owner && live.to.start() > now
        };
        let own: Vec<_> =
            self.live.values().filter(is_own).map(Reservation::interval).chain([stay]).collect();
        let sum: i64 = own.iter().map(|stay| stay.minutes()).sum();
        reservations.is_none_or(|most| own.len() <= most as usize)
            && minutes.is_none_or(|most| sum <= i64::from(most))
    }

    /// Rooms that can be booked and keep these conditions, by name.
    pub(crate) fn wanted(&self, filter: &RoomFilter) -> Vec<RoomId> {
        let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let mut rooms: Vec<&RoomState> = self
            .rooms
            .iter()
            .filter(|RoomState { settings, retired, .. }| {
                !retired
                    && (filter.kinds.is_empty() || filter.kinds.contains(&settings.kind))
                    && filter.people.is_none_or(|people| people <= settings.capacity)
                    && is(&filter.building, &settings.building)
                    && is(&filter.floor, &settings.floor)
                    && filter.attributes.iter().all(|wanted| settings.attributes.contains(wanted))
            })
            .collect();
        rooms.sort_by_cached_key(|room| (sort_key(&room.settings.name), room.id));
        rooms.into_iter().map(|room| room.id).collect()
    }
}
