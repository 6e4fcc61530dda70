//! Endpoints of every service: health, metrics, the OpenAPI document, and the types of problems.

use std::future::{Ready, ready};

use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpResponse, web};
use serde_json::json;

use super::endpoint::endpoint;
use super::heartbeat::Heartbeat;
use super::parts::HttpParts;
use super::problem::{Problem, ProblemType};

/// Adds `/metrics`.
pub(crate) fn configure_metrics(config: &mut ServiceConfig) {
    config.service(endpoint("/metrics").get(metrics));
}

/// Adds `/health/live` and `/health/ready`.
pub(crate) fn configure_health(config: &mut ServiceConfig) {
    config.service(endpoint("/health/live").get(live)).service(endpoint("/health/ready").get(ready_or_not));
}

/// Adds `/openapi.json` and `/problems`.
pub(crate) fn configure_description(config: &mut ServiceConfig) {
    config
        .service(endpoint("/openapi.json").get(openapi))
        .service(endpoint("/problems").get(problems))
        .service(endpoint("/problems/{slug}").get(problem));
}

/// Answers 503 if the runtime is stuck. HTTP has threads of its own, so a stuck process still answers.
fn live(heartbeat: Option<Data<Heartbeat>>) -> Ready<HttpResponse> {
    if heartbeat.is_some_and(|heartbeat| heartbeat.is_stuck()) {
        return ready(HttpResponse::ServiceUnavailable().json(json!({"status": "stuck"})));
    }
    ready(HttpResponse::Ok().json(json!({"status": "live"})))
}

/// Answers 200 if all components work, else 503.
fn ready_or_not(parts: Data<HttpParts>) -> Ready<HttpResponse> {
    let report = parts.readiness.report();
    ready(match report.ready {
        true => HttpResponse::Ok().json(report),
        false => HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, "1")).json(report),
    })
}

pub(super) fn metrics(parts: Data<HttpParts>) -> Ready<HttpResponse> {
    let answer = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4"))
        .body(parts.metrics.render());
    ready(answer)
}

fn openapi(parts: Data<HttpParts>) -> Ready<HttpResponse> {
    let document = web::Bytes::from_static(parts.openapi.as_bytes());
    ready(HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(document))
}

fn describe(kind: ProblemType) -> serde_json::Value {
    json!({"type": kind.uri(), "title": kind.title(), "status": kind.status().as_u16()})
}

fn problems() -> Ready<HttpResponse> {
    let all: Vec<_> = ProblemType::ALL.iter().copied().map(describe).collect();
    ready(HttpResponse::Ok().json(json!({"items": all})))
}

fn problem(slug: web::Path<String>) -> Ready<Result<HttpResponse, Problem>> {
    let kind = ProblemType::from_slug(&slug);
    let unknown = || Problem::new(ProblemType::NotFound, "there is no such type of problem");
    ready(kind.map(|kind| HttpResponse::Ok().json(describe(kind))).ok_or_else(unknown))
}
