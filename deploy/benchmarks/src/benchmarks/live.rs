//! Live streams: 2,000 connections at 500 events a second, against the way from commit to visible in the same run.
//!
//! Both times start at the event's `recorded_at`, which the writer reads just before the transaction, in milliseconds.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use query_service::{read_models::generation::FIRST, stores::mongo::prefix};
use shared_events::RoomId;
use system_tests::{EventStream, Told};
use tokio::task::JoinSet;

use crate::{
    command_target::{CommandTarget, Relaying},
    connect::mongo::{self, Documents},
    figures::{Finding, Series, Target, number},
    load::{Pace, new_histogram},
    mysql,
    rig::Rig,
    visibility_probe::{Schedule, VisibilityProbe},
    wall_clock::clock_micros,
};

const ROOMS: usize = 500;
const STREAMS: usize = 2_000;
/// Streams of one user.
const OF_USER: usize = 20;
const RATE: u64 = 500;
const CONNECTIONS: usize = 64;
const WARM_UP_SECONDS: u64 = 1;
const PATIENCE: Duration = Duration::from_secs(60);
/// The limit of query-service's memory with all streams.
const MOST_MB: f64 = 256.0;

/// The events of one stream: version and arrival.
type Arrivals = Vec<(u64, i64)>;

pub(crate) async fn streams(rig: &Rig) -> Result<Vec<Finding>> {
    let seconds = rig.size(20, 4);
    let namespace = rig.namespace_without_tls("live").await?;
    let mut target = CommandTarget::at(rig, namespace, ROOMS, Relaying::On).await?;
    let mut query = rig.query_service(&target.namespace, &target.service.url(), &[])?;
    query.until_ready().await?;
    target.until_visible(rig, PATIENCE).await?;
    let database = &target.namespace.name;
    let history =
        Documents::open(&rig.servers.mongodb, database, &format!("{}history", prefix(FIRST))).await?;
    let (mut told, mut visible, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rig.rounds {
        let run = Run { rig, url: query.url(), history: history.clone(), seconds };
        let (of_streams, of_queries) = run.measure(&mut target).await?;
        told.push(of_streams);
        visible.push(of_queries);
        memory.push(query.memory()?.peak);
        until_closed(&query.url()).await?;
    }
    target.check().await?;
    let told = Series::new("ours, p99 to 2,000 streams", "ms", told);
    let visible = Series::new("ours, p99 to visible", "ms", visible);
    let against = "commit to visible in the same run";
    let memory = Series::new("query-service, most with 2,000 streams", "MB", memory);
    Ok(vec![
        Finding::new("live-p99", against, Target::AtMost(2.0), 1.2, told, visible),
        Finding::within("live-memory", "256 MB", memory, MOST_MB, 0.5),
    ])
}

/// Waits until the service has noticed that all streams are closed: the next round needs their places.
async fn until_closed(url: &str) -> Result<()> {
    let (http, begun) = (reqwest::Client::builder().no_proxy().build()?, Instant::now());
    loop {
        let metrics = http.get(format!("{url}/metrics")).send().await?.text().await?;
        if metrics.lines().any(|line| line == "live_streams 0") {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "streams stay open");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

struct Run<'a> {
    rig: &'a Rig,
    url: String,
    history: Documents,
    seconds: u64,
}

impl Run<'_> {
    /// The p99 in milliseconds from the record of an event to its streams, and to visible. Fails if a stream lacks an event.
    async fn measure(&self, target: &mut CommandTarget) -> Result<(f64, f64)> {
        let (first, count) = (target.next(), ROOMS as u64);
        let rooms = target.rooms.clone();
        let event = move |number: u64| {
            let room = usize::try_from(number % count).ok().and_then(|room| rooms.get(room));
            (room.copied(), number / count + 2)
        };
        let all = (WARM_UP_SECONDS + self.seconds) * RATE;
        // The streams of a room, and how many events each has to get.
        let expected = |room: usize| (first..first + all).filter(|n| *n % count == room as u64).count();
        let (mut streams, connected) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for stream in 0..STREAMS {
            let at = stream % ROOMS;
            let room = *target.rooms.get(at).context("a room")?;
            let token = self.rig.token(&format!("listener-{}", stream / OF_USER), &[])?;
            let (url, connected, expected) = (self.url.clone(), Arc::clone(&connected), expected(at));
            streams.spawn(async move {
                Ok::<_, anyhow::Error>((room, listen(url, room, token, connected, expected).await?))
            });
        }
        let begun = Instant::now();
        while connected.load(Ordering::Relaxed) < STREAMS {
            ensure!(begun.elapsed() < PATIENCE, "{} of {STREAMS} streams", connected.load(Ordering::Relaxed));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let ids = {
            let event = event.clone();
            Box::new(move |number| {
                let (room, version) = event(number);
                mongo::history_id(room.unwrap_or(RoomId(uuid::Uuid::nil())), version)
            })
        };
        let probe = VisibilityProbe::begin(self.history.clone(), ids, first, Schedule::of(RATE));
        let pace = Pace::Open(number(RATE));
        let outcome =
            target.reserve(CONNECTIONS, pace, number(WARM_UP_SECONDS), number(self.seconds)).await?;
        ensure!(outcome.sent == all, "{} of {all} commands were sent", outcome.sent);
        let seen = probe.end(target.next()).await?;
        let recorded = mysql::recorded_at(&target.namespace.database_url()).await?;
        let mut visible = new_histogram()?;
        for (number, micros) in seen {
            if number >= first + WARM_UP_SECONDS * RATE {
                let (room, version) = event(number);
                let recorded =
                    recorded.get(&(room.context("a room")?, version)).context("a recorded event")?;
                visible.record(u64::try_from((micros - recorded * 1000).max(1))?)?;
            }
        }
        let mut told = new_histogram()?;
        let warm = (first + WARM_UP_SECONDS * RATE) / count + 2;
        let mut versions: HashMap<RoomId, Vec<u64>> = HashMap::new();
        for number in first..first + all {
            let (room, version) = event(number);
            versions.entry(room.context("a room")?).or_default().push(version);
        }
        while let Some(arrived) = tokio::time::timeout(PATIENCE, streams.join_next()).await? {
            let (room, arrivals) = arrived??;
            let of_stream: Vec<u64> = arrivals.iter().map(|(version, _)| *version).collect();
            ensure!(versions.get(&room) == Some(&of_stream), "room {room}: a stream told {of_stream:?}");
            for (version, micros) in arrivals.into_iter().filter(|(version, _)| *version > warm) {
                let recorded = recorded.get(&(room, version)).context("a recorded event")?;
                told.record(u64::try_from((micros - recorded * 1000).max(1))?)?;
            }
        }
        let p99 =
            |latencies: &hdrhistogram::Histogram<u64>| number(latencies.value_at_quantile(0.99)) / 1000.0;
        eprintln!("  to {STREAMS} streams p99 {:.1} ms, to visible p99 {:.1} ms", p99(&told), p99(&visible));
        Ok((p99(&told), p99(&visible)))
    }
}

/// Reads a stream until it has told this number of events.
async fn listen(
    url: String,
    room: RoomId,
    token: String,
    connected: Arc<AtomicUsize>,
    expected: usize,
) -> Result<Arrivals> {
    let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let request = http.get(format!("{url}/v1/events?room={room}")).header("Prefer", "wait=10");
    let response = request.bearer_auth(token).send().await?;
    ensure!(response.status().is_success(), "{}: {}", response.status(), response.text().await?);
    connected.fetch_add(1, Ordering::Relaxed);
    let mut stream = EventStream::of(response);
    let mut arrivals = Arrivals::new();
    while arrivals.len() < expected {
        match stream.next().await {
            Some(Told::Event(data)) => {
                let version = data.get("version").and_then(serde_json::Value::as_u64).context("a version")?;
                // Events come at least once.
                if arrivals.last().is_none_or(|(last, _)| version > *last) {
                    arrivals.push((version, clock_micros()));
                }
            }
            other => anyhow::bail!("room {room}, after {} of {expected} events: {other:?}", arrivals.len()),
        }
    }
    Ok(arrivals)
}
