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
use serde_json::json;
use service_kit::{
    audit::Act,
    auth::Caller,
    http::{
        json::Json,
        problem::{Problem, ProblemType},
    },
};
use shared_events::{Erasures, UserId};
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::{
    Api,
    feed::note_reading,
    fields::invalid,
    problems::of_store_error,
    request::no_parameters,
    schemas::{EraseFailed, ErasuresList, ListFailed},
};
use crate::erasure::erase;

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

/// The list of erased persons: keyed hashes with pseudonyms, to mask copies of events.
///
/// Only services get the key of the hashes: it tells whether the person with a known name was erased.
#[utoipa::path(
    get,
    path = "/v1/erasures",
    tag = "erasure",
    operation_id = "erasures",
    responses(ErasuresList, ListFailed)
)]
pub(super) async fn list(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = Caller::extract(&request).await?;
    caller.require_admin_or_service()?;
    note_reading(&caller, "read-erasures", &request);
    no_parameters(&request)?;
    let list = api.backend()?.erasures.erasures().await.map_err(of_store_error)?;
    if caller.service {
        return Ok(HttpResponse::Ok().json(list));
    }
    let Erasures { epoch, persons, .. } = list;
    Ok(HttpResponse::Ok().json(json!({ "epoch": epoch, "persons": persons })))
}
