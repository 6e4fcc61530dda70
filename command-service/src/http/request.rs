//! What every command has besides its body, checked in one order: who is asking, then the address, then the headers.

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::Method,
    web::{self, Data},
};
use serde::de::DeserializeOwned;
use service_kit::{
    audit::Act,
    auth::Caller,
    http::{
        context::RequestContext,
        json::{Json, bytes},
        path::Path,
        problem::{Problem, ProblemType},
    },
    ids::new_id,
};
use shared_events::UserId;

use super::{Api, answers::CommandAnswer, idempotency, if_match, problems};
use crate::{
    commands::{Action, Actor, Command},
    writer::{IdempotencyKey, Submission},
};

/// A command's request without its body.
pub(super) struct CommandRequest {
    pub(super) caller: Caller,
    context: RequestContext,
    key: Option<String>,
    if_match: Option<u32>,
    request: HttpRequest,
}

impl CommandRequest {
    /// Reads it.
    ///
    /// # Errors
    /// Where nobody is recognised, a parameter is unknown, a header can't be read, or a POST has no key.
    pub(super) async fn read(request: HttpRequest) -> Result<Self, Problem> {
        let caller = Caller::extract(&request).await?;
        no_parameters(&request)?;
        let key = idempotency::key_of(request.headers())?;
        if key.is_none() && request.method() == Method::POST {
            let detail = "a POST needs a key of its own, which stays the same when it is sent again";
            return Err(Problem::new(ProblemType::MissingIdempotencyKey, detail).field(idempotency::HEADER));
        }
        let if_match = if_match::revision_of(request.headers())?;
        let context = RequestContext::extract(&request).await?;
        Ok(Self { caller, context, key, if_match, request })
    }

    /// The same, for administrators.
    ///
    /// # Errors
    /// As [`CommandRequest::read`], and `forbidden`.
    pub(super) async fn from_admin(request: HttpRequest) -> Result<Self, Problem> {
        // Before anything else, so that a stranger learns nothing about how such a request must look.
        Caller::extract(&request).await?.require_admin()?;
        Self::read(request).await
    }

    /// The variable parts of the path.
    ///
    /// # Errors
    /// Where one is not what it should be.
    pub(super) async fn path<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        Ok(Path::<T>::extract(&self.request).await?.0)
    }

    /// The body.
    ///
    /// # Errors
    /// Where it is not what it should be.
    pub(super) async fn body<T: DeserializeOwned + 'static>(
        &self,
        payload: web::Payload,
    ) -> Result<Json<T>, Problem> {
        let mut payload: Payload = payload.into_inner();
        Json::<T>::from_request(&self.request, &mut payload).await
    }

    /// The bytes of a body that says nothing, but makes another request of this one.
    ///
    /// # Errors
    /// Where it is too large or did not arrive.
    pub(super) async fn bytes(&self, payload: web::Payload) -> Result<web::Bytes, Problem> {
        bytes(&self.request, &mut payload.into_inner()).await
    }

    /// Has it carried out. `body` are the bytes that were sent.
    ///
    /// # Errors
    /// What stands in its way.
    pub(super) async fn carry_out(
        self,
        api: &Data<Api>,
        body: &[u8],
        action: Action,
    ) -> Result<CommandAnswer, Problem> {
        if !self.caller.admin {
            return self.decide(api, body, action).await;
        }
        let id = &self.context.correlation_id;
        let act = Act::begun(&self.caller.user, action.name(), self.request.uri().path(), Some(id));
        let result = self.decide(api, body, action).await;
        match &result {
            Ok(CommandAnswer { done, .. }) => {
                act.ended(format!("room {} at version {}", done.room, done.version))
            }
            Err(problem) => act.ended(problem.kind().slug()),
        }
        result
    }

    async fn decide(self, api: &Data<Api>, body: &[u8], action: Action) -> Result<CommandAnswer, Problem> {
        let backend = api.backend()?;
        let Self { caller, context, key, if_match, request } = self;
        let key = key.map(|key| IdempotencyKey {
            id: idempotency::key_of_caller(&caller.user, &key),
            fingerprint: idempotency::fingerprint_of_request(
                &caller.user,
                request.method().as_str(),
                request.uri().path(),
                body,
            ),
        });
        let command = Command {
            id: new_id(),
            actor: Actor { user: UserId(caller.user), admin: caller.admin },
            now: api.now(),
            imported: false,
            if_match,
            action,
        };
        let submission = Submission {
            command,
            made_by: None,
            key,
            correlation_id: context.correlation_id,
            traceparent: context.traceparent,
        };
        let decided = backend.writer.submit(submission).await.map_err(problems::of_failure)?;
        match decided.result {
            Ok(done) => Ok(CommandAnswer { done, repeated: decided.repeated }),
            Err(rejection) => Err(problems::of_rejection(&rejection, &decided.rests_on)),
        }
    }
}

/// Commands have no parameters, so that a misspelt or misplaced one is not silently ignored.
///
/// # Errors
/// `unknown-field` with the first one.
pub(super) fn no_parameters(request: &HttpRequest) -> Result<(), Problem> {
    let query = request.query_string();
    if query.is_empty() {
        return Ok(());
    }
    let name = query.split(['&', '=']).next().unwrap_or_default();
    Err(Problem::new(ProblemType::UnknownField, format!("{name}: this address has no parameters"))
        .field(name))
}
