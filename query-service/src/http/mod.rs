//! Queries over HTTP.

mod answers;
mod ask;
mod openapi;
mod parameters;
mod reservations;
mod rooms;
mod statistics;

use std::{cell::RefCell, sync::Arc};

use actix_web::web::{Data, ServiceConfig};
use service_kit::{
    clock::Clock,
    http::{
        endpoint::endpoint,
        problem::{Problem, ProblemType},
    },
};
use shared_events::Timestamp;
use tokio::sync::watch;

pub use openapi::document;

use crate::{generations::Shown, progress::NotVisible, queries::QueryError, stores::StoreError};

/// What the handlers work with. Clones share it.
#[derive(Clone)]
pub struct Api {
    /// What is read, as soon as there is something: before, answers would be wrong.
    pub shown: watch::Receiver<Option<Arc<Shown>>>,
    /// The time, for what is free or available now.
    pub clock: Clock,
}

/// What the handlers of one thread work with.
struct OfThisThread {
    api: Api,
    /// What is shown, and the same with connections of this thread's own.
    shown: RefCell<Option<(Arc<Shown>, Arc<Shown>)>>,
}

impl OfThisThread {
    /// What is read, as soon as there is something. The thread's own connections spare a query the way to the thread of the
    /// others and back, which costs more than the query itself.
    fn shown(&self) -> Option<Arc<Shown>> {
        let shown = self.api.shown.borrow().clone()?;
        let mut known = self.shown.borrow_mut();
        if let Some((_, own)) = known.as_ref().filter(|(of, _)| Arc::ptr_eq(of, &shown)) {
            return Some(Arc::clone(own));
        }
        let own = match shown.models.for_this_thread() {
            Some(models) => Arc::new(Shown { models, progress: Arc::clone(&shown.progress) }),
            None => Arc::clone(&shown),
        };
        Some(Arc::clone(&known.insert((shown, own)).1))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.api.clock.now_ms())
    }
}

/// Adds the API's endpoints. Called by each thread that answers.
pub fn configure(config: &mut ServiceConfig, api: Api) {
    config
        .app_data(Data::new(OfThisThread { api, shown: RefCell::default() }))
        .service(endpoint("/v1/rooms").get(rooms::rooms))
        .service(endpoint("/v1/rooms/{room}").get(rooms::room))
        .service(endpoint("/v1/rooms/{room}/schedule").get(rooms::schedule))
        .service(endpoint("/v1/rooms/{room}/free").get(rooms::free))
        .service(endpoint("/v1/kinds").get(rooms::kinds))
        .service(endpoint("/v1/availability").get(rooms::availability))
        .service(endpoint("/v1/reservations/{reservation}").get(reservations::reservation))
        .service(endpoint("/v1/me/reservations").get(reservations::my_reservations))
        .service(endpoint("/v1/me/history").get(reservations::my_history))
        .service(endpoint("/v1/users/{user}/reservations").get(reservations::users_reservations))
        .service(endpoint("/v1/users/{user}/history").get(reservations::users_history))
        .service(endpoint("/v1/statistics/popular-rooms").get(statistics::popular_rooms))
        .service(endpoint("/v1/statistics/busiest-times").get(statistics::busiest_times));
}

fn query_problem(error: QueryError) -> Problem {
    match error {
        QueryError::InvalidCursor(error) => {
            Problem::new(ProblemType::InvalidValue, format!("cursor: {error}")).field("cursor")
        }
        QueryError::Store(error) => store_problem(&error),
    }
}

fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Backend(_) | StoreError::Contended => {
            Problem::new(ProblemType::Unavailable, "the read models can't be read now").caused_by(error)
        }
        StoreError::Unreadable { .. } | StoreError::Batch { .. } => Problem::internal(error),
    }
}

fn visibility_problem(error: NotVisible) -> Problem {
    let detail = error.to_string();
    match error {
        NotVisible::NotYet { room, version } => {
            Problem::new(ProblemType::NotYetVisible, detail).with("room", room).with("version", version)
        }
        NotVisible::Parked { room } => Problem::new(ProblemType::Parked, detail).with("room", room),
        NotVisible::Overloaded => Problem::new(ProblemType::Overloaded, detail),
        NotVisible::Store(error) => store_problem(&error),
    }
}
