//! Parts of the feed's operations: parameters, answers and problems.

use std::collections::BTreeMap;

use service_kit::http::{
    description::{DEFECT, METHOD, NOBODY, TOO_MANY, header, problems},
    headers::PREFER,
};
use shared_events::feed::Question;
use utoipa::{
    IntoParams, IntoResponses, PartialSchema, ToSchema,
    openapi::{
        Content, Ref, RefOr, Required, Response, ResponseBuilder,
        path::{Parameter, ParameterIn},
        schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type},
    },
};

use super::schemas::{closed, component, header_parameter, id, number, object, text, time};

/// `Prefer`.
pub(super) enum Waits {}

impl IntoParams for Waits {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description =
            "`wait=` and the most seconds to wait for what is not visible yet: up to 10; 0 by default.";
        vec![header_parameter(PREFER, Required::False, description, text().pattern(Some(r"^[\t -~]*$")))]
    }
}

/// Problems of the feed.
pub(super) enum ReadFailed {}

impl IntoResponses for ReadFailed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "A parameter is unknown or invalid."),
            NOBODY,
            ("403", "Neither an administrator nor a service."),
            ("404", "The stream does not exist."),
            METHOD,
            TOO_MANY,
            DEFECT,
            ("503", "Not available."),
        ])
    }
}

/// Problems of a question for events.
pub(super) enum QuestionFailed {}

impl IntoResponses for QuestionFailed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let body = problems(&[
            ("400", "A parameter is unknown, or the body is invalid."),
            ("408", "The body did not arrive in time."),
            ("413", "The body has more than 65536 bytes."),
            ("415", "The body is not of the media type."),
        ]);
        let mut all = ReadFailed::responses();
        all.remove("404");
        all.into_iter().chain(body).collect()
    }
}

/// 200: one event.
pub(super) enum OneEvent {}

impl IntoResponses for OneEvent {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = Content::new(Some(Ref::from_schema_name("FeedEvent")));
        let tag = "Room, version, and the epoch of the list of erased persons.";
        let found = ResponseBuilder::new()
            .description("The event.")
            .content("application/json", content)
            .header("ETag", header(tag))
            .header("Cache-Control", header("`private, no-cache`: ask with `If-None-Match` each time."));
        let same = ResponseBuilder::new().description("The client has it.").header("ETag", header(tag));
        BTreeMap::from([("200".to_owned(), found.build().into()), ("304".to_owned(), same.build().into())])
    }
}

/// 200: events of several streams.
pub(super) enum SomeEvents {}

impl IntoResponses for SomeEvents {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = Content::new(Some(Ref::from_schema_name("EventBatch")));
        let description = "An item for each stream, in the order of the question.";
        let response = ResponseBuilder::new().description(description).content("application/json", content);
        BTreeMap::from([("200".to_owned(), response.build().into())])
    }
}

/// 200: heads.
pub(super) enum HeadsPage {}

impl IntoResponses for HeadsPage {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        page("Heads, ordered by room.", "Head")
    }
}

/// 200: events.
pub(super) enum EventsPage {}

impl IntoResponses for EventsPage {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        page(
            "Events in the order of their versions, without gaps. `next` is the `after` of the next page.",
            "FeedEvent",
        )
    }
}

fn page(description: &str, item: &str) -> BTreeMap<String, RefOr<Response>> {
    let page = ObjectBuilder::new()
        .property("items", ArrayBuilder::new().items(Ref::from_schema_name(item)))
        .required("items")
        .property("next", text().description(Some("Cursor of the next page; absent on the last page.")));
    let content = Content::new(Some(Schema::from(page)));
    let response = ResponseBuilder::new().description(description).content("application/json", content);
    BTreeMap::from([("200".to_owned(), response.build().into())])
}

component! {
    /// A stream's latest version.
    Head {
        object([("room", id()), ("version", number())]).description(Some("A stream's latest version.")).into()
    }
    /// An event in CloudEvents' JSON form.
    FeedEvent {
        let data = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("As the contract says for the type."));
        let event = object([
            ("specversion", text()),
            ("id", text().description(Some("`{room}:{version}`."))),
            ("source", text()),
            ("type", text()),
            ("time", time().description(Some("Time of the event."))),
            ("subject", text().description(Some("Id of the reservation, or of the room."))),
            ("sequence", text().description(Some("The version, as text."))),
            ("actor", text()),
            ("correlationid", text()),
            ("causationid", text().description(Some("Id of the command."))),
            ("recordedtime", time().description(Some("Time of the commit."))),
            ("datacontenttype", text()),
            ("data", data),
        ]);
        event.property("traceparent", text()).description(Some("An event in CloudEvents' JSON form.")).into()
    }
    /// A question for events of several streams.
    EventQuestion {
        let place = |description: &str| number().minimum(Some(0)).description(Some(description.to_owned()));
        let range = object([
            ("room", id()),
            ("after", place("The events after this version; 0 means all.")),
        ]);
        let up_to = place("The events up to this version, which is waited for; without it or with null, up to the head.")
            .schema_type(SchemaType::Array(vec![Type::Integer, Type::Null]));
        let items = ArrayBuilder::new()
            .items(closed(range.property("upTo", up_to)))
            .min_items(Some(1))
            .max_items(Some(Question::MOST_STREAMS))
            .description(Some("Each stream once."));
        closed(ObjectBuilder::new().property("items", items).required("items")).into()
    }
    /// Events of several streams.
    EventBatch {
        let events = ArrayBuilder::new()
            .items(Ref::from_schema_name("FeedEvent"))
            .description(Some("In the order of their versions, without gaps."));
        let part = object([("room", id())])
            .property("events", events)
            .required("events")
            .property("head", number().description(Some("The stream's latest version.")))
            .property("problem", Ref::from_schema_name("Problem"));
        let items = ArrayBuilder::new().items(part);
        ObjectBuilder::new().property("items", items).required("items").into()
    }
}
