//! The expected answers of queries, counted minute by minute from the live reservations of a history. The oracle shares
//! only types with the queries.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate, Timelike};
use query_service::queries::{BusyHour, PopularRoom};
use shared_events::{
    Interval, Minute, OpeningSpan, Reservation, RoomId, RoomSettings, Timestamp, names::sort_key,
};

use crate::conformance_histories::{History, RoomState};

fn minutes(interval: Interval) -> impl Iterator<Item = Minute> {
    (interval.from.epoch_minutes()..interval.to.epoch_minutes())
        .map(|minute| Minute::from_epoch_minutes(minute).unwrap())
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
            let shown = |minute: Minute| minute.to_utc().with_timezone(&room.settings.time_zone.0).date_naive();
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
                let counts: Vec<u64> = self
                    .live_in(room.id)
                    .iter()
                    .map(|reservation| {
                        minutes(reservation.interval())
                            .filter(|minute| during.from <= *minute && *minute < during.to)
                            .count() as u64
                    })
                    .filter(|minutes| *minutes > 0)
                    .collect();
                (!counts.is_empty()).then(|| PopularRoom {
                    room: room.id,
                    name: room.settings.name.clone(),
                    minutes: counts.iter().sum(),
                    reservations: counts.len() as u64,
                })
            })
            .collect();
        popular.sort_by(|a, b| b.minutes.cmp(&a.minutes).then(a.room.cmp(&b.room)));
        popular
    }

    pub(crate) fn busiest_times(&self, during: Interval, kind: Option<&str>) -> Vec<BusyHour> {
        let mut counts: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for room in self.of_kind(kind) {
            for reservation in self.live_in(room.id) {
                for minute in minutes(reservation.interval()) {
                    if during.from <= minute && minute < during.to {
                        let local = minute.to_utc().with_timezone(&reservation.time_zone.0);
                        *counts.entry((local.weekday().number_from_monday(), local.hour())).or_default() += 1;
                    }
                }
            }
        }
        (1..=7_u8)
            .flat_map(|weekday| (0..24_u8).map(move |hour| (weekday, hour)))
            .map(|(weekday, hour)| BusyHour {
                weekday,
                hour,
                minutes: counts.get(&(weekday.into(), hour.into())).copied().unwrap_or(0),
            })
            .collect()
    }

    /// Minutes that are open by the local clock, not reserved and not past, as intervals that a stay can hold.
    pub(crate) fn free(&self, room: &RoomState, during: Interval, now: Timestamp) -> Vec<Interval> {
        let live = self.live_in(room.id);
        let earliest = earliest(&room.settings, now);
        let is_free = |minute: Minute| {
            let local = minute.to_utc().with_timezone(&room.settings.time_zone.0);
            let of_day = u16::try_from(local.hour() * 60 + local.minute()).unwrap();
            let open = room.settings.opening_hours.as_ref().is_none_or(|hours| {
                // A span of the day before may go on.
                let shown = [(local.weekday(), of_day), (local.weekday().pred(), of_day + 1440)];
                let is_in = |span: &OpeningSpan, shown| span.opens() <= shown && shown < span.closes();
                shown.iter().any(|(day, shown)| hours.on(*day).iter().any(|span| is_in(span, *shown)))
            });
            !room.retired
                && open
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
