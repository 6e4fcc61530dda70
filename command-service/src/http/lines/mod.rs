//! NDJSON in and out: lines that become commands, and the answer with a line for each.

use std::collections::BTreeMap;

use actix_web::web::Bytes;
use serde::Deserialize;
use service_kit::http::problem::{Problem, ProblemType};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use utoipa::{
    ToSchema,
    openapi::{Content, Ref, RefOr, Response, ResponseBuilder},
};

mod answers;
mod split;

pub(super) use answers::{Answered, LineOutcome, Queued, QueuedLine, answers, push_line};
use split::MAX_LINE_BYTES;
pub(super) use split::{Line, Lines};

/// Media type of the lines and of their answer.
pub(super) const MEDIA_TYPE: &str = "application/x-ndjson";

/// The reason why no more lines are carried out. The answer breaks off.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the rest of the import did not arrive")]
    Broken,
    #[error("the client sent nothing for too long")]
    Silent,
    #[error("the service ends")]
    Stopping,
    #[error("the token has expired")]
    Expired,
    #[error("the client no longer takes the answer")]
    Gone,
    #[error("the event store could not carry out a line, and later ones must not overtake it")]
    Failing,
}

/// A place for the answer to a line. Taken first: a line is decided only if its outcome can be answered.
pub(super) async fn place<'a, T>(
    stop: &CancellationToken,
    queued: &'a mpsc::Sender<Queued<T>>,
) -> Result<mpsc::Permit<'a, Queued<T>>, Ended>
where
    T: LineOutcome,
{
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Ended::Stopping),
        place = queued.reserve() => place.map_err(|_| Ended::Gone),
    }
}

/// The bytes of a line, or the problem with it.
pub(super) fn whole(line: &Line) -> Result<&Bytes, Problem> {
    match line {
        Line::Whole(bytes) => Ok(bytes),
        Line::TooLong => {
            let detail = format!("a line has at most {MAX_LINE_BYTES} bytes");
            Err(Problem::new(ProblemType::TooLarge, detail).with("limit", MAX_LINE_BYTES))
        }
        Line::NotUtf8 => {
            let detail = "the body is in UTF-16 or UTF-32, as its byte order mark says; send it in UTF-8";
            Err(Problem::new(ProblemType::Malformed, detail))
        }
    }
}

/// The key of an otherwise invalid line.
pub(super) fn key_at_least(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Key {
        key: String,
    }
    serde_json::from_slice::<Key>(bytes).ok().map(|line| line.key)
}

/// 200 with lines of the schema `T`.
pub(super) fn lines_of<T: ToSchema>() -> BTreeMap<String, RefOr<Response>> {
    let content = Content::new(Some(Ref::from_schema_name(T::name())));
    let description = "One line for each line that is not blank, in their order.";
    let response = ResponseBuilder::new().description(description).content(MEDIA_TYPE, content);
    BTreeMap::from([("200".to_owned(), response.build().into())])
}
