//! Many commands in one request: NDJSON in, NDJSON out.
//!
//! The body is read whole first, because a client that sends all before it reads would wait for ever. Lines are decided in
//! their order, and answered in it. A line fails alone. When the client goes, queued lines are carried out, and no others.

use std::{collections::HashSet, sync::Arc};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    http::header::CONTENT_TYPE,
    web::{Data, Payload},
};
use service_kit::{
    auth::Caller,
    http::{
        context::RequestContext,
        headers::no_conditions,
        json::{bytes_up_to, check_media_type},
        problem::{Problem, ProblemType},
    },
    places::{NoPlace, Places, Taken},
};
use shared_events::ReservationId;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use self::{
    answer::{CommandAnswers, Decided},
    line::of_line,
};
use super::{
    Api,
    lines::{Answered, Ended, Line, Lines, MEDIA_TYPE, Queued, QueuedLine, answers, place},
    request::{Wanted, no_parameters},
    schemas::ManyFailed,
};
use crate::{commands::Action, writer};

mod answer;
mod line;

pub(super) use answer::LineAnswer;
pub(super) use line::CommandLine;

/// Most lines of a request.
const MOST_LINES: usize = 1_000;
/// Largest body, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Most lines of a request without a delivered answer.
const MOST_IN_FLIGHT: usize = 100;
/// Most requests at once.
const MOST_AT_ONCE: usize = 64;
/// Most requests of one caller at once.
const MOST_OF_CALLER: usize = 8;

/// The places for these requests.
pub(super) fn places() -> Places {
    Places::new(MOST_AT_ONCE, MOST_OF_CALLER)
}

/// Carries out many commands. The answer has one line for each line, in their order, and starts when the first is decided.
///
/// A line is a command as its own request would send it, with its own key: sent again, alone or among others, it has no other
/// effect. Each line counts as a request of its caller. A line that fails does not stop the others. Lines about one room are
/// decided in their order. After an answer that breaks off, send the lines without an answer again.
#[utoipa::path(
    post, path = "/v1/commands", tag = "commands", operation_id = "carryOut",
    request_body(content = CommandLine, content_type = "application/x-ndjson"),
    responses(CommandAnswers, ManyFailed)
)]
pub(super) async fn carry_out(
    api: Data<Api>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let caller = Caller::extract(&request).await?;
    no_parameters(&request)?;
    no_conditions(&request)?;
    check_media_type(&request, &[MEDIA_TYPE])?;
    let context = RequestContext::extract(&request).await?;
    let (begins, begun) = oneshot::channel();
    // A task of its own: what is queued is carried out without the client.
    actix_web::rt::spawn(async move {
        let (places, user) = (Arc::clone(&api.many), caller.user.clone());
        let ready = async {
            let taken = take(&places, &user)?;
            let lines = read(&request, payload).await?;
            caller.charge_each(&request, u32::try_from(lines.len()).unwrap_or(u32::MAX))?;
            Ok((taken, lines, api.backend()?.writer.lines()))
        };
        let (_taken, lines, writer) = match ready.await {
            Ok(ready) => ready,
            Err(problem) => {
                drop(begins.send(Err(problem)));
                return;
            }
        };
        // The answer holds one line itself.
        let (queued, to_answer) = mpsc::channel(MOST_IN_FLIGHT - 1);
        drop(begins.send(Ok(to_answer)));
        let mut carrier =
            Carrier { api, caller, context, writer, in_flight: JoinSet::new(), about: HashSet::new() };
        if let Err(end) = carrier.carry_out(&lines, &queued).await {
            tracing::info!(%end, "not all lines of a request were begun");
            // Fails when the client is gone.
            drop(queued.send(Queued::End(end)).await);
        }
        drop(queued);
        carrier.settle().await;
    });
    let lost = || Problem::defect("the task of a request with many commands ended early");
    let to_answer = begun.await.unwrap_or_else(|_| Err(lost()))?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, MEDIA_TYPE)).streaming(answers(to_answer)))
}

fn take<'a>(places: &'a Places, user: &'a str) -> Result<Taken<'a>, Problem> {
    places.take(user, 1).map_err(|full| match full {
        NoPlace::Overloaded => {
            Problem::new(ProblemType::Overloaded, "too many requests with many commands; nothing was done")
        }
        NoPlace::TooManyOfCaller => {
            let detail = format!("at most {MOST_OF_CALLER} requests with many commands at once");
            Problem::new(ProblemType::TooManyRequests, detail).with("limit", MOST_OF_CALLER)
        }
    })
}

/// All lines that are not blank.
async fn read(request: &HttpRequest, payload: Payload) -> Result<Vec<(u64, Line)>, Problem> {
    let body = bytes_up_to(MAX_BODY_BYTES, request, &mut payload.into_inner()).await?;
    let mut lines = Lines::default();
    lines.push(&body);
    lines.finish();
    let lines: Vec<_> = std::iter::from_fn(|| lines.next()).take(MOST_LINES + 1).collect();
    if lines.len() > MOST_LINES {
        let detail = format!("a request has at most {MOST_LINES} lines; nothing was done");
        return Err(Problem::new(ProblemType::TooLarge, detail).with("limit", MOST_LINES));
    }
    Ok(lines)
}

/// Carries out the lines of a request.
struct Carrier {
    api: Data<Api>,
    caller: Caller,
    context: RequestContext,
    writer: writer::Lines,
    /// Waits for the replies.
    in_flight: JoinSet<()>,
    /// The reservations of lines that may be in flight.
    about: HashSet<ReservationId>,
}

impl Carrier {
    async fn carry_out(
        &mut self,
        lines: &[(u64, Line)],
        queued: &mpsc::Sender<Queued<Decided>>,
    ) -> Result<(), Ended> {
        for (number, line) in lines {
            let place = place(&self.api.stop, queued).await?;
            let (key, wanted) = of_line(line, &self.caller);
            let begun = match wanted.and_then(|wanted| self.in_time().map(|()| wanted)) {
                Ok(wanted) => self.begin(wanted).await,
                Err(problem) => Err(problem),
            };
            let answered = begun.map_or_else(|problem| Answered::Now(Err(problem)), Answered::Later);
            place.send(Queued::Line(QueuedLine { number: *number, key, answered }));
        }
        Ok(())
    }

    /// The token may expire while the client takes the answer.
    fn in_time(&self) -> Result<(), Problem> {
        if self.caller.expires_ms.is_some_and(|end| self.api.now().epoch_millis() >= end) {
            return Err(Problem::new(ProblemType::Unauthenticated, "the token has expired"));
        }
        Ok(())
    }

    /// Queues a command.
    async fn begin(&mut self, wanted: Wanted) -> Result<oneshot::Receiver<Decided>, Problem> {
        while self.in_flight.try_join_next().is_some() {}
        // The queue keeps the order, but for two cases: what a room has forgotten is recalled first, and so is a revision.
        let restores = matches!(wanted.action, Action::RestoreReservation(_));
        let about = wanted.action.reservation();
        if restores || about.is_some_and(|reservation| self.about.contains(&reservation)) {
            self.settle().await;
        }
        self.about.extend(about);
        let (submission, recorded) = wanted.of(self.caller.clone(), self.context.clone(), self.api.now())?;
        let (decided, receiver) = oneshot::channel();
        match self.writer.queue(submission).await {
            Ok(reply) => {
                self.in_flight.spawn(async move {
                    // Fails when the client is gone.
                    drop(decided.send(recorded.end(Ok(reply.await))));
                });
            }
            Err(failure) => drop(decided.send(recorded.end(Ok(Err(failure))))),
        }
        if restores {
            self.settle().await;
        }
        Ok(receiver)
    }

    /// Waits until no line is in flight.
    async fn settle(&mut self) {
        while self.in_flight.join_next().await.is_some() {}
        self.about.clear();
    }
}
