//! Tables for people.

/// Rows with their columns aligned, the first row the heads; numbers to the right.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heads.get(column).map(|head| head.len())).max().unwrap_or(0)
    };
    let number = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).all(|cell| cell.parse::<u64>().is_ok())
            && !rows.is_empty()
    };
    let line = |cells: Vec<&str>| {
        let cells = cells.iter().enumerate().map(|(column, cell)| match width(column) {
            width if number(column) => format!("{cell:>width$}"),
            width => format!("{cell:<width$}"),
        });
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let heads = line(heads.to_vec());
    rows.iter().fold(heads, |text, row| text + &line(row.iter().map(String::as_str).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_to_the_right() {
        let rows = [
            vec!["0-31".to_owned(), "7".to_owned(), "é".to_owned()],
            vec!["4".to_owned(), "1234".to_owned(), "one".to_owned()],
        ];
        let expected = "A     EVENTS  HOLDER\n0-31       7  é\n4       1234  one\n";
        assert_eq!(table(&["A", "EVENTS", "HOLDER"], &rows), expected);
    }
}
