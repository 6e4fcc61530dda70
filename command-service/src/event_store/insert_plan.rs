//! What both adapters do alike when they write a group: the order of its rows, and how many go into one statement.

use shared_events::{RawEvent, RoomId, Version};

use super::{Group, NewKey};

/// The most rows of one statement.
pub(super) const MAX_ROWS: usize = 256;
/// About the most bytes of one statement, far below what servers take in one packet by default.
const MAX_BYTES: usize = 1 << 20;

/// Indexes of the group's events by (room, version): two groups that write the same rooms lock them in the same order.
pub(super) fn events_in_lock_order(group: &Group) -> Vec<(usize, &RawEvent)> {
    let mut events: Vec<_> = group.events.iter().enumerate().collect();
    events.sort_by_key(|(_, event)| (event.room, event.version));
    events
}

/// The group's idempotency records by id, for the same reason.
pub(super) fn keys_in_lock_order(keys: &[NewKey]) -> Vec<&NewKey> {
    let mut keys: Vec<_> = keys.iter().collect();
    keys.sort_by_key(|key| key.id);
    keys
}

/// For each stream of the group that goes on, the version that it must have: the one before its first new one. `None`
/// when the group itself has a gap or starts a stream below 1.
pub(super) fn expected_heads(sorted: &[(usize, &RawEvent)]) -> Option<Vec<(RoomId, Version)>> {
    let mut expected = Vec::new();
    let mut previous: Option<(RoomId, Version)> = None;
    for (_, event) in sorted {
        match previous {
            Some((room, version)) if room == event.room && event.version != version.next() => return None,
            Some((room, _)) if room == event.room => {}
            _ if event.version > Version::FIRST => expected.push((event.room, event.version.previous()?)),
            _ if event.version == Version::NONE => return None,
            _ => {}
        }
        previous = Some((event.room, event.version));
    }
    Some(expected)
}

/// How many of `left` rows go into the next statement: 1 to 15, or a multiple of 16 up to [`MAX_ROWS`]. So any number
/// takes few statements, and there are few different ones, which the server keeps prepared.
pub(super) fn rows_at_once(left: usize) -> usize {
    if left < 16 { left } else { (left - left % 16).min(MAX_ROWS) }
}

/// Cuts rows into the pieces that one statement takes each.
pub(super) fn pieces<T>(rows: &[T], bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut room = MAX_BYTES;
        let fitting = rest.iter().take(MAX_ROWS).take_while(|row| {
            let fits = bytes(row) <= room;
            room = room.saturating_sub(bytes(row));
            fits
        });
        let (piece, left) = rest.split_at_checked(rows_at_once(fitting.count().max(1)))?;
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

/// How long an IN list is made for so many values, by repeating the last one: a power of two, so that there are few
/// different statements.
pub(super) fn list_length(values: usize) -> usize {
    values.next_power_of_two()
}

/// The values, the last one repeated until the list has the length of a prepared statement.
pub(super) fn padded<T: Copy>(values: &[T]) -> impl Iterator<Item = T> {
    let last = values.last().copied();
    values.iter().copied().chain(std::iter::from_fn(move || last)).take(list_length(values.len()))
}

/// `count` times `item`, with commas between.
pub(super) fn repeated(item: &str, count: usize) -> String {
    let mut text = String::with_capacity((item.len() + 1) * count);
    for at in 0..count {
        if at > 0 {
            text.push(',');
        }
        text.push_str(item);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_takes_few_statements_of_few_shapes() {
        for total in 1..=1000 {
            let rows = vec![(); total];
            let sizes: Vec<usize> = pieces(&rows, |()| 100).map(<[()]>::len).collect();
            assert_eq!(sizes.iter().sum::<usize>(), total);
            assert!(sizes.iter().all(|size| *size < 16 || size % 16 == 0), "{sizes:?}");
            assert!(sizes.len() <= total / MAX_ROWS + 2, "{sizes:?}");
        }
    }

    #[test]
    fn a_statement_is_bounded_in_bytes_and_a_row_that_is_too_long_goes_alone() {
        let rows = [MAX_BYTES / 2, MAX_BYTES / 2, 1, 2 * MAX_BYTES, 1];
        let sizes: Vec<usize> = pieces(&rows, |bytes| *bytes).map(<[usize]>::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1]);
    }

    #[test]
    fn lists_are_padded_with_their_last_value() {
        assert_eq!(padded(&[1, 2, 3]).collect::<Vec<_>>(), [1, 2, 3, 3]);
        assert_eq!(padded::<u8>(&[]).count(), 0);
    }
}
