//! The workload: callers compete for rooms during the campaign.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Mutex, task::JoinSet};

use crate::Random;

use super::{
    board::Board,
    choice::{Caller, next},
    load_generator::{Load, LoadGenerator},
    record::View,
    rooms::Rooms,
};

/// Running callers.
#[derive(Debug)]
pub(crate) struct Workload {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
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
