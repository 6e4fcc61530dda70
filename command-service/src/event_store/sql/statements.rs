//! Texts of statements, and how rows are divided among statements.

use crate::event_store::Position;

/// The most rows of one statement.
pub(super) const MAX_ROWS: usize = 256;
/// About the most bytes of one statement. Servers accept much more by default.
const MAX_BYTES: usize = 1 << 20;
/// The shortest run of positions that becomes a range. MySQL tries the ranges of a condition one after the other for each
/// row, but finds a position in a list by bisection: many short ranges took more than ten times as long as a list.
const LONG_RUN: usize = 256;

/// The columns of an event, in the order of [`event`](super::rows::event).
pub(super) const EVENT: &str = "position, stream_id, version, type, payload, metadata, recorded_at";

/// The number of `left` rows that go into the next statement: 1 to 15, or a multiple of 16 up to [`MAX_ROWS`]. So any number
/// of rows takes few statements, and there are few different texts for the server to keep prepared.
fn rows_at_once(left: usize) -> usize {
    if left < 16 { left } else { (left - left % 16).min(MAX_ROWS) }
}

/// Divides rows among statements.
pub(in crate::event_store) fn pieces<T>(
    rows: &[T],
    bytes: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
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

/// The length of a list in a prepared statement: a power of two, so that there are few different texts.
pub(super) fn list_length(values: usize) -> usize {
    values.next_power_of_two()
}

/// The values, the last one repeated up to [`list_length`].
pub(super) fn padded<T: Copy>(values: &[T]) -> impl Iterator<Item = T> {
    let last = values.last().copied();
    values.iter().copied().chain(std::iter::from_fn(move || last)).take(list_length(values.len()))
}

/// `count` times `item`, separated by commas.
pub(in crate::event_store) fn repeated(item: &str, count: usize) -> String {
    let mut text = String::with_capacity((item.len() + 1) * count);
    for at in 0..count {
        if at > 0 {
            text.push(',');
        }
        text.push_str(item);
    }
    text
}

/// The condition that `position` is one of these. Long runs become ranges; a range has no holes, so it holds no other position.
pub(super) fn is_one_of(positions: &[Position]) -> String {
    let mut sorted: Vec<u64> = positions.iter().map(|position| position.get()).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let (mut terms, mut single) = (Vec::new(), Vec::new());
    for run in sorted.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
        match run {
            [first, .., last] if run.len() >= LONG_RUN => {
                terms.push(format!("position BETWEEN {first} AND {last}"));
            }
            few => single.extend(few.iter().map(u64::to_string)),
        }
    }
    if !single.is_empty() || terms.is_empty() {
        terms.push(format!(
            "position IN ({})",
            if single.is_empty() { "NULL".to_owned() } else { single.join(",") }
        ));
    }
    terms.join(" OR ")
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

    fn condition(positions: &[u64]) -> String {
        is_one_of(&positions.iter().copied().map(Position::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_long_run_without_holes_is_a_range_and_all_other_positions_are_in_one_list() {
        let long = LONG_RUN as u64;
        assert_eq!(condition(&[7]), "position IN (7)");
        assert_eq!(condition(&[3, 1, 2, 2]), "position IN (1,2,3)");
        let run: Vec<u64> = (10..10 + long).rev().collect();
        assert_eq!(condition(&run), format!("position BETWEEN 10 AND {}", 9 + long));
        let with_hole: Vec<u64> = run.iter().copied().filter(|position| *position != 12).collect();
        assert!(!condition(&with_hole).contains("BETWEEN"), "each side of the hole is too short");
        let two_runs: Vec<u64> = (1..=long).chain([long + 2, long + 4]).chain(1000..1000 + long).collect();
        assert_eq!(
            condition(&two_runs),
            format!(
                "position BETWEEN 1 AND {long} OR position BETWEEN 1000 AND {} OR position IN ({},{})",
                999 + long,
                long + 2,
                long + 4
            )
        );
        let highest: Vec<u64> = (u64::MAX - long + 1..=u64::MAX).collect();
        assert_eq!(condition(&highest), format!("position BETWEEN {} AND {}", u64::MAX - long + 1, u64::MAX));
    }

    #[test]
    fn no_position_is_no_row() {
        assert_eq!(condition(&[]), "position IN (NULL)");
    }
}
