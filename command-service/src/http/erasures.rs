//! The erasure of persons, for administrators and erasers. The query service erases them in the read models.

use std::{fmt, num::NonZeroU32, time::Duration};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, dev,
    web::{Data, Payload},
};
use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use serde::{Deserialize, Serialize};
use service_kit::{
    audit::Act,
    auth::Caller,
    http::{
        headers::no_conditions,
        json::Json,
        problem::{Problem, ProblemType},
        query::Query,
    },
};
use shared_events::{
    Erasures, UserId,
    erasure::{Bytes32, ErasedPerson},
};
use tokio::sync::Mutex;
use utoipa::{IntoParams, ToSchema};

use super::{
    Api,
    feed::{after, limit, reader},
    fields::invalid,
    problems::of_store_error,
    request::no_parameters,
    schemas::{EraseFailed, ErasuresList, ListFailed},
};
use crate::{erasure::erase, event_store::ERASURES_PAGE};

/// Time for which one request masks: far less than the timeout of clients.
const STEP: Duration = Duration::from_secs(1);

/// Interval at which one more person can be listed: each change of the list holds up all appends for a moment, and makes all
/// instances load their rooms again.
const NEXT_PERSON: Duration = Duration::from_secs(10);
/// Persons that can be listed at once after a pause.
const BURST: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Most persons of the list, which every instance of both services holds in memory: some 150 bytes each.
const MAX_PERSONS: u64 = 1_000_000;

/// Limits of erasures in this instance.
pub(super) struct Limits {
    persons: DefaultDirectRateLimiter,
    /// Held while events are masked: an erasure reads all of them.
    masking: Mutex<()>,
}

impl Default for Limits {
    fn default() -> Self {
        let quota = Quota::with_period(NEXT_PERSON).unwrap_or(Quota::per_minute(NonZeroU32::MIN));
        Self { persons: RateLimiter::direct(quota.allow_burst(BURST)), masking: Mutex::default() }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

impl Limits {
    /// Counts a person who is not listed yet.
    fn admit(&self, list: &Erasures) -> Result<(), Problem> {
        if list.epoch >= MAX_PERSONS {
            let detail = format!("the list of erased persons is full: it has {MAX_PERSONS}");
            return Err(Problem::new(ProblemType::Unavailable, detail));
        }
        self.persons.check().map_err(|until| {
            let detail = format!("one more person can be erased every {} seconds", NEXT_PERSON.as_secs());
            Problem::new(ProblemType::TooManyRequests, detail)
                .retry_after(until.wait_time_from(DefaultClock::default().now()))
        })
    }
}

/// The person to erase.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ErasePerson)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    /// The user, as in tokens.
    #[schema(min_length = 1, max_length = 200)]
    user: String,
}

/// Progress of an erasure.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErasureStep)]
pub(super) struct Erased {
    /// The pseudonym that replaces the person.
    #[schema(value_type = String)]
    pseudonym: UserId,
    /// Events that this request examined.
    examined: usize,
    /// Events that this request masked.
    masked: usize,
    /// Whether all events are masked. If not, send the same request again; it continues from there.
    done: bool,
}

/// Erases a person in the event store.
///
/// From now on no event names them: their commands are rejected, and import lines about them are recorded under their
/// pseudonym. Each request masks earlier events for about a second. A request after the erasure is done examines all events
/// again. Another person can be erased every 10 seconds, 10 after a pause.
#[utoipa::path(
    post, path = "/v1/erasures", tag = "erasure", operation_id = "erase",
    request_body = Person,
    responses((status = 200, description = "The person is on the list; the body has the progress.", body = Erased), EraseFailed)
)]
pub(super) async fn add(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let caller = Caller::extract(&request).await?;
    caller.require_admin_or_eraser()?;
    no_parameters(&request)?;
    no_conditions(&request)?;
    let mut payload: dev::Payload = payload.into_inner();
    let person = Json::<Person>::from_request(&request, &mut payload).await?.value;
    let user = UserId::new(person.user).map_err(|error| invalid("/user", &error.to_string()))?;
    let backend = api.backend()?;
    // The audit log must not keep the name.
    let act = Act::begun(caller.user, "erase", "a person", None);
    let _masking = api.erasing.masking.lock().await;
    let listed = backend.erasures.erasure_of(&user).await.map_err(of_store_error)?;
    if listed.persons.is_empty()
        && let Err(problem) = api.erasing.admit(&listed)
    {
        act.ended(problem.kind().slug());
        return Err(problem);
    }
    let step = erase(&*backend.erasures, &*backend.log, &user, STEP).await.map_err(of_store_error)?;
    act.ended(format!(
        "{} in their place, {} events masked, done: {}",
        step.pseudonym, step.masked, step.done
    ));
    Ok(HttpResponse::Ok().json(Erased {
        pseudonym: step.pseudonym,
        examined: step.examined,
        masked: step.masked,
        done: step.done,
    }))
}

/// [`ErasuresPage`](shared_events::erasure::ErasuresPage), with the key for services alone.
#[derive(Serialize)]
struct Listed {
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Bytes32>,
    persons: Vec<ErasedPerson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// A page of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Persons after this `seq`; 0 means all.
    #[param(default = 0, nullable = false)]
    after: Option<u64>,
    /// Most persons of the page.
    #[param(minimum = 1, maximum = 10_000, default = 1000, nullable = false)]
    limit: Option<u32>,
}

/// Default page size.
const DEFAULT_LIMIT: u32 = 1000;

/// The list of erased persons, in the order of erasure: keyed hashes with pseudonyms, to mask copies of events.
///
/// A reader keeps what it has read. It asks `after` one less than the `seq` of the last person that it has, and adds all pages
/// up to the one without `next`. If the first page does not begin with this person, the event store was restored: it reads
/// from 0.
///
/// Only services get the key of the hashes: it tells whether the person with a known name was erased.
#[utoipa::path(
    get,
    path = "/v1/erasures",
    tag = "erasure",
    operation_id = "erasures",
    params(ListQuery),
    responses(ErasuresList, ListFailed)
)]
pub(super) async fn list(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = reader(&request, "read-erasures").await?;
    let Query(query) = Query::<ListQuery>::extract(&request).await?;
    let limit = limit(query.limit, DEFAULT_LIMIT, ERASURES_PAGE)?;
    let after = after(query.after)?;
    let page = api.backend()?.erasures.erasures(after, limit).await.map_err(of_store_error)?;
    let secret = caller.service.then_some(page.secret);
    Ok(HttpResponse::Ok().json(Listed { epoch: page.epoch, secret, persons: page.persons, next: page.next }))
}
