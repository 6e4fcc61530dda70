//! The workload: callers compete for rooms during the campaign.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Mutex, task::JoinSet};
use uuid::Uuid;

use crate::Random;

use super::{
    board::Board,
    choice::{Caller, next},
    load_generator::{Load, LoadGenerator},
    operation::{Operation, Rules},
    record::View,
};

/// The kinds of rooms, and the rooms of each kind.
const KINDS: usize = 4;
const ROOMS_OF_KIND: usize = 10;
/// The rules of the rooms of a kind, in turn.
const RULES: [Rules; 5] = [
    Rules { buffers: [0, 0], most: [None, None] },
    Rules { buffers: [30, 60], most: [None, None] },
    Rules { buffers: [0, 0], most: [Some(3), None] },
    Rules { buffers: [0, 15], most: [None, Some(360)] },
    Rules { buffers: [0, 0], most: [None, None] },
];

/// Running callers.
#[derive(Debug)]
pub(crate) struct Workload {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// The registered rooms: those of the callers by kind, and those of the probes.
#[derive(Debug, Clone)]
pub(crate) struct Rooms {
    pub(crate) kinds: Vec<(String, Vec<Uuid>)>,
    pub(crate) probes: Vec<Uuid>,
}

impl Rooms {
    /// Registers all rooms before the first fault. `rules`: some have rules.
    pub(crate) async fn register(load: &Arc<Load>, seed: u64, probes: usize, rules: bool) -> Self {
        let mut generator = LoadGenerator::new(load, "registrar", Random::part(seed, 1));
        let mut rooms = Self { kinds: Vec::new(), probes: Vec::new() };
        for number in 0..KINDS {
            let kind = format!("kind-{number}");
            let mut of_kind = Vec::new();
            for room in 0..ROOMS_OF_KIND {
                let rules = if rules { RULES[room % RULES.len()] } else { Rules::default() };
                of_kind.push(register(&mut generator, &format!("{kind}-{room}"), &kind, rules).await);
            }
            rooms.kinds.push((kind, of_kind));
        }
        for room in 0..probes {
            let name = format!("probe-{room}");
            rooms.probes.push(register(&mut generator, &name, "probe", Rules::default()).await);
        }
        rooms
    }

    pub(crate) fn any(&self, random: &mut Random) -> Uuid {
        let (_, rooms) = &self.kinds[random.index(self.kinds.len())];
        rooms[random.index(rooms.len())]
    }
}

async fn register(generator: &mut LoadGenerator, name: &str, kind: &str, rules: Rules) -> Uuid {
    let operation = Operation::Register { name: name.to_owned(), kind: kind.to_owned(), rules };
    generator.execute(operation, &[0, 1]).await.unwrap_or_else(|| panic!("{name} can't be registered")).room
}

impl Workload {
    /// Starts callers of commands, and one caller of queries for every four of them. `knows_all`: both builds know all
    /// commands.
    pub(crate) fn start(load: &Arc<Load>, rooms: &Rooms, seed: u64, callers: u64, knows_all: bool) -> Self {
        let (stop, board) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Board::default())));
        let mut tasks = JoinSet::new();
        for number in 0..callers {
            let caller = Caller { number, callers, knows_all };
            let generator = LoadGenerator::new(load, &caller.user(), Random::part(seed, 100 + number));
            tasks.spawn(command(generator, caller, rooms.clone(), Arc::clone(&board), Arc::clone(&stop)));
        }
        for number in 0..callers.div_ceil(4) {
            let generator =
                LoadGenerator::new(load, &format!("reader-{number}"), Random::part(seed, 10_000 + number));
            tasks.spawn(query(generator, Arc::clone(&board), Arc::clone(&stop)));
        }
        Self { stop, tasks }
    }

    /// Stops every caller after its present command.
    pub(crate) async fn finish(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(task) = self.tasks.join_next().await {
            task.unwrap();
        }
    }
}

async fn command(
    mut generator: LoadGenerator,
    caller: Caller,
    rooms: Rooms,
    board: Arc<Mutex<Board>>,
    stop: Arc<AtomicBool>,
) {
    while !stop.load(Ordering::Relaxed) {
        let operation = {
            let mut board = board.lock().await;
            next(generator.random(), caller, &rooms, &mut board)
        };
        if let Some(done) = generator.execute(operation.clone(), &[0, 1]).await {
            board.lock().await.take(&operation, done, &caller.user());
        }
        let pause = generator.random().millis(100, 250);
        tokio::time::sleep(pause).await;
    }
}

/// Sends tokens of recent commands to either query service.
async fn query(mut generator: LoadGenerator, board: Arc<Mutex<Board>>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let recent = {
            let board = board.lock().await;
            let index = generator.random().index(board.recent.len().max(1));
            board.recent.get(index).cloned()
        };
        if let Some(done) = recent {
            let view = match done.reservation {
                Some(reservation) if generator.random().chance(60) => {
                    View::Reservation { reservation, revision: done.revision }
                }
                _ => View::Schedule,
            };
            let instance = generator.random().index(2);
            generator.query(&done, view, instance, 2).await;
        }
        let pause = generator.random().millis(100, 250);
        tokio::time::sleep(pause).await;
    }
}

/// The time before the first fault, in which the callers create data.
pub(crate) const WARM_UP: Duration = Duration::from_secs(5);
