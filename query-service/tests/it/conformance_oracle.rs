//! The expected answers of queries, counted minute by minute from the live reservations of a history. The oracle shares
//! only types with the queries.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate, Timelike};
use query_service::queries::{BusyHour, By, Day, Measure, PopularRoom, Reserved};
use shared_events::{
    Interval, Minute, OpeningSpan, Reservation, RoomId, RoomSettings, Timestamp, names::sort_key,
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

fn open_minutes(settings: &RoomSettings, during: Interval) -> u64 {
    minutes(during).filter(|minute| is_open(settings, *minute)).count() as u64
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
                    open_minutes: open_minutes(&room.settings, during),
                })
            })
            .collect();
        popular.sort_by(|a, b| b.reserved.minutes.cmp(&a.reserved.minutes).then(a.room.cmp(&b.room)));
        popular
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
        let live = self.live_in(room.id);
        let earliest = earliest(&room.settings, now);
        let is_free = |minute: Minute| {
            !room.retired
                && is_open(&room.settings, minute)
                && minute >= earliest
                && !live.iter().any(|reservation| reservation.from <= minute && minute < reservation.to)
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

    /// Rooms that would accept the stay, by name.
    pub(crate) fn available(
        &self,
        stay: Interval,
        people: u32,
        kind: Option<&str>,
        now: Timestamp,
    ) -> Vec<RoomId> {
        let mut rooms: Vec<&RoomState> = self
            .of_kind(kind)
            .filter(|room| {
                !room.retired
                    && stay.from >= earliest(&room.settings, now)
                    && room.settings.check_people(people).is_ok()
                    && room.settings.check_stay(stay).is_ok()
                    && room.settings.check_days_ahead(stay.from, now).is_ok()
                    && self.schedule(room.id, stay).is_empty()
            })
            .collect();
        rooms.sort_by_cached_key(|room| (sort_key(&room.settings.name), room.id));
        rooms.into_iter().map(|room| room.id).collect()
    }
}
