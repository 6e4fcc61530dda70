//! The erasure of persons, for administrators and the service that erases them in the read models as well.

use std::time::Duration;

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, dev,
    web::{Data, Payload},
};
use serde::{Deserialize, Serialize};
use service_kit::{
    audit::Act,
    auth::Caller,
    http::{json::Json, problem::Problem},
};
use shared_events::UserId;
use utoipa::ToSchema;

use super::{
    Api,
    feed::store_problem,
    fields::invalid,
    request::no_parameters,
    schemas::{EraseFailed, ErasuresList, ListFailed},
};
use crate::erasure::erase;

/// For how long one request masks: well below what clients wait for an answer.
const STEP: Duration = Duration::from_secs(1);

/// Who is to be erased.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ErasePerson)]
#[serde(deny_unknown_fields)]
pub(super) struct Person {
    /// The user, as tokens name them.
    #[schema(min_length = 1, max_length = 200)]
    user: String,
}

/// How far the erasure has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErasureStep)]
pub(super) struct Erased {
    /// Who stands in the person's place from now on.
    pseudonym: String,
    /// Events that this request looked at.
    examined: usize,
    /// Those of them that it masked.
    masked: usize,
    /// Whether all events are masked. Where not, the same request is to be sent again, and goes on from there.
    done: bool,
}

/// Erases a person in the event store.
///
/// Nothing that names them is committed from now on: their commands are refused, and a line of an import that tells of
/// them is recorded under their pseudonym. What was committed before is masked, for about a second a request. Sent again
/// after it is done, it looks at all events once more.
#[utoipa::path(
    post, path = "/v1/erasures", tag = "erasure", operation_id = "erase",
    request_body = Person,
    responses((status = 200, description = "They are on the list, and as much is masked as is said.", body = Erased), EraseFailed)
)]
pub(super) async fn add(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let caller = Caller::extract(&request).await?;
    caller.require_admin_or_service()?;
    no_parameters(&request)?;
    let mut payload: dev::Payload = payload.into_inner();
    let person = Json::<Person>::from_request(&request, &mut payload).await?.value;
    let user = Caller::new(&person.user, []).map_err(|refusal| invalid("/user", &refusal.to_string()))?.user;
    let backend = api.backend()?;
    // Their name must not outlive them in a log.
    let act = Act::begun(caller.user, "erase", "a person", None);
    let step = erase(&*backend.erasures, &*backend.log, &UserId(user), STEP).await.map_err(store_problem)?;
    act.ended(format!(
        "{} in their place, {} events masked, done: {}",
        step.pseudonym, step.masked, step.done
    ));
    Ok(HttpResponse::Ok().json(Erased {
        pseudonym: step.pseudonym.0,
        examined: step.examined,
        masked: step.masked,
        done: step.done,
    }))
}

/// The list of erased persons: keyed hashes with pseudonyms, by which a copy of an event is recognised and masked.
#[utoipa::path(
    get,
    path = "/v1/erasures",
    tag = "erasure",
    operation_id = "erasures",
    responses(ErasuresList, ListFailed)
)]
pub(super) async fn list(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Caller::extract(&request).await?.require_admin_or_service()?;
    no_parameters(&request)?;
    Ok(HttpResponse::Ok().json(api.backend()?.erasures.erasures().await.map_err(store_problem)?))
}
