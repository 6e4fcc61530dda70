//! Compares the documents of a room with what its events make, at the version of the room's checkpoint.

mod fold;

use std::{collections::HashSet, time::Duration};

use anyhow::ensure;
use shared_events::{RoomId, Version, feed::Head};

use self::fold::{Fold, FoldError};
use crate::{
    feed::{Feed, all_heads},
    projections::usage::count_up_to,
    read_models::{Compared, Difference, Parked, of_room::compare},
    stores::{Parking, Queries},
};

/// Comparisons of a room before a difference is believed.
const TRIES: usize = 3;
/// Comparisons of a room whose usage keeps changing before it is given up.
const TRIES_OF_USAGE: usize = 20;
/// The pause between two comparisons of a room.
const PAUSE: Duration = Duration::from_millis(50);
/// Rooms in one page of a list.
const PAGE: usize = 500;

/// The result for one room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// The room.
    pub room: RoomId,
    /// Its checkpoint, at which it was compared.
    pub version: Version,
    /// Later events in one page of the feed; 0 when the room is level.
    pub behind: usize,
    /// The event that the room waits behind, if it is parked.
    pub parked: Option<Parked>,
    /// Documents that differ.
    pub differences: Vec<Difference>,
}

/// The heads of all rooms; [`Version::NONE`] for a room that only the read models have.
pub async fn all_rooms(models: &dyn Queries, feed: &dyn Feed) -> anyhow::Result<Vec<Head>> {
    let mut heads = all_heads(feed).await?;
    let known: HashSet<RoomId> = heads.iter().map(|head| head.room).collect();
    let mut after = None;
    loop {
        let page = models.rooms_by_id(None, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(heads) };
        after = Some(last.room);
        let unknown = page.iter().map(|doc| doc.room).filter(|room| !known.contains(room));
        heads.extend(unknown.map(|room| Head { room, version: Version::NONE }));
    }
}

/// Compares one room's documents with what its events make, at its checkpoint. Events may come in the meantime.
pub async fn verify(
    models: &(impl Queries + Parking),
    feed: &dyn Feed,
    room: RoomId,
) -> anyhow::Result<Verified> {
    let mut fold = Fold::new(room);
    let (mut tries, mut tries_of_usage) = (0, 0);
    loop {
        let checkpoint = models.checkpoint(room).await?;
        let version = checkpoint.version;
        if version < fold.version() {
            fold = Fold::new(room);
        }
        let differs = |expected: &str| Compared::Differs(vec![checkpoint_differs(room, expected, version)]);
        let compared = match fold.up_to(feed, models, version).await {
            Ok(reached) if reached == version => {
                let expected = fold.documents().await?;
                let ids: Vec<_> = expected.reservations.keys().copied().collect();
                let mut found = models.documents_of(room, &ids).await?;
                count_up_to(&mut found, version);
                compare(room, &expected, &found, version)
            }
            Ok(reached) => differs(&format!("at most {reached}")),
            Err(FoldError::Event { version: at, reason }) => {
                let last = at.previous().unwrap_or_default();
                differs(&format!("{last} behind version {at}, which can't be applied: {reason}"))
            }
            Err(error) => return Err(error.into()),
        };
        let differences = match compared {
            Compared::Equal => Some(Vec::new()),
            Compared::Differs(differences) => {
                tries += 1;
                (tries == TRIES).then_some(differences)
            }
            Compared::Undecided => {
                tries_of_usage += 1;
                ensure!(
                    tries_of_usage < TRIES_OF_USAGE,
                    "the usage of room {room} kept changing while it was read"
                );
                None
            }
        };
        if let Some(differences) = differences {
            let behind = feed.events(room, version).await?.len();
            return Ok(Verified { room, version, behind, parked: checkpoint.parked, differences });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn checkpoint_differs(room: RoomId, expected: &str, found: Version) -> Difference {
    let (id, expected) = (room.to_string(), Some(expected.to_owned()));
    Difference { room, what: "checkpoint", id, expected, found: Some(found.to_string()) }
}
