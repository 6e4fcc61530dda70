//! Which fault hits what, and when: a pure function of the seed.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::random::Random;

/// A process of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Target {
    Command(usize),
    Query(usize),
    Mysql,
    Kafka,
    Mongodb,
}

/// What is done to it. Each ends by itself after the time that the plan gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Fault {
    /// SIGKILL, and started again after that time.
    Kill,
    /// The same to a service, measured from the kill to a success through the one that is left.
    Takeover,
    /// SIGSTOP, and SIGCONT after that time.
    Pause,
}

/// One fault to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Planned {
    pub(crate) fault: Fault,
    pub(crate) target: Target,
    /// How long it lasts. A server that was killed needs its own time to start beside that.
    pub(crate) lasts: Duration,
}

/// Faults that begin together, and the quiet time after they have healed.
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
        }
    }
}

impl Target {
    /// Which of the rows of the result it belongs to.
    pub(crate) const fn group(self) -> &'static str {
        match self {
            Self::Command(_) => "command-service",
            Self::Query(_) => "query-service",
            Self::Mysql => "MySQL",
            Self::Kafka => "Kafka",
            Self::Mongodb => "MongoDB",
        }
    }
}

impl Fault {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Takeover => "kill -9, the other takes over",
            Self::Pause => "pause",
        }
    }

    /// Whether it ends a process by SIGKILL.
    pub(crate) const fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::Takeover)
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} for {} ms", self.fault.name(), self.target, self.lasts.as_millis())
    }
}

/// The endless sequence of episodes of a seed.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    random: Random,
    number: u64,
}

impl Schedule {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { random: Random::part(seed, 2), number: 0 }
    }

    fn planned(&mut self, apart_from: Option<Target>) -> Planned {
        let random = &mut self.random;
        loop {
            let (fault, target, lasts) = match random.below(100) {
                0..22 => (Fault::Kill, service(random), random.millis(0, 2_000)),
                22..30 => (Fault::Takeover, service(random), random.millis(12_000, 14_000)),
                30..45 => (Fault::Kill, server(random), random.millis(0, 2_000)),
                45..75 => (Fault::Pause, service(random), pause(random)),
                _ => (Fault::Pause, server(random), pause(random)),
            };
            if apart_from != Some(target) {
                return Planned { fault, target, lasts };
            }
        }
    }
}

fn service(random: &mut Random) -> Target {
    let number = random.index(2);
    if random.chance(50) { Target::Command(number) } else { Target::Query(number) }
}

fn server(random: &mut Random) -> Target {
    [Target::Mysql, Target::Kafka, Target::Mongodb][random.index(3)]
}

/// Mostly short; some longer than each time-out on the way.
const fn pause(random: &mut Random) -> Duration {
    if random.chance(75) { random.millis(1_000, 4_000) } else { random.millis(4_000, 15_000) }
}

impl Iterator for Schedule {
    type Item = Episode;

    fn next(&mut self) -> Option<Episode> {
        self.number += 1;
        let first = self.planned(None);
        let mut faults = vec![first];
        // Where one of two is to take over, it must be left alone.
        if first.fault != Fault::Takeover && self.random.chance(15) {
            let second = self.planned(Some(first.target));
            if second.fault != Fault::Takeover {
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
    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_again_and_another_seed_gives_others() {
        let first: Vec<Episode> = Schedule::new(7).take(200).collect();
        assert_eq!(first, Schedule::new(7).take(200).collect::<Vec<_>>());
        assert_ne!(first, Schedule::new(8).take(200).collect::<Vec<_>>());
    }
}
