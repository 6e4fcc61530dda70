//! One read of the outbox, running ahead of the sender.
//!
//! All positions are read at once, in one statement and so at one moment: where a version is among them, so are those of
//! the versions before it that still wait. (They have lower positions: a version is inserted after the one before it was
//! committed.) Pages that were read at different moments would not have that: a transaction that took its position
//! early and commits between two pages would be missed by the first, and its successor be seen by the second. The events
//! themselves never change, so they may be read page by page.

use std::{collections::HashSet, sync::Arc, time::Duration};

use shared_events::{RawEvent, RoomId};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::event_store::{Buckets, EventLog, Outbox, StoreError, StoredEvent};

/// Pages that are read ahead.
const PAGES_AHEAD: usize = 2;

/// An event that was read, or why it can't be sent.
pub(super) struct Row {
    pub(super) position: u64,
    pub(super) room: RoomId,
    pub(super) event: Result<RawEvent, String>,
}

/// What a sweep brings.
pub(super) enum Swept {
    /// Events in the order of position.
    Page(Vec<Row>),
    /// That was all; `more` tells whether there may be more in the table, because the sweep was full; `took`, how long the
    /// read of the positions took.
    End { more: bool, took: Duration },
}

/// A sweep that is going on. Dropping it ends it.
pub(super) struct Sweep {
    pages: mpsc::Receiver<Result<Swept, StoreError>>,
    _reader: AbortOnDropHandle<()>,
}

impl Sweep {
    /// Begins to read at most `rows` rows of these buckets, but for the events that are `known`, in pages of `page` events.
    pub(super) fn begin(
        outbox: Arc<dyn Outbox>,
        log: Arc<dyn EventLog>,
        buckets: Buckets,
        known: HashSet<u64>,
        rows: u32,
        page: u32,
    ) -> Self {
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let reader = tokio::spawn(async move {
            let end = async {
                let asked = Instant::now();
                let mut positions = outbox.undelivered(buckets, rows).await?;
                let took = asked.elapsed();
                let more = u32::try_from(positions.len()).is_ok_and(|read| read >= rows);
                positions.retain(|position| !known.contains(position));
                for piece in positions.chunks(usize::try_from(page).unwrap_or(1).max(1)) {
                    let events = log.events_at(piece).await?.into_iter().map(row).collect();
                    if sender.send(Ok(Swept::Page(events))).await.is_err() {
                        break;
                    }
                }
                Ok(Swept::End { more, took })
            }
            .await;
            // Nobody waits for it any more when the sweep was dropped.
            drop(sender.send(end).await);
        });
        Self { pages, _reader: AbortOnDropHandle::new(reader) }
    }

    /// Waits for what comes next. Nothing is lost when the wait is given up.
    pub(super) async fn next(&mut self) -> Result<Swept, StoreError> {
        let ended = || StoreError::Inconsistent { operation: "sweep", detail: "it has ended".to_owned() };
        self.pages.recv().await.unwrap_or_else(|| Err(ended()))
    }
}

fn row(stored: StoredEvent) -> Row {
    let (position, room) = (stored.position, stored.room);
    Row { position, room, event: stored.into_raw().map_err(|reason| reason.to_string()) }
}
