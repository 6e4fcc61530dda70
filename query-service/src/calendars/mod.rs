//! Calendars that other programs fetch from a secret address: a user's reservations, or a room's busy times.
//!
//! They live beside the generations of read models, so no rebuild touches them. Of a secret its hash alone is stored.

pub mod memory;
#[cfg(feature = "mongodb")]
pub mod mongo;
pub(crate) mod text;

use std::fmt;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use shared_events::{RoomId, Timestamp, UserId};
use uuid::Uuid;

use crate::stores::StoreError;

/// Most calendars of a user.
pub const MOST_CALENDARS: usize = 20;

/// A calendar with a secret address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calendar {
    /// Its id, which is no secret.
    pub id: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// The room whose busy times it shows. `None`: it shows the user's reservations.
    pub room: Option<RoomId>,
    /// The hash of its secret.
    pub hash: Hash,
    /// When it was made.
    pub created: Timestamp,
}

/// SHA-256 of a secret. A secret has 192 random bits, so nobody can guess it from its hash.
pub type Hash = [u8; 32];

/// The store of calendars, with two adapters.
#[async_trait]
pub trait Calendars: Send + Sync + 'static {
    /// Stores a new calendar, unless its user has [`MOST_CALENDARS`]. Returns whether it did.
    async fn create(&self, calendar: &Calendar) -> Result<bool, StoreError>;

    /// A user's calendars, oldest first.
    async fn of_user(&self, user: &UserId) -> Result<Vec<Calendar>, StoreError>;

    /// The calendar with this id, whosever it is.
    async fn find(&self, id: Uuid) -> Result<Option<Calendar>, StoreError>;

    /// Deletes a user's calendar. `false`: the user has none with this id.
    async fn delete(&self, user: &UserId, id: Uuid) -> Result<bool, StoreError>;

    /// Deletes all calendars of a user. Returns their number.
    async fn erase(&self, user: &UserId) -> Result<u64, StoreError>;
}

/// The secret of a calendar's address, which also names the calendar.
pub struct Secret {
    calendar: Uuid,
    key: [u8; Secret::BYTES],
}

/// Shows nothing of the key.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Secret {
    const BYTES: usize = 24;

    /// A new random secret of a calendar.
    #[must_use]
    pub fn random(calendar: Uuid) -> Self {
        Self { calendar, key: rand::random() }
    }

    /// The secret of a text that [`Secret::reveal`] made.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (calendar, key) = bytes.split_first_chunk()?;
        Some(Self { calendar: Uuid::from_bytes(*calendar), key: key.try_into().ok()? })
    }

    /// The form in which addresses have it.
    #[must_use]
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.calendar.as_bytes().as_slice(), &self.key].concat())
    }

    /// The id of its calendar.
    #[must_use]
    pub const fn calendar(&self) -> Uuid {
        self.calendar
    }

    /// The hash that is stored.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Sha256::digest(self.key).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_back_and_shown_by_nothing_else() {
        let secret = Secret::random(Uuid::from_u128(7));
        let text = secret.reveal();
        let read = Secret::read(&text).unwrap();
        assert_eq!((read.calendar(), read.hash()), (Uuid::from_u128(7), secret.hash()));
        assert_ne!(Secret::random(Uuid::from_u128(7)).hash(), secret.hash());
        assert_eq!(format!("{secret:?}"), "Secret");
        for bad in ["", "AAAA", &text[1..], &format!("{text}AAAA"), &format!("{text}="), "é"] {
            assert!(Secret::read(bad).is_none(), "{bad}");
        }
    }
}
