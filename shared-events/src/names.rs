//! Names and kinds: their normal form, which names look alike, and the order of lists.
//!
//! The rules are ours and small, so that no later table of Unicode merges names or moves places in lists.

use std::{borrow::Cow, iter::Peekable};

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark, is_nfc};

/// The version of the rule of [`look_alike`]. Change it with the rule: keys made by another version are made again.
pub const LOOK_ALIKE_VERSION: u8 = 1;

/// Characters that show nothing and join nothing: Unicode's default ignorable code points, the marks around annotations, and
/// the blank of Braille.
const INVISIBLE: [(char, char); 20] = [
    ('\u{AD}', '\u{AD}'),
    ('\u{34F}', '\u{34F}'),
    ('\u{61C}', '\u{61C}'),
    ('\u{115F}', '\u{1160}'),
    ('\u{17B4}', '\u{17B5}'),
    ('\u{180B}', '\u{180F}'),
    ('\u{200B}', '\u{200F}'),
    ('\u{202A}', '\u{202E}'),
    ('\u{2060}', '\u{206F}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{FE00}', '\u{FE0F}'),
    ('\u{FEFF}', '\u{FEFF}'),
    ('\u{FFA0}', '\u{FFA0}'),
    ('\u{FFF0}', '\u{FFF8}'),
    ('\u{FFF9}', '\u{FFFB}'),
    ('\u{1BCA0}', '\u{1BCA3}'),
    ('\u{1D173}', '\u{1D17A}'),
    ('\u{E0000}', '\u{E007F}'),
    ('\u{E0080}', '\u{E0FFF}'),
];

fn is_visible(character: char) -> bool {
    !INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

/// Whether a text has nothing but white space and invisible characters.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    !text.chars().any(|character| is_visible(character) && !character.is_whitespace())
}

/// The normal form of a name or a kind, in commands, events and queries: no white space at its ends, Unicode normalization
/// form C.
#[must_use]
pub fn normal_form(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// What names that look alike have in common: compatibility form (NFKC) without case and invisible characters, with single
/// spaces. Letters that only resemble one another stay different, as in `Room 1` and `Room l`.
#[must_use]
pub fn look_alike(name: &str) -> String {
    let shown = name.chars().filter(|character| is_visible(*character)).nfkc();
    single_spaces(without_case(shown.filter(|character| is_visible(*character))).nfkc())
}

/// A text whose order of bytes is the order of names in lists: without case, accents and invisible characters, numbers by
/// their value, and what is equal then by its characters.
#[must_use]
pub fn sort_key(name: &str) -> String {
    let base = |character: &char| is_visible(*character) && !is_combining_mark(*character);
    let plain = without_case(name.chars().nfkd().filter(base)).nfkd().filter(base);
    let (plain, mut key) = (single_spaces(plain), String::with_capacity(2 * name.len() + 1));
    let mut rest = plain.chars().peekable();
    while let Some(character) = rest.next() {
        if character.is_ascii_digit() {
            push_number(&mut key, character, &mut rest);
        } else {
            key.push(character);
        }
    }
    key.push('\0');
    key.push_str(name);
    key
}

/// A number sorts by its length, then by its digits.
fn push_number(key: &mut String, first: char, rest: &mut Peekable<impl Iterator<Item = char>>) {
    let mut digits = String::from(first);
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    let digits = digits.trim_start_matches('0');
    key.push_str(&format!("{:03}", digits.len()));
    key.push_str(digits);
}

/// Upper case first: it knows more pairs, such as `ß` and `SS`.
fn without_case(text: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    text.flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

fn single_spaces(text: impl Iterator<Item = char>) -> String {
    let mut single = String::new();
    for character in text {
        if !character.is_whitespace() {
            single.push(character);
        } else if !single.is_empty() && !single.ends_with(' ') {
            single.push(' ');
        }
    }
    single.truncate(single.trim_end().len());
    single
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_form_is_trimmed_and_composed() {
        assert_eq!(normal_form(" Bu\u{308}ro\u{a0}"), "Büro");
        assert!(matches!(normal_form("Büro"), Cow::Borrowed("Büro")));
    }

    #[test]
    fn names_that_differ_by_case_form_and_invisible_characters_look_alike() {
        for (one, other) in [
            ("Blue", "Blue\u{200b}"),
            ("Blue", "Bl\u{ad}ue"),
            ("Blue", "\u{202e}Blue\u{2069}"),
            ("Blue", "\u{feff}BLUE"),
            ("Blue", "Ｂｌｕｅ"),
            ("Blue", "B\u{e0042}l\u{fe0f}ue\u{3164}"),
            ("Blue Room", "blue\u{a0}\u{2003}room"),
            ("Café", "CAFE\u{301}"),
            ("Straße", "STRASSE"),
            ("Σοφός", "ΣΟΦΌΣ"),
            ("ﬁrst №2", "FIRST No2"),
        ] {
            assert_eq!(look_alike(one), look_alike(other), "{one} and {other}");
        }
    }

    #[test]
    fn letters_that_resemble_one_another_and_accents_keep_names_apart() {
        for (one, other) in [
            ("Room 1", "Room l"),
            ("Barn", "Bam"),
            ("Room 0", "Room O"),
            ("Arzte", "Ärzte"),
            ("Room 2", "Room 02"),
            ("A B", "AB"),
        ] {
            assert_ne!(look_alike(one), look_alike(other), "{one} and {other}");
        }
    }

    #[test]
    fn a_text_without_anything_visible_is_blank() {
        for text in
            ["", " ", "\u{200b}", "\u{3164}", "\u{2800}\u{2003}", "\u{e0041}\u{ad}\u{115f}", "\u{ffa0}"]
        {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["x", "\u{200b}.", "ا\u{200c}", "❤\u{fe0f}"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn lists_are_in_the_order_of_letters_and_numbers() {
        let sorted = [
            "",
            "007",
            "7",
            "8",
            "10",
            "apple",
            "Arzte",
            "arzte",
            "Ärzte",
            "Arzthaus",
            "Room",
            "Room 2",
            "Room 10",
            "Room 10a",
            "Room 100",
            "room\u{200b} 101",
            "Zebra",
            "Øst",
        ];
        assert!(sorted.is_sorted_by_key(|name| sort_key(name)), "{:?}", sorted.map(sort_key));
        let mut keys = sorted.map(sort_key);
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "no two names share a place");
    }

    #[test]
    fn keys_of_the_longest_names_are_made_and_numbers_of_any_length_compare() {
        let (long, longer) = ("9".repeat(150), format!("1{}", "0".repeat(150)));
        assert!(sort_key(&long) < sort_key(&longer));
        assert!(!look_alike(&"\u{fdfa}".repeat(200)).is_empty());
    }
}
