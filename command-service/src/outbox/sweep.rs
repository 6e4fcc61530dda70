//! One read of the outbox, ahead of the sender.
//!
//! One statement reads all positions, so at one moment: with a version come all versions of its room before it that are
//! undelivered. (They have lower positions, because a version is inserted after the commit of the one before.) Pages that are
//! read at different moments would lack that: a transaction that commits between two pages may have taken a position of the
//! first page, and its successor one of the second. Events never change, so they are read page by page.

use std::{collections::HashSet, sync::Arc, time::Duration};

use shared_events::{RawEvent, RoomId};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::event_store::{Buckets, EventLog, Outbox, Position, StoreError, StoredEvent};

/// Pages that are read ahead.
const PAGES_AHEAD: usize = 2;

/// An event of the outbox, or the reason why it can't be sent.
pub(super) struct Row {
    pub(super) position: Position,
    pub(super) room: RoomId,
    pub(super) event: Result<RawEvent, String>,
}

/// A part of a sweep.
pub(super) enum Swept {
    /// Events in the order of position.
    Page(Vec<Row>),
    /// The end. `full`: the table may have more rows. `took`: the duration of the read of positions.
    End { full: bool, took: Duration },
}

/// A running sweep. Dropping it ends it.
pub(super) struct Sweep {
    pages: mpsc::Receiver<Result<Swept, StoreError>>,
    _reader: AbortOnDropHandle<()>,
}

impl Sweep {
    /// Reads at most `rows` rows of these buckets, without the `known` ones, in pages of `page` events.
    pub(super) fn begin(
        outbox: Arc<dyn Outbox>,
        log: Arc<dyn EventLog>,
        buckets: Buckets,
        known: HashSet<Position>,
        rows: u32,
        page: u32,
    ) -> Self {
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let reader = tokio::spawn(async move {
            let end = async {
                let asked = Instant::now();
                let mut positions = outbox.undelivered(buckets, rows).await?;
                let took = asked.elapsed();
                let full = u32::try_from(positions.len()).is_ok_and(|read| read >= rows);
                positions.retain(|position| !known.contains(position));
                for piece in positions.chunks(usize::try_from(page).unwrap_or(1).max(1)) {
                    let events = log.events_at(piece).await?.into_iter().map(row).collect();
                    if sender.send(Ok(Swept::Page(events))).await.is_err() {
                        break;
                    }
                }
                Ok(Swept::End { full, took })
            }
            .await;
            // Fails if the sweep was dropped.
            drop(sender.send(end).await);
        });
        Self { pages, _reader: AbortOnDropHandle::new(reader) }
    }

    /// Waits for the next part. A cancelled wait loses nothing.
    pub(super) async fn next(&mut self) -> Result<Swept, StoreError> {
        let ended = || StoreError::Inconsistent { operation: "sweep", detail: "it has ended".to_owned() };
        self.pages.recv().await.unwrap_or_else(|| Err(ended()))
    }
}

fn row(stored: StoredEvent) -> Row {
    let (position, room) = (stored.position, stored.room);
    Row { position, room, event: stored.into_raw().map_err(|reason| reason.to_string()) }
}
