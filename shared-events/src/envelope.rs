//! What goes with every event: CloudEvents 1.0 attributes, Kafka binding, binary mode.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    event::Event,
    ids::{RoomId, UserId},
    time::Timestamp,
    unreadable::Unreadable,
    upcasting::decode,
    version::Version,
};

/// `ce_source` of every event.
pub const SOURCE: &str = "/room-reservation/command-service";
/// `ce_specversion` of every event.
pub const SPEC_VERSION: &str = "1.0";
/// The media type of every payload, in the header `content-type`.
pub const CONTENT_TYPE: &str = "application/json";

/// Attributes of an event that are neither its place in the stream nor its type. Stored beside the payload as JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub struct Metadata {
    /// When it happened, as its command saw it: `ce_time`. For imported events the time that the import gave.
    pub time: Timestamp,
    /// Id of the reservation, or of the room for events of the room itself: `ce_subject`.
    pub subject: String,
    /// Who sent the command: `ce_actor`.
    pub actor: UserId,
    /// What a client uses to join everything that belongs together: `ce_correlationid`.
    #[serde(rename = "correlationid")]
    pub correlation_id: String,
    /// The id of the command that caused the event: `ce_causationid`. One command has one id, however often it is tried.
    #[serde(rename = "causationid")]
    pub causation_id: String,
    /// W3C trace context of the request, captured when the event was appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An event as it is stored and sent: its payload not decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawEvent {
    /// The stream.
    pub room: RoomId,
    /// Place in the stream: 1, 2, 3, ... without gaps.
    pub version: Version,
    /// `ce_type`.
    pub event_type: Cow<'static, str>,
    /// JSON of the event's form.
    pub payload: Vec<u8>,
    /// The other attributes.
    pub metadata: Metadata,
    /// When it was committed to the event store, by the writer's clock: `ce_recordedtime`. Lag is measured from here.
    pub recorded_at: Timestamp,
}

/// An event that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodedEvent {
    /// The stream.
    pub room: RoomId,
    /// Place in the stream: 1, 2, 3, ... without gaps.
    pub version: Version,
    /// The other attributes.
    pub metadata: Metadata,
    /// When it was committed to the event store.
    pub recorded_at: Timestamp,
    /// What happened.
    pub event: Event,
}

impl DecodedEvent {
    /// The event as it is stored and sent.
    ///
    /// # Errors
    /// If its payload can't be encoded.
    pub fn encode(&self) -> serde_json::Result<RawEvent> {
        Ok(RawEvent {
            room: self.room,
            version: self.version,
            event_type: Cow::Borrowed(self.event.event_type()),
            payload: self.event.to_json()?,
            metadata: self.metadata.clone(),
            recorded_at: self.recorded_at,
        })
    }
}

impl RawEvent {
    /// `ce_id`: `{room}:{version}`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}", self.room, self.version)
    }

    /// Reads the payload, whatever its version.
    ///
    /// # Errors
    /// When the type is unknown or the payload is not of its form.
    pub fn decode(&self) -> Result<DecodedEvent, Unreadable> {
        Ok(DecodedEvent {
            room: self.room,
            version: self.version,
            metadata: self.metadata.clone(),
            recorded_at: self.recorded_at,
            event: decode(&self.event_type, &self.payload)?,
        })
    }

    /// The message's headers, in the order in which they are sent.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let mut headers = vec![
            ("ce_specversion", Cow::Borrowed(SPEC_VERSION)),
            ("ce_id", self.id().into()),
            ("ce_source", SOURCE.into()),
            ("ce_type", Cow::Borrowed(self.event_type.as_ref())),
            ("ce_time", self.metadata.time.to_string().into()),
            ("ce_subject", self.metadata.subject.as_str().into()),
            ("ce_sequence", self.version.to_string().into()),
            ("ce_actor", self.metadata.actor.as_str().into()),
            ("ce_correlationid", self.metadata.correlation_id.as_str().into()),
            ("ce_causationid", self.metadata.causation_id.as_str().into()),
            ("ce_recordedtime", self.recorded_at.to_string().into()),
            ("content-type", CONTENT_TYPE.into()),
        ];
        if let Some(traceparent) = &self.metadata.traceparent {
            headers.push(("traceparent", traceparent.as_str().into()));
        }
        headers
    }

    /// Reads a message: its headers in any order, unknown ones ignored.
    ///
    /// # Errors
    /// When an attribute is missing or not of its form.
    pub fn from_message<'a>(
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
        payload: &[u8],
    ) -> Result<Self, Unreadable> {
        let mut found: [Option<&str>; 9] = [None; 9];
        const NAMES: [&str; 9] = [
            "ce_id",
            "ce_type",
            "ce_time",
            "ce_subject",
            "ce_actor",
            "ce_correlationid",
            "ce_causationid",
            "ce_recordedtime",
            "traceparent",
        ];
        for (name, value) in headers {
            if let Some(slot) = NAMES.iter().position(|known| *known == name).and_then(|at| found.get_mut(at))
            {
                *slot = std::str::from_utf8(value).ok();
            }
        }
        let [id, event_type, time, subject, actor, correlation, causation, recorded, traceparent] = found;
        let known_type = event_type.unwrap_or_default();
        let malformed = |reason: String| Unreadable::Malformed { event_type: known_type.to_owned(), reason };
        let need =
            |value: Option<&'a str>, name: &str| value.ok_or_else(|| malformed(format!("no header {name}")));
        let time_of = |text: &str, name: &str| {
            text.parse::<Timestamp>().map_err(|error| malformed(format!("header {name}: {error}")))
        };
        let id = need(id, "ce_id")?;
        let (room, version) =
            parse_id(id).ok_or_else(|| malformed(format!("header ce_id: {id:.80} is not room:version")))?;
        Ok(Self {
            room,
            version,
            event_type: Cow::Owned(need(event_type, "ce_type")?.to_owned()),
            payload: payload.to_vec(),
            metadata: Metadata {
                time: time_of(need(time, "ce_time")?, "ce_time")?,
                subject: need(subject, "ce_subject")?.to_owned(),
                actor: UserId::new(need(actor, "ce_actor")?)
                    .map_err(|error| malformed(format!("header ce_actor: {error}")))?,
                correlation_id: need(correlation, "ce_correlationid")?.to_owned(),
                causation_id: need(causation, "ce_causationid")?.to_owned(),
                traceparent: traceparent.map(str::to_owned),
            },
            recorded_at: time_of(need(recorded, "ce_recordedtime")?, "ce_recordedtime")?,
        })
    }
}

/// The room and version that a `ce_id` names.
#[must_use]
pub fn parse_id(id: &str) -> Option<(RoomId, Version)> {
    let (room, version) = id.split_once(':')?;
    Some((room.parse().ok()?, version.parse().ok().filter(|version| *version > Version::NONE)?))
}
