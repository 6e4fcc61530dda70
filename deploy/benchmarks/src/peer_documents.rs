//! The documents that the peers carry: as long as our events, for as many rooms.

use uuid::Uuid;

/// The number of rooms.
pub(crate) const KEYS: u64 = 500;

/// A document by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Document(pub(crate) u64);

impl Document {
    /// The `_id`.
    pub(crate) fn id(self) -> String {
        Uuid::from_u64_pair(0x0198_0000_0000_7000, 0x8000_0000_0000_0000 | self.0).to_string()
    }

    /// The room, which is the message's key.
    pub(crate) fn key(self) -> String {
        Uuid::from_u64_pair(0x0198_0000_0001_7000, 0x8000_0000_0000_0000 | (self.0 % KEYS)).to_string()
    }

    /// The number within the room: 1, 2, 3, ...
    pub(crate) const fn version(self) -> u64 {
        self.0 / KEYS + 1
    }

    /// The document, as long as a reservation's event (about 350 bytes).
    pub(crate) fn json(self) -> String {
        format!(
            "{{\"_id\":\"{}\",\"room\":\"{}\",\"version\":{},\"revision\":1,\"timeZone\":\"Europe/Berlin\",\
             \"from\":\"2033-05-18T03:00:00Z\",\"to\":\"2033-05-18T04:00:00Z\",\"people\":4,\
             \"title\":\"Planning of the quarter\",\"reservedFor\":\"The whole team\",\
             \"reservedBy\":\"somebody@example.org\"}}",
            self.id(),
            self.key(),
            self.version(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_differ_and_count_up_in_their_rooms() {
        assert_ne!(Document(1).id(), Document(2).id());
        assert_eq!(Document(3).key(), Document(3 + KEYS).key());
        assert_eq!(Document(3 + KEYS).version(), Document(3).version() + 1);
    }
}
