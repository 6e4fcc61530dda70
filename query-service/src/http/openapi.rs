//! The OpenAPI document, generated from the handlers.

use service_kit::http::{admin_metrics, description, log_level};
use utoipa::OpenApi;

use super::{admin, calendars, closures, events, reservations, rooms, statistics, subscriptions};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Room reservations: queries",
        description = "What is reserved, free and popular. Commands are the command service's.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    paths(
        rooms::rooms,
        rooms::room,
        rooms::kinds,
        rooms::schedule,
        rooms::schedules,
        rooms::free,
        rooms::availability,
        closures::closure,
        events::events,
        reservations::reservation,
        reservations::revisions,
        reservations::me,
        reservations::my_reservations,
        reservations::my_history,
        calendars::create,
        calendars::create_of_room,
        calendars::calendars,
        calendars::delete,
        calendars::text_of_user,
        calendars::text_of_room,
        reservations::users_reservations,
        reservations::users_history,
        statistics::popular_rooms,
        statistics::busiest_times,
        statistics::kinds,
        subscriptions::subscribe,
        subscriptions::subscriptions,
        subscriptions::subscription,
        subscriptions::change,
        subscriptions::unsubscribe,
        subscriptions::rotate_secret,
        subscriptions::test,
        subscriptions::deliveries,
        subscriptions::redeliver,
        admin::parked_rooms,
        admin::generations,
        admin_metrics::metrics,
        log_level::show,
        log_level::change,
    )
)]
struct Document;

/// The OpenAPI 3.1 document, as JSON.
///
/// # Errors
/// If it can't be encoded, which is a defect.
pub fn document() -> Result<String, serde_json::Error> {
    let mut document = Document::openapi();
    description::complete(&mut document, "127.0.0.1:8082");
    document.to_pretty_json().map(|json| json + "\n")
}
