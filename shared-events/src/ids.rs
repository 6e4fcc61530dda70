//! Typed ids: a room's id can't be passed where a reservation's is wanted.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identifies a room, its stream of events and the key of its Kafka messages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoomId(pub Uuid);

/// Identifies a reservation wherever it is moved.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReservationId(pub Uuid);

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

impl RoomId {
    /// A 32-bit fingerprint (FNV-1a of the id's bytes). It never changes: reservation ids and buckets contain it.
    #[must_use]
    pub fn fingerprint(self) -> u32 {
        self.0
            .as_bytes()
            .iter()
            .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
    }
}

impl ReservationId {
    /// The id of a reservation that is made in `room`: `unique` (a UUIDv7) with its last 32 bits replaced by the
    /// room's fingerprint, so that the stream in which a reservation began is found without an index.
    #[must_use]
    pub fn made_in(room: RoomId, unique: Uuid) -> Self {
        let high = unique.as_u128() >> 32 << 32;
        Self(Uuid::from_u128(high | u128::from(room.fingerprint())))
    }

    /// The fingerprint of the room in which the reservation was made (see [`RoomId::fingerprint`]).
    #[must_use]
    pub fn room_fingerprint(self) -> u32 {
        let [.., a, b, c, d] = *self.0.as_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

/// Who acts or reserves: the subject of a token. 1 to 200 characters, no control characters (checked where it enters).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub String);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for UserId {
    fn from(user: &str) -> Self {
        Self(user.to_owned())
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
}
