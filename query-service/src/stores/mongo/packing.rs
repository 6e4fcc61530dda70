//! Tables of usage as a few bytes. Most hours are reserved fully or not at all, so a month of 744 bytes takes a few
//! hundred at most.
//!
//! The format is PackBits. A control byte below 128 precedes that many bytes plus one, as they are. Any other control
//! byte, less 126, says how often the next byte repeats.
//!
//! People are numbers of two per reservation: minutes since the one before, then twice the people, plus one if the
//! reservation begins in the month. A byte has seven bits of a number, the lowest first, and a bit that more follow. Most
//! reservations take three bytes.

use std::collections::BTreeMap;

use shared_events::Minute;

use crate::read_models::usage::People;

const LONGEST_LITERAL: usize = 128;
const LONGEST_RUN: usize = 129;
const RUN_OFFSET: usize = 126;

/// Packs bytes: at worst one more for each 128.
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut literal: Vec<u8> = Vec::new();
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        let run = rest.iter().take(LONGEST_RUN).take_while(|byte| *byte == first).count();
        // A run of two saves nothing and splits a literal.
        let taken = if run > 2 { run } else { 1 };
        if taken > 1 {
            put_literal(&mut packed, &mut literal);
            packed.push(u8::try_from(run + RUN_OFFSET).unwrap_or(u8::MAX));
            packed.push(*first);
        } else {
            literal.push(*first);
            if literal.len() == LONGEST_LITERAL {
                put_literal(&mut packed, &mut literal);
            }
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    put_literal(&mut packed, &mut literal);
    packed
}

fn put_literal(packed: &mut Vec<u8>, literal: &mut Vec<u8>) {
    if let Some(last) = literal.len().checked_sub(1) {
        packed.push(u8::try_from(last).unwrap_or(u8::MAX));
        packed.append(literal);
    }
}

/// Unpacks exactly `length` bytes. None if the packed bytes are not of this format.
pub(super) fn unpack(mut packed: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    while let Some((control, rest)) = packed.split_first() {
        let control = usize::from(*control);
        if control < LONGEST_LITERAL {
            let (literal, after) = rest.split_at_checked(control + 1)?;
            bytes.extend_from_slice(literal);
            packed = after;
        } else {
            let (byte, after) = rest.split_first()?;
            bytes.resize(bytes.len() + control - RUN_OFFSET, *byte);
            packed = after;
        }
        if bytes.len() > length {
            return None;
        }
    }
    (bytes.len() == length).then_some(bytes)
}

/// Packs the people of reservations.
pub(super) fn pack_people(people: &BTreeMap<Minute, People>) -> Vec<u8> {
    let (mut packed, mut before) = (Vec::with_capacity(people.len() * 3), 0);
    for (from, People { number, begins }) in people {
        let minute = from.epoch_minutes().unsigned_abs();
        put_number(&mut packed, minute - before);
        put_number(&mut packed, u64::from(*number) * 2 + u64::from(*begins));
        before = minute;
    }
    packed
}

/// Unpacks the people of reservations. None if the packed bytes are not of this format.
pub(super) fn unpack_people(mut packed: &[u8]) -> Option<BTreeMap<Minute, People>> {
    let (mut people, mut minute) = (BTreeMap::new(), 0_i64);
    while !packed.is_empty() {
        minute = minute.checked_add_unsigned(take_number(&mut packed)?)?;
        let value = take_number(&mut packed)?;
        let number = u32::try_from(value / 2).ok()?;
        let of_one = People { number, begins: value % 2 == 1 };
        people.insert(Minute::from_epoch_minutes(minute).ok()?, of_one);
    }
    Some(people)
}

/// The bits of a byte that hold a part of a number.
const BITS: u32 = 7;
/// The bit of a byte that is set if more bytes of its number follow.
const MORE: u8 = 1 << BITS;

fn put_number(packed: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number % u64::from(MORE)).unwrap_or_default();
        number >>= BITS;
        if number == 0 {
            packed.push(low);
            return;
        }
        packed.push(low | MORE);
    }
}

fn take_number(packed: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (byte, rest) = packed.split_first()?;
        *packed = rest;
        let low = u64::from(byte & !MORE);
        number |= low.checked_shl(shift).filter(|shifted| shifted >> shift == low)?;
        if byte & MORE == 0 {
            return Some(number);
        }
        shift += BITS;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_month_of_meetings_takes_a_few_hundred_bytes() {
        let mut minutes = vec![0; 744];
        for day in minutes.chunks_exact_mut(24) {
            day[9..12].fill(60);
            day[14..18].copy_from_slice(&[30, 60, 15, 45]);
        }
        assert!(pack(&minutes).len() < 500);
        assert!(pack(&[0; 744]).len() < 15);
    }

    #[test]
    fn what_was_cut_is_refused() {
        let packed = pack(&[1, 2, 3, 3, 3, 3, 9]);
        for end in 0..packed.len() {
            assert_eq!(unpack(&packed[..end], 7), None);
        }
        assert_eq!(unpack(&packed, 6), None);
        assert_eq!(unpack(&[255; 1000], 7), None);
        let people = BTreeMap::from([(Minute::LATEST, People { number: u32::MAX, begins: true })]);
        let packed = pack_people(&people);
        assert!((1..packed.len()).all(|end| unpack_people(&packed[..end]).is_none()));
        for bad in [vec![255; 11], [packed.as_slice(), &[1, 1]].concat()] {
            assert_eq!(unpack_people(&bad), None);
        }
    }

    #[test]
    fn the_people_of_a_month_of_meetings_take_three_bytes_a_meeting() {
        let first = Minute::from_epoch_minutes(33_000_000).unwrap();
        let meetings = (0..150).map(|meeting| first.plus(meeting * 290).unwrap());
        let people = meetings.map(|from| (from, People { number: 12, begins: true })).collect();
        assert!(pack_people(&people).len() < 3 * 150 + 5);
    }

    proptest! {
        #[test]
        fn whatever_is_packed_unpacks_and_grows_little(
            runs in proptest::collection::vec((any::<u8>(), 1..300_usize), 0..40),
        ) {
            let bytes: Vec<u8> = runs.iter().flat_map(|(value, count)| vec![*value; *count]).collect();
            let packed = pack(&bytes);
            prop_assert!(packed.len() <= bytes.len() + bytes.len() / 128 + 1);
            prop_assert_eq!(unpack(&packed, bytes.len()), Some(bytes));
        }

        #[test]
        fn all_people_that_are_packed_unpack(
            people in proptest::collection::btree_map(
                0..=Minute::LATEST.epoch_minutes(), (any::<u32>(), any::<bool>()), 0..60),
        ) {
            let entry = |(minute, (number, begins))| {
                (Minute::from_epoch_minutes(minute).unwrap(), People { number, begins })
            };
            let people: BTreeMap<_, _> = people.into_iter().map(entry).collect();
            prop_assert_eq!(unpack_people(&pack_people(&people)), Some(people));
        }
    }
}
