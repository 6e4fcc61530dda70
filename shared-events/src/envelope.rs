//! Events with their CloudEvents 1.0 attributes, in the binary mode of the Kafka binding.

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
/// `content-type` of every payload.
pub const CONTENT_TYPE: &str = "application/json";

/// The attributes of an event except its place in the stream and its type. Stored as JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub struct Metadata {
    /// `ce_time`: the time of the command. For an imported command, the time in the import.
    pub time: Timestamp,
    /// `ce_subject`: id of the reservation, or of the room for events of the room itself.
    pub subject: String,
    /// `ce_actor`: the user who sent the command.
    pub actor: UserId,
    /// `ce_correlationid`: the client's id for related requests.
    #[serde(rename = "correlationid")]
    pub correlation_id: String,
    /// `ce_causationid`: the id of the command, the same in every retry.
    #[serde(rename = "causationid")]
    pub causation_id: String,
    /// `traceparent`: the W3C trace context of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An event as stored or received. Its payload is bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawEvent {
    /// The stream.
    pub room: RoomId,
    /// Place in the stream.
    pub version: Version,
    /// `ce_type`.
    pub event_type: Cow<'static, str>,
    /// The event as JSON.
    pub payload: Vec<u8>,
    /// The other attributes.
    pub metadata: Metadata,
    /// `ce_recordedtime`: the time of the commit by the event store's clock. In one room it never goes back, and both events
    /// of a move have the same. Lag is measured from here.
    pub recorded_at: Timestamp,
}

/// An event with a typed payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodedEvent {
    /// The stream.
    pub room: RoomId,
    /// Place in the stream.
    pub version: Version,
    /// The other attributes.
    pub metadata: Metadata,
    /// The time of the commit.
    pub recorded_at: Timestamp,
    /// The payload.
    pub event: Event,
}

impl DecodedEvent {
    /// Encodes the payload.
    ///
    /// # Errors
    /// If the payload can't be encoded.
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

    /// Decodes the payload of any version.
    ///
    /// # Errors
    /// If the type is unknown, or the payload has another form.
    pub fn event(&self) -> Result<Event, Unreadable> {
        decode(&self.event_type, &self.payload)
    }

    /// Replaces the payload by the event that it was decoded to.
    #[must_use]
    pub fn with_event(self, event: Event) -> DecodedEvent {
        let Self { room, version, metadata, recorded_at, .. } = self;
        DecodedEvent { room, version, metadata, recorded_at, event }
    }

    /// Decodes the event.
    ///
    /// # Errors
    /// As [`Self::event`].
    pub fn decode(self) -> Result<DecodedEvent, Unreadable> {
        let event = self.event()?;
        Ok(self.with_event(event))
    }

    /// The headers of the message, in the order of sending.
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

    /// Reads a message. Its headers can be in any order; unknown ones are ignored.
    ///
    /// # Errors
    /// If an attribute is missing or has another form.
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

/// The room and version of a `ce_id`.
#[must_use]
pub fn parse_id(id: &str) -> Option<(RoomId, Version)> {
    let (room, version) = id.split_once(':')?;
    Some((room.parse().ok()?, version.parse().ok().filter(|version| *version > Version::NONE)?))
}
