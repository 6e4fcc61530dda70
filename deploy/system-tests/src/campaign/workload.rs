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
    load_generator::{Load, LoadGenerator},
    record::{Done, Operation, Stay, View, YEAR_BEGINS},
};

/// The kinds of rooms, and the rooms of each kind.
const KINDS: usize = 4;
const ROOMS_OF_KIND: usize = 10;
/// The hours of all stays. With [`LIVE`] reservations a third of the requests meet another one.
const HOURS: u64 = 20 * 24;
/// The number of live reservations at which making and cancelling are in balance.
const LIVE: usize = 3_000;
/// The number of recently cancelled reservations that callers may restore.
const CANCELLED: usize = 200;
/// The number of recent successes whose tokens queries send.
const RECENT: usize = 64;

/// A live reservation.
#[derive(Debug, Clone, Copy)]
struct Live {
    room: Uuid,
    reservation: Uuid,
}

/// The state that callers share.
#[derive(Debug, Default)]
struct Board {
    live: Vec<Live>,
    /// With the revisions at which they were cancelled. The one who takes it is the only one to restore it.
    cancelled: Vec<(Live, u64)>,
    /// Whether callers restore reservations.
    restores: bool,
    recent: Vec<Done>,
}

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
    /// Registers all rooms before the first fault.
    pub(crate) async fn register(load: &Arc<Load>, seed: u64, probes: usize) -> Self {
        let mut generator = LoadGenerator::new(load, "registrar", Random::part(seed, 1));
        let mut rooms = Self { kinds: Vec::new(), probes: Vec::new() };
        for number in 0..KINDS {
            let kind = format!("kind-{number}");
            let mut of_kind = Vec::new();
            for room in 0..ROOMS_OF_KIND {
                of_kind.push(register(&mut generator, &format!("{kind}-{room}"), &kind).await);
            }
            rooms.kinds.push((kind, of_kind));
        }
        for room in 0..probes {
            rooms.probes.push(register(&mut generator, &format!("probe-{room}"), "probe").await);
        }
        rooms
    }

    fn any(&self, random: &mut Random) -> Uuid {
        let (_, rooms) = &self.kinds[random.index(self.kinds.len())];
        rooms[random.index(rooms.len())]
    }
}

async fn register(generator: &mut LoadGenerator, name: &str, kind: &str) -> Uuid {
    let operation = Operation::Register { name: name.to_owned(), kind: kind.to_owned() };
    generator.execute(operation, &[0, 1]).await.unwrap_or_else(|| panic!("{name} can't be registered")).room
}

impl Workload {
    /// Starts callers of commands, and one caller of queries for every four of them. `restores`: they restore reservations.
    pub(crate) fn start(load: &Arc<Load>, rooms: &Rooms, seed: u64, callers: u64, restores: bool) -> Self {
        let board = Board { restores, ..Board::default() };
        let (stop, board) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(board)));
        let mut tasks = JoinSet::new();
        for number in 0..callers {
            let generator =
                LoadGenerator::new(load, &format!("user-{number}"), Random::part(seed, 100 + number));
            tasks.spawn(command(generator, rooms.clone(), Arc::clone(&board), Arc::clone(&stop)));
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
    rooms: Rooms,
    board: Arc<Mutex<Board>>,
    stop: Arc<AtomicBool>,
) {
    while !stop.load(Ordering::Relaxed) {
        let operation = next(generator.random(), &rooms, &board).await;
        let gives_up = match &operation {
            Operation::Cancel { reservation, .. } | Operation::Move { reservation, .. } => Some(*reservation),
            _ => None,
        };
        if let Some(done) = generator.execute(operation.clone(), &[0, 1]).await {
            let mut board = board.lock().await;
            if let Some(gone) = gives_up {
                board.live.retain(|live| live.reservation != gone);
            }
            if let Operation::Cancel { room, reservation } = operation
                && board.restores
            {
                board.cancelled.push((Live { room, reservation }, done.revision));
                if board.cancelled.len() > CANCELLED {
                    board.cancelled.remove(0);
                }
            }
            if let Some(reservation) =
                done.reservation.filter(|_| !matches!(operation, Operation::Cancel { .. }))
            {
                let known = matches!(operation, Operation::Reschedule { .. });
                if !known {
                    board.live.push(Live { room: done.room, reservation });
                }
            }
            board.recent.push(done);
            if board.recent.len() > RECENT {
                board.recent.remove(0);
            }
        }
        let pause = generator.random().millis(100, 250);
        tokio::time::sleep(pause).await;
    }
}

/// The next operation. Callers change and cancel the same reservations.
async fn next(random: &mut Random, rooms: &Rooms, board: &Mutex<Board>) -> Operation {
    if random.chance(8) {
        let cancelled = &mut board.lock().await.cancelled;
        if !cancelled.is_empty() {
            let (Live { room, reservation }, last) = cancelled.swap_remove(random.index(cancelled.len()));
            // Any earlier one: in this room, in another one, or cancelled too.
            return Operation::Restore { room, reservation, revision: random.between(1, last - 1) };
        }
    }
    let (live, count) = {
        let board = board.lock().await;
        let count = board.live.len();
        // Other callers are most likely at work on the newest ones.
        let newest = count.saturating_sub(50);
        let index = if random.chance(30) && count > 0 {
            newest + random.index(count - newest)
        } else {
            random.index(count.max(1))
        };
        (board.live.get(index).copied(), count)
    };
    let from = YEAR_BEGINS + i64::try_from(random.below(HOURS)).unwrap() * 60;
    let stay = Stay { from, to: from + i64::try_from(random.between(1, 3)).unwrap() * 60 };
    let cancels = if count > LIVE { 45 } else { 15 };
    match (random.below(100), live) {
        (0..20, Some(Live { room, reservation })) => Operation::Reschedule { room, reservation, stay },
        (20..35, Some(Live { room, reservation })) => {
            let mut to_room = rooms.any(random);
            while to_room == room {
                to_room = rooms.any(random);
            }
            Operation::Move { room, reservation, to_room }
        }
        (part, Some(Live { room, reservation })) if part < 35 + cancels => {
            Operation::Cancel { room, reservation }
        }
        (part, _) if part % 3 == 0 => {
            let kind = rooms.kinds[random.index(rooms.kinds.len())].0.clone();
            Operation::ReserveKind { kind, stay }
        }
        _ => Operation::Reserve { room: rooms.any(random), stay },
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
