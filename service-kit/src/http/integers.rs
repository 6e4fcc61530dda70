//! Integers as JSON Schema counts them: `2.0` and `2e0` are 2.

use std::borrow::Cow;

/// Most digits of an integer that was written with a fraction or an exponent.
const MOST_DIGITS: usize = 20;

/// A parameter's integer in plain digits. Any other text stays as it is.
#[must_use]
pub fn integer(text: &str) -> Cow<'_, str> {
    plain(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A number in plain digits. `None`: it is no JSON number, no integer, too long, or plain already.
pub(super) fn plain(number: &str) -> Option<String> {
    let is_of_number = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !number.bytes().all(is_of_number) || !number.contains(['.', 'e', 'E']) {
        return None;
    }
    // The grammar of JSON. Its value could lose digits.
    serde_json::from_str::<f64>(number).ok()?;
    let (sign, rest) = number.split_at(usize::from(number.starts_with('-')));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let zeros = digits.len() - significant.len();
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    let exponent = exponent.parse::<isize>().ok()?.checked_sub_unsigned(fraction.len())?;
    let zeros = usize::try_from(exponent.checked_add_unsigned(zeros)?).ok()?;
    let length = significant.len().checked_add(zeros)?;
    (length <= MOST_DIGITS).then(|| format!("{sign}{significant}{}", "0".repeat(zeros)))
}

/// A JSON text whose integers are in plain digits. `None`: they are already. All else stays, mistakes too.
pub(super) fn in_json(json: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(json.len());
    let mut rest = json;
    let mut changed = false;
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => length_of_string(rest),
            b'-' | b'0'..=b'9' => length_of_number(rest),
            _ => 1,
        };
        let (token, after) = rest.split_at(length);
        match std::str::from_utf8(token).ok().and_then(plain) {
            Some(plain) => {
                text.extend_from_slice(plain.as_bytes());
                changed = true;
            }
            None => text.extend_from_slice(token),
        }
        rest = after;
    }
    changed.then_some(text)
}

fn length_of_number(text: &[u8]) -> usize {
    let is_of_number = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    text.iter().position(|byte| !is_of_number(byte)).unwrap_or(text.len())
}

/// The length of a string with its quotes, or of the rest if it does not end.
fn length_of_string(text: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_one_however_it_is_written() {
        for (number, expected) in [
            ("2.0", "2"),
            ("2.000", "2"),
            ("2e0", "2"),
            ("2E+1", "20"),
            ("20e-1", "2"),
            ("1.5e1", "15"),
            ("-3.0", "-3"),
            ("0.0", "0"),
            ("-0.0", "0"),
            ("0e9", "0"),
            ("9007199254740993.0", "9007199254740993"),
            ("18446744073709551615.0", "18446744073709551615"),
        ] {
            assert_eq!(plain(number).as_deref(), Some(expected), "{number}");
        }
    }

    #[test]
    fn what_is_no_integer_or_no_number_stays() {
        for text in [
            "2",
            "2.5",
            "2e-1",
            "0.1",
            "1e400",
            "1e30",
            "02.0",
            "2.",
            ".0",
            "2.e1",
            "+2.0",
            "2.0.0",
            "2e",
            "e",
            "-",
            "",
            " 2.0",
            "2.0 ",
            "0x2.0",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "NaN",
        ] {
            assert_eq!(plain(text), None, "{text}");
            assert_eq!(integer(text), text);
        }
    }

    #[test]
    fn only_numbers_of_a_text_change() {
        let json =
            r#"{"a 2.0": ["2.0", "\"2.0", "\\", 2.0, -1e1,3.5], "b":{"c":4.0}, "d": 02.0, "e": 2.0x "f 2.0"#;
        let expected =
            r#"{"a 2.0": ["2.0", "\"2.0", "\\", 2, -10,3.5], "b":{"c":4}, "d": 02.0, "e": 2.0x "f 2.0"#;
        assert_eq!(String::from_utf8(in_json(json.as_bytes()).unwrap()).unwrap(), expected);
        for same in [&b"{\"a\": 2, \"b\": \"2.0\", \"c\": 2.5}"[..], b"", b"\"", b"\"\\", b"\xff\"2.0\""] {
            assert_eq!(in_json(same), None);
        }
    }
}
