//! The token that lets a query show at least a command's effect.

use std::{collections::BTreeMap, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::{ids::RoomId, version::Version};

/// Rooms with the versions that a query must show. Opaque to clients.
///
/// The text is base64url of a format byte and, for each pair, 16 bytes of room id and 8 bytes of version, big-endian.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ConsistencyToken {
    /// At most [`ConsistencyToken::MAX_ROOMS`] pairs.
    pub rooms: Vec<(RoomId, Version)>,
}

/// The error of a text that can't be read as consistency tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// A part is no token.
    #[error("not a consistency token")]
    Malformed,
    /// The tokens name too many rooms.
    #[error(
        "more than {} rooms; a token that a query has answered need not be sent again",
        ConsistencyToken::MAX_ROOMS
    )]
    TooManyRooms,
}

const FORMAT: u8 = 1;
const PAIR_BYTES: usize = 24;

impl ConsistencyToken {
    /// Most rooms in one token, or in one header.
    pub const MAX_ROOMS: usize = 256;

    /// Reads a header value: one or more tokens, separated by commas. Each room has its highest version.
    ///
    /// # Errors
    /// If a part is not a token, or there are too many rooms.
    pub fn parse_header(text: &str) -> Result<Self, InvalidToken> {
        let mut rooms = BTreeMap::new();
        for part in text.split(',') {
            for (room, version) in part.trim().parse::<Self>()?.rooms {
                let highest = rooms.entry(room).or_insert(version);
                *highest = version.max(*highest);
            }
            if rooms.len() > Self::MAX_ROOMS {
                return Err(InvalidToken::TooManyRooms);
            }
        }
        Ok(Self { rooms: rooms.into_iter().collect() })
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
        if text.len() > (1 + Self::MAX_ROOMS * PAIR_BYTES) * 4 / 3 + 4 {
            return Err(InvalidToken::TooManyRooms);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidToken::Malformed)?;
        let Some((&FORMAT, pairs)) = bytes.split_first() else { return Err(InvalidToken::Malformed) };
        let (pairs, []) = pairs.as_chunks::<PAIR_BYTES>() else { return Err(InvalidToken::Malformed) };
        let rooms = pairs
            .iter()
            .map(|pair| {
                let (room, version) = pair.split_first_chunk::<16>().ok_or(InvalidToken::Malformed)?;
                let version = version.first_chunk::<8>().ok_or(InvalidToken::Malformed)?;
                Ok((RoomId(Uuid::from_bytes(*room)), u64::from_be_bytes(*version).into()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if rooms.is_empty() { Err(InvalidToken::Malformed) } else { Ok(Self { rooms }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(n: u128, version: u64) -> ConsistencyToken {
        ConsistencyToken { rooms: vec![(RoomId(Uuid::from_u128(n)), Version::from(version))] }
    }

    fn read(tokens: &[ConsistencyToken]) -> Result<ConsistencyToken, InvalidToken> {
        let texts: Vec<String> = tokens.iter().map(ToString::to_string).collect();
        ConsistencyToken::parse_header(&texts.join(", "))
    }

    #[test]
    fn a_token_reads_back_and_several_are_joined_by_their_highest_versions() {
        let joined = read(&[token(1, 7), token(2, u64::MAX), token(1, 9), token(1, 8)]).unwrap();
        assert_eq!(
            joined.rooms,
            [(RoomId(Uuid::from_u128(1)), 9.into()), (RoomId(Uuid::from_u128(2)), u64::MAX.into())]
        );
    }

    #[test]
    fn tokens_of_as_many_rooms_as_are_allowed_are_read_however_many_there_are_and_one_room_more_is_told() {
        let mut tokens: Vec<_> = (0..1000).map(|n| token(n % 256, 7)).collect();
        let joined = read(&tokens).unwrap();
        assert_eq!(joined.rooms.len(), ConsistencyToken::MAX_ROOMS);
        assert_eq!(ConsistencyToken::parse_header(&joined.to_string()), Ok(joined.clone()));
        tokens.push(token(256, 1));
        assert_eq!(read(&tokens), Err(InvalidToken::TooManyRooms));
        let rooms = [joined.rooms, token(256, 1).rooms].concat();
        assert_eq!(read(&[ConsistencyToken { rooms }]), Err(InvalidToken::TooManyRooms));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "AQ", "!", "AgAA", "AQ,AQ"] {
            assert_eq!(ConsistencyToken::parse_header(text), Err(InvalidToken::Malformed), "{text:.20}");
        }
        let endless = "A".repeat(100_000);
        assert_eq!(ConsistencyToken::parse_header(&endless), Err(InvalidToken::TooManyRooms));
    }
}
