//! Typed ids of rooms, reservations and users.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identifies a room, its stream of events and the key of its Kafka messages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoomId(pub Uuid);

/// Identifies a reservation, also after a move.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReservationId(pub Uuid);

/// Identifies a series: reservations that were made together by one rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesId(pub Uuid);

/// Identifies a closure, in all rooms that it closes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClosureId(pub Uuid);

macro_rules! uuid_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }
    };
}
uuid_id!(RoomId);
uuid_id!(ReservationId);
uuid_id!(SeriesId);
uuid_id!(ClosureId);

impl RoomId {
    /// A 32-bit fingerprint: FNV-1a of the id's bytes. Reservation ids and buckets depend on it.
    #[must_use]
    pub fn fingerprint(self) -> u32 {
        self.0
            .as_bytes()
            .iter()
            .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
    }
}

impl ReservationId {
    /// The id of a reservation made in `room`: `unique` (a UUIDv7) with the room's fingerprint as its last 32 bits. So the id
    /// leads to the reservation's first stream without an index.
    #[must_use]
    pub fn made_in(room: RoomId, unique: Uuid) -> Self {
        let high = unique.as_u128() >> 32 << 32;
        Self(Uuid::from_u128(high | u128::from(room.fingerprint())))
    }

    /// The [fingerprint](RoomId::fingerprint) of the room in which the reservation was made.
    #[must_use]
    pub fn room_fingerprint(self) -> u32 {
        let [.., a, b, c, d] = *self.0.as_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// Longest name of a user, in characters.
const MAX_USER_CHARS: usize = 200;

/// The name of a user: the subject of a token. It has 1 to 200 characters and no control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct UserId(String);

/// The error of a text that is not the name of a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a user's name has 1 to 200 characters and no control characters")]
pub struct InvalidUserId;

impl UserId {
    /// A user's name.
    ///
    /// # Errors
    /// If the text is empty, too long, or has control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidUserId> {
        let text = text.into();
        let valid =
            (1..=MAX_USER_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if valid { Ok(Self(text)) } else { Err(InvalidUserId) }
    }

    /// The name that replaces an erased person's. `unique` must not be derived from the person.
    #[must_use]
    pub fn pseudonym(unique: Uuid) -> Self {
        Self(format!("erased-{unique}"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserId {
    type Error = InvalidUserId;
    fn try_from(text: String) -> Result<Self, InvalidUserId> {
        Self::new(text)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_id_tells_the_room_in_which_it_was_made() {
        let room = RoomId(Uuid::from_u128(0x0199_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001));
        let id = ReservationId::made_in(room, Uuid::from_u128(0x0199_1234_5678_7abc_8def_0123_4567_89ab));
        assert_eq!(id.room_fingerprint(), room.fingerprint());
        assert_eq!(id.0.get_version_num(), 7);
    }

    #[test]
    fn fingerprints_are_the_same_for_ever() {
        assert_eq!(RoomId(Uuid::from_u128(1)).fingerprint(), 1_751_717_746);
    }

    #[test]
    fn a_user_has_1_to_200_characters_and_no_control_characters_wherever_it_comes_from() {
        for valid in ["a", " ", "Zo\u{eb}", &"\u{1f3e8}".repeat(200)] {
            let user = UserId::new(valid).unwrap();
            assert_eq!((user.as_str(), user.to_string()), (valid, valid.to_owned()));
            let json = serde_json::to_string(&user).unwrap();
            assert_eq!(json, serde_json::to_string(valid).unwrap());
            assert_eq!(serde_json::from_str::<UserId>(&json).unwrap(), user);
        }
        for invalid in ["", "a\nb", "\u{85}", &"\u{1f3e8}".repeat(201)] {
            assert_eq!(UserId::new(invalid), Err(InvalidUserId));
            let read = serde_json::from_value::<UserId>(invalid.into()).unwrap_err();
            assert_eq!(read.to_string(), "a user's name has 1 to 200 characters and no control characters");
        }
        let pseudonym = UserId::pseudonym(Uuid::max());
        assert_eq!(UserId::new(pseudonym.as_str()), Ok(pseudonym));
    }
}
