//! The last event that was relayed: kept beside Kafka's topic, because a store that is put back takes its own place with it.

use std::{fmt, str::FromStr};

use shared_events::{RoomId, Timestamp, Version};

use crate::event_store::{Position, StoredEvent};

/// What identifies an event. A store that was put back may use its position, room and version again, at another time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Relayed {
    pub(super) position: Position,
    pub(super) room: RoomId,
    version: Version,
    recorded_at: Timestamp,
}

impl Relayed {
    pub(super) const fn of(event: &StoredEvent) -> Self {
        let StoredEvent { position, room, version, recorded_at, .. } = event;
        Self { position: *position, room: *room, version: *version, recorded_at: *recorded_at }
    }
}

/// What is kept beside the topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Note {
    /// The epoch of the switch from the table.
    pub(super) mode_epoch: u64,
    /// The last event that was relayed since then.
    pub(super) last: Option<Relayed>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mode_epoch)?;
        let Some(Relayed { position, room, version, recorded_at }) = self.last else { return Ok(()) };
        write!(f, " {position} {room} {version} {}", recorded_at.epoch_millis())
    }
}

impl FromStr for Note {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let malformed = || format!("the note beside the topic can't be read: {text:?}");
        let number = |word: &str| word.parse::<u64>().map_err(|_| malformed());
        let (mode_epoch, last) = match *words.as_slice() {
            [epoch] => (epoch, None),
            [epoch, position, room, version, recorded_at] => {
                let recorded_at = recorded_at.parse().map_err(|_| malformed())?;
                let last = Relayed {
                    position: number(position)?.into(),
                    room: room.parse().map_err(|_| malformed())?,
                    version: number(version)?.into(),
                    recorded_at: Timestamp::from_epoch_millis(recorded_at),
                };
                (epoch, Some(last))
            }
            _ => return Err(malformed()),
        };
        Ok(Self { mode_epoch: number(mode_epoch)?, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let last = Relayed {
            position: 7.into(),
            room: RoomId(service_kit::ids::new_id()),
            version: 3.into(),
            recorded_at: Timestamp::from_epoch_millis(1_790_000_000_123),
        };
        for last in [None, Some(last)] {
            let note = Note { mode_epoch: 4, last };
            assert_eq!(note.to_string().parse(), Ok(note));
        }
        for text in ["", "x", "1 2", "1 2 3 4 5"] {
            assert!(text.parse::<Note>().is_err(), "{text}");
        }
    }
}
