//! The import of historic bookings: NDJSON in, NDJSON out, both streamed.
//!
//! Lines are decided in the order of the file. The outcome of a line is recorded under its key in the transaction of its
//! effects, so after any failure a file can be sent again from the start and changes nothing. An invalid line fails alone.
//! The number of lines without a delivered answer is bounded. Queued lines are carried out even if the client is gone.

use std::time::Duration;

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    http::header::CONTENT_TYPE,
    web::{Data, Payload},
};
use futures_util::StreamExt;
use service_kit::{
    audit::Act,
    auth::Caller,
    http::{
        context::RequestContext,
        headers::no_conditions,
        json::check_media_type,
        problem::{Problem, ProblemType},
    },
};
use tokio::sync::mpsc;

use self::{
    answers::Known,
    line::{Imported, Request},
    schemas::{ImportAnswer, ImportLines},
};
use super::{
    Api, Backend,
    lines::{Answered, Ended, Line, Lines, MEDIA_TYPE, Queued, QueuedLine, answers, place},
    request::no_parameters,
    schemas::ImportFailed,
};
use crate::writer::{Sequence, Submission};

mod answers;
mod line;
mod schemas;

pub(super) use answers::ImportOutcome;
pub(super) use line::{
    CancelLine, CancelSeriesLine, ChangeSeriesLine, MoveLine, RescheduleLine, ReserveLine, SeriesLine,
};

/// Most lines without a delivered answer.
const IN_FLIGHT: usize = 1024;
/// Longest pause of a client.
const SILENCE: Duration = Duration::from_secs(120);

/// Imports bookings. The answer has one line for each line, in their order, and starts while the import is still being sent.
///
/// After an answer that breaks off the outcome of the other lines is unknown: send the file again from the start. An import
/// ends with its token: the first line after that fails with `unauthenticated`, and the answer breaks off.
#[utoipa::path(
    post, path = "/v1/import", tag = "import", operation_id = "import",
    request_body(content = ImportLines, content_type = "application/x-ndjson"),
    responses(ImportAnswer, ImportFailed)
)]
pub(super) async fn import(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let caller = Caller::extract(&request).await?;
    caller.require_admin()?;
    no_parameters(&request)?;
    no_conditions(&request)?;
    check_media_type(&request, &[MEDIA_TYPE])?;
    let context = RequestContext::extract(&request).await?;
    let expires_ms = caller.expires_ms;
    let act = Act::begun(caller.user, "import", request.uri().path(), Some(&context.correlation_id));
    let reader = Reader { backend: api.backend()?, api, context, expires_ms, sequence: Sequence::default() };
    let (queued, to_answer) = mpsc::channel(IN_FLIGHT);
    actix_web::rt::spawn(async move {
        match reader.read(payload, &queued).await {
            Ok(()) => act.ended("all lines were read"),
            Err(end) => {
                tracing::warn!(%end, "import ended early");
                act.ended(format!("ended early: {end}"));
                // Fails when the client is gone.
                let _ = queued.send(Queued::End(end)).await;
            }
        }
    });
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, MEDIA_TYPE)).streaming(answers(to_answer)))
}

/// Reads lines and queues them for the writer.
struct Reader {
    api: Data<Api>,
    backend: Backend,
    context: RequestContext,
    /// Time from which the token is no longer accepted.
    expires_ms: Option<i64>,
    /// Shared by all lines: none overtakes one that was given up.
    sequence: Sequence,
}

impl Reader {
    async fn read(&self, mut payload: Payload, queued: &mpsc::Sender<Queued<Known>>) -> Result<(), Ended> {
        let mut lines = Lines::default();
        loop {
            let chunk = tokio::select! {
                biased;
                () = self.api.stop.cancelled() => return Err(Ended::Stopping),
                () = queued.closed() => return Err(Ended::Gone),
                chunk = tokio::time::timeout(SILENCE, payload.next()) => chunk.map_err(|_| Ended::Silent)?,
            };
            match chunk {
                Some(chunk) => lines.push(&chunk.map_err(|_| Ended::Broken)?),
                None => lines.finish(),
            }
            while let Some((number, line)) = lines.next() {
                self.queue(number, &line, queued).await?;
            }
            if lines.is_finished() {
                return Ok(());
            }
        }
    }

    async fn queue(
        &self,
        number: u64,
        line: &Line,
        queued: &mpsc::Sender<Queued<Known>>,
    ) -> Result<(), Ended> {
        let place = place(&self.api.stop, queued).await?;
        let now = self.api.now();
        let Imported { key, request } = Imported::read(line, now);
        if self.expires_ms.is_some_and(|end| now.epoch_millis() >= end) {
            let detail = "the token has expired; nothing was done from this line on";
            let problem = Box::new(Problem::new(ProblemType::Unauthenticated, detail));
            let answered = Answered::Now(Known::Failed(problem));
            place.send(Queued::Line(QueuedLine { number, key, answered }));
            return Err(Ended::Expired);
        }
        let answered = match request {
            Request::Command { command, made_by, key } => {
                let submission = Submission {
                    command: *command,
                    made_by,
                    key: Some(key),
                    correlation_id: self.context.correlation_id.clone(),
                    traceparent: self.context.traceparent.clone(),
                };
                match self.backend.writer.enqueue(submission, &self.sequence).await {
                    Ok(reply) => Answered::Later(reply),
                    Err(_) => return Err(Ended::Stopping),
                }
            }
            Request::Rejected(problem) => Answered::Now(Known::Rejected(Box::new(problem))),
            Request::Failed(problem) => Answered::Now(Known::Failed(Box::new(problem))),
        };
        place.send(Queued::Line(QueuedLine { number, key, answered }));
        Ok(())
    }
}
