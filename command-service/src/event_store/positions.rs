//! Sets of positions as conditions.

/// How long a run without holes is, to be a range of its own. MySQL reads a range in one go, but then tries one after the
/// other of all ranges for each of its rows, where it finds a position in a list by bisection: many short ranges took
/// more than ten times as long as the same rows in a list.
const LONG_RUN: usize = 256;

/// The condition that `position` is one of these: exactly these rows, long runs without holes among them as ranges. A row
/// that was never named does not get into a range, because a range has no holes.
pub(super) fn is_one_of(positions: &[u64]) -> String {
    let mut sorted = positions.to_vec();
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
    fn a_long_run_without_holes_is_a_range_and_all_other_positions_are_in_one_list() {
        let long = LONG_RUN as u64;
        assert_eq!(is_one_of(&[7]), "position IN (7)");
        assert_eq!(is_one_of(&[3, 1, 2, 2]), "position IN (1,2,3)");
        let run: Vec<u64> = (10..10 + long).rev().collect();
        assert_eq!(is_one_of(&run), format!("position BETWEEN 10 AND {}", 9 + long));
        let with_hole: Vec<u64> = run.iter().copied().filter(|position| *position != 12).collect();
        assert!(!is_one_of(&with_hole).contains("BETWEEN"), "each side of the hole is too short");
        let two_runs: Vec<u64> = (1..=long).chain([long + 2, long + 4]).chain(1000..1000 + long).collect();
        assert_eq!(
            is_one_of(&two_runs),
            format!(
                "position BETWEEN 1 AND {long} OR position BETWEEN 1000 AND {} OR position IN ({},{})",
                999 + long,
                long + 2,
                long + 4
            )
        );
        let highest: Vec<u64> = (u64::MAX - long + 1..=u64::MAX).collect();
        assert_eq!(is_one_of(&highest), format!("position BETWEEN {} AND {}", u64::MAX - long + 1, u64::MAX));
    }

    #[test]
    fn no_position_is_no_row() {
        assert_eq!(is_one_of(&[]), "position IN (NULL)");
    }
}
