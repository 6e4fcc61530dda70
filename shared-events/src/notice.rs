//! Notices: messages which tell that a room has new events, and nothing of their content.

use crate::{
    envelope::{CONTENT_TYPE, SPEC_VERSION, parse_id},
    ids::RoomId,
    time::Timestamp,
    unreadable::Unreadable,
    version::Version,
};

/// `ce_source` of every notice.
pub const SOURCE: &str = "/room-reservation/query-service";
/// `ce_type` of every notice.
pub const TYPE: &str = "reservations.room-has-events.v1";
/// The value of every notice. Without a value it would be a tombstone, and the topic would forget the room.
pub const VALUE: &[u8] = b"{}";

/// A room has the events up to a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Notice {
    /// The room.
    pub room: RoomId,
    /// The version of an event of the room. Later ones may exist.
    pub version: Version,
}

impl Notice {
    /// The headers of the message, in the order of sending. `recorded_at` is the time of the event's commit.
    #[must_use]
    pub fn headers(&self, recorded_at: Timestamp) -> [(&'static str, String); 7] {
        let Self { room, version } = self;
        [
            ("ce_specversion", SPEC_VERSION.to_owned()),
            ("ce_id", format!("{room}:{version}")),
            ("ce_source", SOURCE.to_owned()),
            ("ce_type", TYPE.to_owned()),
            ("ce_recordedtime", recorded_at.to_string()),
            ("ce_dataref", format!("/v1/streams/{room}/events/{version}")),
            ("content-type", CONTENT_TYPE.to_owned()),
        ]
    }

    /// Reads a message. Its `ce_id` is enough, so an event can be read too.
    ///
    /// # Errors
    /// If there is no `ce_id`, or it is not `{room}:{version}`.
    pub fn from_headers<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, Unreadable> {
        let id = headers.into_iter().find(|(name, _)| *name == "ce_id");
        let id = id.and_then(|(_, id)| parse_id(std::str::from_utf8(id).ok()?));
        let (room, version) = id.ok_or_else(|| Unreadable::Malformed {
            event_type: TYPE.to_owned(),
            reason: "header ce_id: missing, or not room:version".to_owned(),
        })?;
        Ok(Self { room, version })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_notice_is_read_as_it_was_sent_and_names_no_person() {
        let notice = Notice { room: RoomId(Uuid::from_u128(7)), version: 9.into() };
        let headers = notice.headers(Timestamp::from_epoch_millis(0));
        let bytes = || headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        assert_eq!(Notice::from_headers(bytes()), Ok(notice));
        for absent in ["ce_actor", "ce_correlationid", "ce_causationid", "ce_subject", "traceparent"] {
            assert!(bytes().all(|(name, _)| name != absent), "{absent}");
        }
        assert!(Notice::from_headers(bytes().filter(|(name, _)| *name != "ce_id")).is_err());
        for id in ["", "7", "00000000-0000-0000-0000-000000000007:0"] {
            assert!(Notice::from_headers([("ce_id", id.as_bytes())]).is_err(), "{id}");
        }
    }
}
