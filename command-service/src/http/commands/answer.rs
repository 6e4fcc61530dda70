//! The answer to a line.

use std::collections::BTreeMap;

use serde::Serialize;
use service_kit::http::problem::Problem;
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{RefOr, Response},
};

use super::super::{
    answers::{AnyEffect, CommandAnswer},
    lines::{Ended, LineOutcome, lines_of, push_line},
    problems,
};
use crate::writer::Failure;

/// The outcome of a line: the answer that its single request would have.
pub(super) type Decided = Result<CommandAnswer, Problem>;

/// A line of the answer: the status with `body` or `problem`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct LineAnswer {
    /// Number of the line in the request, from 1.
    line: u64,
    /// Key of the line; null if it has none or can't be read.
    key: Option<String>,
    /// The status of the single request.
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    /// The effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    body: Option<AnyEffect>,
    /// Path in the query service of what was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    location: Option<String>,
    /// A query with this token shows at least this effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    consistency_token: Option<String>,
    /// Whether an earlier request or line with this key had this effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    replayed: Option<bool>,
    /// The reason why it has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<Problem>,
}

impl LineAnswer {
    fn of(line: u64, key: Option<String>, decided: Decided) -> Self {
        match decided {
            Ok(CommandAnswer { done, repeated }) => {
                let (effect, location) = AnyEffect::of(&done);
                Self {
                    line,
                    key,
                    status: if done.created { 201 } else { 200 },
                    body: Some(effect),
                    location,
                    consistency_token: Some(done.token.to_string()),
                    replayed: Some(repeated),
                    problem: None,
                }
            }
            Err(problem) => Self {
                line,
                key,
                status: problem.kind().status().as_u16(),
                body: None,
                location: None,
                consistency_token: None,
                replayed: None,
                problem: Some(problem),
            },
        }
    }
}

impl LineOutcome for Decided {
    type Reply = Self;

    fn of(reply: Option<Self>) -> Self {
        reply.unwrap_or_else(|| Err(problems::of_failure(Failure::OutcomeUnknown)))
    }

    fn write(self, number: u64, key: Option<String>, chunk: &mut Vec<u8>) -> Option<Ended> {
        push_line(chunk, &LineAnswer::of(number, key, self));
        None
    }
}

/// 200: the answers to the lines.
pub(super) enum CommandAnswers {}

impl IntoResponses for CommandAnswers {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        lines_of::<LineAnswer>()
    }
}
