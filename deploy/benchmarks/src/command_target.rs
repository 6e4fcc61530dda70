//! A service that takes reservations, with its own database, rooms and callers.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use command_service::event_store::{Leases as _, mysql::MySqlStore};
use serde_json::{Value, json};
use shared_events::RoomId;
use system_tests::Namespace;
use uuid::Uuid;

use crate::{
    load::{Load, Outcome, Pace, Requests},
    mongo,
    mysql::{
        self,
        written::{self, Written},
    },
    rig::{Rig, Service},
};

/// Users that send requests in turn.
const CALLERS: usize = 64;
/// The holder of the relay's leases while no service is to relay.
const HOLDER: &str = "benchmark";

/// A target of load, and the load so far.
#[derive(Debug)]
pub(crate) struct CommandTarget {
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) service: Service,
    pub(crate) rooms: Vec<RoomId>,
    tokens: Vec<String>,
    next: u64,
    made: u64,
    /// Reservations and closures that were inserted without the API. They have no idempotency records.
    inserted: u64,
    closures: u64,
}

/// Whether the service delivers its events to Kafka.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relaying {
    On,
    /// The benchmark holds the leases, which last longer than any benchmark.
    Off,
}

impl CommandTarget {
    /// Starts a command service with a number of rooms.
    pub(crate) async fn ours(rig: &Rig, rooms: usize, relaying: Relaying) -> Result<Self> {
        Self::at(rig, rig.namespace("commands").await?, rooms, relaying).await
    }

    /// The same in a namespace that exists.
    pub(crate) async fn at(
        rig: &Rig,
        namespace: Namespace,
        rooms: usize,
        relaying: Relaying,
    ) -> Result<Self> {
        Self::with_settings(rig, namespace, rooms, relaying, &json!({})).await
    }

    /// The same, whose rooms have more settings.
    pub(crate) async fn with_settings(
        rig: &Rig,
        namespace: Namespace,
        rooms: usize,
        relaying: Relaying,
        settings: &Value,
    ) -> Result<Self> {
        let service = start(rig, &namespace, relaying).await?;
        let rooms = register(&service.url(), &rig.token("admin", &["admin"])?, rooms, settings).await?;
        Self::with(rig, namespace, service, rooms)
    }

    /// A running service with the same API.
    pub(crate) fn with(
        rig: &Rig,
        namespace: impl Into<Arc<Namespace>>,
        service: Service,
        rooms: Vec<RoomId>,
    ) -> Result<Self> {
        let tokens = (0..CALLERS)
            .map(|caller| rig.token(&format!("caller-{caller}@example.com"), &[]))
            .collect::<Result<_>>()?;
        Ok(Self {
            namespace: namespace.into(),
            service,
            rooms,
            tokens,
            next: 0,
            made: 0,
            inserted: 0,
            closures: 0,
        })
    }

    pub(crate) const fn with_inserted(mut self, reservations: u64, closures: u64) -> Self {
        (self.inserted, self.closures) = (reservations, closures);
        self
    }

    /// The number of acknowledged reservations.
    pub(crate) const fn made(&self) -> u64 {
        self.made
    }

    /// The number of the next reservation. Reservation n is in room n modulo the number of rooms.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Makes reservations for a time. Fails if a request fails.
    pub(crate) async fn reserve(
        &mut self,
        connections: usize,
        pace: Pace,
        warm_up_seconds: f64,
        seconds: f64,
    ) -> Result<Outcome> {
        self.reserve_many(1, connections, pace, warm_up_seconds, seconds).await
    }

    /// The same with several reservations in a request. The outcome counts requests.
    pub(crate) async fn reserve_many(
        &mut self,
        lines: u64,
        connections: usize,
        pace: Pace,
        warm_up_seconds: f64,
        seconds: f64,
    ) -> Result<Outcome> {
        let (rooms, tokens) = (self.rooms.clone(), self.tokens.clone());
        let requests = Requests::Reserve { rooms, tokens, first: self.next, lines };
        let address = self.service.address.clone();
        let load = Load { address, connections, pace, warm_up_seconds, seconds, requests };
        let outcome = load.run().await?;
        self.next += outcome.sent * lines;
        outcome.all_succeeded()?;
        self.made += outcome.sent * lines;
        Ok(outcome)
    }

    /// Waits until the read models show everything.
    pub(crate) async fn until_visible(&self, rig: &Rig, patience: Duration) -> Result<()> {
        let heads = mysql::heads(&self.namespace.database_url()).await?;
        let models = mongo::read_models(&rig.servers.mongodb, &self.namespace.name).await?;
        mongo::until_level(&models, &heads, patience).await.map(drop)
    }

    /// Checks that the store holds exactly the acknowledged and inserted reservations.
    pub(crate) async fn check(&self) -> Result<Written> {
        let written = written::check(&self.namespace.database_url()).await?;
        ensure!(
            written.made == self.made + self.inserted,
            "{} reservations were acknowledged and {} inserted, but {} are stored",
            self.made,
            self.inserted,
            written.made
        );
        ensure!(
            written.keys + self.inserted + self.closures == written.events,
            "{} events, but {} idempotency records",
            written.events,
            written.keys
        );
        Ok(written)
    }
}

/// Room and version of reservation n of these rooms. Version 1 of each room is its registration.
pub(crate) fn event_of(rooms: &[RoomId], number: u64) -> (RoomId, u64) {
    let count = rooms.len() as u64;
    let room = usize::try_from(number % count).ok().and_then(|room| rooms.get(room));
    (room.copied().unwrap_or(RoomId(Uuid::nil())), number / count + 2)
}

/// Starts a command service and waits until it is ready. Without relaying, the benchmark takes all leases first.
pub(crate) async fn start(rig: &Rig, namespace: &Namespace, relaying: Relaying) -> Result<Service> {
    let mut more: &[(&str, &str)] = &[];
    if relaying == Relaying::Off {
        let store = MySqlStore::open(namespace.database_url(), 1, None, None)?;
        store.migrate().await?;
        store.beat(HOLDER).await?;
        let mut buckets = store.leases().await?.buckets;
        buckets.retain(|lease| lease.holder.as_deref() != Some(HOLDER));
        store.take(HOLDER, &buckets).await?;
        let buckets = store.leases().await?.buckets;
        let held = buckets.iter().all(|lease| lease.holder.as_deref() == Some(HOLDER));
        ensure!(held, "another instance holds leases of the relay");
        store.close().await;
        more = &[("LEASE_SECONDS", "300")];
    }
    let mut service = rig.command_service(namespace, more)?;
    service.until_ready().await?;
    Ok(service)
}

/// Registers rooms that have these settings, and no other rules.
async fn register(url: &str, token: &str, rooms: usize, settings: &Value) -> Result<Vec<RoomId>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut registered = Vec::with_capacity(rooms);
    for number in 0..rooms {
        let mut room = json!({
            "name": format!("Room {number}"), "kind": format!("Kind {}", number % 20), "capacity": 12,
            "timeZone": "Europe/Lisbon",
        });
        if let (Some(room), Some(settings)) = (room.as_object_mut(), settings.as_object()) {
            room.extend(settings.clone());
        }
        let answer = http
            .post(format!("{url}/v1/rooms"))
            .bearer_auth(token)
            .header("Idempotency-Key", format!("room-{number}"))
            .json(&room)
            .send()
            .await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        ensure!(status.is_success(), "a room was not registered: {status} {body}");
        registered.push(serde_json::from_value(body.get("room").cloned().unwrap_or_default())?);
    }
    Ok(registered)
}
