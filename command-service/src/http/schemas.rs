//! What operations have in common: their headers, answers and problems.

use std::collections::BTreeMap;

use service_kit::http::description::{DEFECT, METHOD, NOBODY, TOO_MANY, header, problems};
use utoipa::{
    IntoParams, IntoResponses, PartialSchema, ToSchema,
    openapi::{
        Content, Ref, RefOr, Required, Response, ResponseBuilder,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{
            AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType,
            Type,
        },
    },
};

use super::idempotency;

/// `Idempotency-Key` of a POST.
pub(super) enum Keyed {}

/// `Idempotency-Key` of a PATCH or DELETE.
pub(super) enum KeyedOptionally {}

/// `If-Match`.
pub(super) enum Preconditions {}

impl IntoParams for Keyed {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![key(Required::True)]
    }
}

impl IntoParams for KeyedOptionally {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![key(Required::False)]
    }
}

impl IntoParams for Preconditions {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "The `ETag` that the client has, or `*`. Where it is no longer current: 412.";
        vec![header_parameter(
            "If-Match",
            Required::False,
            description,
            text().pattern(Some(r#"^(\*|(W/)?"[\t !#-~]*")$"#)),
        )]
    }
}

fn key(required: Required) -> Parameter {
    let description = "The same key and the same request, sent again while the key is kept (`IDEMPOTENCY_DAYS`, 7 by default), have no other effect and the \
        same answer. Visible ASCII characters, with or without quotes around them.";
    header_parameter(idempotency::HEADER, required, description, text().pattern(Some(key_pattern())))
}

/// A key as it is, or as a quoted string, in which a backslash goes before a quote and a backslash.
fn key_pattern() -> String {
    let most = idempotency::MAX_CHARS;
    format!(r#"^([!#-~][!-~]{{0,{}}}|"([!#-\[\]-~]|\\["\\]){{1,{most}}}")$"#, most - 1)
}

fn header_parameter(name: &str, required: Required, description: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// 201: something new.
pub(super) enum Created {}

/// 200: something changed.
pub(super) enum Changed {}

impl IntoResponses for Created {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let location = header("Where queries show it: a path of the query service.");
        let response = effect("It was made.").header("Location", location).build();
        BTreeMap::from([("201".to_owned(), response.into())])
    }
}

impl IntoResponses for Changed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([("200".to_owned(), effect("It was changed, or was so already.").build().into())])
    }
}

fn effect(description: &str) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .content("application/json", Content::new(Some(Ref::from_schema_name("Effect"))))
        .header("ETag", header("The revision, for `If-Match`. Queries give the same."))
        .header("Consistency-Token", header("Sent with a query, makes it show at least this effect."))
        .header(
            "Idempotency-Replayed",
            header("`true` where an earlier request with this key had this effect."),
        )
        .header("X-Request-Id", header("Names the request in logs and events."))
}

/// What stands in a command's way.
pub(super) enum Failed {}

impl IntoResponses for Failed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "It can't be read: `field` names what is wrong, or the key is missing."),
            NOBODY,
            ("403", "Not the owner, or not the role."),
            ("404", "There is no such room, kind or reservation."),
            METHOD,
            (
                "409",
                "Something is in the way: another reservation (`inTheWay`), every room of the kind taken, a name, \
                reservations ahead, or the same request still running. `room` and `version`, or `rooms`, tell at which \
                versions that was decided.",
            ),
            ("412", "`If-Match` names another revision than the current one, which is in `revision`."),
            ("408", "The body did not arrive in time; nothing was done."),
            ("413", "The body has more than 65536 bytes."),
            ("415", "The body is not of the media type."),
            (
                "422",
                "A rule of the room is broken (`rule`, `limit`), the time lies in the past, or the key was used for \
                another request.",
            ),
            TOO_MANY,
            DEFECT,
            ("503", "Overloaded or not available: nothing was done, unless the type is `outcome-unknown`."),
        ])
    }
}

/// What stands in the way of an import as a whole.
pub(super) enum ImportFailed {}

impl IntoResponses for ImportFailed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "A parameter is unknown."),
            NOBODY,
            ("403", "Not an administrator."),
            METHOD,
            ("415", "The body is not application/x-ndjson."),
            TOO_MANY,
            DEFECT,
            ("503", "Not available; nothing was done."),
        ])
    }
}

/// What stands in the way of reading the feed.
pub(super) enum ReadFailed {}

impl IntoResponses for ReadFailed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "A parameter is unknown or has no meaning."),
            NOBODY,
            ("403", "Neither an administrator nor a service."),
            ("404", "There is no such stream."),
            METHOD,
            TOO_MANY,
            DEFECT,
            ("503", "Not available."),
        ])
    }
}

/// What stands in the way of reading the list of erased persons.
pub(super) enum ListFailed {}

/// What stands in the way of an erasure.
pub(super) enum EraseFailed {}

impl IntoResponses for ListFailed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "A parameter is unknown, or the body is not what it should be."),
            NOBODY,
            ("403", "Neither an administrator nor a service."),
            METHOD,
            ("429", "Too many requests of one who is not recognised."),
            DEFECT,
            ("503", "Not available."),
        ])
    }
}

impl IntoResponses for EraseFailed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let body = problems(&[
            ("413", "The body has more than 65536 bytes."),
            ("415", "The body is not of the media type."),
        ]);
        ListFailed::responses().into_iter().chain(body).collect()
    }
}

/// 200: the list of erased persons.
pub(super) enum ErasuresList {}

impl IntoResponses for ErasuresList {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let content = Content::new(Some(Ref::from_schema_name("ErasureList")));
        let response = ResponseBuilder::new()
            .description("The list, as it is at one moment.")
            .content("application/json", content);
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
        .property("next", text().description(Some("For the next page; absent on the last one.")));
    let content = Content::new(Some(Schema::from(page)));
    let response = ResponseBuilder::new().description(description).content("application/json", content);
    BTreeMap::from([("200".to_owned(), response.build().into())])
}

/// A component that is made by hand, because its type belongs to the contract.
macro_rules! component {
    ($($(#[$doc:meta])* $name:ident $schema:block)+) => {$(
        $(#[$doc])*
        pub(super) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> $schema
        }

        impl ToSchema for $name {}
    )+};
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
            .description(Some("As the contract of the type says."));
        let event = object([
            ("specversion", text()),
            ("id", text().description(Some("`{room}:{version}`."))),
            ("source", text()),
            ("type", text()),
            ("time", time().description(Some("When it happened."))),
            ("subject", text().description(Some("Id of the reservation, or of the room."))),
            ("sequence", text().description(Some("The version, as text."))),
            ("actor", text()),
            ("correlationid", text()),
            ("causationid", text().description(Some("Id of the command."))),
            ("recordedtime", time().description(Some("When it was committed."))),
            ("datacontenttype", text()),
            ("data", data),
        ]);
        event.property("traceparent", text()).description(Some("An event in CloudEvents' JSON form.")).into()
    }
    /// The list of erased persons.
    ErasureList {
        let persons = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("Pseudonyms, by the hash (HMAC-SHA-256, base64url) of the person's user."));
        object([
            ("epoch", number().description(Some("Counts the changes of the list."))),
            ("secret", text().description(Some("Key of the hashes, base64url."))),
            ("persons", persons),
        ])
        .into()
    }
}

/// The one value that `command` has in such a line, by which lines are told apart.
macro_rules! commands {
    ($($function:ident $name:literal;)+) => {$(
        pub(super) fn $function() -> Schema {
            text().description(Some("What was done.")).enum_values(Some([$name])).into()
        }
    )+};
}

commands! {
    reserve_command "reserve";
    reschedule_command "reschedule";
    move_command "move";
    cancel_command "cancel";
}

/// The schema of opening hours.
pub(super) fn opening_hours() -> Schema {
    let time = || text().pattern(Some("^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"));
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let hours = days.into_iter().fold(ObjectBuilder::new(), |hours, day| {
        hours.property(day, closed(object([("opens", time()), ("closes", time())])))
    });
    let kinds = SchemaType::Array(vec![Type::Object, Type::Null]);
    closed(hours)
        .schema_type(kinds)
        .description(Some("Open time per weekday; a missing day is closed, null is always open."))
        .into()
}

fn object<const N: usize>(properties: [(&str, ObjectBuilder); N]) -> ObjectBuilder {
    let add = |object: ObjectBuilder, (name, schema)| object.property(name, schema).required(name);
    properties.into_iter().fold(ObjectBuilder::new(), add)
}

/// Without any other member.
fn closed(object: ObjectBuilder) -> ObjectBuilder {
    object.additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn number() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
}

fn id() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}

fn time() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}
