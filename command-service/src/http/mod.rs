//! The HTTP side: commands, the import of historic bookings, the feed.
//!
//! Handlers only translate: who is asking, what is asked, and how the answer is told. Deciding is the business of the
//! [writer](crate::writer). A command that was queued is carried out whether or not its client still waits.

use std::sync::{Arc, PoisonError, RwLock};

use actix_web::web::{Data, ServiceConfig};
use service_kit::{
    clock::Clock,
    http::{
        endpoint::endpoint,
        problem::{Problem, ProblemType},
    },
};
use shared_events::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    event_store::{ErasureList, EventLog},
    writer::Writer,
};

mod answers;
mod erasures;
mod feed;
mod fields;
mod idempotency;
mod if_match;
mod import;
mod openapi;
mod problems;
mod request;
mod reservations;
mod rooms;
mod schemas;

pub use openapi::document;

/// The description of this API that is served: the committed copy of what [`document`] makes of the handlers.
pub const OPENAPI: &str = include_str!("../../openapi.json");

/// What handlers work with.
#[derive(Clone)]
pub struct Api {
    gate: Gate,
    clock: Clock,
    stop: CancellationToken,
}

impl Api {
    /// Commands go to what `gate` holds; imports end early when `stop` is cancelled.
    #[must_use]
    pub fn new(gate: Gate, clock: Clock, stop: CancellationToken) -> Self {
        Self { gate, clock, stop }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.clock.now_ms())
    }

    fn backend(&self) -> Result<Backend, Problem> {
        self.gate.backend()
    }
}

/// What carries commands out and answers the feed.
#[derive(Clone)]
pub struct Backend {
    /// Where commands queue.
    pub writer: Writer,
    /// Where the feed reads.
    pub log: Arc<dyn EventLog>,
    /// Where persons are erased.
    pub erasures: Arc<dyn ErasureList>,
}

/// Holds the [`Backend`] while there is one: HTTP is up before the event store is reached. Clones are the same gate.
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
    /// Lets commands through, unless it was closed.
    pub fn open(&self, backend: Backend) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Closed) {
            *state = State::Open(backend);
        }
    }

    /// Lets no more commands through, and gives up its way to the writer, which can end then.
    pub fn close(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = State::Closed;
    }

    /// What commands are carried out by.
    ///
    /// # Errors
    /// `unavailable` before the event store was reached, and when the service ends.
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
            .service(endpoint("/v1/import").post(import::import))
            .service(endpoint("/v1/erasures").get(erasures::list).post(erasures::add))
            .service(endpoint("/v1/streams").get(feed::heads))
            .service(endpoint("/v1/streams/{room}/events").get(feed::events));
    }
}
