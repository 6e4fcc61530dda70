//! All events of the contract as one type, with their names on the wire.

use serde::de::DeserializeOwned;

use crate::{
    reservation_events::{
        Reservation, ReservationCancelled, ReservationMade, ReservationMovedIn, ReservationMovedOut,
        ReservationRescheduled,
    },
    room_events::{RoomChanged, RoomRegistered, RoomRetired},
    unreadable::Unreadable,
};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $wire:literal),* $(,)?) => {
        /// Something that happened in a room's stream. Facts: never changed, never deleted.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Event {
            $($(#[$doc])* $name($name),)*
        }

        /// The current `ce_type` of every event.
        pub const EVENT_TYPES: &[&str] = &[$($wire),*];

        impl Event {
            /// The `ce_type` on the wire: name and version of the payload's form.
            #[must_use]
            pub const fn event_type(&self) -> &'static str {
                match self { $(Self::$name(_) => $wire,)* }
            }

            /// The payload as JSON.
            ///
            /// # Errors
            /// If it can't be encoded.
            pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
                match self { $(Self::$name(event) => serde_json::to_vec(event),)* }
            }

            /// Reads the payload of a current type. Unknown fields are accepted.
            ///
            /// # Errors
            /// When the type is not a current one, or the payload is not of its form.
            pub(crate) fn from_json(event_type: &str, payload: &[u8]) -> Result<Self, Unreadable> {
                match event_type {
                    $($wire => parse(event_type, payload).map(Self::$name),)*
                    _ => Err(Unreadable::UnknownType(event_type.to_owned())),
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
    /// A room can be booked from now on.
    RoomRegistered = "reservations.room-registered.v1",
    /// A room's settings were changed.
    RoomChanged = "reservations.room-changed.v1",
    /// A room can no longer be booked.
    RoomRetired = "reservations.room-retired.v1",
    /// A room was reserved.
    ReservationMade = "reservations.reservation-made.v1",
    /// A reservation's values were changed within its room.
    ReservationRescheduled = "reservations.reservation-rescheduled.v1",
    /// A reservation left this room for another.
    ReservationMovedOut = "reservations.reservation-moved-out.v1",
    /// A reservation came into this room from another.
    ReservationMovedIn = "reservations.reservation-moved-in.v1",
    /// A reservation was given up.
    ReservationCancelled = "reservations.reservation-cancelled.v1",
}

fn parse<T: DeserializeOwned>(event_type: &str, payload: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(payload).map_err(|error| Unreadable::Malformed {
        event_type: event_type.to_owned(),
        reason: error.to_string(),
    })
}

impl Event {
    /// The reservation that the event is about, where it is about one.
    #[must_use]
    pub const fn reservation(&self) -> Option<&Reservation> {
        match self {
            Self::ReservationMade(e) => Some(&e.reservation),
            Self::ReservationRescheduled(e) => Some(&e.reservation),
            Self::ReservationMovedOut(e) => Some(&e.reservation),
            Self::ReservationMovedIn(e) => Some(&e.reservation),
            Self::ReservationCancelled(e) => Some(&e.reservation),
            Self::RoomRegistered(_) | Self::RoomChanged(_) | Self::RoomRetired(_) => None,
        }
    }

    /// The same, to change it.
    pub const fn reservation_mut(&mut self) -> Option<&mut Reservation> {
        match self {
            Self::ReservationMade(e) => Some(&mut e.reservation),
            Self::ReservationRescheduled(e) => Some(&mut e.reservation),
            Self::ReservationMovedOut(e) => Some(&mut e.reservation),
            Self::ReservationMovedIn(e) => Some(&mut e.reservation),
            Self::ReservationCancelled(e) => Some(&mut e.reservation),
            Self::RoomRegistered(_) | Self::RoomChanged(_) | Self::RoomRetired(_) => None,
        }
    }

    /// `ce_subject`: the id of the reservation, or of the room for events of the room itself.
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
        }
    }
}
