//! The schedule of the faults, a pure function of the seed.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::Random;

/// The target of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Target {
    Command(usize),
    Query(usize),
    Mysql,
    Kafka,
    Mongodb,
    Link(Link),
}

/// A connection from a service to a server. The number is the service's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Link {
    /// Of a command service.
    Mysql(usize),
    /// Of all services: the broker tells them all the same address.
    Kafka,
    /// Of a query service.
    Mongodb(usize),
    /// Of a query service, to a command service.
    Feed(usize),
}

/// The kind of a fault. Each ends after its planned time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Fault {
    /// SIGKILL, then a new start at the end.
    Kill,
    /// The same for a service, measured from the kill to a success through the other one.
    Takeover,
    /// SIGSTOP, then SIGCONT at the end.
    Pause,
    /// SIGSTOP and SIGCONT in turns: a slow process.
    Stutter,
    /// Connections are reset.
    Cut,
    /// Everything is delayed by `amount` milliseconds.
    Late,
    /// Nothing arrives, without an error.
    Silent,
    /// Connections are reset after `amount` bytes of requests.
    ResetAfter,
    /// Connections are reset at COMMIT, before or after it arrives.
    LoseCommit,
    /// Kafka is killed and starts again with an empty topic.
    EmptyTopic,
    /// MongoDB is killed and starts again with its data from the start of the fault.
    PutBack,
    /// A restart with a clock that is off by `amount` seconds; 0 means a clock in the middle of the stays.
    ClockJump,
    /// Both query services are killed and started in turns.
    Storm,
    /// A restart with a queue of one command, and a burst of commands.
    FullQueue,
    /// The relay is switched to its other source.
    SwitchSource,
    /// Both command services are killed. They start again when MySQL has purged its binary log.
    PurgeLog,
}

/// A planned fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Planned {
    pub(crate) fault: Fault,
    pub(crate) target: Target,
    /// Its duration, without the time that a killed server needs to start.
    pub(crate) lasts: Duration,
    /// Its size, for some kinds.
    pub(crate) amount: i64,
}

/// Faults that start together, and the quiet time after they have healed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Episode {
    pub(crate) faults: Vec<Planned>,
    pub(crate) quiet: Duration,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(number) => write!(f, "command-service {number}"),
            Self::Query(number) => write!(f, "query-service {number}"),
            Self::Mysql => f.write_str("MySQL"),
            Self::Kafka => f.write_str("Kafka"),
            Self::Mongodb => f.write_str("MongoDB"),
            Self::Link(Link::Mysql(number)) => write!(f, "command-service {number} to MySQL"),
            Self::Link(Link::Kafka) => f.write_str("all services to Kafka"),
            Self::Link(Link::Mongodb(number)) => write!(f, "query-service {number} to MongoDB"),
            Self::Link(Link::Feed(number)) => write!(f, "query-service {number} to the feed"),
        }
    }
}

impl Target {
    /// Its name in the rows of the report.
    pub(crate) const fn group(self) -> &'static str {
        match self {
            Self::Command(_) => "command-service",
            Self::Query(_) => "query-service",
            Self::Mysql => "MySQL",
            Self::Kafka => "Kafka",
            Self::Mongodb => "MongoDB",
            Self::Link(Link::Mysql(_)) => "command-service to MySQL",
            Self::Link(Link::Kafka) => "all services to Kafka",
            Self::Link(Link::Mongodb(_)) => "query-service to MongoDB",
            Self::Link(Link::Feed(_)) => "query-service to the feed",
        }
    }
}

impl Fault {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Takeover => "kill -9, the other takes over",
            Self::Pause => "pause",
            Self::Stutter => "stutter",
            Self::Cut => "connections reset",
            Self::Late => "delay",
            Self::Silent => "half-open",
            Self::ResetAfter => "reset after some bytes",
            Self::LoseCommit => "reset at COMMIT",
            Self::EmptyTopic => "topic lost",
            Self::PutBack => "put back to an older copy",
            Self::ClockJump => "clock jump",
            Self::Storm => "rebalance storm",
            Self::FullQueue => "full queue",
            Self::SwitchSource => "source of the relay switched",
            Self::PurgeLog => "binary log purged",
        }
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, amount, .. } = self;
        write!(f, "{}, {target}, {} ms", self.fault.name(), self.lasts.as_millis())?;
        if *amount == 0 { Ok(()) } else { write!(f, " ({amount})") }
    }
}

/// The number of each fault in a deck. Faults are drawn from one deck after the other, so that each kind recurs.
const DECK: [(Fault, usize); 16] = [
    (Fault::Kill, 9),
    (Fault::Takeover, 2),
    (Fault::Pause, 7),
    (Fault::Stutter, 1),
    (Fault::Cut, 2),
    (Fault::Late, 1),
    (Fault::Silent, 2),
    (Fault::ResetAfter, 1),
    (Fault::LoseCommit, 2),
    (Fault::EmptyTopic, 1),
    (Fault::PutBack, 1),
    (Fault::ClockJump, 1),
    (Fault::Storm, 1),
    (Fault::FullQueue, 1),
    (Fault::SwitchSource, 3),
    (Fault::PurgeLog, 1),
];
/// An hour fast, a day slow, a month fast, and in the middle of the stays.
const JUMPS: [i64; 4] = [3_600, -86_400, 30 * 86_400, 0];

/// The endless sequence of episodes of a seed.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    random: Random,
    number: u64,
    deck: Vec<Fault>,
}

impl Schedule {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { random: Random::part(seed, 2), number: 0, deck: Vec::new() }
    }

    fn planned(&mut self, apart_from: Option<Target>) -> Planned {
        if self.deck.is_empty() {
            let all = DECK.iter().flat_map(|(fault, times)| std::iter::repeat_n(*fault, *times));
            self.deck = all.collect();
        }
        let card = self.random.index(self.deck.len());
        let fault = self.deck.swap_remove(card);
        loop {
            let target = target(fault, &mut self.random);
            if apart_from != Some(target) {
                let (lasts, amount) = (lasts(fault, &mut self.random), amount(fault, &mut self.random));
                return Planned { fault, target, lasts, amount };
            }
            // This fault has one target only: draw another fault.
            if matches!(fault, Fault::EmptyTopic | Fault::PutBack | Fault::SwitchSource | Fault::PurgeLog) {
                return self.planned(apart_from);
            }
        }
    }
}

fn target(fault: Fault, random: &mut Random) -> Target {
    let number = random.index(2);
    let (command, query) = (Target::Command(number), Target::Query(number));
    let service = if random.chance(50) { command } else { query };
    let server = [Target::Mysql, Target::Kafka, Target::Mongodb][random.index(3)];
    let links = [Link::Mysql(number), Link::Kafka, Link::Mongodb(number), Link::Feed(number)];
    match fault {
        Fault::Kill | Fault::Pause if random.chance(40) => server,
        Fault::Kill | Fault::Pause | Fault::Takeover | Fault::Stutter | Fault::ClockJump => service,
        Fault::Cut | Fault::Late | Fault::Silent => Target::Link(links[random.index(links.len())]),
        Fault::ResetAfter => Target::Link(links[random.index(3)]),
        Fault::LoseCommit => Target::Link(Link::Mysql(number)),
        Fault::EmptyTopic => Target::Kafka,
        Fault::PutBack => Target::Mongodb,
        Fault::Storm => query,
        Fault::FullQueue => command,
        Fault::SwitchSource | Fault::PurgeLog => Target::Mysql,
    }
}

fn lasts(fault: Fault, random: &mut Random) -> Duration {
    match fault {
        Fault::Kill | Fault::EmptyTopic | Fault::PurgeLog => random.millis(0, 2_000),
        Fault::SwitchSource => random.millis(100, 3_000),
        Fault::Takeover => random.millis(12_000, 14_000),
        // Mostly short; some longer than every time-out.
        Fault::Pause if random.chance(75) => random.millis(1_000, 4_000),
        Fault::Pause => random.millis(4_000, 15_000),
        Fault::Silent => random.millis(2_000, 10_000),
        Fault::Storm => random.millis(4_000, 8_000),
        Fault::ClockJump => random.millis(3_000, 8_000),
        _ => random.millis(2_000, 5_000),
    }
}

fn amount(fault: Fault, random: &mut Random) -> i64 {
    match fault {
        Fault::Late => i64::try_from(random.between(20, 400)).unwrap(),
        Fault::ResetAfter => i64::try_from(random.between(200, 20_000)).unwrap(),
        Fault::ClockJump => JUMPS[random.index(JUMPS.len())],
        _ => 0,
    }
}

impl Iterator for Schedule {
    type Item = Episode;

    fn next(&mut self) -> Option<Episode> {
        self.number += 1;
        let first = self.planned(None);
        let mut faults = vec![first];
        // During a takeover the other instance must not be hit.
        if !matches!(first.fault, Fault::Takeover | Fault::Storm | Fault::PurgeLog) && self.random.chance(15)
        {
            let second = self.planned(Some(first.target));
            if !matches!(second.fault, Fault::Takeover | Fault::Storm | Fault::PurgeLog) {
                faults.push(second);
            }
        }
        let quiet = if self.number.is_multiple_of(20) {
            Duration::from_secs(10)
        } else {
            self.random.millis(500, 2_000)
        };
        Some(Episode { faults, quiet })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_fault_comes_within_fifty_episodes() {
        let faults: HashSet<Fault> = Schedule::new(1)
            .take(50)
            .flat_map(|episode| episode.faults)
            .map(|planned| planned.fault)
            .collect();
        assert_eq!(faults.len(), DECK.len());
    }

    #[test]
    fn a_seed_gives_the_same_faults_again_and_another_seed_gives_others() {
        let first: Vec<Episode> = Schedule::new(7).take(200).collect();
        assert_eq!(first, Schedule::new(7).take(200).collect::<Vec<_>>());
        assert_ne!(first, Schedule::new(8).take(200).collect::<Vec<_>>());
    }
}
