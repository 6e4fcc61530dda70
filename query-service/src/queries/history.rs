//! What a user did.

use shared_events::UserId;

use super::{Page, PageRequest, QueryError};
use crate::{read_models::HistoryDoc, stores::Queries};

/// What a user made, changed, moved and cancelled, newest first.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UserHistory {
    /// Whose history.
    pub user: UserId,
}

impl UserHistory {
    /// One page of it.
    ///
    /// # Errors
    /// When the cursor is not this query's, or the read models can't be read.
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
