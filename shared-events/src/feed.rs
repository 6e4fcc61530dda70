//! The feed: heads and events from the event store, as JSON over HTTP. It serves gap repair, rebuild and audit.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    envelope::{CONTENT_TYPE, Metadata, RawEvent, SOURCE, SPEC_VERSION, parse_id},
    ids::{RoomId, UserId},
    time::Timestamp,
    unreadable::Unreadable,
    version::Version,
};

/// A page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// The cursor of the next page. The last page has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The head of a stream: `GET /v1/streams`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Head {
    /// The stream.
    pub room: RoomId,
    /// Its latest version.
    pub version: Version,
}

/// The question for events of several streams: `QUERY /v1/events` or `POST /v1/events/query`.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// At most [`Question::MOST_STREAMS`], each stream once.
    pub items: Vec<Range>,
}

impl Question {
    /// The most streams of a question.
    pub const MOST_STREAMS: usize = 64;
    /// The most events of an answer, of all its streams together.
    pub const MOST_EVENTS: usize = 1_000;
}

/// A part of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Range {
    /// The stream.
    pub room: RoomId,
    /// The events after this version.
    pub after: Version,
    /// Up to this version, which must be there. Without it, up to the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Version>,
}

/// The answer to a [`Question`], with an item for each of its own, in their order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The events of each stream, or a problem.
    pub items: Vec<Part>,
}

/// The part of an [`Answer`] about one stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// The stream.
    pub room: RoomId,
    /// The first events that were asked for, in order and without gaps. The answer may have no place for all of them.
    #[serde(default)]
    pub events: Vec<FeedEvent>,
    /// The stream's latest version. Events up to it, or to `upTo`, that are missing here can be asked for next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Version>,
    /// Why there are no events, as `application/problem+json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Value>,
}

/// An event in CloudEvents' JSON form: `GET /v1/streams/{room}/events?after=`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub struct FeedEvent {
    /// Version of CloudEvents.
    pub specversion: Cow<'static, str>,
    /// `{room}:{version}`.
    pub id: String,
    /// The publisher.
    pub source: Cow<'static, str>,
    /// The event's name and the version of its form.
    #[serde(rename = "type")]
    pub event_type: Cow<'static, str>,
    /// The time of the command.
    pub time: Timestamp,
    /// Id of the reservation, or of the room.
    pub subject: String,
    /// The version, as text.
    pub sequence: String,
    /// The user who sent the command.
    pub actor: UserId,
    /// The client's id for related requests.
    pub correlationid: String,
    /// Id of the command.
    pub causationid: String,
    /// The time of the commit.
    pub recordedtime: Timestamp,
    /// Trace context of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The media type of `data`.
    pub datacontenttype: Cow<'static, str>,
    /// The payload, byte for byte as stored.
    pub data: Box<RawValue>,
}

impl FeedEvent {
    /// The feed's form of a raw event.
    ///
    /// # Errors
    /// If the payload is not JSON.
    pub fn from_raw(event: RawEvent) -> Result<Self, Unreadable> {
        let id = event.id();
        let payload = String::from_utf8(event.payload).map_err(|error| error.to_string());
        let data =
            payload.and_then(|payload| RawValue::from_string(payload).map_err(|error| error.to_string()));
        let data = match data {
            Ok(data) => data,
            Err(reason) => {
                return Err(Unreadable::Malformed { event_type: event.event_type.into_owned(), reason });
            }
        };
        Ok(Self {
            specversion: SPEC_VERSION.into(),
            id,
            source: SOURCE.into(),
            time: event.metadata.time,
            subject: event.metadata.subject,
            sequence: event.version.to_string(),
            actor: event.metadata.actor,
            correlationid: event.metadata.correlation_id,
            causationid: event.metadata.causation_id,
            recordedtime: event.recorded_at,
            traceparent: event.metadata.traceparent,
            datacontenttype: CONTENT_TYPE.into(),
            event_type: event.event_type,
            data,
        })
    }

    /// The raw event.
    ///
    /// # Errors
    /// If the id is not `{room}:{version}`.
    pub fn into_raw(self) -> Result<RawEvent, Unreadable> {
        let Some((room, version)) = parse_id(&self.id) else {
            return Err(Unreadable::Malformed {
                event_type: self.event_type.into_owned(),
                reason: format!("id {:.80} is not room:version", self.id),
            });
        };
        Ok(RawEvent {
            room,
            version,
            event_type: self.event_type,
            payload: String::from(Box::<str>::from(self.data)).into_bytes(),
            metadata: Metadata {
                time: self.time,
                subject: self.subject,
                actor: self.actor,
                correlation_id: self.correlationid,
                causation_id: self.causationid,
                traceparent: self.traceparent,
            },
            recorded_at: self.recordedtime,
        })
    }
}
