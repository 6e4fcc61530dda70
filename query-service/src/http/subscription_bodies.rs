//! What requests about subscriptions send and get.

use serde::{Deserialize, Serialize};
use shared_events::{RoomId, Timestamp};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::notifications::{
    About, Carrier, Channel, Delivery as Sent, Lead, State, Status, Subscription as Subscribed,
};

/// A new subscription.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewSubscription {
    #[serde(default)]
    #[schema(nullable = false)]
    pub(super) channel: SubscriptionChannel,
    /// The endpoint of a webhook: an `https` address with a public host.
    #[serde(default)]
    #[schema(max_length = 2000, nullable = false)]
    pub(super) url: Option<String>,
    /// All reservations of this room, by webhook, for administrators. Without room and kind, the caller's own reservations.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>, nullable = false)]
    pub(super) room: Option<RoomId>,
    /// All reservations of all rooms of this kind, by webhook, for administrators.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    pub(super) kind: Option<String>,
    /// A reminder so many minutes before each own stay that is made or changed from now on.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 40_320, nullable = false)]
    pub(super) remind_minutes: Option<u32>,
}

/// How a subscription is told: by webhook, or by e-mail to the verified address that the caller's token names.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SubscriptionChannel {
    #[default]
    Webhook,
    Email,
}

/// A change of a subscription.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscriptionPatch {
    /// Whether it is notified. Enabled again, it gets what still waits.
    pub(super) enabled: bool,
}

/// A subscription.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subscription {
    /// Its id.
    subscription: Uuid,
    channel: SubscriptionChannel,
    /// The endpoint of a webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The address of mails.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// The room whose reservations it is about. Absent where it is about the caller's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    room: Option<RoomId>,
    /// The kind of the rooms whose reservations it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// Minutes between a reminder and its stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    remind_minutes: Option<u32>,
    /// When it was made. Earlier events notify nobody.
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// Whether it is notified.
    enabled: bool,
    /// Why it is not: the user disabled it, the endpoint answered 410, it failed or the mail server refused its
    /// address for five days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DisabledBecause>)]
    disabled_because: Option<&'static str>,
    /// Of a webhook: `whsec_` and the key of the signatures in base64. Shown once, when it is made or rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Why a subscription is disabled.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes another type")]
pub(super) enum DisabledBecause {
    User,
    Gone,
    Failing,
}

impl From<Subscribed> for Subscription {
    fn from(subscribed: Subscribed) -> Self {
        let (url, email) = match &subscribed.channel {
            Channel::Webhook(address, _) => (Some(address.as_str().to_owned()), None),
            Channel::Mail(address) => (None, Some(address.as_str().to_owned())),
        };
        let (room, kind) = match subscribed.about {
            About::Mine => (None, None),
            About::Room(room) => (Some(room), None),
            About::Kind(kind) => (None, Some(kind)),
        };
        Self {
            subscription: subscribed.id,
            channel: match subscribed.channel.carrier() {
                Carrier::Webhooks => SubscriptionChannel::Webhook,
                Carrier::Mails => SubscriptionChannel::Email,
            },
            url,
            email,
            room,
            kind,
            remind_minutes: subscribed.remind.map(Lead::minutes),
            created: subscribed.created,
            enabled: subscribed.state == State::Enabled,
            disabled_because: match subscribed.state {
                State::Enabled => None,
                State::Disabled(reason) => Some(reason.as_str()),
            },
            secret: None,
        }
    }
}

impl Subscription {
    pub(super) fn with_secret(subscribed: Subscribed) -> Self {
        let secret = match &subscribed.channel {
            Channel::Webhook(_, secrets) => Some(secrets.current.reveal()),
            Channel::Mail(_) => None,
        };
        Self { secret, ..subscribed.into() }
    }
}

/// A message for a subscription.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delivery {
    /// Its id, the same in each attempt: `webhook-id`. The `Message-ID` of a mail has it with dots for colons.
    delivery: String,
    /// The type of the message: the event's `ce_type`, `notifications.reminder` or `notifications.test`.
    #[serde(rename = "type")]
    message_type: String,
    #[schema(value_type = DeliveryStatus)]
    status: &'static str,
    /// Attempts so far.
    attempts: u32,
    #[schema(value_type = String, format = DateTime)]
    created: Timestamp,
    /// When it is sent next, at the earliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    due: Option<Timestamp>,
    /// When the last attempt ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    attempted: Option<Timestamp>,
    /// `HTTP 200` or `SMTP 250`, or why there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

/// Where a delivery stands. A reminder is dropped if its stay changed, was cancelled or began first.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum DeliveryStatus {
    Waiting,
    Delivered,
    Failed,
    Dropped,
}

impl From<DeliveryStatus> for Status {
    fn from(status: DeliveryStatus) -> Self {
        match status {
            DeliveryStatus::Waiting => Self::Waiting,
            DeliveryStatus::Delivered => Self::Delivered,
            DeliveryStatus::Failed => Self::Failed,
            DeliveryStatus::Dropped => Self::Dropped,
        }
    }
}

impl From<Sent> for Delivery {
    fn from(sent: Sent) -> Self {
        let (attempted, answer) = sent.last.map(|last| (last.at, last.text)).unzip();
        Self {
            delivery: sent.id,
            message_type: sent.message_type,
            status: sent.status.as_str(),
            attempts: sent.attempts,
            created: sent.created,
            due: (sent.status == Status::Waiting).then_some(sent.due),
            attempted,
            answer,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveryParameters {
    /// Only deliveries of this status.
    #[param(nullable = false)]
    pub(super) status: Option<DeliveryStatus>,
}
