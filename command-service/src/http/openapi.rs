//! The OpenAPI 3.1 document of this API, generated from the handlers.

use service_kit::http::{admin_metrics, description, log_level};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        RefOr,
        schema::{ArrayItems, ObjectBuilder, Schema},
    },
};

use super::{
    admin,
    answers::{AnyEffect, Effect, SeriesEffect},
    closures::{self, ClosureLine},
    commands::{self, CommandLine, LineAnswer},
    erasures, event, event_batch, feed, feed_schemas,
    import::{self, ImportOutcome},
    reservations, roll_back, rooms,
    schemas::{self, text},
    series,
};
use crate::domain::values::MAX_TEXT_CHARS;

/// A text without control characters, and with a visible one unless it is empty. The characters that are named are those of
/// [`is_blank`](shared_events::names::is_blank) below U+10000.
const TEXT: &str = r"^([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*)?$";
/// The same, and not empty.
const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*$";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Room reservations: commands",
        description = "Registers rooms and reserves them. The query service answers queries; one with a command's \
            `Consistency-Token` shows at least the command's effect."
    ),
    paths(
        rooms::register,
        rooms::change,
        rooms::retire,
        reservations::reserve,
        reservations::reserve_kind,
        reservations::change,
        reservations::cancel,
        reservations::move_to_room,
        reservations::restore,
        series::reserve,
        series::change,
        series::cancel,
        series::change_following,
        series::cancel_following,
        closures::add,
        closures::lift,
        commands::carry_out,
        import::import,
        erasures::list,
        erasures::add,
        feed::heads,
        feed::events,
        event::event,
        event_batch::query,
        admin::relay,
        admin::held_rooms,
        roll_back::preview,
        admin_metrics::metrics,
        log_level::show,
        log_level::change
    ),
    components(schemas(
        Effect,
        SeriesEffect,
        AnyEffect,
        CommandLine,
        LineAnswer,
        ClosureLine,
        ImportOutcome,
        feed_schemas::Head,
        feed_schemas::FeedEvent,
        feed_schemas::EventQuestion,
        feed_schemas::EventBatch,
        schemas::ErasureList,
        import::ReserveLine,
        import::RescheduleLine,
        import::MoveLine,
        import::CancelLine,
        import::SeriesLine,
        import::ChangeSeriesLine,
        import::CancelSeriesLine
    )),
    tags(
        (name = "rooms", description = "For administrators."),
        (name = "reservations", description = "Only its owner or an administrator changes a reservation."),
        (name = "series", description = "Reservations that are made together, and change together or each alone."),
        (name = "closures", description = "Times in which rooms take no new stays, for administrators."),
        (name = "commands", description = "Many commands in one request."),
        (name = "import", description = "Historic bookings, for administrators."),
        (name = "feed", description = "The events, for administrators and services."),
        (name = "erasure", description = "The erasure of persons, for administrators and erasers; the list, for administrators and services."),
        (name = "administration", description = "The relay, previews of roll-backs, and the log level of this process, for administrators.")
    ),
    modifiers(&Texts)
)]
struct Description;

/// The document as JSON.
///
/// # Errors
/// When it can't be encoded, which is a defect.
pub fn document() -> Result<String, serde_json::Error> {
    let mut document = Description::openapi();
    description::complete(&mut document, "127.0.0.1:8081");
    document.to_pretty_json().map(|json| json + "\n")
}

/// Adds patterns to texts: no control characters, and in names at least one visible character. Attributes and roles are names
/// without commas.
struct Texts;

impl Modify for Texts {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let schemas = openapi.components.iter_mut().flat_map(|components| components.schemas.values_mut());
        for schema in schemas {
            let RefOr::T(Schema::Object(object)) = schema else { continue };
            for (name, property) in &mut object.properties {
                match property {
                    RefOr::T(Schema::Object(text)) if text.max_length.is_some() && text.pattern.is_none() => {
                        let is_name = matches!(name.as_str(), "name" | "kind" | "building" | "floor");
                        text.pattern = Some(if is_name { NAME } else { TEXT }.to_owned());
                    }
                    RefOr::T(Schema::Array(list)) if matches!(name.as_str(), "attributes" | "bookableBy") => {
                        list.items = ArrayItems::RefOrSchema(Box::new(Schema::from(word()).into()));
                    }
                    _ => {}
                }
            }
        }
    }
}

/// An attribute or a role.
fn word() -> ObjectBuilder {
    // A comma is in no class of characters, as control characters are in none.
    let pattern = NAME.replace(r"\x00-\x1f", r",\x00-\x1f");
    text().min_length(Some(1)).max_length(Some(MAX_TEXT_CHARS)).pattern(Some(pattern))
}
