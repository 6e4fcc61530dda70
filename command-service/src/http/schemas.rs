//! Parts that operations share: headers, answers and problems.

use std::collections::BTreeMap;

use service_kit::http::description::{DEFECT, METHOD, NOBODY, TOO_MANY, header, problems};
use shared_events::OpenDay;
use utoipa::{
    IntoParams, IntoResponses, PartialSchema, ToSchema,
    openapi::{
        Content, Ref, RefOr, Required, Response, ResponseBuilder,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{
            AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Schema,
            SchemaFormat, SchemaType, Type,
        },
    },
};

use super::idempotency;

/// `Idempotency-Key` of a POST.
pub(super) enum Keyed {}

/// `Idempotency-Key` of a PATCH or DELETE.
pub(super) enum KeyedOptionally {}

/// `If-Match` and `If-None-Match`.
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
        let description = "The client's `ETag`, or `*`. 412 if it is not of the current revision. A tag names a revision, not the \
            bytes of an answer. So its weak form, which a proxy that compresses makes of it, counts like the tag.";
        let none = "`*`: 412 for everything that exists. Tags are refused with 400, and so is `If-Unmodified-Since` \
            without `If-Match`. Commands without these two headers refuse all conditions.";
        vec![
            header_parameter(
                "If-Match",
                Required::False,
                description,
                text().pattern(Some(r#"^(\*|(W/)?"[\t !#-~]*")$"#)),
            ),
            header_parameter("If-None-Match", Required::False, none, text().pattern(Some(r"^\*$"))),
        ]
    }
}

fn key(required: Required) -> Parameter {
    let description = "A request that is sent again with its key has no other effect and the same answer, while the key is kept \
        (`IDEMPOTENCY_DAYS`, 7 by default). Visible ASCII characters, with or without quotes around them.";
    header_parameter(idempotency::HEADER, required, description, text().pattern(Some(key_pattern())))
}

/// A bare key, or a quoted string in which a backslash escapes a quote and a backslash.
fn key_pattern() -> String {
    let most = idempotency::MAX_CHARS;
    format!(r#"^([!#-~][!-~]{{0,{}}}|"([!#-\[\]-~]|\\["\\]){{1,{most}}}")$"#, most - 1)
}

pub(super) fn header_parameter(
    name: &str,
    required: Required,
    description: &str,
    schema: ObjectBuilder,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// 201: a new room or reservation.
pub(super) enum Created {}

/// 200: a changed room or reservation.
pub(super) enum Changed {}

impl IntoResponses for Created {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let location = header("Its path in the query service.");
        let response = effect("Created.").header("Location", location).build();
        BTreeMap::from([("201".to_owned(), response.into())])
    }
}

impl IntoResponses for Changed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        BTreeMap::from([(
            "200".to_owned(),
            effect("Changed, or the requested state already held.").build().into(),
        )])
    }
}

/// 201: a new series; 200: a dry run.
pub(super) enum SeriesCreated {}

/// 200: changed reservations of a series.
pub(super) enum SeriesChanged {}

impl IntoResponses for SeriesCreated {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let dry_run = of_series("What a dry run would make. Nothing is reserved.").build();
        BTreeMap::from([
            ("201".to_owned(), of_series("Created.").build().into()),
            ("200".to_owned(), dry_run.into()),
        ])
    }
}

impl IntoResponses for SeriesChanged {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let changed = of_series("Changed, or the requested state already held.").build();
        BTreeMap::from([("200".to_owned(), changed.into())])
    }
}

fn of_series(description: &str) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .content("application/json", Content::new(Some(Ref::from_schema_name("SeriesEffect"))))
        .header("Consistency-Token", header("A query with this token shows at least this effect."))
        .header("Idempotency-Replayed", header("`true` if an earlier request with this key had this effect."))
        .header("X-Request-Id", header("Id of the request in logs and events."))
}

fn effect(description: &str) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(description)
        .content("application/json", Content::new(Some(Ref::from_schema_name("Effect"))))
        .header(
            "ETag",
            header("The revision, for `If-Match`. That of a query has a digest of its answer too."),
        )
        .header("Consistency-Token", header("A query with this token shows at least this effect."))
        .header("Idempotency-Replayed", header("`true` if an earlier request with this key had this effect."))
        .header("X-Request-Id", header("Id of the request in logs and events."))
}

/// Problems of a command.
pub(super) enum Failed {}

impl IntoResponses for Failed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            (
                "400",
                "The request is invalid (`field` names the place), its key is missing, or it has a condition that the command does not have.",
            ),
            NOBODY,
            ("403", "The caller is not the owner, or has not the role."),
            ("404", "The room, kind, reservation or series does not exist."),
            METHOD,
            (
                "409",
                "A conflict: an overlapping reservation (`inTheWay`), no free room of the kind (either with up to five \
                `alternatives`, each with `room`, `from` and `to`), occurrences of a series that don't fit (`misfits`), \
                a taken name, reservations ahead, or the same request still running. `room` and `version`, or `rooms` (at most 64, and \
                the number of `moreRooms`), are the versions of the decision.",
            ),
            (
                "412",
                "`If-Match` is not the current revision, which is in `revision`, or `If-None-Match` is `*`.",
            ),
            ("408", "The body did not arrive in time; nothing was done."),
            ("413", "The body has more than 65536 bytes."),
            ("415", "The body is not of the media type."),
            (
                "422",
                "The stay breaks a rule of the room (`rule`, `limit`) or lies in the past, or another request used the key.",
            ),
            TOO_MANY,
            DEFECT,
            ("503", "Overloaded or not available. Nothing was done, unless the type is `outcome-unknown`."),
        ])
    }
}

/// Problems of a whole import.
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

/// Problems of a whole request with many commands.
pub(super) enum ManyFailed {}

impl IntoResponses for ManyFailed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "A parameter is unknown."),
            NOBODY,
            ("403", "The caller may not send this request."),
            METHOD,
            ("408", "The body did not arrive in time; nothing was done."),
            (
                "413",
                "More than 1,000 lines, 1,048,576 bytes, or as many requests as the caller may send at once; nothing was done.",
            ),
            ("415", "The body is not application/x-ndjson."),
            TOO_MANY,
            DEFECT,
            ("503", "Overloaded or not available; nothing was done."),
        ])
    }
}

/// Problems of the list of erased persons.
pub(super) enum ListFailed {}

/// Problems of an erasure.
pub(super) enum EraseFailed {}

impl IntoResponses for ListFailed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "A parameter is unknown, or the body is invalid."),
            NOBODY,
            ("403", "Neither an administrator nor a service."),
            METHOD,
            ("429", "Too many requests of an unknown caller."),
            DEFECT,
            ("503", "Not available."),
        ])
    }
}

impl IntoResponses for EraseFailed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let body = problems(&[
            ("403", "Neither an administrator nor an eraser."),
            ("429", "Too many requests, or too many persons."),
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
        let response =
            ResponseBuilder::new().description("A page of the list.").content("application/json", content);
        BTreeMap::from([("200".to_owned(), response.build().into())])
    }
}

/// A component written by hand, because its type belongs to the contract.
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
pub(super) use component;

component! {
    /// A page of the list of erased persons.
    ErasureList {
        let person = object([
            ("seq", number().description(Some("Place in the order of erasure."))),
            ("person", text().description(Some("Hash (HMAC-SHA-256, base64url) of the person's user."))),
            ("pseudonym", text().description(Some("Replaces the user."))),
        ]);
        let epoch = "Counts the changes of the list.";
        let next = "The last person's `seq`, which is the `after` of the next page; absent on the last page.";
        object([("epoch", number().description(Some(epoch)))])
            .property("secret", text().description(Some("Key of the hashes, base64url; for services alone.")))
            .property("persons", ArrayBuilder::new().items(person))
            .required("persons")
            .property("next", number().description(Some(next)))
            .into()
    }
}

/// The one value of `command` in a kind of line.
macro_rules! commands {
    ($($function:ident $name:literal;)+) => {$(
        pub(super) fn $function() -> Schema {
            text().description(Some("The command.")).enum_values(Some([$name])).into()
        }
    )+};
}

commands! {
    reserve_command "reserve";
    reschedule_command "reschedule";
    move_command "move";
    cancel_command "cancel";
    reserve_series_command "reserveSeries";
    change_series_command "changeSeries";
    cancel_series_command "cancelSeries";
}

/// The schema of opening hours.
pub(super) fn opening_hours() -> Schema {
    let time = |pattern| text().pattern(Some(pattern));
    let span = || {
        let opens = time("^([01][0-9]|2[0-3]):[0-5][0-9]$").description(Some("Local time."));
        let closes =
            "Local time. From 24:00 on, or before `opens`, it is the next day. At most 24 hours later.";
        let closes = time("^([0-3][0-9]|4[0-7]):[0-5][0-9]$").description(Some(closes));
        closed(object([("opens", opens), ("closes", closes)]))
    };
    let day = || {
        let spans = ArrayBuilder::new().items(span()).max_items(Some(OpenDay::MOST_SPANS));
        let closed_day = ObjectBuilder::new().schema_type(Type::Null);
        OneOfBuilder::new().item(span()).item(spans).item(closed_day)
    };
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let hours = days.into_iter().fold(ObjectBuilder::new(), |hours, name| hours.property(name, day()));
    let kinds = SchemaType::Array(vec![Type::Object, Type::Null]);
    closed(hours)
        .schema_type(kinds)
        .description(Some(
            "Open time per weekday: a span, or a list of spans in order. A day that is missing or null is closed; null in place \
             of the object is always open. Answers have lists if a day has several spans or one that goes past midnight.",
        ))
        .into()
}

pub(super) fn object<const N: usize>(properties: [(&str, ObjectBuilder); N]) -> ObjectBuilder {
    let add = |object: ObjectBuilder, (name, schema)| object.property(name, schema).required(name);
    properties.into_iter().fold(ObjectBuilder::new(), add)
}

/// Without any other member.
pub(super) fn closed(object: ObjectBuilder) -> ObjectBuilder {
    object.additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

pub(super) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

pub(super) fn number() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
}

pub(super) fn id() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}

pub(super) fn time() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}
