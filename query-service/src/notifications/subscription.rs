//! A subscription: whom to tell of what.

use shared_events::{RoomId, Timestamp, UserId};
use uuid::Uuid;

use super::{Address, Secrets};

/// Most subscriptions of a user.
pub const MOST_OF_A_USER: usize = 20;

/// A subscription of a user.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// The events that it is about.
    pub about: About,
    /// The endpoint.
    pub address: Address,
    /// The secrets that sign its messages.
    pub secrets: Secrets,
    /// When it was made. Earlier events notify nobody.
    pub created: Timestamp,
    /// Whether it is notified.
    pub state: State,
}

/// The events that a subscription is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum About {
    /// The user's own reservations.
    Mine,
    /// All reservations of a room.
    Room(RoomId),
}

/// Whether a subscription is notified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It is.
    Enabled,
    /// It is not.
    Disabled(Reason),
}

/// Why a subscription is disabled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The user disabled it.
    User,
    /// The endpoint answered 410.
    Gone,
    /// The endpoint has failed for days.
    Failing,
}

impl Reason {
    const ALL: [Self; 3] = [Self::User, Self::Gone, Self::Failing];

    /// The reason as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// The reason that is stored so.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}
