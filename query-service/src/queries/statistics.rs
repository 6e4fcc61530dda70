//! What both statistics share: rooms a bounded number at a time, with their usage and what usage does not tell.

use std::collections::HashMap;

use shared_events::{Interval, RoomId, TimeZone};

use super::{QueryError, ROOMS_AT_ONCE, hours::Hours};
use crate::{
    read_models::{ReservationDoc, RoomDoc, UsageDoc, usage::Month},
    stores::Queries,
};

/// How each zone's clock shows one interval, made when the zone first turns up.
pub(super) struct Clocks {
    during: Interval,
    zones: HashMap<TimeZone, Hours>,
}

impl Clocks {
    pub(super) fn new(during: Interval) -> Self {
        Self { during, zones: HashMap::new() }
    }

    pub(super) fn of(&mut self, zone: TimeZone) -> &Hours {
        self.zones.entry(zone).or_insert_with(|| Hours::new(self.during, zone))
    }

    /// Usage of these rooms in all months that the interval touches.
    pub(super) async fn usage(
        &self,
        models: &dyn Queries,
        rooms: &[RoomId],
    ) -> Result<Vec<UsageDoc>, QueryError> {
        Ok(models.usage(rooms, Month::around(self.during)).await?)
    }

    /// Reservations of these rooms in the parts of the interval that usage does not tell, as the zones that turned up so
    /// far see them. Some others may be among them.
    pub(super) async fn reservations(
        &self,
        models: &dyn Queries,
        rooms: &[RoomId],
    ) -> Result<Vec<ReservationDoc>, QueryError> {
        let parts = joined(self.zones.values().flat_map(Hours::looked_up).collect());
        if parts.is_empty() { Ok(Vec::new()) } else { Ok(models.live_in_rooms(rooms, &parts).await?) }
    }
}

/// How far apart intervals may be to be looked up as one, in minutes.
const TOGETHER: i64 = 24 * 60;

/// The same time in few intervals, for several zones cut much the same.
pub(super) fn joined(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable_by_key(|one| one.from);
    let mut joined: Vec<Interval> = Vec::new();
    for one in intervals {
        match joined.last_mut() {
            Some(last) if one.from.epoch_minutes() - last.to.epoch_minutes() < TOGETHER => {
                last.to = last.to.max(one.to);
            }
            _ => joined.push(one),
        }
    }
    joined
}

/// Rooms that statistics are about, retired ones too, a bounded number at a time.
pub(super) struct RoomBatches<'a> {
    kind: Option<&'a str>,
    after: Option<RoomId>,
    complete: bool,
}

impl<'a> RoomBatches<'a> {
    pub(super) fn new(kind: Option<&'a str>) -> Self {
        Self { kind, after: None, complete: false }
    }

    pub(super) async fn next(&mut self, models: &dyn Queries) -> Result<Option<Vec<RoomDoc>>, QueryError> {
        if self.complete {
            return Ok(None);
        }
        let rooms = models.rooms_by_id(self.kind, self.after, ROOMS_AT_ONCE).await?;
        self.complete = rooms.len() < ROOMS_AT_ONCE;
        self.after = rooms.last().map(|room| room.room);
        Ok((!rooms.is_empty()).then_some(rooms))
    }
}
