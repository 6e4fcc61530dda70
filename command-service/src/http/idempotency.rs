//! `Idempotency-Key`: a key has one effect, however often its request is sent.

use std::borrow::Cow;

use actix_web::http::header::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use service_kit::http::problem::{Problem, ProblemType};
use uuid::Uuid;

use crate::{digest::digest, event_store::KeyId, writer::IdempotencyKey};

/// The header's name.
pub(super) const HEADER: &str = "Idempotency-Key";
/// Longest key, in characters.
pub(super) const MAX_CHARS: usize = 255;

/// Prefixes that separate keys of callers from keys of import lines, whatever the callers' names.
const OF_CALLER: &[u8] = b"caller";
const OF_IMPORT: &[u8] = b"import";

/// What a segment of a normal path encodes: all but what JavaScript's `encodeURIComponent` leaves as it is. Another set would
/// change the fingerprints that are stored.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The client's key, if any.
///
/// # Errors
/// `invalid-idempotency-key` for a repeated header or an invalid value.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let invalid = |detail: &str| Problem::new(ProblemType::InvalidIdempotencyKey, detail).field(HEADER);
    let mut values = headers.get_all(HEADER);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("the header is there more than once"));
    }
    let key = std::str::from_utf8(value.as_bytes()).ok().and_then(read);
    match key.filter(|key| is_usable(key)) {
        Some(key) => Ok(Some(key)),
        None => {
            Err(invalid("a key has 1 to 255 visible ASCII characters, with or without quotes around them"))
        }
    }
}

/// Whether a caller may have this key.
pub(super) fn is_usable(key: &str) -> bool {
    (1..=MAX_CHARS).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
}

/// The problem of a POST without a key.
pub(super) fn missing() -> Problem {
    let detail = "a POST needs a key of its own, which stays the same when it is sent again";
    Problem::new(ProblemType::MissingIdempotencyKey, detail)
}

/// A caller's key with its request. The request has it by itself and among many.
pub(super) fn of_request(user: &str, key: &str, method: &str, path: &str, body: &[u8]) -> IdempotencyKey {
    IdempotencyKey {
        id: key_of_caller(user, key),
        fingerprint: fingerprint_of_request(user, method, &normal(path), body),
    }
}

/// The key in a header value: a quoted string (RFC 9651, as the draft of the header says), or the bare value.
fn read(value: &str) -> Option<String> {
    let value = value.trim_matches([' ', '\t']);
    let Some(quoted) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut key = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => break,
            '\\' => key.push(rest.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => key.push(other),
        }
    }
    rest.as_str().is_empty().then_some(key)
}

/// The recorded id of a caller's key.
fn key_of_caller(user: &str, key: &str) -> KeyId {
    KeyId(digest(&[OF_CALLER, user.as_bytes(), key.as_bytes()]))
}

/// The recorded id of an import line's key. It is the same for all administrators, so each can send another's file again.
pub(super) fn key_of_line(key: &str) -> KeyId {
    KeyId(digest(&[OF_IMPORT, key.as_bytes()]))
}

/// The one form of paths that lead to the same place: each segment decoded and encoded again, ids as UUIDs are written.
fn normal(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    let (mut is_id, mut is_kind) = (false, false);
    for segment in path.split('/').skip(1) {
        let segment: Cow<'_, [u8]> = percent_decode_str(segment).into();
        normal.push('/');
        match Uuid::try_parse_ascii(&segment) {
            Ok(id) if is_id => normal.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
            _ => normal.extend(percent_encode(&segment, ENCODED)),
        }
        // A kind can have any name.
        let is_word = !is_kind;
        is_id = is_word && matches!(&*segment, b"rooms" | b"reservations");
        is_kind = is_word && &*segment == b"kinds";
    }
    normal
}

/// Fingerprint of a request: caller, method, normal path and body bytes.
fn fingerprint_of_request(user: &str, method: &str, path: &str, body: &[u8]) -> [u8; 16] {
    digest(&[user.as_bytes(), method.as_bytes(), path.as_bytes(), body])
}

/// Fingerprint of an import line: its bytes.
pub(super) fn fingerprint_of_line(line: &[u8]) -> [u8; 16] {
    digest(&[line])
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn key(values: &[&str]) -> Result<Option<String>, Problem> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HeaderName::from_static("idempotency-key"), HeaderValue::from_str(value).unwrap());
        }
        key_of(&headers)
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        assert_eq!(key(&["abc-1"]).unwrap().as_deref(), Some("abc-1"));
        assert_eq!(key(&["\"abc-1\""]).unwrap().as_deref(), Some("abc-1"));
        assert_eq!(key(&[r#""a\"b\\c""#]).unwrap().as_deref(), Some(r#"a"b\c"#));
        assert_eq!(key(&[]).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_a_key_is_refused() {
        let long = "x".repeat(256);
        for bad in ["", "\"\"", "a b", "\"a b\"", "\"open", "\"a\"b", "\"a\";q=1", r#""a\b""#, "ü", &long] {
            let problem = key(&[bad]).unwrap_err();
            assert_eq!(problem.kind(), ProblemType::InvalidIdempotencyKey, "{bad}");
        }
        assert!(key(&["a", "a"]).is_err());
        assert!(key(&[&"x".repeat(255)]).is_ok());
    }

    #[test]
    fn keys_of_callers_and_lines_never_meet() {
        assert_ne!(key_of_caller("ann", "1"), key_of_caller("an", "n1"));
        assert_ne!(key_of_caller("import", "1"), key_of_line("1"));
    }

    #[test]
    fn paths_that_lead_to_the_same_place_have_one_form() {
        let id = "0190a5b0-0000-7000-8000-00000000000a";
        let room = format!("/v1/rooms/{id}/reservations/{id}/move");
        for path in [
            room.clone(),
            room.to_uppercase()
                .replace("/V1/ROOMS", "/v1/rooms")
                .replace("RESERVATIONS", "reservations")
                .replace("MOVE", "move"),
            room.replace(id, &id.replace('-', "")),
            room.replace("a5b0", "%615b0").replace("move", "m%6Fve"),
        ] {
            assert_eq!(normal(&path), room, "{path}");
        }
        let kind = "/v1/kinds/B%C3%BCro%2FA%20%26%20(B)!/reservations";
        for path in [
            kind,
            "/v1/kinds/B%c3%bcro%2fA%20%26%20(B)!/reservations",
            "/v1/kinds/%42%C3%BCro%2FA%20&%20%28B%29%21/reservations",
            "/v1/%6Binds/Büro%2FA%20%26%20(B)!/reservations",
        ] {
            assert_eq!(normal(path), kind, "{path}");
        }
        // Names, which may look like ids.
        for path in [
            format!("/v1/kinds/{}/reservations", id.to_uppercase()),
            format!("/v1/kinds/rooms/{}", id.to_uppercase()),
            "/v1/rooms".to_owned(),
            "/v1/kinds/%25/reservations".to_owned(),
        ] {
            assert_eq!(normal(&path), path);
        }
    }

    #[test]
    fn the_fingerprint_of_a_plain_request_is_that_of_its_path_as_it_was_sent() {
        let id = "0190a5b0-0000-7000-8000-00000000000a";
        for path in [
            "/v1/rooms".to_owned(),
            format!("/v1/rooms/{id}/reservations/{id}"),
            "/v1/kinds/B%C3%BCro%2Fgro%C3%9F%20%26%20hell/reservations".to_owned(),
        ] {
            let of_request = of_request("ann", "k", "POST", &path, b"{}").fingerprint;
            assert_eq!(of_request, digest(&[b"ann", b"POST", path.as_bytes(), b"{}"]), "{path}");
        }
    }

    #[test]
    fn a_request_is_told_by_each_of_its_parts() {
        let first = fingerprint_of_request("ann", "POST", "/v1/rooms", b"{}");
        assert_eq!(first, fingerprint_of_request("ann", "POST", "/v1/rooms", b"{}"));
        assert_ne!(first, fingerprint_of_request("bob", "POST", "/v1/rooms", b"{}"));
        assert_ne!(first, fingerprint_of_request("ann", "PATCH", "/v1/rooms", b"{}"));
        assert_ne!(first, fingerprint_of_request("ann", "POST", "/v1/room", b"{}"));
        assert_ne!(first, fingerprint_of_request("ann", "POST", "/v1/rooms", b"{ }"));
    }
}
