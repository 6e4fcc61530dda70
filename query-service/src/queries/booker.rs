//! The rules of a room that depend on who would book it.

use std::collections::HashMap;

use shared_events::{Interval, RoomId, RoomSettings, Timestamp, UserId, room_rules::Ahead};

use crate::{
    read_models::RoomDoc,
    stores::{Queries, StoreError},
};

/// Reservations that are read at a time.
const RESERVATIONS_AT_ONCE: usize = 500;

/// Who would book, and the owner of the reservation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Booker {
    /// The roles of who books.
    pub roles: Vec<String>,
    /// Whether it is an administrator, who may book every room.
    pub is_admin: bool,
    /// The owner, whose stays count for a room's quota.
    pub owner: UserId,
}

impl Booker {
    /// Whether one of the roles may book the room.
    pub(super) fn may_book(&self, settings: &RoomSettings) -> bool {
        settings.check_roles(self.is_admin, &self.roles).is_ok()
    }

    /// What the owner has ahead in each room, as far as one of these rooms has a quota.
    pub(super) async fn ahead(
        &self,
        models: &dyn Queries,
        now: Timestamp,
        rooms: &[RoomDoc],
    ) -> Result<AheadByRoom, StoreError> {
        let mut ahead = HashMap::<RoomId, Ahead>::new();
        if rooms.iter().all(|room| room.settings.max_ahead.is_none()) {
            return Ok(AheadByRoom(ahead));
        }
        let mut after = None;
        loop {
            let from = Some(now.minute());
            let found = models.live_of_user(&self.owner, from, None, after, RESERVATIONS_AT_ONCE).await?;
            for doc in &found {
                let of_room = ahead.entry(doc.reservation.room).or_default();
                *of_room = of_room.and(doc.reservation.interval());
            }
            after = found.last().map(|doc| (doc.reservation.from, doc.reservation.id));
            if found.len() < RESERVATIONS_AT_ONCE {
                return Ok(AheadByRoom(ahead));
            }
        }
    }

    /// Whether one more stay of the owner keeps the room's quota.
    pub(super) fn keeps_quota(&self, ahead: &AheadByRoom, room: &RoomDoc, stay: Interval) -> bool {
        let ahead = ahead.0.get(&room.room).copied().unwrap_or_default();
        room.settings.check_ahead(ahead.and(stay)).is_ok()
    }
}

/// What an owner has ahead in rooms: stays that have not ended.
pub(super) struct AheadByRoom(HashMap<RoomId, Ahead>);
