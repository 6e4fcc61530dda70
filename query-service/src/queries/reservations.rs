//! A user's reservations and history.

use shared_events::{Minute, UserId};

use super::{Page, PageRequest, QueryError};
use crate::{
    read_models::{HistoryDoc, ReservationDoc},
    stores::Queries,
};

/// A user's live reservations, by `from`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UserReservations {
    /// The user.
    pub user: UserId,
    /// Only reservations that end after this minute.
    pub from: Option<Minute>,
    /// Only reservations that begin before this minute.
    pub to: Option<Minute>,
}

impl UserReservations {
    /// One page of them.
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

/// Everything that a user did with reservations, newest first.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UserHistory {
    /// The user.
    pub user: UserId,
}

impl UserHistory {
    /// One page of it.
    pub async fn run(
        &self,
        models: &dyn Queries,
        page: &PageRequest,
    ) -> Result<Page<HistoryDoc>, QueryError> {
        let after = page.after(self)?;
        let found = models.history_of_user(&self.user, after, page.to_read()).await?;
        Ok(page.page(self, found, |entry| (entry.at, entry.room, entry.version)))
    }
}
