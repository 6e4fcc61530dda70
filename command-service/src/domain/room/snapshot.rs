//! The form in which a room's state is kept, so that a long stream need not be read from its start.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shared_events::{Minute, Reservation, ReservationId, RoomId, RoomSettings, Timestamp, Version};

use super::{Room, Timeline};

/// Fingerprint of the form in which a room is serialised: a snapshot with another one is not read. To be changed too when
/// [`Room::apply`] comes to mean something else.
pub const SNAPSHOT_SCHEMA: &str = "3c40574f7ffa29c9";

/// The serialised form.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "S: Deserialize<'de>, R: Deserialize<'de>"))]
struct Snapshot<S, R> {
    id: RoomId,
    version: Version,
    settings: S,
    revision: u32,
    retired: bool,
    horizon: Timestamp,
    whole: bool,
    has_forgotten: bool,
    reservations: Vec<R>,
    departed: Vec<Departure>,
}

#[derive(Serialize, Deserialize)]
struct Departure {
    id: ReservationId,
    until: Minute,
    to: Option<RoomId>,
}

impl Serialize for Room {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Snapshot {
            id: self.id,
            version: self.version,
            settings: &self.settings,
            revision: self.revision,
            retired: self.retired,
            horizon: self.horizon,
            whole: self.whole,
            has_forgotten: self.has_forgotten,
            reservations: self.reservations().collect(),
            departed: self.departed.iter().map(|(until, id, to)| Departure { id, until, to: *to }).collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Room {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let snapshot = Snapshot::<Option<RoomSettings>, Reservation>::deserialize(deserializer)?;
        let mut room = Self {
            id: snapshot.id,
            version: snapshot.version,
            settings: snapshot.settings,
            revision: snapshot.revision,
            retired: snapshot.retired,
            horizon: snapshot.horizon,
            whole: snapshot.whole,
            has_forgotten: snapshot.has_forgotten,
            reservations: Timeline::new(),
            departed: Timeline::new(),
        };
        for reservation in snapshot.reservations {
            room.reservations.insert(reservation.from, reservation.id, reservation);
        }
        for Departure { id, until, to } in snapshot.departed {
            room.departed.insert(until, id, to);
        }
        Ok(room)
    }
}
