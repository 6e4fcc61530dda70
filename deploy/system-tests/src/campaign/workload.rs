//! Callers that compete for rooms as long as the campaign lasts.

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
    record::{Ask, Done, Look, Stay, YEAR_BEGINS},
};

/// Kinds of rooms that are competed for, and how many rooms each has.
const KINDS: usize = 4;
const ROOMS_OF_KIND: usize = 10;
/// Hours in which stays lie. With [`HELD`] stays, a third of the requests meet another one.
const HOURS: u64 = 20 * 24;
/// Live reservations at which making and cancelling are in balance.
const HELD: usize = 3_000;
/// Successes whose tokens queries send.
const RECENT: usize = 64;

/// A reservation that somebody made.
#[derive(Debug, Clone, Copy)]
struct Held {
    room: Uuid,
    reservation: Uuid,
}

/// What callers know of each other's work.
#[derive(Debug, Default)]
struct Board {
    held: Vec<Held>,
    recent: Vec<Done>,
}

/// Callers at work.
#[derive(Debug)]
pub(crate) struct Workload {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// Rooms that were registered: of the callers, by kind, and of the probes.
#[derive(Debug, Clone)]
pub(crate) struct Rooms {
    kinds: Vec<(String, Vec<Uuid>)>,
    pub(crate) probes: Vec<Uuid>,
}

impl Rooms {
    /// Registers all rooms, while nothing is at fault yet.
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
    let ask = Ask::Register { name: name.to_owned(), kind: kind.to_owned() };
    generator.ask(ask, &[0, 1]).await.unwrap_or_else(|| panic!("{name} can't be registered")).room
}

impl Workload {
    /// Starts so many callers, and one that queries for each four of them.
    pub(crate) fn start(load: &Arc<Load>, rooms: &Rooms, seed: u64, callers: u64) -> Self {
        let (stop, board) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Board::default())));
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

    /// Has every caller bring what it began to an end.
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
        let ask = next(generator.random(), &rooms, &board).await;
        let gives_up = match &ask {
            Ask::Cancel { reservation, .. } | Ask::Move { reservation, .. } => Some(*reservation),
            _ => None,
        };
        if let Some(done) = generator.ask(ask.clone(), &[0, 1]).await {
            let mut board = board.lock().await;
            if let Some(gone) = gives_up {
                board.held.retain(|held| held.reservation != gone);
            }
            if let Some(reservation) = done.reservation.filter(|_| !matches!(ask, Ask::Cancel { .. })) {
                let known = matches!(ask, Ask::Reschedule { .. });
                if !known {
                    board.held.push(Held { room: done.room, reservation });
                }
            }
            board.recent.push(done);
            if board.recent.len() > RECENT {
                board.recent.remove(0);
            }
        }
        let thinks = generator.random().millis(100, 250);
        tokio::time::sleep(thinks).await;
    }
}

/// What to ask next. Reservations are everybody's: callers change and cancel the same ones at the same time.
async fn next(random: &mut Random, rooms: &Rooms, board: &Mutex<Board>) -> Ask {
    let (held, count) = {
        let board = board.lock().await;
        let count = board.held.len();
        // The newest are the likeliest to be at work elsewhere.
        let newest = count.saturating_sub(50);
        let index = if random.chance(30) && count > 0 {
            newest + random.index(count - newest)
        } else {
            random.index(count.max(1))
        };
        (board.held.get(index).copied(), count)
    };
    let from = YEAR_BEGINS + i64::try_from(random.below(HOURS)).unwrap() * 60;
    let stay = Stay { from, to: from + i64::try_from(random.between(1, 3)).unwrap() * 60 };
    let cancels = if count > HELD { 45 } else { 15 };
    match (random.below(100), held) {
        (0..20, Some(Held { room, reservation })) => Ask::Reschedule { room, reservation, stay },
        (20..35, Some(Held { room, reservation })) => {
            let mut to_room = rooms.any(random);
            while to_room == room {
                to_room = rooms.any(random);
            }
            Ask::Move { room, reservation, to_room }
        }
        (part, Some(Held { room, reservation })) if part < 35 + cancels => Ask::Cancel { room, reservation },
        (part, _) if part % 3 == 0 => {
            let kind = rooms.kinds[random.index(rooms.kinds.len())].0.clone();
            Ask::ReserveKind { kind, stay }
        }
        _ => Ask::Reserve { room: rooms.any(random), stay },
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
            let look = match done.reservation {
                Some(reservation) if generator.random().chance(60) => {
                    Look::Reservation { reservation, revision: done.revision }
                }
                _ => Look::Schedule,
            };
            let instance = generator.random().index(2);
            generator.look(&done, look, instance, 2).await;
        }
        let thinks = generator.random().millis(100, 250);
        tokio::time::sleep(thinks).await;
    }
}

/// How long the callers work before the first fault, so that there is something to lose.
pub(crate) const WARM_UP: Duration = Duration::from_secs(5);
