//! Cursors of pages: opaque to clients, bound to their query.
//!
//! A cursor is base64url of a format byte, a checksum over query and place, and the place after which the next page
//! begins. The checksum finds cursors that were cut, altered or taken to another query. It protects no secret.

use std::hash::{Hash, Hasher};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use shared_events::{Minute, ReservationId, RoomId, Timestamp, Version};
use uuid::Uuid;

/// The text is not a cursor of this query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this query")]
pub struct InvalidCursor;

const FORMAT: u8 = 1;
/// The most bytes of a cursor: enough for the longest name and its prefix.
const LONGEST: usize = 2048;

/// The cursor of the page after `place`. It depends only on query and place.
pub fn seal<Q: Hash>(query: &Q, place: &impl Place) -> String {
    let mut key = Vec::new();
    place.write(&mut key);
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(&checksum(query, &key).to_be_bytes());
    bytes.extend_from_slice(&key);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place of a cursor.
///
/// # Errors
/// When [`seal`] did not make it for the same query.
pub fn open<Q: Hash, P: Place>(query: &Q, text: &str) -> Result<P, InvalidCursor> {
    if text.len() > LONGEST {
        return Err(InvalidCursor);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
    let Some((&FORMAT, rest)) = bytes.split_first() else { return Err(InvalidCursor) };
    let (sum, key) = rest.split_first_chunk::<8>().ok_or(InvalidCursor)?;
    if u64::from_be_bytes(*sum) != checksum(query, key) {
        return Err(InvalidCursor);
    }
    let mut rest = key;
    P::read(&mut rest).filter(|_| rest.is_empty()).ok_or(InvalidCursor)
}

fn checksum<Q: Hash>(query: &Q, key: &[u8]) -> u64 {
    let mut sum = Fnv(0xcbf2_9ce4_8422_2325);
    std::any::type_name::<Q>().hash(&mut sum);
    query.hash(&mut sum);
    sum.write(key);
    sum.finish()
}

/// FNV-1a: the same in every process, unlike the standard library's hasher.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// A place in the order of a list.
pub trait Place: Sized {
    /// Appends the place's bytes.
    fn write(&self, bytes: &mut Vec<u8>);
    /// Reads the place, and removes its bytes.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

fn chunk<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*chunk)
}

impl Place for u64 {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        chunk(bytes).map(Self::from_be_bytes)
    }
}

impl Place for Version {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.get().write(bytes);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        u64::read(bytes).map(Self::from)
    }
}

impl Place for Minute {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.epoch_minutes().to_be_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Self::from_epoch_minutes(i64::from_be_bytes(chunk(bytes)?)).ok()
    }
}

impl Place for Timestamp {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.epoch_millis().to_be_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        chunk(bytes).map(|millis| Self::from_epoch_millis(i64::from_be_bytes(millis)))
    }
}

impl Place for RoomId {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.0.as_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        chunk(bytes).map(|id| Self(Uuid::from_bytes(id)))
    }
}

impl Place for ReservationId {
    fn write(&self, bytes: &mut Vec<u8>) {
        RoomId(self.0).write(bytes);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        RoomId::read(bytes).map(|id| Self(id.0))
    }
}

/// A text takes all remaining bytes, so it comes last.
impl Place for String {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let text = Self::from_utf8(bytes.to_vec()).ok()?;
        *bytes = &[];
        Some(text)
    }
}

impl<A: Place, B: Place> Place for (A, B) {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
        self.1.write(bytes);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::read(bytes)?, B::read(bytes)?))
    }
}

impl<A: Place, B: Place, C: Place> Place for (A, B, C) {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
        self.1.write(bytes);
        self.2.write(bytes);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::read(bytes)?, B::read(bytes)?, C::read(bytes)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Hash)]
    struct ByKind {
        kind: &'static str,
    }
    #[derive(Hash)]
    struct ByOwner {
        kind: &'static str,
    }

    #[test]
    fn a_cursor_opens_for_its_own_query_only() {
        let place = (7_u64, RoomId(Uuid::from_u128(9)), "Blå $x.y".to_owned());
        let text = seal(&ByKind { kind: "a" }, &place);
        assert_eq!(open(&ByKind { kind: "a" }, &text), Ok(place));
        type Any = (u64, RoomId, String);
        assert_eq!(open::<_, Any>(&ByKind { kind: "b" }, &text), Err(InvalidCursor));
        assert_eq!(open::<_, Any>(&ByOwner { kind: "a" }, &text), Err(InvalidCursor));
    }

    #[test]
    fn a_cursor_that_was_altered_anywhere_is_refused() {
        let query = ByKind { kind: "a" };
        let text = seal(&query, &(7_u64, RoomId(Uuid::from_u128(9))));
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'x' { b'y' } else { b'x' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(open::<_, (u64, RoomId)>(&query, &altered), Err(InvalidCursor), "{altered}");
            assert_eq!(open::<_, (u64, RoomId)>(&query, &text[..at]), Err(InvalidCursor));
        }
        assert_eq!(open::<_, u64>(&query, &"A".repeat(100_000)), Err(InvalidCursor));
    }
}
