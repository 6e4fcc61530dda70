//! The API over HTTP.

mod admin;
mod answers;
mod calendars;
mod closures;
mod events;
mod filters;
mod histories;
mod openapi;
mod page;
mod parameters;
mod request;
mod reservations;
mod rooms;
mod schemas;
mod statistics;
mod subscription_bodies;
mod subscriptions;

use std::{
    cell::RefCell,
    sync::{Arc, Weak},
};

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
use tokio_util::sync::CancellationToken;

pub use openapi::document;
pub use page::configure as configure_page;

/// The OpenAPI document that is served: the committed copy of [`document`].
pub const OPENAPI: &str = include_str!("../../openapi.json");

use crate::{
    calendars::Calendars,
    generations::{AllFrozen, Shown},
    live::Hub,
    notifications::Notifications,
    progress::NotVisible,
    queries::{Crowded, QueryError},
    read_models::generation::Registry,
    stores::{Queries, StoreError},
};

/// The state of all handlers. Clones share it.
#[derive(Clone)]
pub struct Api {
    /// The live generation. `None` until its read models are complete: answers before would be wrong.
    pub shown: watch::Receiver<Option<Arc<Shown>>>,
    /// The generations that administrators read by number.
    pub frozen: watch::Receiver<AllFrozen>,
    /// All generations.
    pub registry: watch::Receiver<Registry>,
    /// The time of queries about now.
    pub clock: Clock,
    /// Tells clients what changes.
    pub live: Arc<Hub>,
    /// Ends all streams.
    pub stop: CancellationToken,
    /// Calendars with secret addresses.
    pub calendars: Arc<dyn Calendars>,
    /// Subscriptions, where the service has them.
    pub notifications: Option<Notifications>,
}

/// The read models of one request. It keeps their generation until it ends.
struct Reading {
    models: Arc<dyn Queries>,
    generation: Arc<Shown>,
}

/// A generation, and its read models.
type OfGeneration = (Weak<Shown>, Arc<dyn Queries>);

/// The state of one thread's handlers.
struct OfThisThread {
    api: Api,
    /// The generation that this thread read last, over the thread's own connections. The reference is weak: a
    /// generation's collections are dropped when no request reads them.
    models: RefCell<Option<OfGeneration>>,
}

impl OfThisThread {
    /// The live generation's read models. The thread's own connections save a query the way to another thread and back,
    /// which costs more than the query itself.
    fn reading(&self) -> Option<Reading> {
        let shown = self.api.shown.borrow().clone()?;
        let mut known = self.models.borrow_mut();
        let (_, models) = match known.take().filter(|(of, _)| of.as_ptr() == Arc::as_ptr(&shown)) {
            Some(same) => known.insert(same),
            None => {
                let own = shown.models.for_this_thread().unwrap_or_else(|| Arc::clone(&shown.models));
                known.insert((Arc::downgrade(&shown), own))
            }
        };
        Some(Reading { models: Arc::clone(models), generation: shown })
    }

    /// A frozen generation's read models, and its present.
    fn frozen(&self, number: u32) -> Option<(Reading, Timestamp)> {
        let frozen = self.api.frozen.borrow().get(&number).cloned()?;
        Some((Reading { models: Arc::clone(&frozen.shown.models), generation: frozen.shown }, frozen.until))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.api.clock.now_ms())
    }
}

/// Adds the API's endpoints. Each thread that answers calls it.
pub fn configure(config: &mut ServiceConfig, api: Api) {
    config
        .app_data(Data::new(OfThisThread { api, models: RefCell::default() }))
        .service(endpoint("/v1/rooms").get(rooms::rooms))
        .service(endpoint("/v1/rooms/{room}").get(rooms::room))
        .service(endpoint("/v1/rooms/{room}/schedule").get(rooms::schedule))
        .service(endpoint("/v1/rooms/{room}/free").get(rooms::free))
        .service(endpoint("/v1/schedule").get(rooms::schedules))
        .service(endpoint("/v1/kinds").get(rooms::kinds))
        .service(endpoint("/v1/events").get(events::events))
        .service(endpoint("/v1/closures/{closure}").get(closures::closure))
        .service(endpoint("/v1/availability").get(rooms::availability))
        .service(endpoint("/v1/reservations/{reservation}").get(reservations::reservation))
        .service(endpoint("/v1/reservations/{reservation}/revisions").get(reservations::revisions))
        .service(endpoint("/v1/me").get(reservations::me))
        .service(endpoint("/v1/me/reservations").get(reservations::my_reservations))
        .service(endpoint("/v1/me/history").get(reservations::my_history))
        .service(endpoint("/v1/me/calendars").get(calendars::calendars).post(calendars::create))
        .service(endpoint("/v1/me/calendars/{calendar}").delete(calendars::delete))
        .service(endpoint("/v1/me/calendar.ics").get(calendars::text_of_user))
        .service(endpoint("/v1/rooms/{room}/calendars").post(calendars::create_of_room))
        .service(endpoint("/v1/rooms/{room}/calendar.ics").get(calendars::text_of_room))
        .service(endpoint("/v1/users/{user}/reservations").get(reservations::users_reservations))
        .service(endpoint("/v1/users/{user}/history").get(reservations::users_history))
        .service(
            endpoint("/v1/subscriptions").get(subscriptions::subscriptions).post(subscriptions::subscribe),
        )
        .service(
            endpoint("/v1/subscriptions/{subscription}")
                .get(subscriptions::subscription)
                .patch(subscriptions::change)
                .delete(subscriptions::unsubscribe),
        )
        .service(
            endpoint("/v1/subscriptions/{subscription}/rotate-secret").post(subscriptions::rotate_secret),
        )
        .service(endpoint("/v1/subscriptions/{subscription}/test").post(subscriptions::test))
        .service(endpoint("/v1/subscriptions/{subscription}/deliveries").get(subscriptions::deliveries))
        .service(
            endpoint("/v1/subscriptions/{subscription}/deliveries/{delivery}/redeliver")
                .post(subscriptions::redeliver),
        )
        .service(endpoint("/v1/statistics/popular-rooms").get(statistics::popular_rooms))
        .service(endpoint("/v1/statistics/busiest-times").get(statistics::busiest_times))
        .service(endpoint("/v1/statistics/kinds").get(statistics::kinds))
        .service(endpoint("/v1/admin/parked-rooms").get(admin::parked_rooms))
        .service(endpoint("/v1/admin/generations").get(admin::generations));
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::InvalidCursor(error) => {
                Self::new(ProblemType::InvalidValue, format!("cursor: {error}")).field("cursor")
            }
            QueryError::Store(error) => error.into(),
        }
    }
}

impl From<Crowded> for Problem {
    fn from(crowded: Crowded) -> Self {
        let kind = match crowded {
            Crowded::Overloaded => ProblemType::Overloaded,
            Crowded::TooManyOfCaller(_) => ProblemType::TooManyRequests,
        };
        Self::new(kind, crowded.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Backend(_) | StoreError::Contended => {
                Self::new(ProblemType::Unavailable, "the read models can't be read now").caused_by(&error)
            }
            StoreError::Unreadable { .. } | StoreError::Batch { .. } => Self::internal(&error),
        }
    }
}

impl From<NotVisible> for Problem {
    fn from(error: NotVisible) -> Self {
        let detail = error.to_string();
        match error {
            NotVisible::NotYet { room, version } => {
                Self::new(ProblemType::NotYetVisible, detail).with("room", room).with("version", version)
            }
            NotVisible::Parked { room } => Self::new(ProblemType::Parked, detail).with("room", room),
            NotVisible::TooManyOfCaller => Self::new(ProblemType::TooManyRequests, detail),
            NotVisible::Overloaded => Self::new(ProblemType::Overloaded, detail),
            NotVisible::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{calendars::memory::MemoryCalendars, progress::Progress, stores::memory::MemoryReadModels};

    fn generation() -> Arc<Shown> {
        Arc::new(Shown::new(Arc::new(MemoryReadModels::new()), Arc::new(Progress::default())))
    }

    #[test]
    fn a_generation_is_kept_by_those_who_read_it_and_not_by_the_thread_that_answered() {
        let (first, second) = (generation(), generation());
        let (shows, shown) = watch::channel(Some(Arc::clone(&first)));
        let (_, frozen) = watch::channel(AllFrozen::new());
        let (_, registry) = watch::channel(Registry::default());
        let (live, stop) = (Arc::new(Hub::new(1)), CancellationToken::new());
        let calendars = Arc::new(MemoryCalendars::default());
        let clock = Clock::system();
        let api = Api { shown, frozen, registry, clock, live, stop, calendars, notifications: None };
        let thread = OfThisThread { api, models: RefCell::default() };
        let reading = thread.reading().unwrap();
        shows.send_replace(Some(Arc::clone(&second)));
        assert_eq!(Arc::strong_count(&first), 2, "a request reads it");
        drop(reading);
        assert_eq!(Arc::strong_count(&first), 1, "it may go");
        for _ in 0..2 {
            assert!(Arc::ptr_eq(&thread.reading().unwrap().generation, &second));
        }
    }
}
