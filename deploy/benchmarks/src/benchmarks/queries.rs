//! Queries over HTTP against many stored reservations.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use query_service::{
    progress::Progress,
    projector::LAG,
    queries::{
        Availability, Booker, BusiestTimes, By, FreeTime, Kinds, Measure, PageRequest, PopularRooms, Rooms,
        Schedule, UserHistory, UserReservations,
    },
    stores::{ProjectionStore, Queries, RoomFilter, mongo::MongoReadModels},
};
use service_kit::clock::Clock;
use shared_events::{
    DecodedEvent, Interval, Minute, ReservationId, RoomId, Timestamp, UserId, partition_of, topics,
};
use tokio::task::JoinSet;

use system_tests::Namespace;

use crate::{
    event_generator::{self, HALF_DAY, Shape},
    figures::{Finding, Series, Target},
    kafka,
    load::{Load, Pace, Requests},
    mongo::{
        heads, read_models,
        replay::{self, Commands, Recorder},
        shown,
    },
    rig::{Rig, Service},
    rounds::alternate,
};

const ROOMS: usize = 500;
/// Reservations of each user.
const OF_A_USER: u64 = 50;
const CONNECTIONS: usize = 16;
/// With more connections than processors, the latency would only tell their ratio.
const CONNECTIONS_FOR_LATENCY: usize = 2;
/// Distinct requests of each query.
const VARIATIONS: usize = 64;
const DAY: i64 = 24 * 60;
/// With this slot 10,000 reservations in 500 rooms fill a month, 1,000,000 fill a hundred. With a shorter slot the few
/// reservations would not fill the weeks and months that queries read, and cost less for that reason.
const SLOT_FOR_GROWTH: i64 = 36 * 60;

const QUERIES: [Query; 11] = [
    Query::Reservation,
    Query::Schedule,
    Query::Free,
    Query::Availability,
    Query::MyReservations,
    Query::MyHistory,
    Query::Rooms,
    Query::RoomsOfAKind,
    Query::Kinds,
    Query::PopularRooms,
    Query::BusiestTimes,
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Query {
    Reservation,
    Schedule,
    Free,
    Availability,
    MyReservations,
    MyHistory,
    Rooms,
    RoomsOfAKind,
    Kinds,
    PopularRooms,
    BusiestTimes,
}

impl Query {
    const fn name(self) -> &'static str {
        match self {
            Self::Reservation => "a reservation",
            Self::Schedule => "a room's week",
            Self::Free => "what is free in a room in a week",
            Self::Availability => "which rooms of a kind are available",
            Self::MyReservations => "my reservations",
            Self::MyHistory => "my history",
            Self::Rooms => "rooms",
            Self::RoomsOfAKind => "rooms of a kind",
            Self::Kinds => "kinds",
            Self::PopularRooms => "popular rooms of a kind",
            Self::BusiestTimes => "busiest times of a kind",
        }
    }
}

/// A query service with stored reservations.
struct Stored {
    namespace: Namespace,
    service: Service,
    admin: String,
    samples: Vec<Sample>,
}

/// The parameters of one request.
#[derive(Clone, Debug)]
struct Sample {
    room: RoomId,
    reservation: ReservationId,
    user: UserId,
    /// The days around the reservation.
    days: Interval,
    kind: String,
}

/// Each query, against the driver alone with the same commands.
pub(crate) async fn against_the_driver(rig: &Rig) -> Result<Vec<Finding>> {
    let stored = Stored::new(rig, rig.size(1_000_000, 100_000), HALF_DAY, 7).await?;
    let recorder = Recorder::open(&rig.servers.mongodb, &stored.namespace.name).await?;
    let mut findings = Vec::new();
    for query in QUERIES {
        let commands = Arc::new(stored.commands(&recorder, query).await?);
        let mut p99 = Vec::new();
        let (ours, theirs) = alternate(
            rig.rounds,
            async |_| {
                let outcome = stored.load(rig, query, CONNECTIONS).await?;
                Ok(outcome.rate)
            },
            async |_| {
                let commands = Arc::clone(&commands);
                replay::rate(
                    &rig.servers.mongodb,
                    &stored.namespace.name,
                    commands,
                    CONNECTIONS,
                    seconds(rig),
                )
                .await
            },
        )
        .await?;
        for _ in 0..rig.rounds {
            p99.push(stored.load(rig, query, CONNECTIONS_FOR_LATENCY).await?.latency_ms(99.0)?);
        }
        let name = format!("queries: {}", query.name());
        let each = commands.first().map_or(0, Vec::len);
        let against = format!("the driver alone, {each} commands a request");
        findings.push(Finding::new(
            &name,
            "the driver alone",
            Target::AtLeast(0.7),
            0.9,
            Series::new("over HTTP, 16 connections", "queries/s", ours),
            Series::new(&against, "queries/s", theirs),
        ));
        let ours = Series::new(&format!("p99, {CONNECTIONS_FOR_LATENCY} connections"), "ms", p99);
        findings.push(Finding::within(&name, "10 ms", ours, 10.0, 0.5));
    }
    Ok(findings)
}

/// Each query with many stored reservations, against few. The answers have the same length.
pub(crate) async fn growth(rig: &Rig) -> Result<Vec<Finding>> {
    let few = Stored::new(rig, 10_000, SLOT_FOR_GROWTH, 3).await?;
    let many = Stored::new(rig, rig.size(1_000_000, 100_000), SLOT_FOR_GROWTH, 3).await?;
    let mut findings = Vec::new();
    for query in QUERIES {
        let (large, small) = alternate(
            rig.rounds,
            async |_| Ok(1e6 / many.load(rig, query, CONNECTIONS).await?.rate),
            async |_| Ok(1e6 / few.load(rig, query, CONNECTIONS).await?.rate),
        )
        .await?;
        findings.push(Finding::new(
            &format!("queries-growth: {}", query.name()),
            "10,000 stored reservations",
            Target::AtMost(1.2),
            1.0,
            Series::new("with 1,000,000 stored", "µs/query", large),
            Series::new("with 10,000 stored", "µs/query", small),
        ));
    }
    Ok(findings)
}

fn seconds(rig: &Rig) -> Duration {
    Duration::from_millis(rig.size(1_000, 500))
}

impl Stored {
    /// Stores reservations, one in each slot of a room, and starts a query service on them. Requests ask about a number of
    /// days around a reservation.
    async fn new(rig: &Rig, reservations: u64, slot: i64, days: i64) -> Result<Self> {
        let shape = Shape { slot, ..Shape::only_made(ROOMS, reservations / OF_A_USER) };
        let events = event_generator::events(shape, reservations + u64::try_from(ROOMS)?)?;
        let namespace = rig.namespace("queries").await?;
        kafka::create_topic(&rig.servers.brokers, &namespace.name).await?;
        let models = read_models(&rig.servers.mongodb, &namespace.name).await?;
        write(&models, &events).await?;
        let rooms: Vec<RoomId> = heads(&events).into_keys().collect();
        let visible = shown(&models, &rooms).await?;
        ensure!(visible == u64::try_from(events.len())?, "{visible} of {} events were written", events.len());
        let samples = samples(&events, days)?;
        drop(events);
        let mut service =
            rig.query_service(&namespace, "http://127.0.0.1:9", &[("WATCHDOG_SECONDS", "86400")])?;
        service.until_ready().await?;
        let stored = Self { namespace, service, admin: rig.token("admin", &["admin"])?, samples };
        stored.until_partitions_are_assigned().await?;
        Ok(stored)
    }

    /// Without its partitions the service asks the store for versions that it would know.
    async fn until_partitions_are_assigned(&self) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        for _ in 0..200 {
            let metrics = http.get(format!("{}/metrics", self.service.url())).send().await?.text().await?;
            if metrics.contains(LAG) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        eprintln!("  no lag is shown: partitions may not be assigned yet");
        Ok(())
    }

    async fn load(&self, rig: &Rig, query: Query, connections: usize) -> Result<crate::load::Outcome> {
        let paths = self.samples.iter().map(|sample| path(query, sample)).collect();
        let load = Load {
            address: self.service.address.clone(),
            connections,
            pace: Pace::Closed,
            warm_up_seconds: 0.3,
            seconds: seconds(rig).as_secs_f64(),
            requests: Requests::Get { paths, token: self.admin.clone() },
        };
        let outcome = load.run().await?;
        outcome.all_succeeded()?;
        Ok(outcome)
    }

    /// The commands behind each request.
    async fn commands(&self, recorder: &Recorder, query: Query) -> Result<Vec<Commands>> {
        let (models, progress) = (&recorder.models, Progress::default());
        progress.set_owned(Box::new(|_| true));
        let now = Timestamp::from_epoch_millis(Clock::system().now_ms());
        let mut commands = Vec::new();
        for sample in &self.samples {
            // The first run also reads data of the room that a service reads once.
            for _ in 0..2 {
                recorder.take()?;
                ask(models, &progress, now, query, sample).await?;
            }
            commands.push(recorder.take()?);
        }
        Ok(commands)
    }
}

async fn ask(
    models: &MongoReadModels,
    progress: &Progress,
    now: Timestamp,
    query: Query,
    sample: &Sample,
) -> Result<()> {
    let page = PageRequest::first(100);
    let (room, during, of) = (sample.room, sample.days, Some(sample.kind.clone()));
    match query {
        Query::Reservation => {
            let found = models.reservation(sample.reservation).await?;
            ensure!(found.is_some(), "the reservation is not stored");
        }
        Query::Schedule => {
            let found = Schedule { room, during }.run(models, progress, &page).await?.context("the room")?;
            ensure!(!found.page.items.is_empty(), "nothing is reserved");
        }
        Query::Free => {
            FreeTime { room, during }.run(models, progress, now, &page).await?.context("the room")?;
        }
        Query::Availability => {
            let stay = hour(sample)?;
            let booker = Booker { roles: Vec::new(), is_admin: false, owner: sample.user.clone() };
            let filter = RoomFilter { people: Some(4), ..RoomFilter::of_kind(of) };
            let available = Availability { stay, filter, booker };
            available.run(models, progress, now, &page).await?;
        }
        Query::MyReservations => {
            let reservations = UserReservations { user: sample.user.clone(), from: None, to: None };
            ensure!(
                !reservations.run(models, &page).await?.items.is_empty(),
                "the user has reserved nothing"
            );
        }
        Query::MyHistory => {
            UserHistory { user: sample.user.clone() }.run(models, &page).await?;
        }
        Query::Rooms => _ = Rooms::default().run(models, &page).await?,
        Query::RoomsOfAKind => {
            let filter = RoomFilter { people: Some(4), ..RoomFilter::of_kind(of) };
            Rooms { filter }.run(models, &page).await?;
        }
        Query::Kinds => _ = Kinds.page(&models.kinds().await?, &page)?,
        Query::PopularRooms => _ = PopularRooms { during, kind: of }.run(models, &page).await?,
        Query::BusiestTimes => {
            let (by, measure) = (By::Weekday, Measure::Minutes);
            BusiestTimes { during, kind: of, by, measure }.run(models).await?;
        }
    }
    Ok(())
}

fn path(query: Query, sample: &Sample) -> String {
    let Sample { room, reservation, user, days, kind: of } = sample;
    let (range, of) = (format!("from={}&to={}", days.from, days.to), of.replace(' ', "%20"));
    match query {
        Query::Reservation => format!("/v1/reservations/{reservation}"),
        Query::Schedule => format!("/v1/rooms/{room}/schedule?{range}"),
        Query::Free => format!("/v1/rooms/{room}/free?{range}"),
        Query::Availability => {
            let hour = hour(sample).unwrap_or(*days);
            format!("/v1/availability?from={}&to={}&people=4&kind={of}", hour.from, hour.to)
        }
        Query::MyReservations => format!("/v1/users/{user}/reservations"),
        Query::MyHistory => format!("/v1/users/{user}/history"),
        Query::Rooms => "/v1/rooms".to_owned(),
        Query::RoomsOfAKind => format!("/v1/rooms?kind={of}&people=4"),
        Query::Kinds => "/v1/kinds".to_owned(),
        Query::PopularRooms => format!("/v1/statistics/popular-rooms?{range}&kind={of}"),
        Query::BusiestTimes => format!("/v1/statistics/busiest-times?{range}&kind={of}"),
    }
}

/// An hour on the first of the days.
fn hour(sample: &Sample) -> Result<Interval> {
    Ok(Interval { from: sample.days.from, to: sample.days.from.plus(60)? })
}

/// The parameters of requests, from reservations all over the store.
fn samples(events: &[DecodedEvent], days: i64) -> Result<Vec<Sample>> {
    let made: Vec<_> = events.iter().filter_map(|event| event.event.reservation()).collect();
    let mut samples = Vec::new();
    let mut rooms = BTreeSet::new();
    for reservation in made.iter().skip(made.len() / 3).step_by((made.len() / 3 / VARIATIONS).max(1)) {
        if samples.len() == VARIATIONS {
            break;
        }
        rooms.insert(reservation.room);
        let midnight = reservation.from.epoch_minutes().div_euclid(DAY) * DAY;
        let from = Minute::from_epoch_minutes(midnight - DAY)?;
        samples.push(Sample {
            room: reservation.room,
            reservation: reservation.id,
            user: reservation.reserved_by.clone(),
            days: Interval { from, to: from.plus(days * DAY)? },
            kind: format!("Kind {:02}", samples.len() % 20),
        });
    }
    ensure!(samples.len() == VARIATIONS && rooms.len() > 10, "too few reservations");
    Ok(samples)
}

/// Writes events like the projector: all partitions in parallel, in large batches.
async fn write(models: &MongoReadModels, events: &[DecodedEvent]) -> Result<()> {
    let mut tasks = JoinSet::new();
    for partition in 0..topics::DEFAULT_PARTITIONS {
        let of_partition =
            |event: &&DecodedEvent| partition_of(event.room, topics::DEFAULT_PARTITIONS) == partition;
        let events: Vec<DecodedEvent> = events.iter().filter(of_partition).cloned().collect();
        let models = models.clone();
        tasks.spawn(async move {
            for batch in events.chunks(5000) {
                ensure!(models.apply(batch).await?.conflicts.is_empty(), "another writer is active");
            }
            Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(models.write_usage().await?)
}
