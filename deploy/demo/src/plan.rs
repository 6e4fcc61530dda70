//! The plan: the rooms, and the commands of all bookings in the order of time.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::{Europe::Lisbon, Tz};
use serde::Serialize;

use crate::bookings::{Booking, Status};

/// The hotels' clocks.
pub(crate) const ZONE: Tz = Lisbon;

/// Minutes since 1970-01-01T00:00Z.
pub(crate) type Minute = i64;

/// `[from, to)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(crate) struct Stay {
    pub(crate) from: Minute,
    pub(crate) to: Minute,
}

/// Interchangeable rooms.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: String,
    /// The number of rooms.
    pub(crate) rooms: u32,
    /// The capacity of each room.
    pub(crate) capacity: u32,
}

/// One command.
#[derive(Debug)]
pub(crate) struct Command {
    /// The same in every replay.
    pub(crate) key: String,
    pub(crate) at: DateTime<Utc>,
    /// The booking's number in the file.
    pub(crate) order: usize,
    pub(crate) action: Action,
}

/// The action of a command on its booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Make(Stay),
    Change(Stay),
    Cancel,
}

/// A line of an import.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    key: &'a str,
    at: String,
    user: &'a str,
    command: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    people: Option<u32>,
}

impl Command {
    /// The line of the import, with a line feed.
    pub(crate) fn line(&self, booking: &Booking) -> anyhow::Result<Vec<u8>> {
        let (command, stay) = match self.action {
            Action::Make(stay) => ("reserve", Some(stay)),
            Action::Change(stay) => ("reschedule", Some(stay)),
            Action::Cancel => ("cancel", None),
        };
        let makes = matches!(self.action, Action::Make(_));
        let line = Line {
            key: &self.key,
            at: self.at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            user: &booking.user,
            command,
            kind: makes.then_some(&booking.kind),
            reservation_key: (!makes).then(|| made_key(booking)),
            from: stay.map(|stay| rfc3339(stay.from)).transpose()?,
            to: stay.map(|stay| rfc3339(stay.to)).transpose()?,
            people: makes.then_some(booking.people),
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

fn made_key(booking: &Booking) -> String {
    format!("hotel-bookings/{}/made", booking.id)
}

/// A time in the form of the API.
pub(crate) fn rfc3339(minute: Minute) -> anyhow::Result<String> {
    let time = DateTime::from_timestamp(minute * 60, 0).context("a time outside of the calendar")?;
    Ok(time.format("%Y-%m-%dT%H:%M:00Z").to_string())
}

/// The kinds of rooms. Each has as many rooms as its completed stays needed at the same time, and 4 % more: a booking
/// holds its room until it is cancelled. 448 rooms in all.
pub(crate) fn kinds(bookings: &[Booking]) -> anyhow::Result<Vec<Kind>> {
    #[derive(Default)]
    struct Demand {
        largest_party: u32,
        /// Arrivals count up, departures down. Departures come first within a minute.
        turns: Vec<(Minute, i32)>,
    }
    let mut demands = BTreeMap::<&str, Demand>::new();
    for booking in bookings {
        let demand = demands.entry(&booking.kind).or_default();
        demand.largest_party = demand.largest_party.max(booking.people);
        if booking.status == Status::CheckOut {
            let stay = stay(booking, booking.nights)?;
            demand.turns.extend([(stay.from, 1), (stay.to, -1)]);
        }
    }
    demands
        .into_iter()
        .map(|(name, mut demand)| {
            demand.turns.sort_unstable();
            let (_, peak) = demand.turns.iter().fold((0, 0), |(now, peak), (_, turn)| {
                let now = now + turn;
                (now, peak.max(now))
            });
            let peak = u32::try_from(peak)?;
            Ok(Kind {
                name: name.to_owned(),
                rooms: (peak + peak / 25).max(1),
                capacity: demand.largest_party,
            })
        })
        .collect()
}

/// All commands in the order of time.
pub(crate) fn commands(bookings: &[Booking]) -> anyhow::Result<Vec<Command>> {
    let mut commands = Vec::new();
    for (order, booking) in bookings.iter().enumerate() {
        let asked = stay(booking, booking.nights)?;
        let longer = stay(booking, booking.nights + 1)?;
        // Changes add and remove a night in turn, so that the last one leaves the stay of the file.
        let odd = |n: u32| n % 2 == 1;
        let left = |changes_to_come: u32| if odd(changes_to_come) { longer } else { asked };
        let command = |key, at, action| Command { key, at, order, action };
        commands.push(command(
            made_key(booking),
            moment(booking.booked_on, 8, order)?,
            Action::Make(left(booking.changes)),
        ));
        let last_day = booking.arrival.min(booking.status_date);
        let days = u32::try_from((last_day - booking.booked_on).num_days().max(0))?;
        for change in 1..=booking.changes {
            let day = booking.booked_on + Days::new(u64::from(days * change / (booking.changes + 1)));
            commands.push(command(
                format!("hotel-bookings/{}/change-{change}", booking.id),
                moment(day, 10, order)?,
                Action::Change(left(booking.changes - change)),
            ));
        }
        if booking.status == Status::Canceled {
            commands.push(command(
                format!("hotel-bookings/{}/cancelled", booking.id),
                moment(booking.status_date, 12, order)?,
                Action::Cancel,
            ));
        }
    }
    // The sort is stable: changes of one booking on one day stay in their order.
    commands.sort_by_key(|command| (command.at, command.order));
    Ok(commands)
}

/// From 15:00 on the day of arrival to 11:00 on the day of departure. A day use ends at 18:00.
fn stay(booking: &Booking, nights: u32) -> anyhow::Result<Stay> {
    let (last_day, hour) = match nights {
        0 => (booking.arrival, 18),
        nights => (booking.arrival + Days::new(u64::from(nights)), 11),
    };
    Ok(Stay {
        from: local(booking.arrival, 15)?.timestamp() / 60,
        to: local(last_day, hour)?.timestamp() / 60,
    })
}

/// An hour of a day, plus the booking's number as milliseconds.
fn moment(day: NaiveDate, hour: u32, order: usize) -> anyhow::Result<DateTime<Utc>> {
    Ok(local(day, hour)? + TimeDelta::milliseconds(i64::try_from(order)?))
}

fn local(day: NaiveDate, hour: u32) -> anyhow::Result<DateTime<Utc>> {
    let time = NaiveTime::from_hms_opt(hour, 0, 0).context("no such hour")?;
    let local = ZONE.from_local_datetime(&day.and_time(time)).single();
    Ok(local.with_context(|| format!("{day} {hour}:00 is not one moment in {ZONE}"))?.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bookings;

    #[test]
    fn rooms_suffice_for_the_peaks_of_use() {
        let kinds = kinds(&bookings::read().unwrap()).unwrap();
        let rooms = |name: &str| kinds.iter().find(|kind| kind.name == name).map(|kind| kind.rooms);
        assert_eq!(kinds.iter().map(|kind| kind.rooms).sum::<u32>(), 448);
        assert!(rooms("City Hotel A") >= Some(199) && rooms("Resort Hotel A") >= Some(98));
        assert_eq!(rooms("Resort Hotel P"), Some(1));
        assert!(kinds.iter().all(|kind| kind.capacity >= 1));
    }

    #[test]
    fn commands_come_in_the_order_of_time_and_leave_what_the_file_says() {
        let bookings = bookings::read().unwrap();
        let commands = commands(&bookings).unwrap();
        assert_eq!(commands.len(), 14_938 + 3_124 + 7_793);
        assert!(commands.is_sorted_by_key(|command| command.at));
        let mut last = vec![None; bookings.len()];
        for command in &commands {
            match command.action {
                Action::Make(stay) | Action::Change(stay) => last[command.order] = Some(stay),
                Action::Cancel => assert!(last[command.order].is_some()),
            }
        }
        for (booking, last) in bookings.iter().zip(last) {
            assert_eq!(last, Some(stay(booking, booking.nights).unwrap()));
        }
    }

    #[test]
    fn a_line_says_who_did_what_and_when() {
        let bookings = bookings::read().unwrap();
        let commands = commands(&bookings).unwrap();
        let first: serde_json::Value =
            serde_json::from_slice(&commands[0].line(&bookings[0]).unwrap()).unwrap();
        // After four changes the stay is that of the file, a day use.
        assert_eq!(
            first,
            serde_json::json!({"key": "hotel-bookings/2/made", "at": "2013-06-24T07:00:00.000Z", "user": "PRT-Transient",
                "command": "reserve", "kind": "Resort Hotel C", "people": 2,
                "from": "2015-07-01T14:00:00Z", "to": "2015-07-01T17:00:00Z"})
        );
    }
}
