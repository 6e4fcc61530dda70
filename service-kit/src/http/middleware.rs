//! Middleware for every request: context, deadline, log line, metrics, trace, and the common headers of answers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, ResponseError};

use super::connections::InProgress;
use super::context::{REQUEST_ID, RequestContext};
use super::cors::Cors;
use super::endpoint::MatchedRoute;
use super::limits;
use super::parts::HttpParts;
use super::problem::{Answered, Problem, ProblemType};
use crate::telemetry::{HTTP_DURATION, HTTP_IN_FLIGHT, HTTP_PROBLEMS, HTTP_REQUESTS};
use crate::traces::{self, Span};

/// The route of requests without an endpoint, in logs and metrics.
const NO_ROUTE: &str = "none";

/// The facts about a request that its log line, metrics and trace need.
struct Seen {
    service: &'static str,
    method: Method,
    route: MatchedRoute,
    context: RequestContext,
    cors: Cors,
    started: Instant,
    /// The span of a traced request, until the answer.
    span: Cell<Option<Span>>,
}

/// Counts a request in progress until it is dropped.
struct InFlight(metrics::Gauge);

impl InFlight {
    fn new(service: &'static str) -> Self {
        let gauge = metrics::gauge!(HTTP_IN_FLIGHT, "service" => service);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Handles one request. An error of the framework becomes a problem.
pub(super) async fn middleware(
    parts: Data<HttpParts>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut context = RequestContext::of(request.headers());
    let span = traces::request(&mut context.traceparent);
    let seen = Seen {
        service: parts.service,
        method: request.method().clone(),
        route: MatchedRoute(Rc::new(Cell::new(NO_ROUTE))),
        context,
        cors: Cors::of(&request, parts.authenticator.dev_headers()),
        started: Instant::now(),
        span: Cell::new(span),
    };
    let _in_flight = InFlight::new(parts.service);
    let in_progress = InProgress::of(&request);
    request.extensions_mut().insert(seen.context.clone());
    request.extensions_mut().insert(seen.route.clone());
    let answer = async {
        in_progress.check()?;
        limits::check_head(request.head())?;
        next.call(request).await
    };
    let problem = match tokio::time::timeout(parts.request_timeout, answer).await {
        Ok(Ok(response)) => return Ok(in_progress.until_sent(finished(&seen, response))),
        Ok(Err(error)) => error.as_error::<Problem>().cloned().unwrap_or_else(|| {
            Problem::for_status(error.as_response_error().status_code(), error.to_string())
        }),
        Err(_) => too_late(&seen.method),
    };
    // The request was dropped with its future, so the answer travels as an error.
    let mut response = problem.error_response();
    let answered = response.extensions_mut().remove::<Answered>();
    seen.record(response.status(), answered.as_ref());
    seen.common_headers(response.headers_mut());
    Err(actix_web::error::InternalError::from_response(problem, response).into())
}

fn too_late(method: &Method) -> Problem {
    match *method {
        Method::GET | Method::HEAD => Problem::new(ProblemType::Unavailable, "the answer took too long"),
        _ => Problem::new(
            ProblemType::OutcomeUnknown,
            "the answer took too long: send the same request with the same Idempotency-Key again",
        ),
    }
}

fn finished<B: MessageBody + 'static>(seen: &Seen, response: ServiceResponse<B>) -> ServiceResponse<BoxBody> {
    let known = response.response().extensions().get::<Answered>().cloned();
    let foreign = match response.response().error() {
        Some(error) if known.is_none() => Some(Problem::for_status(response.status(), error.to_string())),
        _ => None,
    };
    let mut response = match foreign {
        Some(problem) => response.into_response(problem.error_response()),
        None => response.map_into_boxed_body(),
    };
    let answered = response.response_mut().extensions_mut().remove::<Answered>();
    seen.record(response.status(), answered.as_ref());
    seen.common_headers(response.headers_mut());
    response
}

impl Seen {
    fn common_headers(&self, headers: &mut HeaderMap) {
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let Ok(id) = HeaderValue::from_str(&self.context.correlation_id) {
            headers.insert(REQUEST_ID, id);
        }
        self.cors.add_to(headers);
    }

    /// Counts the request and writes its log line. The line has the route's pattern in place of the path and no caller, because
    /// names are personal data.
    fn record(&self, status: StatusCode, answered: Option<&Answered>) {
        let elapsed = self.started.elapsed();
        let method = self.method_label();
        let route = self.route.0.get();
        self.count(method, route, status, elapsed);
        if let Some(answered) = answered {
            metrics::counter!(HTTP_PROBLEMS, "service" => self.service, "type" => answered.kind.slug())
                .increment(1);
        }
        let problem = answered.map(|answered| answered.kind.slug());
        self.trace(method, route, status, problem);
        let field = answered.and_then(|answered| answered.field.as_deref());
        let cause = answered.and_then(|answered| answered.cause.as_deref());
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "http.request",
                    service = self.service,
                    http.method = method,
                    http.route = route,
                    http.status = status.as_u16(),
                    elapsed_ms = elapsed.as_secs_f64() * 1000.0,
                    correlation_id = self.context.correlation_id,
                    trace_id = self.context.trace_id(),
                    problem,
                    field,
                    cause,
                    "answered request"
                )
            };
        }
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            line!(error);
        } else if route.starts_with("/health") || route == "/metrics" {
            line!(debug);
        } else if cause.is_some() {
            line!(warn);
        } else {
            line!(info);
        }
    }

    fn trace(&self, method: &str, route: &'static str, status: StatusCode, problem: Option<&'static str>) {
        let Some(mut span) = self.span.take() else { return };
        span.name(format!("{method} {route}"));
        span.set("http.route", route);
        span.set("http.request.method", method.to_owned());
        span.set("http.response.status_code", i64::from(status.as_u16()));
        span.set("correlation_id", self.context.correlation_id.clone());
        if let Some(problem) = problem {
            span.set("error.type", problem);
        }
        // A span that is not ended counts as failed.
        if !status.is_server_error() {
            span.end();
        }
    }

    fn count(&self, method: &'static str, route: &'static str, status: StatusCode, elapsed: Duration) {
        /// Number and duration of the requests that have the same labels.
        type Counts = (metrics::Counter, metrics::Histogram);
        thread_local! {
            // Finding a metric by its labels costs more than counting.
            static KNOWN: RefCell<HashMap<[&'static str; 3], HashMap<u16, Counts>>> = RefCell::default();
        }
        KNOWN.with_borrow_mut(|known| {
            let statuses = known.entry([self.service, method, route]).or_default();
            let (number, duration) = statuses.entry(status.as_u16()).or_insert_with(|| {
                let labels = [
                    ("service", self.service.to_owned()),
                    ("method", method.to_owned()),
                    ("route", route.to_owned()),
                    ("status", status.as_str().to_owned()),
                ];
                (
                    metrics::counter!(HTTP_REQUESTS, &labels),
                    metrics::histogram!(HTTP_DURATION, "service" => self.service, "route" => route),
                )
            });
            number.increment(1);
            duration.record(elapsed.as_secs_f64());
        });
    }

    /// The method as a label. Labels must be few, and clients can invent methods.
    fn method_label(&self) -> &'static str {
        match self.method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            Method::OPTIONS => "OPTIONS",
            _ => "OTHER",
        }
    }
}
