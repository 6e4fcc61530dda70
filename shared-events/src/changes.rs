//! Follows rooms by [notices](crate::notice): decides what to ask the feed for, and hands out each event once, in order.
//!
//! The topic `reservations.changes` tells that a room has new events, and the [feed](crate::feed) has them. A [`Follower`] stands
//! between the two. It sends and stores nothing itself, so it works with any client of Kafka and HTTP:
//!
//! - It merges notices: however many came for a room, its events are asked for once, up to the head.
//! - It has one question at a time for a room, and many rooms in a question.
//! - After a question it pauses for [`Follower::PAUSE`], so that a flood of notices leads to few questions.
//! - It asks again, with growing pauses, while the feed is away or does not show an event yet.
//! - At the start, and every [`Follower::COMPARE_EVERY`], it compares heads. So nothing is missed, whatever became of a notice.
//!
//! Because it compares heads at the start, a reader stores no offsets: it begins at the end of the topic. It stores the applied
//! version of each room together with what it makes of the events.
//!
//! ```
//! use std::time::Instant;
//!
//! use shared_events::{
//!     RawEvent,
//!     changes::{Follower, Step},
//!     feed::{Answer, Head, Question},
//!     notice::Notice,
//! };
//!
//! # type Error = Box<dyn std::error::Error>;
//! /// Your client of the feed.
//! trait Feed {
//!     /// `POST /v1/events/query`
//!     fn ask(&self, question: &Question) -> Result<Answer, Error>;
//!     /// All pages of `GET /v1/streams`
//!     fn heads(&self) -> Result<Vec<Head>, Error>;
//! }
//!
//! /// Does all that can be done now. Returns when to be called again, unless a notice comes first.
//! fn catch_up(
//!     follower: &mut Follower,
//!     feed: &dyn Feed,
//!     notices: impl IntoIterator<Item = Notice>,
//!     // Stores the documents of a room, and its new version, in one transaction.
//!     mut apply: impl FnMut(&[RawEvent]) -> Result<(), Error>,
//! ) -> Instant {
//!     for notice in notices {
//!         follower.told(notice.room, notice.version);
//!     }
//!     loop {
//!         let now = Instant::now();
//!         match follower.next(now) {
//!             Step::Ask(question) => match feed.ask(&question) {
//!                 Ok(answer) => {
//!                     for events in follower.answered(&question, answer, now) {
//!                         let Some(last) = events.last() else { continue };
//!                         match apply(&events) {
//!                             Ok(()) => follower.applied(last.room, last.version),
//!                             Err(_) => follower.failed(last.room, now),
//!                         }
//!                     }
//!                 }
//!                 Err(_) => follower.unanswered(&question, now),
//!             },
//!             Step::CompareHeads => match feed.heads() {
//!                 Ok(heads) => heads.into_iter().for_each(|head| follower.told(head.room, head.version)),
//!                 Err(_) => follower.not_compared(now),
//!             },
//!             Step::Wait(until) => return until,
//!         }
//!     }
//! }
//! ```
//!
//! The feed masks erased persons in what it answers from then on. A reader that stores persons also masks what it has
//! [stored](crate::erasure).

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    envelope::RawEvent,
    feed::{Answer, Part, Question, Range},
    ids::RoomId,
    version::Version,
};

/// The pause after the first failure about a room. It doubles up to [`MOST_REST`].
const FIRST_REST: Duration = Duration::from_millis(50);
/// The longest pause after failures.
const MOST_REST: Duration = Duration::from_secs(5);

/// What a [`Follower`] wants next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Send this question, then call [`Follower::answered`] or [`Follower::unanswered`]. Other questions may be sent meanwhile:
    /// they are about other rooms.
    Ask(Question),
    /// Read all pages of `GET /v1/streams`, and call [`Follower::told`] with each head, or else [`Follower::not_compared`].
    CompareHeads,
    /// Nothing until this time, unless a notice comes before.
    Wait(Instant),
}

/// The state of a reader of rooms.
#[derive(Debug, Default)]
pub struct Follower {
    rooms: HashMap<RoomId, Room>,
    /// Whether it follows rooms of which it is told, beside those of the start.
    all: bool,
    /// The rooms to ask about, the first told first.
    due: VecDeque<RoomId>,
    /// The rooms that are asked about again later.
    resting: BTreeSet<(Instant, RoomId)>,
    /// The earliest time of the next question.
    ask_at: Option<Instant>,
    compare_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct Room {
    applied: Version,
    /// The highest version that is known to be there.
    known: Version,
    state: State,
    failures: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Idle,
    Due,
    /// In a question.
    Asked,
    /// Its events up to a version are being applied.
    Applying(Version),
    Resting(Instant),
}

impl Follower {
    /// The pause between two questions.
    pub const PAUSE: Duration = Duration::from_millis(50);
    /// The time between two comparisons of heads.
    pub const COMPARE_EVERY: Duration = Duration::from_secs(60);

    /// Follows all rooms. `applied` has the version of each room up to which its events were applied before.
    #[must_use]
    pub fn of_all(applied: impl IntoIterator<Item = (RoomId, Version)>) -> Self {
        Self { all: true, ..Self::of_rooms(applied) }
    }

    /// Follows these rooms alone, each from its version on, and ignores notices of others. It never wants
    /// [`Step::CompareHeads`]: it asks about its rooms instead.
    #[must_use]
    pub fn of_rooms(applied: impl IntoIterator<Item = (RoomId, Version)>) -> Self {
        let room = |(room, applied)| (room, Room { applied, ..Room::default() });
        Self { rooms: applied.into_iter().map(room).collect(), ..Self::default() }
    }

    /// A notice or the list of heads tells that the room has this version. Notices may come in any order and several times.
    pub fn told(&mut self, room: RoomId, version: Version) {
        if self.all {
            self.rooms.entry(room).or_default();
        }
        let Some(state) = self.rooms.get_mut(&room) else { return };
        state.known = state.known.max(version);
        self.look_at(room);
    }

    /// What to do now.
    pub fn next(&mut self, now: Instant) -> Step {
        if self.compare_at.is_none_or(|at| at <= now) {
            self.compare_at = Some(now + Self::COMPARE_EVERY);
            if self.all {
                return Step::CompareHeads;
            }
            let idle = self.rooms.iter_mut().filter(|(_, room)| room.state == State::Idle);
            for (room, state) in idle {
                state.state = State::Due;
                self.due.push_back(*room);
            }
        }
        while let Some((at, room)) = self.resting.first().copied().filter(|(at, _)| *at <= now) {
            self.resting.remove(&(at, room));
            if let Some(state) = self.rooms.get_mut(&room) {
                state.state = State::Due;
                self.due.push_back(room);
            }
        }
        let may_ask = self.ask_at.is_none_or(|at| at <= now);
        if may_ask && !self.due.is_empty() {
            self.ask_at = Some(now + Self::PAUSE);
            return Step::Ask(self.question());
        }
        let ask_at = self.ask_at.filter(|_| !self.due.is_empty());
        let rested_at = self.resting.first().map(|(at, _)| *at);
        let times = [self.compare_at, ask_at, rested_at].into_iter().flatten();
        Step::Wait(times.min().unwrap_or(now))
    }

    fn question(&mut self) -> Question {
        let rooms: Vec<_> = self.due.drain(..self.due.len().min(Question::MOST_STREAMS)).collect();
        let mut items = Vec::with_capacity(rooms.len());
        for room in rooms {
            if let Some(state) = self.rooms.get_mut(&room) {
                state.state = State::Asked;
                // Up to the head, not to the version that it was told: later events may be there by now.
                items.push(Range { room, after: state.applied, up_to: None });
            }
        }
        Question { items }
    }

    /// Takes the answer to a question. Returns the events to apply: a list for each room that has any, with the next ones in
    /// order. Call [`Follower::applied`] or [`Follower::failed`] for each; until then the room is not asked about.
    pub fn answered(&mut self, question: &Question, answer: Answer, now: Instant) -> Vec<Vec<RawEvent>> {
        let mut parts: HashMap<RoomId, Part> =
            answer.items.into_iter().map(|part| (part.room, part)).collect();
        let mut all = Vec::new();
        for range in &question.items {
            let events = parts.remove(&range.room).and_then(|part| self.take(range.room, part));
            let Some(events) = events else {
                self.failed(range.room, now);
                continue;
            };
            let Some(room) = self.rooms.get_mut(&range.room) else { continue };
            if let Some(last) = events.last() {
                room.state = State::Applying(last.version);
                all.push(events);
            } else if room.known > room.applied {
                // It was told of a version that is not visible yet.
                self.failed(range.room, now);
            } else {
                (room.state, room.failures) = (State::Idle, 0);
            }
        }
        all
    }

    /// The events of a part if they are the next ones, and its head.
    fn take(&mut self, room: RoomId, part: Part) -> Option<Vec<RawEvent>> {
        let state = self.rooms.get_mut(&room)?;
        let head = part.head.filter(|_| part.problem.is_none())?;
        state.known = state.known.max(head);
        let events = part.events.into_iter().map(crate::feed::FeedEvent::into_raw);
        let events: Vec<_> = events.collect::<Result<_, _>>().ok()?;
        let mut expected = state.applied;
        let follows = events.iter().all(|event| {
            expected = expected.next();
            event.room == room && event.version == expected
        });
        follows.then_some(events)
    }

    /// A room's events were applied up to a version. Ignored if the version was not handed out, or was applied before.
    pub fn applied(&mut self, room: RoomId, version: Version) {
        let Some(state) = self.rooms.get_mut(&room) else { return };
        let State::Applying(last) = state.state else { return };
        if version <= state.applied || version > last {
            return;
        }
        state.applied = version;
        if version == last {
            (state.state, state.failures) = (State::Idle, 0);
            self.look_at(room);
        }
    }

    /// A room's events could not be applied, or not all of them: the room is asked about again after a pause.
    pub fn failed(&mut self, room: RoomId, now: Instant) {
        let Some(state) = self.rooms.get_mut(&room) else { return };
        if !matches!(state.state, State::Asked | State::Applying(_)) {
            return;
        }
        let rest = FIRST_REST.saturating_mul(1 << state.failures.min(10)).min(MOST_REST);
        state.failures = state.failures.saturating_add(1);
        state.state = State::Resting(now + rest);
        self.resting.insert((now + rest, room));
    }

    /// The question got no answer: its rooms are asked about again after a pause.
    pub fn unanswered(&mut self, question: &Question, now: Instant) {
        for range in &question.items {
            self.failed(range.room, now);
        }
    }

    /// The heads could not be read: they are compared after a pause.
    pub fn not_compared(&mut self, now: Instant) {
        self.compare_at = Some(now + MOST_REST);
    }

    /// The version up to which a room's events are applied.
    #[must_use]
    pub fn version(&self, room: RoomId) -> Version {
        self.rooms.get(&room).map_or(Version::NONE, |room| room.applied)
    }

    /// Whether every version that it knows of is applied.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.rooms.values().all(|room| room.applied >= room.known)
    }

    /// Queues an idle room that has more events.
    fn look_at(&mut self, room: RoomId) {
        if let Some(state) = self.rooms.get_mut(&room)
            && state.state == State::Idle
            && state.known > state.applied
        {
            state.state = State::Due;
            self.due.push_back(room);
        }
    }
}

#[cfg(test)]
mod tests;
