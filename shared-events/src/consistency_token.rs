//! The token that lets a query show at least a command's effect.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::{ids::RoomId, version::Version};

/// Rooms with the versions that a query must show. Opaque to clients.
///
/// The text is base64url of a format byte and, for each pair, 16 bytes of room id and 8 bytes of version, big-endian.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConsistencyToken {
    /// At most [`ConsistencyToken::MAX_PAIRS`] pairs.
    pub rooms: Vec<(RoomId, Version)>,
}

/// The error of a text that is not a consistency token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a consistency token")]
pub struct InvalidToken;

const FORMAT: u8 = 1;
const PAIR_BYTES: usize = 24;

impl ConsistencyToken {
    /// Most pairs in one token, or in one header.
    pub const MAX_PAIRS: usize = 64;

    /// Reads a header value: one or more tokens, separated by commas.
    ///
    /// # Errors
    /// If a part is not a token, or there are too many pairs.
    pub fn parse_header(text: &str) -> Result<Self, InvalidToken> {
        let mut all = Self::default();
        for part in text.split(',') {
            all.rooms.extend(part.trim().parse::<Self>()?.rooms);
            if all.rooms.len() > Self::MAX_PAIRS {
                return Err(InvalidToken);
            }
        }
        Ok(all)
    }
}

impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![FORMAT];
        for (room, version) in &self.rooms {
            bytes.extend_from_slice(room.0.as_bytes());
            bytes.extend_from_slice(&version.get().to_be_bytes());
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for ConsistencyToken {
    type Err = InvalidToken;
    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        if text.len() > (1 + Self::MAX_PAIRS * PAIR_BYTES) * 4 / 3 + 4 {
            return Err(InvalidToken);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidToken)?;
        let (FORMAT, pairs) =
            bytes.split_first().map(|(format, rest)| (*format, rest)).ok_or(InvalidToken)?
        else {
            return Err(InvalidToken);
        };
        let (pairs, []) = pairs.as_chunks::<PAIR_BYTES>() else { return Err(InvalidToken) };
        let rooms = pairs
            .iter()
            .map(|pair| {
                let (room, version) = pair.split_first_chunk::<16>().ok_or(InvalidToken)?;
                let version = version.first_chunk::<8>().ok_or(InvalidToken)?;
                Ok((RoomId(Uuid::from_bytes(*room)), u64::from_be_bytes(*version).into()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if rooms.is_empty() { Err(InvalidToken) } else { Ok(Self { rooms }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_several_are_joined() {
        let token = |n, version| ConsistencyToken {
            rooms: vec![(RoomId(Uuid::from_u128(n)), Version::from(version))],
        };
        let header = format!("{}, {}", token(1, 7), token(2, u64::MAX));
        let joined = ConsistencyToken::parse_header(&header).unwrap();
        assert_eq!(
            joined.rooms,
            vec![(RoomId(Uuid::from_u128(1)), 7.into()), (RoomId(Uuid::from_u128(2)), u64::MAX.into())]
        );
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "AQ", "!", "AgAA", &"A".repeat(100_000)] {
            assert_eq!(ConsistencyToken::parse_header(text), Err(InvalidToken), "{text:.20}");
        }
    }
}
