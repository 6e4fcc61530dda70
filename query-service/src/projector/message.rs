//! A message of a source, before its payload is decoded.

use shared_events::{RawEvent, RoomId, Timestamp, Unreadable, Version, envelope::parse_id};

use crate::read_models::ParkedMessage;

/// One message of a partition.
#[derive(Clone, Debug)]
pub struct Message {
    /// The offset in the partition.
    pub offset: i64,
    /// The content.
    pub content: Content,
}

/// The content of a message.
#[derive(Clone, Debug)]
pub enum Content {
    /// An event with readable attributes. Its payload may still be unreadable.
    Event(RawEvent),
    /// A message with unreadable attributes.
    Unreadable(UnreadableMessage),
}

/// A message whose attributes can't be read, unchanged.
#[derive(Clone, Debug)]
pub struct UnreadableMessage {
    /// The room, from the message's key or id.
    pub room: Option<RoomId>,
    /// The version, if the message's id can be read.
    pub version: Option<Version>,
    /// Why it can't be read.
    pub why: Unreadable,
    /// The headers, byte for byte.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The payload, byte for byte.
    pub payload: Vec<u8>,
}

impl Message {
    /// The message of an event.
    #[must_use]
    pub const fn event(offset: i64, event: RawEvent) -> Self {
        Self { offset, content: Content::Event(event) }
    }

    /// Reads a message of the topic.
    #[must_use]
    pub fn read(offset: i64, key: Option<&[u8]>, headers: &[(&str, &[u8])], payload: &[u8]) -> Self {
        let content = match RawEvent::from_message(headers.iter().copied(), payload) {
            Ok(event) => Content::Event(event),
            Err(why) => Content::Unreadable(unreadable(why, key, headers, payload)),
        };
        Self { offset, content }
    }

    /// The room of the message, if it is known.
    #[must_use]
    pub const fn room(&self) -> Option<RoomId> {
        match &self.content {
            Content::Event(event) => Some(event.room),
            Content::Unreadable(message) => message.room,
        }
    }

    /// The approximate number of bytes that it takes in an inbox.
    #[must_use]
    pub fn size(&self) -> usize {
        const ATTRIBUTES: usize = 400;
        ATTRIBUTES
            + match &self.content {
                Content::Event(event) => event.payload.len(),
                Content::Unreadable(message) => message.payload.len(),
            }
    }
}

impl UnreadableMessage {
    /// The message as it is stored for a parked room.
    pub(super) fn to_parked(&self, room: RoomId, version: Version, at: Timestamp) -> ParkedMessage {
        let (headers, payload) = (self.headers.clone(), self.payload.clone());
        ParkedMessage { room, version, reason: self.why.to_string(), at, headers, payload }
    }
}

fn unreadable(
    why: Unreadable,
    key: Option<&[u8]>,
    headers: &[(&str, &[u8])],
    payload: &[u8],
) -> UnreadableMessage {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).ok();
    let id = headers.iter().find(|(name, _)| *name == "ce_id").and_then(|(_, id)| parse_id(&text(id)?));
    let key_room = key.and_then(|key| text(key)?.parse().ok());
    UnreadableMessage {
        room: key_room.or(id.map(|(room, _)| room)),
        version: id.filter(|(room, _)| key_room.is_none_or(|key| key == *room)).map(|(_, version)| version),
        why,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect(),
        payload: payload.to_vec(),
    }
}
