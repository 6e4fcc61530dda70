//! All events of the contract, with their types on the wire.

use serde::de::DeserializeOwned;

use crate::{
    closure_events::{Closure, ClosureAdded, ClosureLifted},
    reservation_events::{
        Reservation, ReservationCancelled, ReservationMade, ReservationMovedIn, ReservationMovedOut,
        ReservationRescheduled, ReservationRestored,
    },
    room_events::{RoomChanged, RoomRegistered, RoomRetired},
    unreadable::Unreadable,
};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $wire:literal $(or $second:literal)?),* $(,)?) => {
        /// An event in a room's stream.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Event {
            $($(#[$doc])* $name($name),)*
        }

        /// The current `ce_type`s of every event.
        pub const EVENT_TYPES: &[&str] = &[$($wire, $($second,)?)*];

        impl Event {
            /// The `ce_type`: the event's name and the version of its form.
            #[must_use]
            pub fn event_type(&self) -> &'static str {
                match self {
                    $($(Self::$name(event) if event.room.settings.needs_second_version() => $second,)?
                    Self::$name(_) => $wire,)*
                }
            }

            /// The payload as JSON.
            ///
            /// # Errors
            /// If the payload can't be encoded.
            pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
                match self { $(Self::$name(event) => serde_json::to_vec(event),)* }
            }

            /// Decodes a payload of a current type. Unknown fields are ignored.
            ///
            /// # Errors
            /// If the type is not a current one, or the payload has another form.
            pub(crate) fn from_json(event_type: &str, payload: &[u8]) -> Result<Self, Unreadable> {
                let event = match event_type {
                    $($wire $(| $second)? => parse(event_type, payload).map(Self::$name),)*
                    _ => Err(Unreadable::UnknownType(event_type.to_owned())),
                }?;
                let written_as = event.event_type();
                if written_as == event_type {
                    Ok(event)
                } else {
                    let reason = format!("has the form of {written_as}");
                    Err(Unreadable::Malformed { event_type: event_type.to_owned(), reason })
                }
            }
        }

        $(impl From<$name> for Event {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })*
    };
}

events! {
    /// A room was registered and can be booked.
    RoomRegistered = "reservations.room-registered.v1" or "reservations.room-registered.v2",
    /// A room's settings were changed.
    RoomChanged = "reservations.room-changed.v1" or "reservations.room-changed.v2",
    /// A room was retired and can no longer be booked.
    RoomRetired = "reservations.room-retired.v1" or "reservations.room-retired.v2",
    /// A room was reserved.
    ReservationMade = "reservations.reservation-made.v1",
    /// A reservation was changed within its room.
    ReservationRescheduled = "reservations.reservation-rescheduled.v1",
    /// A reservation left this room for another one.
    ReservationMovedOut = "reservations.reservation-moved-out.v1",
    /// A reservation entered this room from another one.
    ReservationMovedIn = "reservations.reservation-moved-in.v1",
    /// A reservation was cancelled.
    ReservationCancelled = "reservations.reservation-cancelled.v1",
    /// A cancelled reservation holds time again.
    ReservationRestored = "reservations.reservation-restored.v1",
    /// A room was closed for some time.
    ClosureAdded = "reservations.closure-added.v1",
    /// A closure was taken back.
    ClosureLifted = "reservations.closure-lifted.v1",
}

fn parse<T: DeserializeOwned>(event_type: &str, payload: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(payload).map_err(|error| Unreadable::Malformed {
        event_type: event_type.to_owned(),
        reason: error.to_string(),
    })
}

impl Event {
    /// The reservation, for an event about one.
    #[must_use]
    pub const fn reservation(&self) -> Option<&Reservation> {
        match self {
            Self::ReservationMade(e) => Some(&e.reservation),
            Self::ReservationRescheduled(e) => Some(&e.reservation),
            Self::ReservationMovedOut(e) => Some(&e.reservation),
            Self::ReservationMovedIn(e) => Some(&e.reservation),
            Self::ReservationCancelled(e) => Some(&e.reservation),
            Self::ReservationRestored(e) => Some(&e.reservation),
            Self::RoomRegistered(_)
            | Self::RoomChanged(_)
            | Self::RoomRetired(_)
            | Self::ClosureAdded(_)
            | Self::ClosureLifted(_) => None,
        }
    }

    /// The reservation, for changes.
    pub const fn reservation_mut(&mut self) -> Option<&mut Reservation> {
        match self {
            Self::ReservationMade(e) => Some(&mut e.reservation),
            Self::ReservationRescheduled(e) => Some(&mut e.reservation),
            Self::ReservationMovedOut(e) => Some(&mut e.reservation),
            Self::ReservationMovedIn(e) => Some(&mut e.reservation),
            Self::ReservationCancelled(e) => Some(&mut e.reservation),
            Self::ReservationRestored(e) => Some(&mut e.reservation),
            Self::RoomRegistered(_)
            | Self::RoomChanged(_)
            | Self::RoomRetired(_)
            | Self::ClosureAdded(_)
            | Self::ClosureLifted(_) => None,
        }
    }

    /// The closure, for an event about one.
    #[must_use]
    pub const fn closure(&self) -> Option<&Closure> {
        match self {
            Self::ClosureAdded(e) => Some(&e.closure),
            Self::ClosureLifted(e) => Some(&e.closure),
            _ => None,
        }
    }

    /// `ce_subject`: id of the reservation, or of the room for events of the room itself and its closures.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::RoomRegistered(e) => e.room.id.to_string(),
            Self::RoomChanged(e) => e.room.id.to_string(),
            Self::RoomRetired(e) => e.room.id.to_string(),
            Self::ReservationMade(e) => e.reservation.id.to_string(),
            Self::ReservationRescheduled(e) => e.reservation.id.to_string(),
            Self::ReservationMovedOut(e) => e.reservation.id.to_string(),
            Self::ReservationMovedIn(e) => e.reservation.id.to_string(),
            Self::ReservationCancelled(e) => e.reservation.id.to_string(),
            Self::ReservationRestored(e) => e.reservation.id.to_string(),
            Self::ClosureAdded(e) => e.closure.room.to_string(),
            Self::ClosureLifted(e) => e.closure.room.to_string(),
        }
    }
}
