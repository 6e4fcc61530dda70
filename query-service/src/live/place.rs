//! The `id` of a stream's events: a place in the topic, the same for all instances.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use shared_events::RoomId;
use uuid::Uuid;

/// The first byte of an encoded place.
const FORM: u8 = 2;
/// Most partitions of a place. Topics with more give no ids, so each new connection begins with a reset.
pub(super) const MOST_PARTITIONS: usize = 256;
/// Most parked rooms of a place. With more there are no ids either.
pub(super) const MOST_PARKED: usize = 64;

/// A place in a topic: everything before it was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// The topic, or the run of a process that has none.
    pub(super) identity: u64,
    /// One mark for each partition.
    pub(super) marks: Vec<Mark>,
    /// Rooms whose messages before the marks were not told, because they are parked.
    pub(super) parked: Vec<RoomId>,
}

/// A place in a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// The next offset to tell.
    pub(super) offset: i64,
    /// The fingerprint of the message before it; 0 if that is not known. It tells a topic from another one with its name.
    pub(super) before: u32,
}

impl Place {
    /// The text, if the topic has few enough partitions, and few rooms are parked.
    pub(super) fn encode(&self) -> Option<String> {
        if self.marks.len() > MOST_PARTITIONS || self.parked.len() > MOST_PARKED {
            return None;
        }
        let mut bytes = vec![FORM];
        bytes.extend(self.identity.to_be_bytes());
        bytes.extend(u16::try_from(self.marks.len()).ok()?.to_be_bytes());
        for mark in &self.marks {
            bytes.extend(mark.offset.to_be_bytes());
            bytes.extend(mark.before.to_be_bytes());
        }
        self.parked.iter().for_each(|room| bytes.extend(room.0.as_bytes()));
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a text. `None` for anything that [`Place::encode`] does not make.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (form, bytes) = bytes.split_first_chunk::<1>()?;
        let (identity, bytes) = bytes.split_first_chunk::<8>()?;
        let (count, bytes) = bytes.split_first_chunk::<2>()?;
        let count = usize::from(u16::from_be_bytes(*count));
        let (marks, parked) = bytes.split_at_checked(12 * count)?;
        let ((marks, _), (parked, rest)) = (marks.as_chunks::<12>(), parked.as_chunks::<16>());
        if *form != [FORM] || !rest.is_empty() || count > MOST_PARTITIONS || parked.len() > MOST_PARKED {
            return None;
        }
        let mark = |bytes: &[u8; 12]| {
            let (offset, before) = bytes.split_first_chunk::<8>()?;
            let before = u32::from_be_bytes(before.try_into().ok()?);
            Some(Mark { offset: i64::from_be_bytes(*offset), before })
        };
        let marks = marks.iter().map(mark).collect::<Option<_>>()?;
        let parked = parked.iter().map(|bytes| RoomId(Uuid::from_bytes(*bytes))).collect();
        Some(Self { identity: u64::from_be_bytes(*identity), marks, parked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_and_anything_else_is_none() {
        let marks = vec![Mark { offset: 7, before: 9 }, Mark { offset: i64::MAX, before: 0 }];
        let parked = vec![RoomId(Uuid::from_u128(5))];
        let place = Place { identity: 3, marks, parked };
        let text = place.encode().unwrap();
        assert_eq!(Place::parse(&text), Some(place.clone()));
        let longer = format!("{text}AAAA");
        let other_form = format!("B{}", &text[1..]);
        for bad in ["", "AQ", "zzz", "é", &text[1..], &longer, &other_form] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
        let marks = vec![Mark { offset: 0, before: 0 }; MOST_PARTITIONS + 1];
        assert_eq!(Place { marks, ..place.clone() }.encode(), None);
        let parked = vec![RoomId(Uuid::from_u128(5)); MOST_PARKED + 1];
        assert_eq!(Place { parked, ..place }.encode(), None);
    }
}
