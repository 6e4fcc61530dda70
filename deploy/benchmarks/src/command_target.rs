//! A service that takes reservations, with rooms, callers and a database of its own.

use std::sync::Arc;

use anyhow::{Result, ensure};
use command_service::event_store::{Leases as _, mysql::MySqlStore};
use serde_json::{Value, json};
use shared_events::RoomId;

use system_tests::Namespace;

use crate::{
    load::{Load, Outcome, Pace, Requests},
    mysql::written::{self, Written},
    rig::{Rig, Service},
};

/// Callers that take turns.
const CALLERS: usize = 64;
/// Who holds the leases of the relay where nobody is to relay.
const HOLDER: &str = "benchmark";

/// Where load goes to, and what it has sent so far.
#[derive(Debug)]
pub(crate) struct CommandTarget {
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) service: Service,
    pub(crate) rooms: Vec<RoomId>,
    tokens: Vec<String>,
    next: u64,
    made: u64,
    /// Reservations that were put there beside the API, which have no idempotency records.
    beside: u64,
}

/// Who delivers what is committed meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relaying {
    /// The service itself.
    On,
    /// Nobody: the leases are held by the benchmark, which looks alive for as long as any benchmark takes.
    Off,
}

impl CommandTarget {
    /// Our service with so many rooms.
    pub(crate) async fn ours(rig: &Rig, rooms: usize, relaying: Relaying) -> Result<Self> {
        Self::at(rig, rig.namespace("commands").await?, rooms, relaying).await
    }

    /// The same, at a namespace that is there.
    pub(crate) async fn at(
        rig: &Rig,
        namespace: Namespace,
        rooms: usize,
        relaying: Relaying,
    ) -> Result<Self> {
        let service = start(rig, &namespace, relaying).await?;
        let rooms = register(&service.url(), &rig.token("admin", &["admin"])?, rooms).await?;
        Self::with(rig, namespace, service, rooms)
    }

    /// Any service of the same API that has these rooms.
    pub(crate) fn with(
        rig: &Rig,
        namespace: impl Into<Arc<Namespace>>,
        service: Service,
        rooms: Vec<RoomId>,
    ) -> Result<Self> {
        let tokens = (0..CALLERS)
            .map(|caller| rig.token(&format!("caller-{caller}@example.com"), &[]))
            .collect::<Result<_>>()?;
        Ok(Self { namespace: namespace.into(), service, rooms, tokens, next: 0, made: 0, beside: 0 })
    }

    /// The same target, when so many reservations were put there beside the API.
    pub(crate) const fn beside(mut self, beside: u64) -> Self {
        self.beside = beside;
        self
    }

    /// Reservations that were answered.
    pub(crate) const fn made(&self) -> u64 {
        self.made
    }

    /// The number of the next reservation: the n-th one is in room n modulo the rooms.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Reserves for a while. Every request must be answered with a success.
    pub(crate) async fn reserve(
        &mut self,
        connections: usize,
        pace: Pace,
        warm_up_seconds: f64,
        seconds: f64,
    ) -> Result<Outcome> {
        let requests =
            Requests::Reserve { rooms: self.rooms.clone(), tokens: self.tokens.clone(), first: self.next };
        let address = self.service.address.clone();
        let load = Load { address, connections, pace, warm_up_seconds, seconds, requests };
        let outcome = load.run().await?;
        self.next += outcome.sent;
        outcome.all_succeeded()?;
        self.made += outcome.sent;
        Ok(outcome)
    }

    /// Checks what was written: exactly what was answered.
    pub(crate) async fn check(&self) -> Result<Written> {
        let written = written::check(&self.namespace.database_url()).await?;
        ensure!(
            written.made == self.made + self.beside,
            "{} reservations were answered, and {} put there; {} are there",
            self.made,
            self.beside,
            written.made
        );
        ensure!(
            written.keys + self.beside == written.events,
            "{} events, but {} idempotency records",
            written.events,
            written.keys
        );
        Ok(written)
    }
}

/// Starts a command service, and waits until it is ready. Where it is not to relay, somebody else holds the leases for as
/// long as any benchmark takes.
pub(crate) async fn start(rig: &Rig, namespace: &Namespace, relaying: Relaying) -> Result<Service> {
    let mut more: &[(&str, &str)] = &[];
    if relaying == Relaying::Off {
        let store = MySqlStore::open(&namespace.database_url(), 1, None)?;
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

/// Registers rooms without rules.
async fn register(url: &str, token: &str, rooms: usize) -> Result<Vec<RoomId>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut registered = Vec::with_capacity(rooms);
    for number in 0..rooms {
        let answer = http
            .post(format!("{url}/v1/rooms"))
            .bearer_auth(token)
            .header("Idempotency-Key", format!("room-{number}"))
            .json(&json!({
                "name": format!("Room {number}"), "kind": format!("Kind {}", number % 20), "capacity": 12,
                "timeZone": "Europe/Lisbon",
            }))
            .send()
            .await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        ensure!(status.is_success(), "a room was not registered: {status} {body}");
        registered.push(serde_json::from_value(body.get("room").cloned().unwrap_or_default())?);
    }
    Ok(registered)
}
