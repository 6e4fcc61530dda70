//! Decodes bodies and parameters. Problems name the field and the reason.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

pub use super::integers::integer;
use super::integers::{in_json, plain};
use super::problem::{Problem, ProblemType};

/// Decodes a JSON object. `2.0` and `2e0` are integers.
///
/// # Errors
/// `malformed` if it is not JSON; `unknown-field` or `invalid-value` with a JSON pointer if it doesn't fit `T`.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would accept an array of the fields' values in place of an object.
    if bytes
        .iter()
        .find(|byte| !byte.is_ascii_whitespace())
        .is_some_and(|first| b"[\"-tfn0123456789".contains(first))
    {
        return Err(Problem::new(ProblemType::InvalidValue, "the body must be a JSON object").field(""));
    }
    object(bytes).or_else(|problem| match in_json(bytes) {
        Some(plain) if problem.kind() != ProblemType::Malformed => object(&plain),
        Some(_) | None => Err(problem),
    })
}

fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut decoder = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut decoder).map_err(|error| {
        let inner = error.inner();
        if inner.is_data() {
            let reason = without_position(&inner.to_string()).to_owned();
            explained(&reason, Names::Pointer(error.path()))
        } else {
            Problem::new(ProblemType::Malformed, format!("the body is no JSON: {inner}"))
        }
    })?;
    decoder
        .end()
        .map_err(|error| Problem::new(ProblemType::Malformed, format!("the body is no JSON: {error}")))?;
    Ok(value)
}

/// Decodes a query string. `2.0` and `2e0` are integers.
///
/// # Errors
/// `unknown-field` or `invalid-value` with the parameter's name.
pub(crate) fn query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let problem = match pairs(query) {
        Ok(value) => return Ok(value),
        Err(problem) => problem,
    };
    // A text can look like a number: only the value that was refused is read anew.
    let refused = problem.named_field();
    let is_refused = |name: &str, value: &str| refused == Some(name) && plain(value).is_some();
    let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    if !parameters.iter().any(|(name, value)| is_refused(name, value)) {
        return Err(problem);
    }
    let plain = parameters.iter().map(|(name, value)| match is_refused(name, value) {
        true => (name, integer(value)),
        false => (name, Cow::Borrowed(value.as_ref())),
    });
    self::query(&form_urlencoded::Serializer::new(String::new()).extend_pairs(plain).finish())
}

/// Decodes pairs of names and values in the form of a query string.
///
/// # Errors
/// As [`query`].
pub(crate) fn pairs<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let decoder = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(decoder)
        .map_err(|error| explained(&error.inner().to_string(), Names::Parameter(error.path())))
}

/// The form of the field's name.
enum Names<'a> {
    Pointer(&'a Path),
    Parameter(&'a Path),
}

fn explained(reason: &str, names: Names<'_>) -> Problem {
    let kind = if reason.starts_with("unknown field") {
        ProblemType::UnknownField
    } else {
        ProblemType::InvalidValue
    };
    // Serde reports missing and duplicate fields at their object, with the name in the text.
    let named = ["missing field `", "duplicate field `"].iter().find_map(|start| reason.strip_prefix(start));
    let named = named.and_then(|rest| rest.split('`').next());
    let field = match names {
        Names::Pointer(path) => pointer(path, named),
        Names::Parameter(path) => named.map_or_else(|| parameter(path), str::to_owned),
    };
    let place = if field.is_empty() { "the value as a whole" } else { &field };
    Problem::new(kind, format!("{place}: {reason}")).field(field)
}

/// A JSON pointer (RFC 6901) to the field.
fn pointer(path: &Path, named: Option<&str>) -> String {
    let mut pointer = String::new();
    let mut add = |name: &str| {
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    };
    for segment in path {
        match segment {
            Segment::Seq { index } => add(&index.to_string()),
            Segment::Map { key } => add(key),
            Segment::Enum { variant } => add(variant),
            Segment::Unknown => {}
        }
    }
    if let Some(name) = named {
        add(name);
    }
    pointer
}

/// The name of the parameter.
fn parameter(path: &Path) -> String {
    path.iter().next().map(ToString::to_string).unwrap_or_default()
}

/// The library's message without line and column.
fn without_position(reason: &str) -> &str {
    reason.rfind(" at line ").and_then(|end| reason.get(..end)).unwrap_or(reason)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    #[expect(dead_code, reason = "only decoded")]
    struct Body {
        people: u32,
        opening_hours: Option<std::collections::BTreeMap<String, Hours>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only decoded")]
    struct Hours {
        opens: String,
    }

    fn found(text: &str) -> (ProblemType, Option<String>) {
        let problem = json::<Body>(text.as_bytes()).unwrap_err();
        (problem.kind(), problem.named_field().map(str::to_owned))
    }

    #[test]
    fn each_mistake_in_a_body_is_named() {
        let cases = [
            ("", ProblemType::Malformed, None),
            ("{\"people\": 1", ProblemType::Malformed, None),
            ("{\"people\": 1} x", ProblemType::Malformed, None),
            ("\u{feff}{}", ProblemType::Malformed, None),
            ("{}", ProblemType::InvalidValue, Some("/people")),
            ("[1, null]", ProblemType::InvalidValue, Some("")),
            ("7", ProblemType::InvalidValue, Some("")),
            ("{\"people\": \"two\"}", ProblemType::InvalidValue, Some("/people")),
            ("{\"people\": -1}", ProblemType::InvalidValue, Some("/people")),
            ("{\"people\": 2.5}", ProblemType::InvalidValue, Some("/people")),
            ("{\"people\": -2.0}", ProblemType::InvalidValue, Some("/people")),
            ("{\"people\": \"2.0\"}", ProblemType::InvalidValue, Some("/people")),
            ("{\"people\": 2.0, \"people\": 2.0}", ProblemType::InvalidValue, Some("/people")),
            ("{\"people\": 2.0, \"peeple\": 1}", ProblemType::UnknownField, Some("/peeple")),
            ("{\"people\": 2.0", ProblemType::Malformed, None),
            ("{\"people\": 1, \"people\": 1}", ProblemType::InvalidValue, Some("/people")),
            ("{\"people\": 1, \"peeple\": 1}", ProblemType::UnknownField, Some("/peeple")),
            (
                "{\"people\": 1, \"openingHours\": {\"a/b\": {\"opens\": 8}}}",
                ProblemType::InvalidValue,
                Some("/openingHours/a~1b/opens"),
            ),
            (
                "{\"people\": 1, \"openingHours\": {\"monday\": {}}}",
                ProblemType::InvalidValue,
                Some("/openingHours/monday/opens"),
            ),
        ];
        for (text, kind, field) in cases {
            assert_eq!(found(text), (kind, field.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn an_integer_with_a_fraction_of_zero_or_an_exponent_is_one() {
        for text in ["2.0", "2e0", "0.2E+1", "20e-1"] {
            assert_eq!(
                json::<Body>(format!("{{\"people\": {text}}}").as_bytes()).unwrap().people,
                2,
                "{text}"
            );
            // Not a plus sign, which a query string has for a space.
            let text = text.replace('+', "%2B");
            let found: Parameters = query(&format!("limit={text}&from={text}")).unwrap();
            assert_eq!((found.limit, found.from), (Some(2), text.replace("%2B", "+")));
        }
    }

    #[test]
    fn a_body_that_is_no_utf_8_is_malformed() {
        assert_eq!(json::<Body>(b"{\"people\xff\": 1}").unwrap_err().kind(), ProblemType::Malformed);
    }

    #[test]
    fn a_body_that_is_nested_without_end_is_malformed() {
        let body = "{\"a\":".repeat(100_000);
        assert_eq!(json::<serde_json::Value>(body.as_bytes()).unwrap_err().kind(), ProblemType::Malformed);
    }

    #[test]
    fn the_reason_says_what_was_expected() {
        let problem = json::<Body>(b"{\"people\": \"two\"}").unwrap_err();
        assert_eq!(problem.to_string(), "invalid-value: /people: invalid type: string \"two\", expected u32");
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Parameters {
        from: String,
        limit: Option<u32>,
    }

    #[test]
    fn each_mistake_in_a_query_is_named() {
        let good: Parameters = query("from=a%20b&limit=5").unwrap();
        assert_eq!((good.from.as_str(), good.limit), ("a b", Some(5)));
        let cases = [
            ("", ProblemType::InvalidValue, "from"),
            ("from=a&limit=many", ProblemType::InvalidValue, "limit"),
            ("from=a&limit=2.5", ProblemType::InvalidValue, "limit"),
            ("from=a&limit=2.0&limit=3.0", ProblemType::InvalidValue, "limit"),
            ("from=a&colour=2.0", ProblemType::UnknownField, "colour"),
            ("from=a&from=b", ProblemType::InvalidValue, "from"),
            ("from=a&colour=red", ProblemType::UnknownField, "colour"),
        ];
        for (text, kind, field) in cases {
            let problem = query::<Parameters>(text).unwrap_err();
            assert_eq!((problem.kind(), problem.named_field()), (kind, Some(field)), "{text}");
        }
    }
}
