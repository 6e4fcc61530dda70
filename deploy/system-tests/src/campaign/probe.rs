//! Measures recovery from a fault.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::Random;

use super::{
    load_generator::{Load, LoadGenerator},
    operation::Operation,
    record::{Stay, View, YEAR_BEGINS},
    schedule::{Fault, Link, Planned, Target},
};

/// The rooms of the probes: enough to cover every partition and every relay.
pub(crate) const PROBE_ROOMS: usize = 16;
/// The number of callers in a burst.
const BURST: u64 = 64;
/// The longest time from a commit until a query shows it. After that the system counts as not recovered.
const PATIENCE: Duration = Duration::from_secs(60);

/// Each probe reserves its own hour in every probe room.
#[derive(Debug)]
pub(crate) struct Prober {
    load: Arc<Load>,
    rooms: Vec<Uuid>,
    seed: u64,
    next: Mutex<u64>,
}

impl Prober {
    pub(crate) fn new(load: &Arc<Load>, rooms: Vec<Uuid>, seed: u64) -> Self {
        Self { load: Arc::clone(load), rooms, seed, next: Mutex::new(0) }
    }

    /// Reserves through the services that the fault has hit, or after a takeover through the others, until every reservation
    /// is visible. Returns when that was, or none after too long.
    pub(crate) async fn recovered(&self, planned: &Planned) -> Option<u64> {
        let (commands, queries): (&[usize], &[usize]) = match (planned.fault, planned.target) {
            (Fault::Takeover, Target::Command(dead)) => (if dead == 0 { &[1] } else { &[0] }, &[0, 1]),
            (Fault::Takeover, Target::Query(dead)) => (&[0, 1], if dead == 0 { &[1] } else { &[0] }),
            // The storm has hit both.
            (Fault::Storm, _) => (&[0, 1], &[0, 1]),
            (_, Target::Command(number) | Target::Link(Link::Mysql(number))) => {
                (if number == 0 { &[0] } else { &[1] }, &[0, 1])
            }
            (_, Target::Query(number) | Target::Link(Link::Mongodb(number) | Link::Feed(number))) => {
                (&[0, 1], if number == 0 { &[0] } else { &[1] })
            }
            _ => (&[0, 1], &[0, 1]),
        };
        let number = self.number().await;
        let from = YEAR_BEGINS + i64::try_from(number).unwrap() * 60;
        let stay = Stay { from, to: from + 60 };
        let rooms = self.rooms.iter().zip(0..).map(|(room, index)| {
            let generator = self.generator(number, index);
            visible(generator, *room, stay, commands, queries)
        });
        let all = join_all(rooms).await;
        all.into_iter().all(|visible| visible).then(|| self.load.clock.now())
    }

    /// Sends many commands to one command service at once.
    pub(crate) async fn burst(&self, instance: usize) {
        let number = self.number().await;
        let callers = (0..BURST).map(|caller| async move {
            let mut generator = self.generator(number, 100 + caller);
            for _ in 0..4 {
                let room = self.rooms[generator.random().index(self.rooms.len())];
                let hour = 4_000 + i64::try_from(generator.random().below(4_000)).unwrap();
                let from = YEAR_BEGINS + hour * 60;
                generator
                    .execute(
                        Operation::Reserve { room, stay: Stay { from, to: from + 60 }, owner: None },
                        &[instance],
                    )
                    .await;
            }
        });
        join_all(callers).await;
    }

    /// The unique number of a probe.
    async fn number(&self) -> u64 {
        let mut next = self.next.lock().await;
        *next += 1;
        *next
    }

    fn generator(&self, number: u64, room: u64) -> LoadGenerator {
        let random = Random::part(self.seed, 1_000_000 + number * 1_000 + room);
        LoadGenerator::new(&self.load, &format!("probe-{number}-{room}"), random)
    }
}

/// Reserves and waits until each of the query services shows the reservation.
async fn visible(
    mut generator: LoadGenerator,
    room: Uuid,
    stay: Stay,
    commands: &[usize],
    queries: &[usize],
) -> bool {
    let Some(done) = generator.execute(Operation::Reserve { room, stay, owner: None }, commands).await else {
        return false;
    };
    let Some(reservation) = done.reservation else { return false };
    let start = Instant::now();
    for instance in queries {
        let view = View::Reservation { reservation, revision: done.revision };
        while generator.query(&done, view, *instance, 2).await != Some(200) {
            if start.elapsed() > PATIENCE {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    true
}
