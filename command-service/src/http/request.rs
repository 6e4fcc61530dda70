//! The extractor of commands. It checks in one order: caller, parameters, headers, path, body.

use std::marker::PhantomData;

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::Method,
    web::{Bytes, Data},
};
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, de::DeserializeOwned};
use service_kit::{
    audit::Act,
    auth::{Caller, Refusal},
    http::{
        context::RequestContext,
        decode,
        json::{Json, bytes, is_merge_patch},
        path::Path,
        problem::{Problem, ProblemType},
    },
    ids::new_id,
};
use shared_events::{RoomId, Timestamp, UserId};

use super::{Api, answers::CommandAnswer, conditions::Condition, fields::whole_week, idempotency, problems};
use crate::{
    commands::{Action, Actor, Command, IfMatch, Origin},
    writer::{IdempotencyKey, Reply, Submission},
};

/// The request of a command with the path `P` and the body `B`, which the callers `C` may send.
pub(super) struct CommandRequest<P, B, C = Everybody> {
    pub(super) api: Data<Api>,
    pub(super) caller: Caller,
    pub(super) context: RequestContext,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) condition: Option<Condition>,
    /// The path as text, for the audit log.
    pub(super) address: String,
    pub(super) path: P,
    pub(super) body: B,
    callers: PhantomData<C>,
}

/// A [`CommandRequest`] of administrators.
pub(super) type AdminRequest<P, B> = CommandRequest<P, B, Administrators>;

/// The path of a room.
#[derive(Deserialize)]
pub(super) struct RoomPath {
    pub(super) room: RoomId,
}

/// No variable part in the path.
#[derive(Deserialize)]
pub(super) struct NoPath {}

impl<P: DeserializeOwned, B: Body, C: Callers> FromRequest for CommandRequest<P, B, C> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let api = request.app_data::<Data<Api>>().cloned();
            let api = api.ok_or_else(|| Problem::defect("no API in the application's data"))?;
            let caller = Caller::extract(&request).await?;
            // First, so that a stranger learns nothing about the form of the request.
            C::check(&caller)?;
            no_parameters(&request)?;
            let key = idempotency::key_of(request.headers())?;
            if key.is_none() && request.method() == Method::POST {
                return Err(idempotency::missing().field(idempotency::HEADER));
            }
            let condition = Condition::of_headers(request.headers())?;
            let context = RequestContext::extract(&request).await?;
            let Path(path) = Path::extract(&request).await?;
            let (body, bytes) = B::read(&request, payload).await?;
            if is_merge_patch(&request) {
                whole_week(&bytes)?;
            }
            let (method, address) = (request.method().as_str(), request.uri().path().to_owned());
            let key = key.map(|key| idempotency::of_request(&caller.user, &key, method, &address, &bytes));
            Ok(Self { api, caller, context, key, condition, address, path, body, callers: PhantomData })
        })
    }
}

impl<P, B, C> CommandRequest<P, B, C> {
    /// Makes the action and waits for its outcome. An administrator's command is written to the audit log.
    pub(super) async fn carry_out(
        self,
        action: impl FnOnce(P, B) -> Result<Action, Problem>,
    ) -> Result<CommandAnswer, Problem> {
        let Self { api, caller, context, key, condition, address, path, body, .. } = self;
        let action = action(path, body)?;
        let wanted = Wanted { action, condition, key, address };
        let (submission, act) = wanted.of(caller, context, api.now())?;
        act.end(async { Ok(api.backend()?.writer.submit(submission).await) }.await)
    }
}

/// A command that its caller may send.
pub(super) struct Wanted {
    pub(super) action: Action,
    pub(super) condition: Option<Condition>,
    pub(super) key: Option<IdempotencyKey>,
    /// The path as text, for the audit log.
    pub(super) address: String,
}

impl Wanted {
    /// The command for the writer, and what records it.
    pub(super) fn of(
        self,
        caller: Caller,
        context: RequestContext,
        now: Timestamp,
    ) -> Result<(Submission, Recorded), Problem> {
        let Self { action, condition, key, address } = self;
        let if_match = condition.map_or(Ok(IfMatch::Any), |condition| condition.check(&action))?;
        let user = UserId::new(caller.user).map_err(|_| Refusal::User)?;
        let act = caller
            .admin
            .then(|| Act::begun(user.as_str(), action.name(), address, Some(&context.correlation_id)));
        let actor = Actor { user, admin: caller.admin, delegate: caller.delegate, roles: caller.roles };
        let command = Command { id: new_id(), actor, now, origin: Origin::Request, if_match, action };
        let RequestContext { correlation_id, traceparent } = context;
        Ok((
            Submission { command, made_by: None, key, correlation_id, traceparent },
            Recorded { act, condition },
        ))
    }
}

/// The audit line of an administrator's command, and the condition that its problem names.
pub(super) struct Recorded {
    act: Option<Act>,
    condition: Option<Condition>,
}

impl Recorded {
    /// The answer to the command. Writes the audit line.
    pub(super) fn end(self, reply: Result<Reply, Problem>) -> Result<CommandAnswer, Problem> {
        let result = reply.and_then(|reply| {
            let decided = reply.map_err(problems::of_failure)?;
            match decided.result {
                Ok(done) => Ok(CommandAnswer { done, repeated: decided.repeated }),
                Err(rejection) => {
                    let problem = problems::of_rejection(&rejection, &decided.rests_on);
                    let problem = match decided.alternatives.as_slice() {
                        [] => problem,
                        others => problem.with("alternatives", others),
                    };
                    Err(match self.condition {
                        Some(condition) => condition.name(problem),
                        None => problem,
                    })
                }
            }
        });
        if let Some(act) = self.act {
            act.ended(match &result {
                Ok(CommandAnswer { done, .. }) => format!("room {} at version {}", done.room, done.version),
                Err(problem) => problem.kind().slug().to_owned(),
            });
        }
        result
    }
}

/// The callers that may send a command.
pub(super) trait Callers {
    fn check(caller: &Caller) -> Result<(), Problem>;
}

/// All callers.
pub(super) enum Everybody {}

/// Administrators only.
pub(super) enum Administrators {}

impl Callers for Everybody {
    fn check(_: &Caller) -> Result<(), Problem> {
        Ok(())
    }
}

impl Callers for Administrators {
    fn check(caller: &Caller) -> Result<(), Problem> {
        caller.require_admin()
    }
}

/// The body of a command.
pub(super) trait Body: Sized {
    /// Reads the value, and the bytes, which are part of the request's fingerprint.
    async fn read(request: &HttpRequest, payload: Payload) -> Result<(Self, Bytes), Problem>;

    /// Reads the value of a line's body.
    fn decode(bytes: &[u8]) -> Result<Self, Problem>;
}

impl<T: DeserializeOwned> Body for T {
    async fn read(request: &HttpRequest, mut payload: Payload) -> Result<(Self, Bytes), Problem> {
        let Json { value, bytes } = Json::from_request(request, &mut payload).await?;
        Ok((value, bytes))
    }

    fn decode(bytes: &[u8]) -> Result<Self, Problem> {
        decode::json(bytes)
    }
}

/// A body without meaning.
pub(super) struct Ignored;

impl Body for Ignored {
    async fn read(request: &HttpRequest, mut payload: Payload) -> Result<(Self, Bytes), Problem> {
        Ok((Self, bytes(request, &mut payload).await?))
    }

    fn decode(_: &[u8]) -> Result<Self, Problem> {
        Ok(Self)
    }
}

/// Rejects parameters, so that a misspelt or misplaced one is not silently ignored.
pub(super) fn no_parameters(request: &HttpRequest) -> Result<(), Problem> {
    no_query(request.query_string())
}

/// The same of a query string.
pub(super) fn no_query(query: &str) -> Result<(), Problem> {
    if query.is_empty() {
        return Ok(());
    }
    let name = query.split(['&', '=']).next().unwrap_or_default();
    Err(Problem::new(ProblemType::UnknownField, format!("{name}: this address has no parameters"))
        .field(name))
}
