//! Compares two generations, room by room, while events arrive.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use service_kit::meter::Meter;
use shared_events::{RoomId, feed::Head};

use super::fill::Fill;
use crate::{
    progress::Progress,
    projections::usage::count_up_to,
    read_models::{Checkpoint, Compared, Difference, of_room::compare},
    stores::{Checkpoints, Queries, mongo::MongoReadModels},
};

/// Rooms that are compared at the same time.
const SIDE_BY_SIDE: usize = 4;
/// Rooms with more events than this are compared one at a time: all documents of a room are in memory meanwhile.
const LARGE: u64 = 20_000;
/// Comparisons of a room before a difference is believed: another room's events may be on their way.
const TRIES: usize = 4;
/// Comparisons of a room whose usage keeps changing before it is given up.
const TRIES_OF_USAGE: usize = 30;
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_millis(250);
/// Time without progress after which rooms that are behind count as different.
const PATIENCE: Duration = Duration::from_secs(60);

/// The live generation and the next one.
pub(super) struct Comparison<'a> {
    pub(super) live: Arc<MongoReadModels>,
    pub(super) next: Arc<MongoReadModels>,
    /// Fills the next generation.
    pub(super) fill: &'a Fill,
    /// Fills the live generation, if no service does.
    pub(super) fill_live: Option<&'a Fill>,
}

/// The outcome of one comparison of a room.
enum Found {
    Equal,
    Differs(Vec<Difference>),
    /// Usage is counted further on one side.
    Undecided,
    /// One generation is behind the head.
    Behind(Difference),
}

/// A room that is not known to be equal yet.
#[derive(Clone, Copy)]
struct Pending {
    head: Head,
    differed: usize,
    undecided: usize,
}

impl Comparison<'_> {
    /// Compares until each room is equal at its head or later, or differs, and returns the differences.
    pub(super) async fn run(&self, heads: Vec<Head>) -> anyhow::Result<Vec<Difference>> {
        let pending = heads.into_iter().map(|head| Pending { head, differed: 0, undecided: 0 });
        let mut pending: Vec<Pending> = pending.collect();
        let meter = Meter::new("comparing", u64::try_from(pending.len())?);
        let (mut differences, mut since) = (Vec::new(), Instant::now());
        loop {
            let before = pending.len();
            let late = since.elapsed() > PATIENCE;
            let mut left = Vec::new();
            for (room, found) in self.round(&pending).await? {
                match found {
                    Found::Equal => {}
                    Found::Differs(found) if room.differed + 1 >= TRIES => differences.extend(found),
                    Found::Differs(_) => left.push(Pending { differed: room.differed + 1, ..room }),
                    Found::Undecided if room.undecided + 1 >= TRIES_OF_USAGE => {
                        differences.push(never_at_rest(room.head.room));
                    }
                    Found::Undecided => left.push(Pending { undecided: room.undecided + 1, ..room }),
                    Found::Behind(difference) if late => differences.push(difference),
                    Found::Behind(_) => left.push(room),
                }
            }
            meter.add(u64::try_from(before - left.len())?);
            if left.is_empty() {
                meter.finish();
                return Ok(differences);
            }
            if left.len() < before {
                since = Instant::now();
            }
            pending = left;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Compares these rooms once.
    async fn round(&self, pending: &[Pending]) -> anyhow::Result<Vec<(Pending, Found)>> {
        let (large, small): (Vec<Pending>, Vec<Pending>) =
            pending.iter().partition(|room| room.head.version.get() > LARGE);
        let mut found = Vec::new();
        for (rooms, side_by_side) in [(small, SIDE_BY_SIDE), (large, 1)] {
            let looks: Vec<_> = rooms.into_iter().map(|room| self.look(room)).collect();
            found.extend(stream::iter(looks).buffer_unordered(side_by_side).try_collect::<Vec<_>>().await?);
        }
        Ok(found)
    }

    async fn look(&self, pending: Pending) -> anyhow::Result<(Pending, Found)> {
        let Head { room, version: head } = pending.head;
        let mut live = self.live.checkpoint(room).await?;
        if let Some(fill) = self.fill_live.filter(|_| live.version < head && live.parked.is_none()) {
            fill.fill(&[pending.head], &Arc::new(Progress::default())).await?;
            live = self.live.checkpoint(room).await?;
        }
        let mut next = self.next.checkpoint(room).await?;
        // The live generation may be ahead of the head: by new events, or by events that the event store has lost.
        let lost = live.version > head && !self.fill.is_stored(room, live.version).await?;
        let level = if lost { head } else { head.max(live.version) };
        if next.version < level && next.parked.is_none() {
            // Without a running service, nobody else fills it.
            self.fill.fill(&[Head { room, version: level }], &Arc::new(Progress::default())).await?;
            next = self.next.checkpoint(room).await?;
        }
        let waits_alike = live.parked.is_some() && next.parked.is_some() && live.version == next.version;
        if (live.version < head || next.version < head) && !waits_alike {
            let difference = not_level(room, &live, &next);
            let parked = live.parked.is_some() || next.parked.is_some();
            let found = if parked { Found::Differs(vec![difference]) } else { Found::Behind(difference) };
            return Ok((pending, found));
        }
        if lost {
            return Ok((pending, Found::Differs(vec![not_level(room, &live, &next)])));
        }
        let version = live.version.min(next.version);
        let (mut expected, mut found) =
            tokio::try_join!(self.live.documents_of(room, &[]), self.next.documents_of(room, &[]))?;
        // A reservation that moved away is compared in its present room.
        expected.reservations.retain(|_, doc| doc.reservation.room == room);
        count_up_to(&mut expected, version);
        count_up_to(&mut found, version);
        let found = match compare(room, &expected, &found, version) {
            Compared::Equal => Found::Equal,
            Compared::Differs(differences) => Found::Differs(differences),
            Compared::Undecided => Found::Undecided,
        };
        Ok((pending, found))
    }
}

fn not_level(room: RoomId, live: &Checkpoint, next: &Checkpoint) -> Difference {
    let text = |checkpoint: &Checkpoint| match &checkpoint.parked {
        Some(parked) => format!("{}, parked: {}", checkpoint.version, parked.reason),
        None => checkpoint.version.to_string(),
    };
    let (expected, found) = (Some(text(live)), Some(text(next)));
    Difference { room, what: "checkpoint", id: room.to_string(), expected, found }
}

fn never_at_rest(room: RoomId) -> Difference {
    let reason = Some("it kept changing while it was read".to_owned());
    Difference { room, what: "usage", id: room.to_string(), expected: reason, found: None }
}
