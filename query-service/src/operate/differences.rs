//! Differences between documents, as text.

use std::fmt::Write;

use crate::read_models::Difference;

/// Most differences in a text. JSON has all of them.
const SHOWN: usize = 50;

/// The first differences, three lines each.
pub(super) fn text_of(differences: &[Difference]) -> String {
    let mut text = String::new();
    for one in differences.iter().take(SHOWN) {
        let shown = |form: &Option<String>| form.clone().unwrap_or_else(|| "nothing".to_owned());
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} {} of room {}", one.what, one.id, one.room);
        let _ = writeln!(text, "    expected {}", shown(&one.expected));
        let _ = writeln!(text, "    found    {}", shown(&one.found));
    }
    if differences.len() > SHOWN {
        let _ = writeln!(text, "and {} more", differences.len() - SHOWN);
    }
    text
}
