//! The reservations of a room.

use shared_events::{Closure, Interval, Minute, ReservationId, RoomId, Version};

use super::{Page, PageRequest, QueryError, version_of};
use crate::{progress::Progress, read_models::ReservationDoc, stores::Queries};

/// A room's live reservations that overlap an interval, by `from`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Schedule {
    /// The room.
    pub room: RoomId,
    /// The interval.
    pub during: Interval,
}

/// A page of a schedule.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The version of the room's stream that is shown, at least.
    pub version: Version,
    /// All closures in the interval, by `from`.
    pub closures: Vec<Closure>,
    /// The reservations.
    pub page: Page<ReservationDoc>,
}

impl Schedule {
    /// One page of it, or `None` if there is no such room. The caller decides what of a reservation is shown.
    pub async fn run(
        &self,
        models: &dyn Queries,
        progress: &Progress,
        page: &PageRequest,
    ) -> Result<Option<Scheduled>, QueryError> {
        let after: Option<(Minute, ReservationId)> = page.after(self)?;
        let version = version_of(models, progress, self.room).await?;
        // A stream begins with the registration of its room: at any version, the room exists.
        if version == 0 && models.room(self.room).await?.is_none() {
            return Ok(None);
        }
        let rooms = [self.room];
        let (found, closures) = tokio::try_join!(
            models.live_in_room(self.room, self.during, after, page.to_read()),
            models.closures_in_rooms(&rooms, self.during)
        )?;
        let page = page.page(self, found, |doc| (doc.reservation.from, doc.reservation.id));
        let closures = closures.into_iter().map(|doc| doc.closure).collect();
        Ok(Some(Scheduled { version, closures, page }))
    }
}
