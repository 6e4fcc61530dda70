//! What a stream tells of an event: never a name, and of others' reservations only that the room's busy times changed.

use std::fmt::Write as _;

use shared_events::{Event, RawEvent, ReservationId, RoomId, Timestamp, UserId, Version};

/// An event of the topic, as streams tell it.
#[derive(Debug)]
pub struct Notice {
    /// The room.
    pub room: RoomId,
    /// The version of the room's stream.
    pub version: Version,
    /// When the event was recorded, if that can be read.
    pub recorded_at: Option<Timestamp>,
    /// What it says.
    pub about: About,
}

/// The content of a notice.
#[derive(Debug)]
pub enum About {
    /// The room itself.
    Room {
        /// The event's name.
        name: &'static str,
        /// The room's kind afterwards.
        kind: Option<String>,
    },
    /// A reservation.
    Reservation {
        /// The event's name.
        name: &'static str,
        /// The reservation.
        reservation: ReservationId,
        /// Its revision.
        revision: u32,
        /// Its owner, who alone is told of it.
        owner: UserId,
    },
    /// An event that can't be read.
    Unreadable,
}

impl Notice {
    /// The notice of an event.
    #[must_use]
    pub fn of(raw: &RawEvent) -> Self {
        let about = raw.event().map_or(About::Unreadable, |event| About::of(&event));
        Self { room: raw.room, version: raw.version, recorded_at: Some(raw.recorded_at), about }
    }

    /// The notice of a message of which only the id can be read.
    #[must_use]
    pub const fn unreadable(room: RoomId, version: Version) -> Self {
        Self { room, version, recorded_at: None, about: About::Unreadable }
    }

    /// The owner of the event's reservation.
    pub(super) const fn owner(&self) -> Option<&UserId> {
        match &self.about {
            About::Reservation { owner, .. } => Some(owner),
            About::Room { .. } | About::Unreadable => None,
        }
    }

    /// The kind of an event that sets its room's kind.
    pub(super) const fn kind(&self) -> Option<&String> {
        match &self.about {
            About::Room { kind: Some(kind), .. } => Some(kind),
            _ => None,
        }
    }

    /// Writes the event of a stream, as JSON, for this user.
    pub(super) fn write(&self, user: &UserId, text: &mut String) {
        let Self { room, version, .. } = self;
        // Writing to a string never fails.
        let _ = match &self.about {
            About::Room { name, .. } => {
                write!(text, r#"{{"type":"{name}","room":"{room}","version":{version}}}"#)
            }
            About::Reservation { name, reservation, revision, owner } if owner == user => write!(
                text,
                r#"{{"type":"{name}","room":"{room}","version":{version},"reservation":"{reservation}","revision":{revision}}}"#
            ),
            About::Reservation { .. } | About::Unreadable => {
                write!(text, r#"{{"type":"busy-changed","room":"{room}","version":{version}}}"#)
            }
        };
    }

    /// Tells this message from others at the same offset. Never 0, which stands for an unknown one.
    pub(super) fn fingerprint(room: RoomId, version: Version) -> u32 {
        let number = u32::try_from(version.get() & u64::from(u32::MAX)).unwrap_or_default();
        room.fingerprint().wrapping_add(number.wrapping_mul(0x9e37_79b1)).max(1)
    }
}

impl About {
    fn of(event: &Event) -> Self {
        // `reservations.reservation-made.v1` without the name of the contract and the version of its form.
        let name = event.event_type().split('.').nth(1).unwrap_or_default();
        match event {
            Event::RoomRegistered(registered) => {
                Self::Room { name, kind: Some(registered.room.settings.kind.clone()) }
            }
            Event::RoomChanged(changed) => {
                Self::Room { name, kind: Some(changed.room.settings.kind.clone()) }
            }
            _ => match event.reservation() {
                Some(values) => Self::Reservation {
                    name,
                    reservation: values.id,
                    revision: values.revision,
                    owner: values.reserved_by.clone(),
                },
                None => Self::Room { name, kind: None },
            },
        }
    }
}
