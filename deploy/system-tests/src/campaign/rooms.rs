//! The rooms of a campaign.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    load_generator::{Load, LoadGenerator},
    operation::{Operation, Rules},
};
use crate::Random;

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
