//! Subscriptions to notifications, and their deliveries. Each user sees their own alone.

use std::collections::BTreeMap;

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, web::Data};
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, de::DeserializeOwned};
use service_kit::{
    audit::Act,
    auth::Caller,
    http::{
        description::{DEFECT, METHOD, NOBODY, TOO_MANY, problems},
        headers::no_conditions,
        json::Json,
        path::Path,
        problem::{Problem, ProblemType},
        query::Query,
    },
    ids::new_id,
};
use shared_events::UserId;
use utoipa::{
    IntoResponses,
    openapi::{RefOr, response::Response},
};
use uuid::Uuid;

use super::{
    OfThisThread,
    answers::List,
    parameters::{Nothing, invalid, normal_kind},
    reservations::user_of,
    subscription_bodies::{
        Delivery, DeliveryParameters, NewSubscription, Subscription, SubscriptionChannel, SubscriptionPatch,
    },
};
use crate::{
    notifications::{
        About, Address, Channel, Lead, MOST_LEAD_MINUTES, MOST_OF_A_USER, MailAddress, Notifications, Reason,
        Secrets, State, Status, Subscription as Subscribed, test_of,
    },
    stores::Swap,
};

/// Most deliveries in an answer.
const MOST_DELIVERIES: usize = 500;

/// A request about subscriptions. The caller is checked before everything else.
pub(super) struct SubscriptionRequest<P, B> {
    notifications: Notifications,
    caller: Caller,
    user: UserId,
    path: P,
    body: B,
}

impl<P, B> FromRequest for SubscriptionRequest<P, B>
where
    P: DeserializeOwned + 'static,
    B: FromRequest<Error = Problem> + 'static,
{
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let caller = Caller::extract(&request).await?;
            let of_this_thread = request.app_data::<Data<OfThisThread>>();
            let notifications = of_this_thread.and_then(|data| data.api.notifications.clone());
            let not_here = || Problem::new(ProblemType::NotFound, "this service has no notifications");
            let notifications = notifications.ok_or_else(not_here)?;
            let user = user_of(&caller)?;
            no_conditions(&request)?;
            let path = Path::<P>::extract(&request).await?.0;
            let body = B::from_request(&request, &mut payload).await?;
            Ok(Self { notifications, caller, user, path, body })
        })
    }
}

impl<B> SubscriptionRequest<SubscriptionPath, B> {
    async fn subscription(&self) -> Result<Subscribed, Problem> {
        self.notifications.store.find(&self.user, self.path.subscription).await?.ok_or_else(unknown)
    }
}

fn unknown() -> Problem {
    Problem::new(ProblemType::UnknownSubscription, "there is no such subscription of the caller")
}

#[derive(Deserialize)]
pub(super) struct SubscriptionPath {
    subscription: Uuid,
}

#[derive(Deserialize)]
pub(super) struct DeliveryPath {
    subscription: Uuid,
    delivery: String,
}

/// The problems of requests about subscriptions.
pub(super) struct Refused;

impl IntoResponses for Refused {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "The body, a parameter or the path is missing, unknown or not possible."),
            NOBODY,
            ("403", "For administrators only, or the token names no verified e-mail address."),
            (
                "404",
                "There is no such subscription or delivery of the caller, or the service has no notifications.",
            ),
            METHOD,
            ("408", "The body did not arrive in time."),
            (
                "409",
                "The caller has too many subscriptions, two requests rotated a secret at once, or there is no secret.",
            ),
            ("413", "The body is too large."),
            ("415", "The body has another media type."),
            TOO_MANY,
            DEFECT,
            ("503", "The subscriptions can't be read or written now."),
        ])
    }
}

impl SubscriptionRequest<Nothing, Json<NewSubscription>> {
    fn about(&self) -> Result<About, Problem> {
        let NewSubscription { room, kind, .. } = &self.body.value;
        let about = match (room, kind) {
            (None, None) => return Ok(About::Mine),
            (Some(room), None) => About::Room(*room),
            (None, Some(kind)) => About::Kind(normal_kind(Some(kind))?.unwrap_or_default()),
            (Some(_), Some(_)) => return Err(invalid("/kind", "it must not be given beside room")),
        };
        self.caller.require_admin()?;
        Ok(about)
    }

    fn lead(&self) -> Result<Option<Lead>, Problem> {
        let NewSubscription { room, kind, remind_minutes, .. } = &self.body.value;
        let Some(minutes) = *remind_minutes else { return Ok(None) };
        if room.is_some() || kind.is_some() {
            return Err(invalid("/remindMinutes", "there are reminders of the caller's own stays alone"));
        }
        let lead = Lead::of(minutes).ok_or_else(|| {
            invalid("/remindMinutes", &format!("it must be a number from 1 to {MOST_LEAD_MINUTES}"))
        })?;
        Ok(Some(lead))
    }

    fn channel(&self) -> Result<Channel, Problem> {
        let NewSubscription { channel, url, room, kind, .. } = &self.body.value;
        match (channel, url) {
            (SubscriptionChannel::Webhook, Some(url)) => Address::read(url, self.notifications.loopback)
                .map(|address| Channel::Webhook(address, Secrets::new()))
                .map_err(|error| invalid("/url", &error.to_string())),
            (SubscriptionChannel::Webhook, None) => Err(invalid("/url", "a webhook needs it")),
            (SubscriptionChannel::Email, Some(_)) => {
                Err(invalid("/url", "an e-mail goes to the address in the caller's token"))
            }
            (SubscriptionChannel::Email, None) if !self.notifications.mails => {
                Err(invalid("/channel", "this service sends no e-mail"))
            }
            (SubscriptionChannel::Email, None) if room.is_some() || kind.is_some() => {
                Err(invalid("/channel", "e-mail is about the caller's own reservations alone"))
            }
            (SubscriptionChannel::Email, None) => {
                let named = self.caller.email.as_deref().map(MailAddress::read);
                let address = named.and_then(Result::ok).ok_or_else(|| {
                    let detail =
                        "the token names no verified e-mail address (claims email and email_verified)";
                    Problem::new(ProblemType::Forbidden, detail)
                })?;
                Ok(Channel::Mail(address))
            }
        }
    }
}

/// Subscribes to what happens to the caller's reservations, or to those of a room or of a kind of rooms.
///
/// The endpoint or mailbox gets each event after that at least once. Webhooks are signed by the Standard Webhooks
/// specification; mails hold the stay for calendars (iTIP). The order is not promised: compare `revision`. Imports and
/// roll-backs are not told.
#[utoipa::path(post, path = "/v1/subscriptions", tag = "notifications", operation_id = "subscribe",
    request_body = NewSubscription,
    responses((status = 201, body = Subscription, description = "With its secret, this once."), Refused))]
pub(super) async fn subscribe(
    ask: SubscriptionRequest<Nothing, Json<NewSubscription>>,
) -> Result<HttpResponse, Problem> {
    let subscribed = Subscribed {
        id: new_id(),
        user: ask.user.clone(),
        about: ask.about()?,
        remind: ask.lead()?,
        channel: ask.channel()?,
        created: ask.notifications.now(),
        state: State::Enabled,
    };
    let act = match subscribed.about {
        About::Mine => None,
        About::Room(_) => Some("subscribe-to-room"),
        About::Kind(_) => Some("subscribe-to-kind"),
    };
    if let Some(act) = act {
        let on = format!("subscription {}", subscribed.id);
        Act::begun(ask.caller.user.as_str(), act, on, None).ended("let through");
    }
    if !ask.notifications.store.create(&subscribed).await? {
        let detail = format!("a user has at most {MOST_OF_A_USER} subscriptions");
        return Err(Problem::new(ProblemType::TooManySubscriptions, detail).with("limit", MOST_OF_A_USER));
    }
    Ok(HttpResponse::Created().json(Subscription::with_secret(subscribed)))
}

/// The caller's subscriptions.
#[utoipa::path(get, path = "/v1/subscriptions", tag = "notifications", operation_id = "subscriptions",
    responses((status = 200, body = List<Subscription>), Refused))]
pub(super) async fn subscriptions(
    ask: SubscriptionRequest<Nothing, Query<Nothing>>,
) -> Result<HttpResponse, Problem> {
    let found = ask.notifications.store.of_user(&ask.user).await?;
    let items = found.into_iter().map(Subscription::from).collect();
    Ok(HttpResponse::Ok().json(List { items, next: None }))
}

/// One subscription of the caller.
#[utoipa::path(get, path = "/v1/subscriptions/{subscription}", tag = "notifications", operation_id = "subscription",
    params(("subscription" = Uuid, Path)), responses((status = 200, body = Subscription), Refused))]
pub(super) async fn subscription(
    ask: SubscriptionRequest<SubscriptionPath, Query<Nothing>>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(Subscription::from(ask.subscription().await?)))
}

/// Disables or enables a subscription.
#[utoipa::path(patch, path = "/v1/subscriptions/{subscription}", tag = "notifications",
    operation_id = "changeSubscription", params(("subscription" = Uuid, Path)), request_body = SubscriptionPatch,
    responses((status = 200, body = Subscription), Refused))]
pub(super) async fn change(
    ask: SubscriptionRequest<SubscriptionPath, Json<SubscriptionPatch>>,
) -> Result<HttpResponse, Problem> {
    let known = ask.subscription().await?;
    let state = if ask.body.value.enabled { State::Enabled } else { State::Disabled(Reason::User) };
    ask.notifications.store.set_state(known.id, state, ask.notifications.now()).await?;
    ask.notifications.wake.notify_one();
    Ok(HttpResponse::Ok().json(Subscription::from(Subscribed { state, ..known })))
}

/// Deletes a subscription with its deliveries.
#[utoipa::path(delete, path = "/v1/subscriptions/{subscription}", tag = "notifications", operation_id = "unsubscribe",
    params(("subscription" = Uuid, Path)), responses((status = 204, description = "It is gone."), Refused))]
pub(super) async fn unsubscribe(
    ask: SubscriptionRequest<SubscriptionPath, Query<Nothing>>,
) -> Result<HttpResponse, Problem> {
    let known = ask.subscription().await?;
    ask.notifications.store.delete(known.id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Replaces the secret. For a day, the old one signs beside the new one.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/rotate-secret", tag = "notifications",
    operation_id = "rotateSecret", params(("subscription" = Uuid, Path)),
    responses((status = 200, body = Subscription, description = "With its new secret, this once."), Refused))]
pub(super) async fn rotate_secret(
    ask: SubscriptionRequest<SubscriptionPath, Query<Nothing>>,
) -> Result<HttpResponse, Problem> {
    let known = ask.subscription().await?;
    let Channel::Webhook(address, secrets) = &known.channel else {
        return Err(Problem::new(
            ProblemType::NoSecret,
            "mails are not signed: the subscription has no secret",
        ));
    };
    let secrets = secrets.clone().rotated(ask.notifications.now());
    if ask.notifications.store.set_secrets(&known, &secrets).await? == Swap::Moved {
        return Err(Problem::new(ProblemType::InProgress, "the secret was rotated at the same time"));
    }
    let channel = Channel::Webhook(address.clone(), secrets);
    Ok(HttpResponse::Ok().json(Subscription::with_secret(Subscribed { channel, ..known })))
}

/// Sends a message of the type `notifications.test`.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/test", tag = "notifications",
    operation_id = "testSubscription", params(("subscription" = Uuid, Path)),
    responses((status = 202, body = Delivery), Refused))]
pub(super) async fn test(
    ask: SubscriptionRequest<SubscriptionPath, Query<Nothing>>,
) -> Result<HttpResponse, Problem> {
    let (known, now) = (ask.subscription().await?, ask.notifications.now());
    let delivery = test_of(known.id, now);
    ask.notifications.store.file(std::slice::from_ref(&delivery), now).await?;
    ask.notifications.wake.notify_one();
    Ok(HttpResponse::Accepted().json(Delivery::from(delivery)))
}

/// The latest deliveries of a subscription, newest first, at most 500. They are kept for 30 days.
#[utoipa::path(get, path = "/v1/subscriptions/{subscription}/deliveries", tag = "notifications",
    operation_id = "deliveries", params(("subscription" = Uuid, Path), DeliveryParameters),
    responses((status = 200, body = List<Delivery>), Refused))]
pub(super) async fn deliveries(
    ask: SubscriptionRequest<SubscriptionPath, Query<DeliveryParameters>>,
) -> Result<HttpResponse, Problem> {
    let known = ask.subscription().await?;
    let status = ask.body.0.status.map(Status::from);
    let found = ask.notifications.store.deliveries(known.id, status, MOST_DELIVERIES).await?;
    let items = found.into_iter().map(Delivery::from).collect();
    Ok(HttpResponse::Ok().json(List { items, next: None }))
}

/// Sends a delivery again, with the same id, whatever its status.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/deliveries/{delivery}/redeliver", tag = "notifications",
    operation_id = "redeliver",
    params(("subscription" = Uuid, Path), ("delivery" = String, Path, min_length = 1)),
    responses((status = 202, body = Delivery), Refused))]
pub(super) async fn redeliver(
    ask: SubscriptionRequest<DeliveryPath, Query<Nothing>>,
) -> Result<HttpResponse, Problem> {
    let (store, now) = (&ask.notifications.store, ask.notifications.now());
    let known = store.find(&ask.user, ask.path.subscription).await?.ok_or_else(unknown)?;
    let delivery = store
        .redeliver(known.id, &ask.path.delivery, now)
        .await?
        .ok_or_else(|| Problem::new(ProblemType::UnknownDelivery, "the subscription has no such delivery"))?;
    ask.notifications.wake.notify_one();
    Ok(HttpResponse::Accepted().json(Delivery::from(delivery)))
}
