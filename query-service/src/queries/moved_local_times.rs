//! Stays at another local time than the one that was meant, because rules of their zone changed after they were set.

use serde::Serialize;
use shared_events::{Minute, Offsets, ReservationId, RoomId, TimeZone, Timestamp, time_zone::UtcOffset};

use super::QueryError;
use crate::stores::Queries;

/// Reservations that are read at a time.
const RESERVATIONS_AT_ONCE: usize = 1000;

/// The live reservations of a zone that have not ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MovedLocalTimes {
    /// The zone of the reservations, which is their room's when their time was set.
    pub zone: TimeZone,
}

/// These reservations by the rules of this process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LocalTimes {
    /// The zone.
    pub zone: TimeZone,
    /// Those that clocks show at another time than when it was set, by id.
    pub moved: Vec<MovedStay>,
    /// The number of those at the same time.
    pub kept: u64,
    /// The number of those whose events don't say at which time they were set.
    pub unknown: u64,
}

/// A stay that clocks show at another time than when it was set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MovedStay {
    /// The reservation.
    pub reservation: ReservationId,
    /// Its room.
    pub room: RoomId,
    /// What clocks showed when it was set.
    pub meant: Shown,
    /// What they show now.
    pub shown: Shown,
}

/// What clocks show at both ends of a stay: a date and a time without an offset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Shown {
    /// At its first minute.
    pub from: String,
    /// At the first minute after it.
    pub to: String,
}

impl MovedLocalTimes {
    /// Compares them all. Reads all reservations.
    ///
    /// # Errors
    /// When the read models can't be read.
    pub async fn run(self, models: &dyn Queries, now: Timestamp) -> Result<LocalTimes, QueryError> {
        let mut times = LocalTimes { zone: self.zone, moved: Vec::new(), kept: 0, unknown: 0 };
        let mut after = None;
        loop {
            let found = models.live_in_zone(self.zone, now.minute(), after, RESERVATIONS_AT_ONCE).await?;
            after = found.last().map(|doc| doc.reservation.id);
            let is_last = found.len() < RESERVATIONS_AT_ONCE;
            for reservation in found.into_iter().map(|doc| doc.reservation) {
                let (stay, by_rules) =
                    (reservation.interval(), Offsets::of(reservation.interval(), self.zone));
                let shown = |offsets: Offsets| Shown {
                    from: local(offsets.from, stay.from),
                    to: local(offsets.to, stay.to),
                };
                match reservation.offsets {
                    None => times.unknown += 1,
                    Some(offsets) if offsets == by_rules => times.kept += 1,
                    Some(offsets) => times.moved.push(MovedStay {
                        reservation: reservation.id,
                        room: reservation.room,
                        meant: shown(offsets),
                        shown: shown(by_rules),
                    }),
                }
            }
            if is_last {
                return Ok(times);
            }
        }
    }
}

fn local(offset: UtcOffset, at: Minute) -> String {
    offset.local(at.to_utc()).format("%Y-%m-%dT%H:%M:%S").to_string()
}
