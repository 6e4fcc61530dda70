//! Makes hostile input out of good input: values of other types, huge and odd ones, missing, doubled and unknown members,
//! deep nesting, and bytes that are flipped, cut, repeated or mixed with those of other inputs.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::Value;

/// Bytes that parsers trip over.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"=",
    b"&",
    b"%00",
    b"%",
    b"%ff",
    b"+",
    b"\n",
    b"\r\n",
    b"\t",
    b"null",
    b"true",
    b"-0",
    b"1e400",
    b"-1",
    b"0.1",
    b"18446744073709551616",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\\u0000",
    b"\\ud800",
    b"W/",
    b"*",
    b"..",
    b"/",
    b"Z",
    b"+23:59",
    b"-00:00",
    b"24:00",
    b":60",
    b"0000-00-00",
    b"9999999999",
    b"\xe2\x80\xae",
    b"eyJ",
    b".",
    b"==",
    b"-",
    b"_",
    b" ",
];

/// Texts that are JSON values of other types and odd sizes.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1.0",
    "1.5",
    "1e400",
    "-1e400",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "18446744073709551616",
    "123456789012345678901234567890",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\" \"",
    "\"\u{202e}\u{feff}\"",
    "[]",
    "{}",
    "[null]",
    "{\"\":{}}",
    "\"1970-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:00Z\"",
    "\"10000-01-01T00:00:00Z\"",
    "\"2016-12-31T23:59:60Z\"",
    "\"2030-01-01T00:00:00+24:00\"",
    "\"2030-02-30T10:00:00Z\"",
    "\"00000000-0000-0000-0000-000000000000\"",
    "\"UTC\"",
    "\"24:00\"",
    "NaN",
    "Infinity",
];

/// Deeper than any parser should follow.
const DEEP: usize = 3_000;

/// How many inputs each test makes: `HOSTILE_CASES`, or 2,000.
#[must_use]
pub fn cases() -> u64 {
    std::env::var("HOSTILE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// The input with this number out of these good ones. The same number always makes the same input; one in sixteen is left
/// as it is, so that what accepts everything good is seen to.
#[must_use]
pub fn hostile(good: &[&[u8]], number: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(number);
    let Some(input) = good.choose(&mut random) else { return Vec::new() };
    if random.random_ratio(1, 16) {
        return input.to_vec();
    }
    let mut input = input.to_vec();
    if random.random_ratio(2, 3)
        && let Ok(document) = serde_json::from_slice(&input)
    {
        input = another_document(document, &mut random);
    }
    if random.random_ratio(1, 2) {
        for _ in 0..random.random_range(1..=4) {
            other_bytes(&mut input, good, &mut random);
        }
    }
    input
}

/// Something that is printed if a panic passes by: the input that caused it.
#[derive(Debug)]
pub struct Witness<'a> {
    /// What read it.
    pub decoder: &'a str,
    /// Its number, for [`hostile`].
    pub number: u64,
    /// The input.
    pub input: &'a [u8],
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} of input {}: {}", self.decoder, self.number, self.input.escape_ascii());
        }
    }
}

/// Changes a document in a few places, and writes it.
fn another_document(mut document: Value, random: &mut StdRng) -> Vec<u8> {
    // Stands where a text goes that is no JSON value of this library, or one too deep to hold.
    const MARK: &str = "\u{1}mark\u{1}";
    for _ in 0..random.random_range(1..=3) {
        change(&mut document, MARK, random);
    }
    let text = document.to_string();
    let mark = Value::from(MARK).to_string();
    let mut written = String::with_capacity(text.len());
    for (at, part) in text.split(&mark).enumerate() {
        if at > 0 {
            written.push_str(&odd_value(random));
        }
        written.push_str(part);
    }
    written.into_bytes()
}

fn odd_value(random: &mut StdRng) -> String {
    match random.random_range(0..12) {
        0 => "[".repeat(random.random_range(1..DEEP)),
        1 => {
            let depth = random.random_range(1..DEEP);
            format!("{}0{}", "{\"a\":".repeat(depth), "}".repeat(depth))
        }
        2 => format!("\"{}\"", "x".repeat(random.random_range(190..400))),
        // What it was, twice.
        3 => "1,\"people\":1,\"from\":\"2030-01-01T00:00:00Z\"".to_owned(),
        _ => (*VALUES.choose(random).unwrap_or(&"null")).to_owned(),
    }
}

/// Goes down to a random place and puts the mark there, takes something away, or adds something.
fn change(value: &mut Value, mark: &str, random: &mut StdRng) {
    let here = random.random_ratio(1, 5);
    match value {
        Value::Object(members) if !members.is_empty() && !here => {
            let names: Vec<String> = members.keys().cloned().collect();
            let Some(name) = names.choose(random) else { return };
            match random.random_range(0..8) {
                0 => drop(members.remove(name)),
                1 => drop(members.insert(format!("{name}x"), Value::from(mark))),
                2 => {
                    let other = names.choose(random).and_then(|other| members.get(other)).cloned();
                    members.insert(name.clone(), other.unwrap_or_default());
                }
                _ => {
                    if let Some(member) = members.get_mut(name) {
                        change(member, mark, random);
                    }
                }
            }
        }
        Value::Array(items) if !items.is_empty() && !here => {
            let at = random.random_range(0..items.len());
            if let Some(item) = items.get_mut(at) {
                change(item, mark, random);
            }
        }
        value => *value = Value::from(mark),
    }
}

fn other_bytes(input: &mut Vec<u8>, good: &[&[u8]], random: &mut StdRng) {
    let at = random.random_range(0..=input.len());
    match random.random_range(0..7) {
        0 => input.truncate(at),
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
        2 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.random();
            }
        }
        3 => drop(input.drain(at..input.len().min(at + random.random_range(0..8)))),
        4 => {
            let end = input.len().min(at + random.random_range(0..32));
            let copy: Vec<u8> = input.get(at..end).unwrap_or_default().repeat(random.random_range(1..4));
            input.splice(at..at, copy);
        }
        5 => {
            let other = good.choose(random).copied().unwrap_or_default();
            let from = random.random_range(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(other.get(from..).unwrap_or_default());
        }
        _ => {
            let piece = PIECES.choose(random).copied().unwrap_or_default();
            input.splice(at..at, piece.iter().copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_always_makes_the_same_input_and_most_inputs_are_new() {
        let good: &[&[u8]] = &[b"{\"people\": 2, \"at\": {\"day\": [1, 2]}}", b"wait=5"];
        let inputs: std::collections::HashSet<Vec<u8>> =
            (0..1_000).map(|number| hostile(good, number)).collect();
        assert!(inputs.len() > 500, "{}", inputs.len());
        assert!((0..100).all(|number| hostile(good, number) == hostile(good, number)));
        assert!(good.iter().all(|input| inputs.contains(*input)));
    }
}
