//! The input: real bookings of two hotels, in the order of booking.

use anyhow::Context;
use chrono::NaiveDate;
use flate2::read::GzDecoder;
use serde::Deserialize;

/// Source and licence are in `data/README.md`.
const HOTEL_BOOKINGS: &[u8] = include_bytes!("../data/hotel-bookings.csv.gz");

/// One booking.
#[derive(Debug)]
pub(crate) struct Booking {
    /// Unique in the file.
    pub(crate) id: u32,
    /// The kind of room.
    pub(crate) kind: String,
    pub(crate) booked_on: NaiveDate,
    pub(crate) arrival: NaiveDate,
    /// 0 is a day use.
    pub(crate) nights: u32,
    /// The party, at least 1.
    pub(crate) people: u32,
    /// The number of changes before arrival.
    pub(crate) changes: u32,
    pub(crate) status: Status,
    /// The day of the status.
    pub(crate) status_date: NaiveDate,
    /// Country and type of customer: the data has no names of guests.
    pub(crate) user: String,
}

/// The final status of a booking.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(crate) enum Status {
    #[serde(rename = "Check-Out")]
    CheckOut,
    Canceled,
    #[serde(rename = "No-Show")]
    NoShow,
}

#[derive(Deserialize)]
struct Row {
    booking_id: u32,
    hotel: String,
    room_type: String,
    booked_on: NaiveDate,
    arrival: NaiveDate,
    nights: u32,
    adults: String,
    children: String,
    babies: String,
    booking_changes: u32,
    status: Status,
    status_date: NaiveDate,
    customer_type: String,
    country: String,
}

impl From<Row> for Booking {
    fn from(row: Row) -> Self {
        // Unknown numbers (`NA`) count as 0.
        let party: u32 =
            [&row.adults, &row.children, &row.babies].iter().map(|text| text.parse().unwrap_or(0)).sum();
        let known = |text: String| if text.is_empty() { "NULL".to_owned() } else { text };
        Self {
            id: row.booking_id,
            kind: format!("{} {}", row.hotel, row.room_type),
            booked_on: row.booked_on,
            arrival: row.arrival,
            nights: row.nights,
            people: party.max(1),
            changes: row.booking_changes,
            status: row.status,
            status_date: row.status_date,
            user: format!("{}-{}", known(row.country), known(row.customer_type)),
        }
    }
}

/// All bookings in file order.
pub(crate) fn read() -> anyhow::Result<Vec<Booking>> {
    csv::Reader::from_reader(GzDecoder::new(HOTEL_BOOKINGS))
        .deserialize::<Row>()
        .map(|row| row.map(Booking::from))
        .collect::<Result<_, _>>()
        .context("the bookings in deploy/demo/data can't be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_what_its_description_says() {
        let bookings = read().unwrap();
        let count = |status| bookings.iter().filter(|booking| booking.status == status).count();
        assert_eq!(bookings.len(), 14_938);
        assert_eq!(
            (count(Status::CheckOut), count(Status::Canceled), count(Status::NoShow)),
            (6_938, 7_793, 207)
        );
        assert_eq!(bookings.iter().map(|booking| booking.changes).sum::<u32>(), 3_124);
        assert_eq!(bookings.iter().map(|booking| booking.people).max(), Some(55));
        assert_eq!(bookings.iter().map(|booking| booking.people).min(), Some(1));
    }
}
