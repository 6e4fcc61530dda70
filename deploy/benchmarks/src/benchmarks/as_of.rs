//! Queries about the past of one room with a long stream, over HTTP.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use query_service::stores::{Checkpoints, ProjectionStore};
use shared_events::{DecodedEvent, ReservationId, RoomId, Timestamp};
use system_tests::Namespace;

use crate::{
    event_generator::{self, Shape},
    figures::{Finding, Series, Target},
    kafka,
    load::{Load, Pace, Requests},
    mongo::read_models,
    rig::{Rig, Service},
    rounds::alternate,
};

const EVENTS: u64 = 100_000;
/// A stay an hour: some 250 events touch each week. Read models don't mind that stays overlap.
const SLOT: i64 = 60;
const WEEK: i64 = 7 * 24 * 60;
/// Distinct requests of each query.
const VARIATIONS: usize = 64;
const CONNECTIONS: usize = 2;

/// A query service with one long room.
struct LongRoom {
    _namespace: Namespace,
    service: Service,
    admin: String,
    room: RoomId,
    samples: Vec<Sample>,
}

/// The parameters of one request.
struct Sample {
    reservation: ReservationId,
    /// A week around the reservation.
    range: String,
    /// A moment at which it was made already.
    at: Timestamp,
}

/// A schedule of the past against a limit, and points of the past against the present.
pub(crate) async fn one_room(rig: &Rig) -> Result<Vec<Finding>> {
    let long = LongRoom::new(rig).await?;
    let room = format!("/v1/rooms/{}", long.room);
    let mut findings = Vec::new();

    let mut schedules = Vec::new();
    for _ in 0..rig.rounds {
        let path = |sample: &Sample| format!("{room}/schedule?{}&limit=500&asOf={}", sample.range, sample.at);
        schedules.push(long.load(rig, path).await?.latency_ms(99.0)?);
    }
    let series = Series::new("a room's week at a moment, p99", "ms", schedules);
    findings.push(Finding::within("as-of: schedule", "20 ms", series, 20.0, 0.5));

    for point in ["a reservation", "a room"] {
        let of = |sample: &Sample| match point {
            "a room" => room.clone(),
            _ => format!("/v1/reservations/{}", sample.reservation),
        };
        let (past, present) = alternate(
            rig.rounds,
            async |_| {
                let path = |sample: &Sample| format!("{}?asOf={}", of(sample), sample.at);
                long.load(rig, path).await?.latency_ms(50.0)
            },
            async |_| long.load(rig, of).await?.latency_ms(50.0),
        )
        .await?;
        findings.push(Finding::new(
            &format!("as-of: {point}"),
            "the same query about the present",
            Target::AtMost(1.5),
            1.2,
            Series::new("at a moment, p50", "ms", past),
            Series::new("now, p50", "ms", present),
        ));
    }
    Ok(findings)
}

impl LongRoom {
    async fn new(rig: &Rig) -> Result<Self> {
        let shape = Shape { slot: SLOT, ..Shape::mixed(1, 1000) };
        let events = event_generator::events(shape, rig.size(EVENTS, 20_000))?;
        let room = events.first().context("an event")?.room;
        let namespace = rig.namespace("as_of").await?;
        kafka::create_topic(&rig.servers.brokers, &namespace.name).await?;
        let models = read_models(&rig.servers.mongodb, &namespace.name).await?;
        for batch in events.chunks(5000) {
            ensure!(models.apply(batch).await?.conflicts.is_empty(), "another writer is active");
        }
        models.write_usage().await?;
        let version = models.checkpoint(room).await?.version;
        ensure!(
            version.get() == u64::try_from(events.len())?,
            "{version} of {} events are written",
            events.len()
        );
        let mut service =
            rig.query_service(&namespace, "http://127.0.0.1:9", &[("WATCHDOG_SECONDS", "86400")])?;
        service.until_ready().await?;
        let samples = samples(&events)?;
        Ok(Self { _namespace: namespace, service, admin: rig.token("admin", &["admin"])?, room, samples })
    }

    async fn load(&self, rig: &Rig, path: impl Fn(&Sample) -> String) -> Result<crate::load::Outcome> {
        let load = Load {
            address: self.service.address.clone(),
            connections: CONNECTIONS,
            pace: Pace::Closed,
            warm_up_seconds: 0.3,
            seconds: if rig.short { 0.5 } else { 2.0 },
            requests: Requests::Get {
                paths: self.samples.iter().map(path).collect(),
                token: self.admin.clone(),
            },
        };
        let outcome = load.run().await?;
        outcome.all_succeeded()?;
        Ok(outcome)
    }
}

/// Reservations from all over the stream, each with a moment between its event and the last one.
fn samples(events: &[DecodedEvent]) -> Result<Vec<Sample>> {
    let last = events.last().context("an event")?.recorded_at.epoch_millis();
    let mut made = HashMap::new();
    for event in events {
        if let Some(reservation) = event.event.reservation() {
            made.entry(reservation.id).or_insert((event.recorded_at.epoch_millis(), reservation));
        }
    }
    let mut made: Vec<_> = made.into_values().collect();
    made.sort_unstable_by_key(|(at, _)| *at);
    let step = (made.len() / VARIATIONS).max(1);
    let mut samples = Vec::new();
    for (number, (at, reservation)) in made.into_iter().step_by(step).take(VARIATIONS).enumerate() {
        let later = (last - at) * i64::try_from(number % 8)? / 8;
        let from = reservation.from.plus(-WEEK / 2)?;
        let range = format!("from={from}&to={}", from.plus(WEEK)?);
        let at = Timestamp::from_epoch_millis(at + later);
        samples.push(Sample { reservation: reservation.id, range, at });
    }
    ensure!(samples.len() == VARIATIONS, "too few reservations");
    Ok(samples)
}
