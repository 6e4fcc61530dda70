//! A campaign of faults of all kinds under load, with a strict checker.
//!
//! [`run`] starts two command services and two query services on their own servers. Callers compete for rooms while it
//! inflicts the faults of a seed and measures each recovery. At the end the checker compares every answer with the event
//! store, the topic and the read models.

mod board;
mod checker;
mod choice;
mod collect;
mod evidence;
mod inflict;
mod learnt;
mod listeners;
mod load_generator;
mod operation;
mod outcome;
mod probe;
mod proxy;
mod record;
mod report;
mod rooms;
mod schedule;
pub(crate) mod servers;
mod stay;
mod workload;
mod world;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{Mutex, oneshot},
    task::JoinSet,
};

use self::{
    checker::{Allowed, Span, Violation},
    listeners::Listeners,
    load_generator::Load,
    probe::{PROBE_ROOMS, Prober},
    record::{Clock, Record},
    report::{Inflicted, mark_alone, seconds},
    rooms::Rooms,
    schedule::{Episode, Fault, Planned, Schedule, Target},
    workload::{WARM_UP, Workload},
    world::World,
};

pub use self::report::{Report, Row};
use crate::mysql;

/// The longest wait for recovery before the next episode.
const BREATH: Duration = Duration::from_secs(10);
/// The longest takeover from a killed instance, in microseconds.
const TAKEOVER: u64 = 10_000_000;

/// The time in which the feed restores data that MongoDB lost, in microseconds. Until then queries may be stale.
const REFILL: u64 = 30_000_000;

/// The options of a campaign.
#[derive(Debug, Clone)]
pub struct Options {
    /// The seed of the faults.
    pub seed: u64,
    /// The duration of the faults.
    pub lasts: Duration,
    /// The number of clients that send commands.
    pub callers: u64,
    /// Folder with binaries of an earlier build, for the second instance of each service.
    pub older: Option<PathBuf>,
    /// Folder for the services' logs, and for all records after a violation.
    pub logs: Option<PathBuf>,
    /// Whether to print each fault when it begins.
    pub verbose: bool,
}

/// Runs a campaign.
pub async fn run(options: Options) -> Report {
    let world = Arc::new(World::start(options.logs.as_deref(), options.older.as_deref()).await);
    let clock = Clock::start();
    let load = Arc::new(Load {
        command_urls: world.command_urls.clone(),
        query_urls: world.query_urls.clone(),
        clock,
        record: Mutex::default(),
    });
    let supervisor = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.supervise(clock).await }
    });
    // Half of the seeds begin with the binary log.
    if options.seed.is_multiple_of(2) {
        mysql::switch_source(&world.database_url()).await.unwrap();
    }
    // An earlier build may not know all commands.
    let knows_all = options.older.is_none();
    let rooms = Rooms::register(&load, options.seed, PROBE_ROOMS, knows_all).await;
    let prober = Arc::new(Prober::new(&load, rooms.probes.clone(), options.seed));
    let listeners = Listeners::start(&load, &rooms, options.seed);
    let workload = Workload::start(&load, &rooms, options.seed, options.callers, knows_all);
    tokio::time::sleep(WARM_UP).await;
    let began = clock.now();
    let inflicted = inflict(&options, &world, &prober, clock).await;
    let micros = clock.now() - began;
    workload.finish().await;
    let rest = collect::until_level(&world).await;
    let heads = mysql::heads(&world.database_url()).await.unwrap();
    let listeners = listeners.finish(&heads).await;
    supervisor.abort();
    let mut record = std::mem::take(&mut *load.record.lock().await);
    record.listeners = listeners;
    judge(&options, &world, &record, inflicted, (micros, rest)).await
}

/// Runs episodes until the time is over.
async fn inflict(
    options: &Options,
    world: &Arc<World>,
    prober: &Arc<Prober>,
    clock: Clock,
) -> Vec<Inflicted> {
    let start = clock.elapsed();
    let mut probes = JoinSet::new();
    let mut inflicted = Vec::new();
    for Episode { faults, quiet } in Schedule::new(options.seed) {
        if clock.elapsed() - start >= options.lasts {
            break;
        }
        let mut healing = JoinSet::new();
        for planned in faults {
            if options.verbose {
                println!("{:9.1} s: {planned}", seconds(clock.now()));
            }
            let (world, prober) = (Arc::clone(world), Arc::clone(prober));
            healing.spawn(one(world, prober, planned, clock));
        }
        let mut recovering = JoinSet::new();
        while let Some(recovery) = healing.join_next().await {
            recovering.spawn(recovery.unwrap());
        }
        let recovered = async move {
            let mut done = Vec::new();
            while let Some(one) = recovering.join_next().await {
                done.push(one.unwrap());
            }
            done
        };
        let mut recovered = tokio::spawn(recovered);
        match tokio::time::timeout(BREATH, &mut recovered).await {
            Ok(done) => inflicted.extend(done.unwrap()),
            Err(_) => drop(probes.spawn(recovered)),
        }
        tokio::time::sleep(quiet).await;
    }
    while let Some(late) = probes.join_next().await {
        inflicted.extend(late.unwrap().unwrap());
    }
    inflicted.sort_by_key(|one| one.began);
    mark_alone(&mut inflicted);
    inflicted
}

/// Inflicts a fault. The returned future measures the recovery, which for a takeover starts before the fault heals.
async fn one(
    world: Arc<World>,
    prober: Arc<Prober>,
    planned: Planned,
    clock: Clock,
) -> impl Future<Output = Inflicted> + Send + 'static {
    let planned = world.aimed(planned).await;
    let began = clock.now();
    let (struck, has_struck) = oneshot::channel();
    let early = (planned.fault == Fault::Takeover).then(|| {
        let prober = Arc::clone(&prober);
        tokio::spawn(async move {
            has_struck.await.unwrap();
            prober.recovered(&planned).await
        })
    });
    let burst = match planned {
        Planned { fault: Fault::FullQueue, target: Target::Command(number), .. } => {
            let prober = Arc::clone(&prober);
            Some(tokio::spawn(async move { prober.burst(number).await }))
        }
        _ => None,
    };
    world.inflict(&planned, struck).await;
    let healed = clock.now();
    async move {
        if let Some(burst) = burst {
            burst.await.unwrap();
        }
        let recovered = match early {
            Some(early) => early.await.unwrap(),
            None => prober.recovered(&planned).await,
        };
        Inflicted { planned, began, healed, recovered, alone: false }
    }
}

async fn judge(
    options: &Options,
    world: &World,
    record: &Record,
    inflicted: Vec<Inflicted>,
    (micros, rest): (u64, Option<Duration>),
) -> Report {
    let (mut violations, mut late) = (Vec::new(), Vec::new());
    let mut add = |rule, detail: String| violations.push(Violation { rule, detail });
    if rest.is_none() {
        add(
            "read models are level at the end",
            "outbox or read models are not level after two minutes".to_owned(),
        );
    }
    for one in &inflicted {
        let took = one.recovered.map(|recovered| recovered.saturating_sub(one.measured_from()));
        let at = format!("{} at {:.1} s", one.planned, seconds(one.began));
        match took {
            None => add("the system recovers", at),
            Some(took) if one.planned.fault == Fault::Takeover && one.alone && took > TAKEOVER => {
                late.push(format!("{at}: takeover took {:.1} s", seconds(took)));
            }
            Some(_) => {}
        }
    }
    let ended = std::mem::take(&mut *world.ended.lock().await);
    for one in &ended {
        let at = seconds(one.at);
        add(
            "no service ends by itself",
            format!("{} at {at:.1} s: {}\n{}", one.service, one.status, one.log),
        );
    }
    let mut events = 0;
    let spans = |fault: Fault, after: u64| -> Vec<Span> {
        let of_kind = inflicted.iter().filter(|one| one.planned.fault == fault);
        of_kind.map(|one| (one.began, one.healed + after)).collect()
    };
    let allowed = Allowed { stale: spans(Fault::PutBack, REFILL), past: spans(Fault::ClockJump, 0) };
    let emptied = spans(Fault::EmptyTopic, 0).into_iter().map(|(_, ended)| ended).max();
    match collect::evidence(world, emptied).await {
        Ok(evidence) => {
            events = evidence.streams.values().map(Vec::len).sum();
            violations.extend(checker::check(record, &evidence, &allowed));
        }
        Err(error) => add("the remaining data can be read", format!("{error:#}")),
    }
    if let Some(folder) = options.logs.as_ref().filter(|_| !violations.is_empty()) {
        std::fs::write(folder.join("record.json"), serde_json::to_vec(record).unwrap()).unwrap();
    }
    let mut report = Report::new(options.seed, micros, record, inflicted, ended, &violations);
    report.late = late;
    report.events = events;
    report.kills = world.kills.load(Ordering::Relaxed);
    report.rest = rest.map(|rest| rest.as_secs_f64());
    report
}
