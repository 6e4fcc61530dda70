//! A subscription: whom to tell of what.

use shared_events::{RoomId, Timestamp, UserId};
use uuid::Uuid;

use super::{Address, MailAddress, Secrets};

/// Most subscriptions of a user.
pub const MOST_OF_A_USER: usize = 20;
/// Most minutes between a reminder and its stay: four weeks.
pub const MOST_LEAD_MINUTES: u32 = 40_320;

/// A subscription of a user.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub user: UserId,
    /// The events that it is about.
    pub about: About,
    /// How it is told.
    pub channel: Channel,
    /// How long before each stay of the user it reminds, if it does.
    pub remind: Option<Lead>,
    /// When it was made. Earlier events notify nobody.
    pub created: Timestamp,
    /// Whether it is notified.
    pub state: State,
}

/// How a subscription is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Channel {
    /// By webhook: the endpoint, and the secrets that sign its messages.
    Webhook(Address, Secrets),
    /// By e-mail.
    Mail(MailAddress),
}

/// The kind of a channel. Each kind has couriers of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// Webhooks.
    Webhooks,
    /// Mails.
    Mails,
}

impl Channel {
    /// Its kind.
    #[must_use]
    pub const fn carrier(&self) -> Carrier {
        match self {
            Self::Webhook(..) => Carrier::Webhooks,
            Self::Mail(_) => Carrier::Mails,
        }
    }
}

/// The events that a subscription is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum About {
    /// The user's own reservations.
    Mine,
    /// All reservations of a room.
    Room(RoomId),
    /// All reservations of all rooms of a kind.
    Kind(String),
}

/// Minutes before a stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lead(u32);

impl Lead {
    /// A lead of so many minutes: 1 to [`MOST_LEAD_MINUTES`].
    #[must_use]
    pub const fn of(minutes: u32) -> Option<Self> {
        if minutes == 0 || minutes > MOST_LEAD_MINUTES { None } else { Some(Self(minutes)) }
    }

    /// The minutes.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        self.0
    }

    /// The time of the reminder of a stay.
    pub(super) fn before(self, from: Timestamp) -> Timestamp {
        Timestamp::from_epoch_millis(from.epoch_millis() - i64::from(self.0) * 60_000)
    }
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
