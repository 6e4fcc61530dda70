//! What a roll-back would do, for administrators. An operator's command carries it out.

use std::time::Duration;

use actix_web::{FromRequest, HttpRequest, HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use service_kit::{
    audit::Act,
    auth::Caller,
    http::{
        problem::{Problem, ProblemType},
        query::Query,
    },
    places::Places,
};
use shared_events::{RoomId, Timestamp, UserId};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Api, problems::of_store_error, schemas::ListFailed};
use crate::{
    event_store::StoreError,
    roll_back::{self, Change, Whose},
};

/// Most changes in an answer.
const MOST_CHANGES: usize = 500;
/// The longest time for a plan. The command has no such limit.
const LONGEST: Duration = Duration::from_secs(10);
/// Most previews at once: each reads every event.
const MOST_AT_ONCE: usize = 1;

/// The places for previews.
pub(super) fn places() -> Places {
    Places::new(MOST_AT_ONCE, MOST_AT_ONCE)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PreviewQuery {
    /// The changes of this user. Exactly one of `actor`, `correlation` and `room` is given.
    #[param(value_type = Option<String>, min_length = 1, max_length = 200, nullable = false)]
    actor: Option<UserId>,
    /// The changes of requests or of an import with this correlation id.
    #[param(nullable = false)]
    correlation: Option<String>,
    /// The changes in this room.
    #[param(value_type = Option<Uuid>, nullable = false)]
    room: Option<RoomId>,
    /// Only what was committed at or after this time.
    #[param(value_type = String, format = DateTime)]
    since: Timestamp,
}

impl PreviewQuery {
    fn whose(self) -> Result<Whose, Problem> {
        let Self { actor, correlation, room, .. } = self;
        let given = [actor.is_some(), correlation.is_some(), room.is_some()];
        if given.into_iter().filter(|is_given| *is_given).count() != 1 {
            let detail = "actor, correlation, room: exactly one must be given";
            return Err(Problem::new(ProblemType::InvalidValue, detail).field("actor"));
        }
        Ok(Whose { actor, correlation, room })
    }
}

/// What a roll-back would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RollBackPreview)]
#[serde(rename_all = "camelCase")]
pub(super) struct Preview {
    /// The run. The same selection is the same run.
    run: Uuid,
    /// When the plan was made: now, or when its run began.
    #[schema(value_type = String, format = DateTime)]
    planned_at: Timestamp,
    /// The number of changes that are taken back.
    taken_back: usize,
    /// The number of the others.
    not_taken_back: usize,
    /// The selected changes, newest first: at most 500.
    #[schema(value_type = Vec<ChangeSchema>)]
    changes: Vec<Change>,
    /// The number of changes that are not shown.
    more: usize,
}

/// A selected change.
#[derive(ToSchema)]
#[schema(as = RollBackChange, rename_all = "camelCase")]
#[expect(dead_code, reason = "the schema of `Change`, which knows no HTTP")]
pub(super) struct ChangeSchema {
    /// When it was committed.
    #[schema(value_type = String, format = DateTime)]
    committed: Timestamp,
    /// The type of its event, as `reservation-made.v1`.
    change: String,
    /// The room of its event.
    room: Uuid,
    /// The version of its event.
    version: u64,
    /// The reservation, if it is about one.
    #[schema(required)]
    reservation: Option<Uuid>,
    /// The closure, if it is about one.
    #[schema(required)]
    closure: Option<Uuid>,
    /// The revision that it made.
    revision: u32,
    /// Whether it is taken back.
    taken_back: bool,
    /// How, or why not.
    outcome: String,
}

/// What a roll-back would do: the changes of a user, of requests or an import, or in a room since a time, and what becomes of each.
///
/// Changes nothing and keeps nothing. `command-service roll-back` with the same selection carries it out. It reads every event: one
/// preview at a time, and one that takes longer than 10 s is refused; the command with `--dry-run` has no such limit.
#[utoipa::path(
    get,
    path = "/v1/admin/roll-back",
    tag = "administration",
    operation_id = "previewRollBack",
    params(PreviewQuery),
    responses((status = 200, description = "The plan.", body = Preview), ListFailed)
)]
pub(super) async fn preview(api: Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let caller = Caller::extract(&request).await?;
    caller.require_admin()?;
    let Query(query) = Query::<PreviewQuery>::extract(&request).await?;
    let since = query.since;
    let whose = query.whose()?;
    let backend = api.backend()?;
    let _place = api.previews.take(&caller.user, 1).map_err(|_| {
        Problem::new(ProblemType::Overloaded, "another preview is being made; try again when it is done")
    })?;
    let act = Act::begun(&caller.user, "preview-roll-back", request.uri().path(), None);
    let planning = roll_back::preview(
        backend.log.as_ref(),
        backend.roll_backs.as_ref(),
        backend.erasures.as_ref(),
        &whose,
        since,
        api.now(),
    );
    let planned = match tokio::time::timeout(LONGEST, planning).await {
        Ok(planned) => planned.map_err(|error| match error.downcast::<StoreError>() {
            Ok(error) => of_store_error(error),
            Err(error) => Problem::internal(error.as_ref()),
        }),
        Err(_) => {
            let detail = "the plan takes longer than 10 s: use `command-service roll-back --dry-run`";
            Err(Problem::new(ProblemType::Overloaded, detail))
        }
    };
    act.ended(planned.as_ref().map_or_else(|_| "failed".to_owned(), |report| format!("run {}", report.run)));
    let mut report = planned?;
    let more = report.changes.len().saturating_sub(MOST_CHANGES);
    report.changes.truncate(MOST_CHANGES);
    let roll_back::Report { run, planned_at, taken_back, not_taken_back, changes, .. } = report;
    Ok(HttpResponse::Ok().json(Preview { run, planned_at, taken_back, not_taken_back, changes, more }))
}
