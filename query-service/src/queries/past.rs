//! Rooms, schedules and reservations of the past.

use std::hash::Hash;

use shared_events::{Interval, Minute, Reservation, ReservationId, RoomId, Timestamp, UserId, Version};

use super::{Page, PageRequest, QueryError, Scheduled};
use crate::{
    read_models::{
        AsOf, Change, HistoryDoc, HistoryKind, ReservationDoc, RoomDoc, Status,
        history::{closures_after, week, weeks},
    },
    stores::{Queries, StoreError},
};

/// An answer about the past.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remembered<T> {
    /// The state.
    pub value: T,
    /// When the last event of this state was recorded.
    pub recorded_at: Timestamp,
}

/// The version of a room at a state of the past, and when it was recorded.
async fn version_of(
    models: &dyn Queries,
    room: RoomId,
    at: AsOf<Version>,
) -> Result<Option<Remembered<Version>>, StoreError> {
    let (value, recorded_at) = match at {
        AsOf::Moment(moment) => match models.version_at(room, moment).await? {
            Some(found) => found,
            None => return Ok(None),
        },
        AsOf::Number(version) => match models.entry(room, version).await? {
            Some(entry) => (version, entry.recorded_at),
            None => return Ok(None),
        },
    };
    Ok(Some(Remembered { value, recorded_at }))
}

/// A room of the past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PastRoom {
    /// The room.
    pub room: RoomId,
    /// The state.
    pub at: AsOf<Version>,
}

impl PastRoom {
    /// The room with a version of its stream, or `None` if there was no such room or is no such version. Of a moment, the
    /// version is the one that last changed the room: the last one of all would take a search.
    pub async fn run(
        &self,
        models: &dyn Queries,
    ) -> Result<Option<Remembered<(RoomDoc, Version)>>, QueryError> {
        // An exact version is read first, so that all events up to it are there.
        let asked = match self.at {
            // Settings change seldom: mostly the room was then what it is now, and no entry has to be found.
            AsOf::Moment(at) => match models.room(self.room).await? {
                Some(room) if room.recorded_at <= at => {
                    let (version, recorded_at) = (room.version, room.recorded_at);
                    return Ok(Some(Remembered { value: (room, version), recorded_at }));
                }
                _ => None,
            },
            AsOf::Number(_) => match version_of(models, self.room, self.at).await? {
                None => return Ok(None),
                found => found,
            },
        };
        let Some(changed) = models.last_change(self.room, self.at).await? else { return Ok(None) };
        let last = Remembered { value: changed.version, recorded_at: changed.recorded_at };
        let Remembered { value: version, recorded_at } = asked.unwrap_or(last);
        Ok(changed.into_room().map(|form| Remembered { value: (form, version), recorded_at }))
    }
}

/// The live reservations of a room that overlap an interval, by `from`, at a state of the past.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PastSchedule {
    /// The room.
    pub room: RoomId,
    /// The interval.
    pub during: Interval,
    /// The state.
    pub at: AsOf<Version>,
}

/// A place in a schedule of the past: all its pages show one version.
type PlaceAt = (Version, Minute, ReservationId);

impl PastSchedule {
    /// One page of it, or `None` if there was no such room or is no such version.
    pub async fn run(
        &self,
        models: &dyn Queries,
        page: &PageRequest,
    ) -> Result<Option<Remembered<Scheduled>>, QueryError> {
        let after: Option<PlaceAt> = page.after(self)?;
        let at = after.map_or(self.at, |(version, ..)| AsOf::Number(version));
        let Some(Remembered { value: version, recorded_at }) = version_of(models, self.room, at).await?
        else {
            return Ok(None);
        };
        let after = after.map(|(_, from, id)| (from, id));
        let found = self.live(models, version, after, page.to_read()).await?;
        let page = page.page(self, found, |doc| (version, doc.reservation.from, doc.reservation.id));
        let closures = closures_after(models.closure_entries(self.room, version).await?);
        let closures = closures.into_iter().filter(|it| it.interval().overlaps(self.during)).collect();
        Ok(Some(Remembered { value: Scheduled { version, closures, page }, recorded_at }))
    }

    /// Live reservations after a place. Reads the weeks of the interval from there on, more at a time, until enough are found.
    /// Seven days touch two weeks, so it begins with two.
    async fn live(
        &self,
        models: &dyn Queries,
        version: Version,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        let begins = |from: Minute| from.max(self.during.from);
        let last = *weeks(self.during).end();
        let mut first = week(after.map_or(self.during.from, |(from, _)| begins(from)));
        let (mut found, mut at_once) = (Vec::new(), 2);
        while first <= last && found.len() < limit {
            let part = first..=last.min(first + at_once - 1);
            first = *part.end() + 1;
            at_once *= 2;
            let entries = models.last_entries(self.room, part.clone(), version).await?;
            let docs = entries.into_entries().filter_map(HistoryDoc::into_reservation);
            let live = docs.filter(|ReservationDoc { reservation, status, version }| {
                *status == Status::Live
                    && version.is_some()
                    && reservation.interval().overlaps(self.during)
                    && part.contains(&week(begins(reservation.from)))
                    && after.is_none_or(|after| (reservation.from, reservation.id) > after)
            });
            let mut live: Vec<_> = live.collect();
            live.sort_unstable_by_key(|doc| (doc.reservation.from, doc.reservation.id));
            found.extend(live);
        }
        found.truncate(limit);
        Ok(found)
    }
}

/// A reservation of the past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PastReservation {
    /// The reservation.
    pub reservation: ReservationId,
    /// The state.
    pub at: AsOf<u32>,
}

impl PastReservation {
    /// The reservation, or `None` if there was no such reservation or is no such revision.
    pub async fn run(&self, models: &dyn Queries) -> Result<Option<Remembered<ReservationDoc>>, QueryError> {
        let entries = match self.at {
            AsOf::Moment(moment) => models.last_revision(self.reservation, moment).await?,
            AsOf::Number(revision) => models.revisions(self.reservation, revision, 2).await?,
        };
        let of_revision = |entry: HistoryDoc| {
            let recorded_at = entry.recorded_at;
            let value = entry.into_reservation()?;
            let is_asked = match self.at {
                AsOf::Moment(_) => true,
                AsOf::Number(revision) => value.reservation.revision == revision,
            };
            is_asked.then_some(Remembered { value, recorded_at })
        };
        Ok(entries.into_iter().filter_map(of_revision).max_by_key(|shown| shown.value.rank()))
    }
}

/// The revisions of a reservation, the first one first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Revisions {
    /// The reservation.
    pub reservation: ReservationId,
}

/// One revision of a reservation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revision {
    /// The action.
    pub what: HistoryKind,
    /// Who did it.
    pub by: UserId,
    /// The time of the command.
    pub at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The reservation afterwards.
    pub after: ReservationDoc,
    /// The fields that it changed; none for the first revision.
    pub changed: Vec<&'static str>,
}

impl Revisions {
    /// One page of them.
    pub async fn run(&self, models: &dyn Queries, page: &PageRequest) -> Result<Page<Revision>, QueryError> {
        let after: Option<u64> = page.after(self)?;
        let after = after.map(|revision| u32::try_from(revision).unwrap_or(u32::MAX));
        // From the last one of the page before, which the next one is compared with. A move has two events.
        let entries = page.to_read().saturating_add(1).saturating_mul(2);
        let entries = models.revisions(self.reservation, after.unwrap_or_default(), entries).await?;
        let mut revisions: Vec<Revision> = Vec::new();
        for revision in entries.into_iter().filter_map(Revision::of) {
            let known = revisions.last_mut();
            match known
                .filter(|known| known.after.reservation.revision == revision.after.reservation.revision)
            {
                Some(known) if known.after.rank() < revision.after.rank() => *known = revision,
                Some(_) => {}
                None => revisions.push(revision),
            }
        }
        let mut before: Option<ReservationDoc> = None;
        for revision in &mut revisions {
            revision.changed = before.map(|before| changed(&before, &revision.after)).unwrap_or_default();
            before = Some(revision.after.clone());
        }
        let is_new = |revision: &Revision| Some(revision.after.reservation.revision) > after;
        let new = revisions.into_iter().filter(is_new).take(page.to_read()).collect();
        Ok(page.page(self, new, |revision| u64::from(revision.after.reservation.revision)))
    }
}

impl Revision {
    fn of(entry: HistoryDoc) -> Option<Self> {
        let Change::Reservation { what, .. } = entry.change else { return None };
        let (by, at, recorded_at) = (entry.by.clone(), entry.at, entry.recorded_at);
        Some(Self { what, by, at, recorded_at, after: entry.into_reservation()?, changed: Vec::new() })
    }
}

/// The names of the fields that differ.
fn changed(before: &ReservationDoc, after: &ReservationDoc) -> Vec<&'static str> {
    let (one, other): (&Reservation, &Reservation) = (&before.reservation, &after.reservation);
    let fields = [
        ("status", before.status != after.status),
        ("room", one.room != other.room),
        ("from", one.from != other.from),
        ("to", one.to != other.to),
        ("people", one.people != other.people),
        ("title", one.title != other.title),
        ("reservedFor", one.reserved_for != other.reserved_for),
        ("reservedBy", one.reserved_by != other.reserved_by),
    ];
    fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
