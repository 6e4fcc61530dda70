//! How long before they begin stays are booked, and how many are cancelled, by kind of room.

use std::collections::{BTreeMap, HashMap};

use shared_events::{Interval, RoomId, names::sort_key};

use super::{Page, PageRequest, QueryError, ROOMS_AT_ONCE};
use crate::{
    read_models::{history::Booked, usage::Month},
    stores::Queries,
};

/// Bookings of stays that begin within an interval, by the present kind of their room.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Bookings {
    /// The interval.
    pub during: Interval,
    /// Only this kind.
    pub kind: Option<String>,
}

/// Bookings of a kind.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KindBookings {
    /// The kind.
    pub kind: String,
    /// Live reservations that begin in the interval.
    pub reservations: u64,
    /// What was made and cancelled.
    pub booked: Booked,
}

impl Bookings {
    /// One page of the kinds with bookings, by name.
    pub async fn run(
        &self,
        models: &dyn Queries,
        page: &PageRequest,
    ) -> Result<Page<KindBookings>, QueryError> {
        let after: Option<String> = page.after(self)?;
        let after = after.map(|kind| sort_key(&kind));
        let booked = models.bookings(self.during).await?;
        let mut kinds: BTreeMap<String, KindBookings> = BTreeMap::new();
        let mut last = None;
        loop {
            let rooms = models.rooms_by_id(self.kind.as_deref(), last, ROOMS_AT_ONCE).await?;
            let ids: Vec<RoomId> = rooms.iter().map(|room| room.room).collect();
            let mut begun: HashMap<RoomId, u64> = HashMap::new();
            for usage in models.usage(&ids, Month::around(self.during)).await? {
                *begun.entry(usage.key.room).or_default() += usage.begun(self.during);
            }
            for room in rooms {
                let of_kind = kinds.entry(sort_key(&room.settings.kind)).or_default();
                of_kind.kind = room.settings.kind;
                of_kind.reservations += begun.get(&room.room).copied().unwrap_or_default();
                of_kind.booked.add(booked.get(&room.room).copied().unwrap_or_default());
            }
            last = ids.last().copied();
            if ids.len() < ROOMS_AT_ONCE {
                break;
            }
        }
        kinds.retain(|key, kind| {
            let has_bookings = kind.reservations > 0 || kind.booked != Booked::default();
            has_bookings && after.as_ref().is_none_or(|after| key > after)
        });
        let kinds = kinds.into_values().take(page.to_read()).collect();
        Ok(page.page(self, kinds, |kind: &KindBookings| kind.kind.clone()))
    }
}
