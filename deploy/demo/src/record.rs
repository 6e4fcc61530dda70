//! The demo's own record: the expected state, from the answers alone.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, bail};

use crate::{
    api::{Answer, Outcome},
    bookings::Booking,
    plan::{Action, Command, Minute, Stay},
};

/// A reservation that was made.
#[derive(Debug, Clone)]
pub(crate) struct Reserved {
    pub(crate) id: String,
    pub(crate) room: String,
    pub(crate) user: String,
    pub(crate) people: u32,
    pub(crate) stay: Stay,
    pub(crate) revision: u64,
    pub(crate) live: bool,
    /// When it was made, in milliseconds since 1970, and its first minute then.
    pub(crate) made: (i64, Minute),
}

/// A room that was registered.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// The latest version that an answer named.
    pub(crate) version: u64,
}

/// The numbers of outcomes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) made: u64,
    pub(crate) turned_away: u64,
    pub(crate) changed: u64,
    pub(crate) refused_changes: u64,
    pub(crate) cancelled: u64,
    /// Changes and cancellations of bookings that were turned away.
    pub(crate) pointless: u64,
    /// Outcomes of an earlier replay, among all of these.
    pub(crate) repeated: u64,
}

/// The expected state.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// By id.
    pub(crate) rooms: HashMap<String, Room>,
    /// By the booking's number, without bookings that were turned away.
    pub(crate) reservations: BTreeMap<usize, Reserved>,
    /// Reservation and revision of each change, by user.
    pub(crate) history: BTreeMap<String, Vec<(String, u64)>>,
    pub(crate) counts: Counts,
}

impl Record {
    /// Adds the answer to a command.
    pub(crate) fn take(
        &mut self,
        command: &Command,
        booking: &Booking,
        answer: &Answer,
    ) -> anyhow::Result<()> {
        if answer.key.as_deref() != Some(&command.key) {
            bail!("the answer to {} names the key {:?}", command.key, answer.key);
        }
        if answer.outcome == Outcome::Repeated {
            self.counts.repeated += 1;
        }
        let refused = match (answer.outcome, &answer.problem) {
            (Outcome::Failed, problem) => bail!("{} failed: {problem:?}", command.key),
            (Outcome::Done, Some(problem)) => bail!("{} was done, yet has {problem:?}", command.key),
            (Outcome::Rejected, None) => bail!("{} was rejected for no reason", command.key),
            (_, problem) => problem.as_ref(),
        };
        let made = self.reservations.get_mut(&command.order);
        match (command.action, made, refused) {
            (Action::Make(_), None, Some(problem)) => {
                // A full kind is the only reason to turn a booking away: the plan follows all rules.
                if !matches!(problem.kind.rsplit('/').next(), Some("no-free-room" | "overlap")) {
                    bail!("{} was rejected: {} {:?}", command.key, problem.kind, problem.detail);
                }
                self.counts.turned_away += 1;
                return Ok(());
            }
            (Action::Make(stay), None, None) => {
                self.counts.made += 1;
                let made = Reserved {
                    id: answer.reservation.clone().context("a reservation without an id")?,
                    room: answer.room.clone().context("a reservation without a room")?,
                    user: booking.user.clone(),
                    people: booking.people,
                    stay,
                    revision: 0,
                    live: true,
                    made: (command.at.timestamp_millis(), stay.from),
                };
                self.reservations.insert(command.order, made);
            }
            (_, None, Some(_)) => {
                self.counts.pointless += 1;
                return Ok(());
            }
            (Action::Change(_), Some(_), Some(problem)) => {
                if problem.kind.rsplit('/').next() != Some("overlap") {
                    bail!("{} was rejected: {} {:?}", command.key, problem.kind, problem.detail);
                }
                self.counts.refused_changes += 1;
                return Ok(());
            }
            (Action::Change(stay), Some(made), None) => {
                self.counts.changed += 1;
                made.stay = stay;
            }
            (Action::Cancel, Some(made), None) => {
                self.counts.cancelled += 1;
                made.live = false;
            }
            (_, _, refused) => bail!("{} can't be answered by {:?} {refused:?}", command.key, answer.outcome),
        }
        self.advance(command, answer)
    }

    /// Adds the version and revision of a change.
    fn advance(&mut self, command: &Command, answer: &Answer) -> anyhow::Result<()> {
        let done = self.reservations.get_mut(&command.order).context("nothing was made")?;
        if answer.reservation.as_ref() != Some(&done.id) || answer.room.as_ref() != Some(&done.room) {
            bail!("{} is about {}, not {:?}", command.key, done.id, answer.reservation);
        }
        let version = answer.version.with_context(|| format!("{} has no version", command.key))?;
        let revision = answer.revision.with_context(|| format!("{} has no revision", command.key))?;
        let room = self.rooms.get_mut(&done.room).with_context(|| format!("no room {}", done.room))?;
        // A change that changes nothing makes no event.
        let changes_nothing = revision == done.revision && matches!(command.action, Action::Change(_));
        if changes_nothing {
            return Ok(());
        }
        if revision != done.revision + 1 {
            bail!("{}: revision {revision} after {}", command.key, done.revision);
        }
        if version <= room.version {
            bail!("{}: version {version} of room {} after {}", command.key, room.name, room.version);
        }
        done.revision = revision;
        room.version = version;
        self.history.entry(done.user.clone()).or_default().push((done.id.clone(), revision));
        Ok(())
    }

    /// Reservations that hold a room.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Reserved> {
        self.reservations.values().filter(|reserved| reserved.live)
    }
}
