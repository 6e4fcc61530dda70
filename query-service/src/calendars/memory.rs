//! Calendars in memory, for the embedded default. They live as long as the process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use shared_events::UserId;
use uuid::Uuid;

use super::{Calendar, Calendars, MOST_CALENDARS};
use crate::stores::StoreError;

/// Calendars in memory, in the order in which they were made: ids grow.
#[derive(Debug, Default)]
pub struct MemoryCalendars(Mutex<BTreeMap<Uuid, Calendar>>);

impl MemoryCalendars {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Uuid, Calendar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Calendars for MemoryCalendars {
    async fn create(&self, calendar: &Calendar) -> Result<bool, StoreError> {
        let mut all = self.all();
        if all.values().filter(|other| other.user == calendar.user).count() >= MOST_CALENDARS {
            return Ok(false);
        }
        all.insert(calendar.id, calendar.clone());
        Ok(true)
    }

    async fn of_user(&self, user: &UserId) -> Result<Vec<Calendar>, StoreError> {
        Ok(self.all().values().filter(|calendar| calendar.user == *user).cloned().collect())
    }

    async fn find(&self, id: Uuid) -> Result<Option<Calendar>, StoreError> {
        Ok(self.all().get(&id).cloned())
    }

    async fn delete(&self, user: &UserId, id: Uuid) -> Result<bool, StoreError> {
        let mut all = self.all();
        let is_users = all.get(&id).is_some_and(|calendar| calendar.user == *user);
        Ok(is_users && all.remove(&id).is_some())
    }

    async fn erase(&self, user: &UserId) -> Result<u64, StoreError> {
        let mut all = self.all();
        let before = all.len();
        all.retain(|_, calendar| calendar.user != *user);
        Ok((before - all.len()) as u64)
    }
}
