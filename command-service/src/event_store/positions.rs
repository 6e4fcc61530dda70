//! Sets of positions as conditions.

/// The condition that `position` is one of these: exactly these rows, the runs without holes among them as ranges, which
/// the databases read in one go. A row that was never named does not get into a range, because a range has no holes.
pub(super) fn is_one_of(positions: &[u64]) -> String {
    let mut sorted = positions.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let (mut terms, mut single) = (Vec::new(), Vec::new());
    for run in sorted.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
        match run {
            [first, .., last] => terms.push(format!("position BETWEEN {first} AND {last}")),
            alone => single.extend(alone.iter().map(u64::to_string)),
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
    fn a_run_without_holes_is_a_range_and_a_hole_splits_it() {
        assert_eq!(is_one_of(&[7]), "position IN (7)");
        assert_eq!(is_one_of(&[3, 1, 2, 2]), "position BETWEEN 1 AND 3");
        assert_eq!(
            is_one_of(&[1, 2, 4, 5, 6, 9, 11]),
            "position BETWEEN 1 AND 2 OR position BETWEEN 4 AND 6 OR position IN (9,11)"
        );
        assert_eq!(
            is_one_of(&[u64::MAX, u64::MAX - 1]),
            "position BETWEEN 18446744073709551614 AND 18446744073709551615"
        );
    }

    #[test]
    fn no_position_is_no_row() {
        assert_eq!(is_one_of(&[]), "position IN (NULL)");
    }
}
