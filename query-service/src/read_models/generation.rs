//! The registry of generations.

use shared_events::Timestamp;

/// The number of the first generation. Numbers count up, and none is used again.
pub const FIRST: u32 = 1;

/// The state of a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// A rebuild fills it from the feed. Services do not write it.
    Building,
    /// Every service feeds it, whether it is shown or not.
    Following,
    /// A rebuild filled it up to a moment. Nobody writes it, but an erasure masks it. Administrators read it by its number.
    Frozen,
    /// No service may write it. Its collections are about to be dropped.
    Dropping,
    /// Its collections are gone. Its number stays taken.
    Dropped,
}

impl State {
    /// The word under which it is stored and shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Following => "following",
            Self::Frozen => "frozen",
            Self::Dropping => "dropping",
            Self::Dropped => "dropped",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Building, Self::Following, Self::Frozen, Self::Dropping, Self::Dropped]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// The record of a generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generation {
    /// Its number.
    pub number: u32,
    /// The form of its documents: only programs of the same form read or write them.
    pub form: u32,
    /// Its state.
    pub state: State,
    /// Whether a service made it in an empty registry. It is shown without a comparison.
    pub first: bool,
    /// The time at which it was begun.
    pub made_at: Timestamp,
    /// Set if it shows the events that were recorded up to this moment, and is never shown without its number.
    pub until: Option<Timestamp>,
}

/// All generations of a database, and the live one of this program's form.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registry {
    /// All generations by number, those of other forms too.
    pub generations: Vec<Generation>,
    /// This program's form.
    pub form: u32,
    /// The one that queries read. `None` until the first one of this form is complete.
    pub live: Option<u32>,
    /// The one that was live before: the target of a rollback.
    pub before: Option<u32>,
    /// All that were ever live.
    pub served: Vec<u32>,
}

impl Registry {
    /// The generations of this program's form.
    pub fn ours(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter().filter(|generation| generation.form == self.form)
    }

    /// The generations that services feed.
    pub fn fed(&self) -> impl Iterator<Item = u32> {
        self.ours()
            .filter(|generation| generation.state == State::Following)
            .map(|generation| generation.number)
    }

    /// The frozen generations, with their moments.
    pub fn frozen(&self) -> impl Iterator<Item = (u32, Timestamp)> {
        let frozen = self.ours().filter(|generation| generation.state == State::Frozen);
        frozen.filter_map(|generation| Some((generation.number, generation.until?)))
    }

    /// Whether services feed this generation.
    #[must_use]
    pub fn is_fed(&self, number: u32) -> bool {
        self.fed().any(|fed| fed == number)
    }

    /// A generation of any form.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Generation> {
        self.generations.iter().find(|generation| generation.number == number)
    }

    /// The newest one that was begun and never shown. An interrupted rebuild continues it.
    #[must_use]
    pub fn unfinished(&self) -> Option<&Generation> {
        let begun = |generation: &&Generation| {
            matches!(generation.state, State::Building | State::Following) && generation.until.is_none()
        };
        self.ours().filter(begun).filter(|generation| !self.served.contains(&generation.number)).last()
    }

    /// The number of the next generation.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        self.generations.iter().map(|generation| generation.number + 1).max().unwrap_or(FIRST)
    }

    /// A generation's state for people: also `live`, or `old` if it was live and is still fed.
    #[must_use]
    pub fn word_of(&self, generation: &Generation) -> &'static str {
        if self.live == Some(generation.number) {
            "live"
        } else if generation.state == State::Following && self.served.contains(&generation.number) {
            "old"
        } else {
            generation.state.word()
        }
    }
}

/// The size of a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Rooms that have a checkpoint.
    pub rooms: u64,
    /// Events up to these checkpoints.
    pub events: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(number: u32, form: u32, state: State) -> Generation {
        let made_at = Timestamp::EARLIEST;
        Generation { number, form, state, first: false, made_at, until: None }
    }

    #[test]
    fn a_rebuild_goes_on_with_what_was_never_shown_and_leaves_alone_what_was() {
        let mut registry = Registry {
            generations: vec![
                generation(2, 2, State::Following),
                generation(3, 2, State::Following),
                generation(4, 3, State::Building),
            ],
            form: 2,
            live: Some(2),
            before: Some(3),
            served: vec![2, 3],
        };
        assert_eq!(registry.unfinished(), None, "3 was rolled back");
        assert_eq!(registry.next_number(), 5);
        registry.generations.push(generation(5, 2, State::Building));
        assert_eq!(registry.unfinished().map(|generation| generation.number), Some(5));
        let words: Vec<_> =
            registry.generations.iter().map(|generation| registry.word_of(generation)).collect();
        assert_eq!(words, ["live", "old", "building", "building"]);
        assert_eq!(registry.fed().collect::<Vec<_>>(), [2, 3]);

        let until = Some(Timestamp::EARLIEST);
        registry.generations.push(Generation { until, ..generation(6, 2, State::Building) });
        registry.generations.push(Generation { until, ..generation(7, 2, State::Frozen) });
        let unfinished = registry.unfinished().map(|generation| generation.number);
        assert_eq!(unfinished, Some(5), "no rebuild goes on with a frozen one");
        assert_eq!(registry.frozen().collect::<Vec<_>>(), [(7, Timestamp::EARLIEST)]);
        assert_eq!(registry.fed().collect::<Vec<_>>(), [2, 3]);
    }
}
