//! What is reserved in a room.

use shared_events::{Interval, Minute, ReservationId, RoomId, Version};

use super::{Page, PageRequest, QueryError, version_of};
use crate::{progress::Progress, read_models::ReservationDoc, stores::Queries};

/// A room's live reservations that overlap an interval, by `from`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Schedule {
    /// Which room.
    pub room: RoomId,
    /// When.
    pub during: Interval,
}

/// One page of a room's schedule.
#[derive(Clone, Debug)]
pub struct RoomSchedule {
    /// Which room.
    pub room: RoomId,
    /// The version of the room's stream that is shown at least: it was read before the reservations.
    pub version: Version,
    /// The reservations. Who may see what of them is for the caller to decide.
    pub page: Page<ReservationDoc>,
}

impl Schedule {
    /// One page of it; none where there is no such room.
    ///
    /// # Errors
    /// When the cursor is not this query's, or the read models can't be read.
    pub async fn run(
        &self,
        models: &dyn Queries,
        progress: &Progress,
        page: &PageRequest,
    ) -> Result<Option<RoomSchedule>, QueryError> {
        let after: Option<(Minute, ReservationId)> = page.after(self)?;
        let version = version_of(models, progress, self.room).await?;
        // A stream begins with its room: where something was written, the room was.
        if version == 0 && models.room(self.room).await?.is_none() {
            return Ok(None);
        }
        let found = models.live_in_room(self.room, self.during, after, page.to_read()).await?;
        let page = page.page(self, found, |doc| (doc.reservation.from, doc.reservation.id));
        Ok(Some(RoomSchedule { room: self.room, version, page }))
    }
}
