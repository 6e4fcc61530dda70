//! Queries of read models in memory, in which there is nothing.

use std::sync::Arc;

use actix_web::{dev::Service, test::init_service};
use query_service::{
    calendars::memory::MemoryCalendars,
    generations::{AllFrozen, Shown},
    http::{Api, OPENAPI, configure},
    live::Hub,
    progress::Progress,
    read_models::generation::Registry,
    stores::memory::MemoryReadModels,
};
use service_kit::{
    auth::{Authenticator, TokenRules},
    clock::Clock,
    http::server::{HttpParts, app, endpoints},
    readiness::Readiness,
    telemetry::Metrics,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Sample, answer, ask, commands, heads::send_heads};

const HEADERS: &[(&str, &str)] = &[
    ("x-user", "Zoë"),
    ("x-roles", "admin"),
    ("prefer", "respond-async, wait=\"0\""),
    ("if-none-match", "W/\"3\", \"4\""),
    ("consistency-token", "AQAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAQ"),
];
/// Without the token that nothing ever satisfies.
const PLAIN: &[(&str, &str)] =
    &[("x-user", "Zoë"), ("x-roles", "admin"), ("prefer", "wait=0"), ("if-none-match", "*")];

macro_rules! samples {
    ($($path:expr),+ $(,)?) => {
        &[$(
            Sample { method: "GET", path: $path, headers: PLAIN, body: "" },
            Sample { method: "GET", path: $path, headers: HEADERS, body: "" },
        )+]
    };
}

const SAMPLES: &[Sample] = samples![
    "/v1/rooms?kind=meeting&people=2&limit=5&cursor=AQ",
    "/v1/rooms?kind=meeting&people=2&limit=5",
    "/v1/rooms/0190a5b0-0000-7000-8000-000000000001",
    "/v1/rooms/0190a5b0-0000-7000-8000-000000000001/schedule?from=2030-01-01T10:00:00Z&to=2030-02-01T10:00:00Z&limit=5",
    "/v1/rooms/0190a5b0-0000-7000-8000-000000000001/free?from=2030-01-01T10:00:00Z&to=2030-02-01T10:00:00Z",
    "/v1/schedule?date=2030-01-01&days=7&kind=meeting&limit=5&cursor=AQ",
    "/v1/schedule?date=2030-01-01&days=7&kind=meeting&limit=5",
    "/v1/kinds?limit=1",
    "/v1/events?room=0190a5b0-0000-7000-8000-000000000001,0190a5b0-0000-7000-8000-000000000002&kind=meeting&mine=true",
    "/v1/availability?from=2030-01-01T10:00:00Z&to=2030-01-01T11:00:00Z&people=2&kind=meeting",
    "/v1/reservations/0190a5b0-0000-7000-8000-000000000001",
    "/v1/reservations/0190a5b0-0000-7000-8000-000000000001?asOf=2025-01-01T10:00:00.001%2B01:00",
    "/v1/reservations/0190a5b0-0000-7000-8000-000000000001?revision=4294967295",
    "/v1/reservations/0190a5b0-0000-7000-8000-000000000001/revisions?limit=2&cursor=AQ",
    "/v1/rooms/0190a5b0-0000-7000-8000-000000000001?version=18446744073709551615",
    "/v1/rooms/0190a5b0-0000-7000-8000-000000000001/schedule?from=2030-01-01T10:00:00Z&to=2030-02-01T10:00:00Z&asOf=2025-01-01T10:00:00Z",
    "/v1/rooms?generation=4294967295&limit=1",
    "/v1/me/reservations?from=2030-01-01T10:00:00Z&limit=1",
    "/v1/me/history?limit=1",
    "/v1/me/calendars",
    "/v1/admin/parked-rooms",
    "/v1/admin/generations",
    "/v1/users/Zo%C3%AB/reservations?to=2030-01-01T10:00:00Z",
    "/v1/users/a%2Fb/history?limit=9",
    "/v1/statistics/popular-rooms?from=2030-01-01T10:00:00%2B01:00&to=2030-02-01T10:00:00Z&kind=a%20b",
    "/v1/statistics/busiest-times?from=2030-01-01T10:00:00%2B01:00&to=2030-02-01T10:00:00Z",
    "/v1/statistics/busiest-times?from=2030-01-01T10:00:00Z&to=2030-02-01T10:00:00Z&by=date&measure=people",
    "/v1/statistics/kinds?from=2030-01-01T10:00:00Z&to=2030-02-01T10:00:00Z&limit=1",
    "/v1/availability?from=2030-01-01T10:00:00Z&to=2030-01-05T11:00:00Z&duration=90&kinds=a,b&attributes=c,d&floor=1",
];

#[actix_web::test]
async fn any_query_is_a_problem_of_the_clients_or_answered() {
    let clock = Clock::system();
    let parts = HttpParts {
        service: "query-service",
        authenticator: Authenticator::new(None, TokenRules::default(), true, clock.clone()),
        readiness: Readiness::new(clock.clone()),
        metrics: Metrics::install().unwrap(),
        openapi: OPENAPI,
        request_timeout: std::time::Duration::from_secs(30),
    };
    let shown = Shown::new(Arc::new(MemoryReadModels::new()), Arc::new(Progress::default()));
    let (_kept, shown) = watch::channel(Some(Arc::new(shown)));
    let (_, frozen) = watch::channel(AllFrozen::new());
    let (_, registry) = watch::channel(Registry::default());
    let (live, stop) = (Arc::new(Hub::new(1)), CancellationToken::new());
    let calendars = Arc::new(MemoryCalendars::default());
    let api = Api { shown, frozen, registry, clock, live, stop, calendars, notifications: None };
    let app = init_service(app(&parts, endpoints(true, |config| configure(config, api)))).await;
    // 503: a token of a version that is never there, and `wait=0`.
    ask(async |request| answer(app.call(request.to_request()).await), SAMPLES, &[200, 304, 503]).await;
}

#[tokio::test]
async fn any_head_sent_to_the_query_service_is_refused_or_answered_and_the_next_one_too() {
    let clock = Clock::system();
    let parts = HttpParts { service: "query-service", openapi: OPENAPI, ..commands::parts(&clock) };
    let (_kept, shown) = watch::channel(None);
    let (_, frozen) = watch::channel(AllFrozen::new());
    let (_, registry) = watch::channel(Registry::default());
    let (live, stop) = (Arc::new(Hub::new(1)), CancellationToken::new());
    let calendars = Arc::new(MemoryCalendars::default());
    let api = Api { shown, frozen, registry, clock, live, stop, calendars, notifications: None };
    send_heads(parts, move |config| configure(config, api.clone())).await;
}
