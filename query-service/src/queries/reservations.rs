//! Reservations by id and by user.

use shared_events::{Minute, ReservationId, UserId};

use super::{Page, PageRequest, QueryError};
use crate::{read_models::ReservationDoc, stores::Queries};

/// One reservation, live or cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReservationById {
    /// Which.
    pub reservation: ReservationId,
}

impl ReservationById {
    /// The reservation, if there is such a one. Who may see it is for the caller to decide.
    ///
    /// # Errors
    /// When the read models can't be read.
    pub async fn run(&self, models: &dyn Queries) -> Result<Option<ReservationDoc>, QueryError> {
        Ok(models.reservation(self.reservation).await?)
    }
}

/// A user's live reservations by `from`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UserReservations {
    /// Who reserved.
    pub user: UserId,
    /// Only those that end after this.
    pub from: Option<Minute>,
    /// Only those that begin before this.
    pub to: Option<Minute>,
}

impl UserReservations {
    /// One page of them.
    ///
    /// # Errors
    /// When the cursor is not this query's, or the read models can't be read.
    pub async fn run(
        &self,
        models: &dyn Queries,
        page: &PageRequest,
    ) -> Result<Page<ReservationDoc>, QueryError> {
        let after = page.after(self)?;
        let found = models.live_of_user(&self.user, self.from, self.to, after, page.to_read()).await?;
        Ok(page.page(self, found, |doc| (doc.reservation.from, doc.reservation.id)))
    }
}
