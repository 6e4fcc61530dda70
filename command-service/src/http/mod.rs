//! HTTP: commands, the import of historic bookings, the feed, erasures.
//!
//! Handlers only translate requests into commands and outcomes into answers; the [writer](crate::writer) decides. A queued
//! command is carried out whether or not its client still waits.

use std::sync::{Arc, PoisonError, RwLock};

use actix_web::web::{Data, ServiceConfig};
use service_kit::{
    clock::Clock,
    http::{
        endpoint::endpoint,
        problem::{Problem, ProblemType},
    },
    places::Places,
};
use shared_events::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    event_store::{ErasureList, EventLog, EventStore, Outbox, RollBacks, RoomDirectory},
    writer::Writer,
};

mod admin;
mod answers;
mod closures;
mod commands;
mod conditions;
mod erasures;
mod event;
mod event_batch;
mod feed;
mod feed_schemas;
mod fields;
mod idempotency;
mod import;
mod lines;
mod openapi;
mod problems;
mod request;
mod reservations;
mod roll_back;
mod rooms;
mod schemas;
mod series;

pub use openapi::document;

/// The OpenAPI document that is served: the committed copy of [`document`].
pub const OPENAPI: &str = include_str!("../../openapi.json");

/// The state that handlers share.
#[derive(Clone)]
pub struct Api {
    gate: Gate,
    clock: Clock,
    stop: CancellationToken,
    erasing: Arc<erasures::Limits>,
    /// Requests with many commands.
    many: Arc<Places>,
    /// Previews of roll-backs.
    previews: Arc<Places>,
}

impl Api {
    /// Commands go through `gate`. Imports and requests with many commands end early when `stop` is cancelled.
    #[must_use]
    pub fn new(gate: Gate, clock: Clock, stop: CancellationToken) -> Self {
        let (many, previews) = (Arc::new(commands::places()), Arc::new(roll_back::places()));
        Self { gate, clock, stop, erasing: Arc::default(), many, previews }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.clock.now_ms())
    }

    fn backend(&self) -> Result<Backend, Problem> {
        self.gate.backend()
    }
}

/// The writer and the store behind the gate.
#[derive(Clone)]
pub struct Backend {
    /// Carries commands out.
    pub writer: Writer,
    /// The events of the feed.
    pub log: Arc<dyn EventLog>,
    /// The list of erased persons.
    pub erasures: Arc<dyn ErasureList>,
    /// The state of the relay.
    pub outbox: Arc<dyn Outbox>,
    /// Names and kinds of rooms.
    pub rooms: Arc<dyn RoomDirectory>,
    /// The kept plans of roll-backs.
    pub roll_backs: Arc<dyn RollBacks>,
}

impl Backend {
    /// All roles of one store, behind its writer.
    #[must_use]
    pub fn new(writer: Writer, store: Arc<dyn EventStore>) -> Self {
        Self {
            writer,
            log: Arc::clone(&store) as _,
            erasures: Arc::clone(&store) as _,
            outbox: Arc::clone(&store) as _,
            rooms: Arc::clone(&store) as _,
            roll_backs: store,
        }
    }
}

/// Holds the [`Backend`] while commands are accepted. HTTP starts before the event store is reached. Clones share the gate.
#[derive(Clone, Default)]
pub struct Gate(Arc<RwLock<State>>);

#[derive(Default)]
enum State {
    #[default]
    NotYet,
    Open(Backend),
    Closed,
}

impl Gate {
    /// Accepts commands, unless the gate was closed.
    pub fn open(&self, backend: Backend) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Closed) {
            *state = State::Open(backend);
        }
    }

    /// Accepts no more commands, and drops the writer's handle, so that the writer can end.
    pub fn close(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = State::Closed;
    }

    /// The number of commands that wait for the writer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.backend().map_or(0, |backend| backend.writer.waiting())
    }

    /// The backend, while the gate is open.
    ///
    /// # Errors
    /// `unavailable` before the event store is reached, and at the end of the service.
    fn backend(&self) -> Result<Backend, Problem> {
        let unavailable = |detail: &str| Err(Problem::new(ProblemType::Unavailable, detail));
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(backend) => Ok(backend.clone()),
            State::NotYet => unavailable("the event store was not reached yet; nothing was done"),
            State::Closed => unavailable("the service ends; nothing was done"),
        }
    }
}

/// Adds this service's endpoints to an application, for `service_kit::http::server`.
pub fn configure(api: Api) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |config: &mut ServiceConfig| {
        config
            .app_data(Data::new(api.clone()))
            .service(endpoint("/v1/rooms").post(rooms::register))
            .service(endpoint("/v1/rooms/{room}").patch(rooms::change).delete(rooms::retire))
            .service(endpoint("/v1/rooms/{room}/reservations").post(reservations::reserve))
            .service(endpoint("/v1/kinds/{kind}/reservations").post(reservations::reserve_kind))
            .service(
                endpoint("/v1/rooms/{room}/reservations/{reservation}")
                    .patch(reservations::change)
                    .delete(reservations::cancel),
            )
            .service(
                endpoint("/v1/rooms/{room}/reservations/{reservation}/move").post(reservations::move_to_room),
            )
            .service(
                endpoint("/v1/rooms/{room}/reservations/{reservation}/restore").post(reservations::restore),
            )
            .service(endpoint("/v1/rooms/{room}/series").post(series::reserve))
            .service(
                endpoint("/v1/rooms/{room}/series/{series}").patch(series::change).delete(series::cancel),
            )
            .service(
                endpoint("/v1/rooms/{room}/series/{series}/following/{reservation}")
                    .patch(series::change_following)
                    .delete(series::cancel_following),
            )
            .service(endpoint("/v1/closures").post(closures::add))
            .service(endpoint("/v1/closures/{closure}").delete(closures::lift))
            .service(endpoint("/v1/commands").post(commands::carry_out))
            .service(endpoint("/v1/import").post(import::import))
            .service(endpoint("/v1/erasures").get(erasures::list).post(erasures::add))
            .service(endpoint("/v1/admin/relay").get(admin::relay))
            .service(endpoint("/v1/admin/held-rooms").get(admin::held_rooms))
            .service(endpoint("/v1/admin/roll-back").get(roll_back::preview))
            .service(endpoint("/v1/streams").get(feed::heads))
            .service(endpoint("/v1/streams/{room}/events").get(feed::events))
            .service(endpoint("/v1/streams/{room}/events/{version}").get(event::event))
            .service(endpoint("/v1/events").query(event_batch::query))
            .service(endpoint("/v1/events/query").post(event_batch::query));
    }
}
