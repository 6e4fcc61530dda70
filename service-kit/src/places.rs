//! A bound on what runs at one time: for all callers, and for each.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Places that callers take and give back.
#[derive(Debug)]
pub struct Places {
    of_all: usize,
    of_caller: usize,
    in_use: Mutex<InUse>,
}

/// The numbers of taken places.
#[derive(Debug, Default)]
struct InUse {
    of_all: usize,
    /// Of callers who have any.
    by_caller: HashMap<String, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoPlace {
    /// All places are taken.
    Overloaded,
    /// The caller has as many as one may have.
    TooManyOfCaller,
}

impl Places {
    /// This number of places, of which one caller may have `of_caller`.
    #[must_use]
    pub fn new(of_all: usize, of_caller: usize) -> Self {
        Self { of_all, of_caller, in_use: Mutex::default() }
    }

    /// Takes this number of places for a caller. They are given back when the result is dropped.
    ///
    /// # Errors
    /// [`NoPlace`] if there are not as many.
    pub fn take<'a>(&'a self, caller: &'a str, number: usize) -> Result<Taken<'a>, NoPlace> {
        let mut in_use = self.in_use();
        let of_caller = in_use.by_caller.get(caller).copied().unwrap_or_default() + number;
        if of_caller > self.of_caller {
            return Err(NoPlace::TooManyOfCaller);
        }
        if in_use.of_all + number > self.of_all {
            return Err(NoPlace::Overloaded);
        }
        in_use.of_all += number;
        in_use.by_caller.insert(caller.to_owned(), of_caller);
        drop(in_use);
        Ok(Taken { places: self, caller, number })
    }

    /// The number of callers who have places.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.in_use().by_caller.len()
    }

    fn in_use(&self) -> MutexGuard<'_, InUse> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's places.
#[derive(Debug)]
#[must_use = "dropped at once, it bounds nothing"]
pub struct Taken<'a> {
    places: &'a Places,
    caller: &'a str,
    number: usize,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut in_use = self.places.in_use();
        in_use.of_all -= self.number;
        if let Some(of_caller) = in_use.by_caller.get_mut(self.caller) {
            *of_caller -= self.number;
            if *of_caller == 0 {
                in_use.by_caller.remove(self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_a_bound_for_each_caller_and_for_all_and_are_given_back() {
        let places = Places::new(10, 4);
        let of_ann = places.take("ann", 3).unwrap();
        assert_eq!(places.take("ann", 2).err(), Some(NoPlace::TooManyOfCaller));
        let others = (places.take("ann", 1).unwrap(), places.take("bob", 4).unwrap());
        assert_eq!(places.take("eve", 3).err(), Some(NoPlace::Overloaded));
        let of_eve = places.take("eve", 2).unwrap();
        drop((others, of_eve));
        assert_eq!(places.callers(), 1);
        assert!(places.take("ann", 1).is_ok());
        drop(of_ann);
        assert_eq!(places.callers(), 0, "nothing is kept of callers who have none");
    }
}
