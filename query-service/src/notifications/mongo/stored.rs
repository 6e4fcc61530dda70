//! The stored documents.

use mongodb::bson::{self, DateTime};
use serde::{Deserialize, Serialize};
use shared_events::{ReservationId, RoomId, UserId};
use uuid::Uuid;

use super::{Keys, date, time};
use crate::{
    notifications::{
        About, Address, Answer, Carrier, Channel, Claim, Delivery, Lead, MailAddress, Reason, Reminds,
        Secret, Secrets, State, Status, Subscriber, Subscription,
    },
    stores::StoreError,
};

/// The value of `state` of a subscription that is notified. A disabled one has its reason there.
pub(super) const ENABLED: &str = "enabled";
/// The value of `state` of a subscription that is being deleted.
pub(super) const DELETED: &str = "deleted";
/// The value of `carrier` of a subscription by e-mail.
pub(super) const MAIL: &str = "mail";

/// A subscription, and the state of its queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredSubscription {
    #[serde(rename = "_id")]
    pub(super) id: bson::Uuid,
    /// Whose it is.
    pub(super) user: String,
    /// The room. Without room and kind, it is about the user's own reservations.
    pub(super) room: Option<bson::Uuid>,
    /// The kind of rooms.
    pub(super) kind: Option<String>,
    /// [`MAIL`], or none for a webhook.
    pub(super) carrier: Option<String>,
    /// Minutes between a reminder and its stay.
    pub(super) remind: Option<u32>,
    pub(super) created: DateTime,
    pub(super) state: String,
    /// Address and secrets, encrypted.
    pub(super) sealed: bson::Binary,
    /// When the queue is to be served next. None: nothing waits.
    pub(super) due: Option<DateTime>,
    /// Until when it is held.
    pub(super) held_until: DateTime,
    pub(super) holder: Option<bson::Uuid>,
    /// Until when the endpoint rests.
    pub(super) paused_until: DateTime,
    /// How often something was filed.
    pub(super) filed: i64,
    pub(super) failures: u32,
    pub(super) failing_since: Option<DateTime>,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Sealed {
    Webhook {
        url: String,
        secret: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old_secret: Option<(String, i64)>,
    },
    Mail {
        mail: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredDelivery {
    #[serde(rename = "_id")]
    pub(super) id: String,
    pub(super) subscription: bson::Uuid,
    #[serde(rename = "type")]
    pub(super) message_type: String,
    pub(super) body: String,
    pub(super) created: DateTime,
    pub(super) expires: DateTime,
    pub(super) status: String,
    pub(super) due: DateTime,
    pub(super) attempts: u32,
    pub(super) last: Option<StoredAnswer>,
    pub(super) reminds: Option<StoredReminds>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct StoredReminds {
    pub(super) reservation: bson::Uuid,
    pub(super) revision: u32,
    pub(super) until: DateTime,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredAnswer {
    pub(super) at: DateTime,
    pub(super) text: String,
}

fn unreadable(collection: &'static str, id: impl std::fmt::Display, field: &str) -> StoreError {
    StoreError::Unreadable { collection, reason: format!("{id}: {field}") }
}

pub(super) fn state_text(state: State) -> &'static str {
    match state {
        State::Enabled => ENABLED,
        State::Disabled(reason) => reason.as_str(),
    }
}

pub(super) fn to_bson(id: Uuid) -> bson::Uuid {
    bson::Uuid::from_bytes(id.into_bytes())
}

pub(super) fn from_bson(id: bson::Uuid) -> Uuid {
    Uuid::from_bytes(id.bytes())
}

/// The value of `carrier`.
pub(super) const fn carrier_text(carrier: Carrier) -> Option<&'static str> {
    match carrier {
        Carrier::Webhooks => None,
        Carrier::Mails => Some(MAIL),
    }
}

/// The address and the secrets in their sealed form.
pub(super) fn seal(keys: &Keys, subscription: &Subscription) -> Result<bson::Binary, StoreError> {
    let sealed = match &subscription.channel {
        Channel::Webhook(address, Secrets { current, old }) => Sealed::Webhook {
            url: address.as_str().to_owned(),
            secret: current.reveal(),
            old_secret: old.as_ref().map(|(secret, until)| (secret.reveal(), until.epoch_millis())),
        },
        Channel::Mail(address) => Sealed::Mail { mail: address.as_str().to_owned() },
    };
    let text = serde_json::to_string(&sealed).map_err(StoreError::backend)?;
    let bytes =
        keys.seal(subscription.id, &text).ok_or_else(|| StoreError::backend("a secret can't be sealed"))?;
    Ok(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes })
}

impl StoredSubscription {
    pub(super) fn of(subscription: &Subscription, keys: &Keys) -> Result<Self, StoreError> {
        let past = DateTime::from_millis(0);
        Ok(Self {
            id: to_bson(subscription.id),
            user: subscription.user.as_str().to_owned(),
            room: match subscription.about {
                About::Room(room) => Some(to_bson(room.0)),
                About::Mine | About::Kind(_) => None,
            },
            kind: match &subscription.about {
                About::Kind(kind) => Some(kind.clone()),
                About::Mine | About::Room(_) => None,
            },
            carrier: carrier_text(subscription.channel.carrier()).map(str::to_owned),
            remind: subscription.remind.map(Lead::minutes),
            created: date(subscription.created),
            state: state_text(subscription.state).to_owned(),
            sealed: seal(keys, subscription)?,
            due: None,
            held_until: past,
            holder: None,
            paused_until: past,
            filed: 0,
            failures: 0,
            failing_since: None,
        })
    }

    fn about(&self) -> About {
        match (&self.kind, self.room) {
            (Some(kind), _) => About::Kind(kind.clone()),
            (None, Some(room)) => About::Room(RoomId(from_bson(room))),
            (None, None) => About::Mine,
        }
    }

    fn remind(&self) -> Option<Lead> {
        self.remind.and_then(Lead::of)
    }

    fn user(&self) -> Result<UserId, StoreError> {
        UserId::new(self.user.as_str()).map_err(|_| self.unreadable("user"))
    }

    fn unreadable(&self, field: &str) -> StoreError {
        unreadable("subscriptions", self.id, field)
    }

    pub(super) fn subscriber(&self) -> Result<Subscriber, StoreError> {
        let (id, created) = (from_bson(self.id), time(self.created));
        let carrier = if self.carrier.is_some() { Carrier::Mails } else { Carrier::Webhooks };
        Ok(Subscriber {
            id,
            user: self.user()?,
            about: self.about(),
            carrier,
            remind: self.remind(),
            created,
        })
    }

    pub(super) fn open(&self, keys: &Keys) -> Result<Subscription, StoreError> {
        let id = from_bson(self.id);
        let text = keys.open(id, &self.sealed.bytes);
        let text = text.ok_or_else(|| self.unreadable("no key of NOTIFY_KEY opens it"))?;
        let sealed: Sealed = serde_json::from_str(&text).map_err(|_| self.unreadable("sealed"))?;
        let secret = |text: &str| Secret::read(text).ok_or_else(|| self.unreadable("secret"));
        let channel = match sealed {
            Sealed::Webhook { url, secret: current, old_secret } => {
                let old = old_secret.map(|(text, until)| {
                    Ok::<_, StoreError>((secret(&text)?, shared_events::Timestamp::from_epoch_millis(until)))
                });
                let address = Address::read(&url, true).map_err(|_| self.unreadable("url"))?;
                Channel::Webhook(address, Secrets { current: secret(&current)?, old: old.transpose()? })
            }
            Sealed::Mail { mail } => {
                Channel::Mail(MailAddress::read(&mail).map_err(|_| self.unreadable("mail"))?)
            }
        };
        Ok(Subscription {
            id,
            user: self.user()?,
            about: self.about(),
            channel,
            remind: self.remind(),
            created: time(self.created),
            state: match self.state.as_str() {
                ENABLED => State::Enabled,
                other => State::Disabled(Reason::read(other).ok_or_else(|| self.unreadable("state"))?),
            },
        })
    }

    pub(super) fn claim(&self, keys: &Keys) -> Result<Claim, StoreError> {
        Ok(Claim {
            subscription: self.open(keys)?,
            holder: self.holder.map(from_bson).unwrap_or_default(),
            due: self.due.map_or_else(|| time(self.held_until), time),
            filed: self.filed,
            failures: self.failures,
            failing_since: self.failing_since.map(time),
        })
    }
}

impl StoredDelivery {
    pub(super) fn of(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.clone(),
            subscription: to_bson(delivery.subscription),
            message_type: delivery.message_type.clone(),
            body: delivery.body.clone(),
            created: date(delivery.created),
            expires: date(delivery.expires),
            status: delivery.status.as_str().to_owned(),
            due: date(delivery.due),
            attempts: delivery.attempts,
            last: delivery.last.as_ref().map(StoredAnswer::of),
            reminds: delivery.reminds.map(|reminds| StoredReminds {
                reservation: to_bson(reminds.reservation.0),
                revision: reminds.revision,
                until: date(reminds.until),
            }),
        }
    }

    pub(super) fn read(self) -> Result<Delivery, StoreError> {
        let status = Status::read(&self.status);
        Ok(Delivery {
            status: status.ok_or_else(|| unreadable("deliveries", &self.id, "status"))?,
            subscription: from_bson(self.subscription),
            message_type: self.message_type,
            body: self.body,
            created: time(self.created),
            expires: time(self.expires),
            due: time(self.due),
            attempts: self.attempts,
            last: self.last.map(|last| Answer { at: time(last.at), text: last.text }),
            reminds: self.reminds.map(|reminds| Reminds {
                reservation: ReservationId(from_bson(reminds.reservation)),
                revision: reminds.revision,
                until: time(reminds.until),
            }),
            id: self.id,
        })
    }
}

impl StoredAnswer {
    pub(super) fn of(answer: &Answer) -> Self {
        Self { at: date(answer.at), text: answer.text.clone() }
    }
}
