//! The reservations of a room.

use shared_events::{Interval, Minute, ReservationId, RoomId};

use super::{PageRequest, QueryError, RoomPage, version_of};
use crate::{progress::Progress, read_models::ReservationDoc, stores::Queries};

/// A room's live reservations that overlap an interval, by `from`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Schedule {
    /// The room.
    pub room: RoomId,
    /// The interval.
    pub during: Interval,
}

impl Schedule {
    /// One page of it, or `None` if there is no such room. The caller decides what of a reservation is shown.
    pub async fn run(
        &self,
        models: &dyn Queries,
        progress: &Progress,
        page: &PageRequest,
    ) -> Result<Option<RoomPage<ReservationDoc>>, QueryError> {
        let after: Option<(Minute, ReservationId)> = page.after(self)?;
        let version = version_of(models, progress, self.room).await?;
        // A stream begins with the registration of its room: at any version, the room exists.
        if version == 0 && models.room(self.room).await?.is_none() {
            return Ok(None);
        }
        let found = models.live_in_room(self.room, self.during, after, page.to_read()).await?;
        let page = page.page(self, found, |doc| (doc.reservation.from, doc.reservation.id));
        Ok(Some(RoomPage { room: self.room, version, page }))
    }
}
