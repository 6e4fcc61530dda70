#![doc = include_str!("../README.md")]

#[cfg(feature = "changes")]
pub mod changes;
pub mod closure_events;
pub mod consistency_token;
pub mod envelope;
pub mod erasure;
pub mod event;
pub mod feed;
pub mod ids;
pub mod names;
pub mod notice;
pub mod opening_hours;
pub mod partitioner;
pub mod reservation_events;
pub mod room_events;
pub mod room_rules;
pub mod time;
pub mod time_zone;
pub mod topics;
pub mod unreadable;
pub mod upcasting;
pub mod version;

pub use closure_events::Closure;
pub use consistency_token::ConsistencyToken;
pub use envelope::{DecodedEvent, Metadata, RawEvent};
pub use erasure::Erasures;
pub use event::Event;
pub use ids::{ClosureId, ReservationId, RoomId, SeriesId, UserId};
pub use opening_hours::{OpenDay, OpeningHours, OpeningSpan};
pub use partitioner::partition_of;
pub use reservation_events::{Offsets, Place, Reservation};
pub use room_events::{MaxAhead, Room, RoomSettings};
pub use time::{Interval, Minute, Timestamp};
pub use time_zone::TimeZone;
pub use unreadable::Unreadable;
pub use version::Version;
