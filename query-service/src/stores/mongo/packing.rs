//! Tables of usage as a few bytes. Most hours are reserved fully or not at all, so a month of 744 bytes takes a few
//! hundred at most.
//!
//! The format is PackBits. A control byte below 128 precedes that many bytes plus one, as they are. Any other control
//! byte, less 126, says how often the next byte repeats.

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
    }
}
