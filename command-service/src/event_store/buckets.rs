//! Buckets: hashes of rooms, by which relays share their work.

use std::fmt;

use shared_events::RoomId;

/// The number of buckets.
pub const BUCKETS: u32 = 64;

/// The bucket of a room, 0 to [`BUCKETS`] - 1.
#[must_use]
pub fn bucket(room: RoomId) -> u32 {
    room.fingerprint() % BUCKETS
}

/// A set of buckets. Bit n is bucket n.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Buckets(u64);

impl Buckets {
    /// No bucket.
    pub const NONE: Self = Self(0);
    /// Every bucket.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether this bucket is in the set.
    #[must_use]
    pub const fn contains(self, bucket: u32) -> bool {
        bucket < BUCKETS && self.0 >> bucket & 1 == 1
    }

    /// Whether the bucket of this room is in the set.
    #[must_use]
    pub fn has_room(self, room: RoomId) -> bool {
        self.contains(bucket(room))
    }

    /// The number of buckets in the set.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether the set has no bucket.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The buckets that are not in `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// The buckets that are in `others` too.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// The numbers of the buckets, lowest first.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..BUCKETS).filter(move |bucket| self.contains(*bucket))
    }

    /// One bit for each bucket. The lowest is bucket 0.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl FromIterator<u32> for Buckets {
    /// Ignores numbers that no bucket has.
    fn from_iter<I: IntoIterator<Item = u32>>(buckets: I) -> Self {
        Self(
            buckets.into_iter().filter(|bucket| *bucket < BUCKETS).fold(0, |bits, bucket| bits | 1 << bucket),
        )
    }
}

impl fmt::Display for Buckets {
    /// Numbers and runs of numbers: `0-20,63`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<u32> = self.iter().collect();
        for (place, run) in numbers.chunk_by(|one, next| one + 1 == *next).enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match run {
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                alone => alone.iter().try_for_each(|bucket| write!(f, "{comma}{bucket}"))?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buckets({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_a_set_of_numbers_and_shown_as_runs() {
        let some: Buckets = [63, 0, 1, 2, 5, 64, 200].into_iter().collect();
        assert_eq!(some.to_string(), "0-2,5,63");
        assert_eq!((some.len(), some.contains(5), some.contains(64)), (5, true, false));
        assert_eq!(some.without([1].into_iter().collect()).to_string(), "0,2,5,63");
        assert_eq!(some.and([1, 7].into_iter().collect()).to_string(), "1");
        assert_eq!((Buckets::ALL.to_string(), Buckets::ALL.len()), ("0-63".to_owned(), BUCKETS));
        assert_eq!((Buckets::NONE.to_string(), Buckets::NONE.is_empty()), (String::new(), true));
        assert_eq!(Buckets::ALL.iter().collect::<Buckets>(), Buckets::ALL);
    }
}
