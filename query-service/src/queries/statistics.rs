//! What both statistics share: batches of rooms with their usage, and with the reservations that usage does not count.

use std::collections::HashMap;

use shared_events::{Interval, RoomId, TimeZone};

use super::{QueryError, ROOMS_AT_ONCE, hours::Hours};
use crate::{
    read_models::{ReservationDoc, RoomDoc, UsageDoc, usage::Month},
    stores::Queries,
};

/// The rooms of a statistic, retired ones too, a bounded number at a time.
pub(super) struct Batches<'a> {
    during: Interval,
    kind: Option<&'a str>,
    after: Option<RoomId>,
    complete: bool,
    /// The interval on the clock of each zone seen so far.
    clocks: HashMap<TimeZone, Hours>,
}

pub(super) struct Batch {
    pub(super) rooms: Vec<RoomDoc>,
    /// Usage of the rooms in all months that the interval touches.
    pub(super) usage: Vec<UsageDoc>,
    /// Reservations of the rooms in the parts of the interval that usage does not tell, and possibly some others.
    pub(super) reservations: Vec<ReservationDoc>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(during: Interval, kind: Option<&'a str>) -> Self {
        Self { during, kind, after: None, complete: false, clocks: HashMap::new() }
    }

    pub(super) fn clock(&mut self, zone: TimeZone) -> &Hours {
        self.clocks.entry(zone).or_insert_with(|| Hours::new(self.during, zone))
    }

    pub(super) async fn next(&mut self, models: &dyn Queries) -> Result<Option<Batch>, QueryError> {
        if self.complete {
            return Ok(None);
        }
        let rooms = models.rooms_by_id(self.kind, self.after, ROOMS_AT_ONCE).await?;
        self.complete = rooms.len() < ROOMS_AT_ONCE;
        let Some(last) = rooms.last() else { return Ok(None) };
        self.after = Some(last.room);
        let ids: Vec<RoomId> = rooms.iter().map(|room| room.room).collect();
        let usage = models.usage(&ids, Month::around(self.during)).await?;
        for doc in &usage {
            self.clock(doc.key.zone);
        }
        let parts = joined(self.clocks.values().flat_map(Hours::looked_up).collect(), TOGETHER);
        let reservations =
            if parts.is_empty() { Vec::new() } else { models.live_in_rooms(&ids, &parts).await? };
        Ok(Some(Batch { rooms, usage, reservations }))
    }
}

/// Intervals that are closer than this, in minutes, are read as one. They are few, because most zones cut an interval at about
/// the same times.
const TOGETHER: i64 = 24 * 60;

/// Intervals that cover the given ones, in order of time. Those that overlap, or are less than so many minutes apart, become one.
pub(super) fn joined(mut intervals: Vec<Interval>, minutes: i64) -> Vec<Interval> {
    intervals.sort_unstable_by_key(|one| one.from);
    let mut joined: Vec<Interval> = Vec::new();
    for one in intervals {
        match joined.last_mut() {
            Some(last) if one.from.epoch_minutes() - last.to.epoch_minutes() < minutes => {
                last.to = last.to.max(one.to);
            }
            _ => joined.push(one),
        }
    }
    joined
}
