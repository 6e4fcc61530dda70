//! What is recorded of generations.

use shared_events::Timestamp;

/// The number of the first generation. Later ones count up, and no number is used again.
pub const FIRST: u32 = 1;

/// What is done with a generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// A rebuild fills it from the feed. Nobody else writes it.
    Building,
    /// Every service brings events into it, whether it is shown or not.
    Following,
    /// No service may write it any more; its collections are about to go.
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
            Self::Dropping => "dropping",
            Self::Dropped => "dropped",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Building, Self::Following, Self::Dropping, Self::Dropped]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// What is recorded of a generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generation {
    /// Its number.
    pub number: u32,
    /// The form of its documents: only programs of the same form read or write them.
    pub form: u32,
    /// What is done with it.
    pub state: State,
    /// A service made it because there was none: it is shown without having been compared with another.
    pub first: bool,
    /// When it was begun.
    pub made_at: Timestamp,
}

/// All generations of a database, and which one programs of this form show.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registry {
    /// All of them, by number, those of other forms too.
    pub generations: Vec<Generation>,
    /// This program's form.
    pub form: u32,
    /// The one that queries read. None before the first one of this form is complete.
    pub live: Option<u32>,
    /// The one that was live before: where a rollback leads.
    pub before: Option<u32>,
    /// All that were ever live.
    pub served: Vec<u32>,
}

impl Registry {
    /// The generations of this program's form.
    pub fn ours(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter().filter(|generation| generation.form == self.form)
    }

    /// Those into which services bring events.
    pub fn fed(&self) -> impl Iterator<Item = u32> {
        self.ours()
            .filter(|generation| generation.state == State::Following)
            .map(|generation| generation.number)
    }

    /// Whether services bring events into this generation.
    #[must_use]
    pub fn is_fed(&self, number: u32) -> bool {
        self.fed().any(|fed| fed == number)
    }

    /// A generation of any form.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Generation> {
        self.generations.iter().find(|generation| generation.number == number)
    }

    /// The newest one that was begun and never shown: what an interrupted rebuild goes on with.
    #[must_use]
    pub fn unfinished(&self) -> Option<&Generation> {
        let begun = |generation: &&Generation| matches!(generation.state, State::Building | State::Following);
        self.ours().filter(begun).filter(|generation| !self.served.contains(&generation.number)).last()
    }

    /// The number of the next generation.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        self.generations.iter().map(|generation| generation.number + 1).max().unwrap_or(FIRST)
    }

    /// How a generation is shown to people: its state, or `live`, or `old` where it was live and is still fed.
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

/// How much a generation holds.
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
        Generation { number, form, state, first: false, made_at: Timestamp::from_epoch_millis(0) }
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
    }
}
