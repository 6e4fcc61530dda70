use actix_web::body::to_bytes;
use serde_json::json;

use super::*;

#[actix_web::test]
async fn a_problem_has_the_standard_members_and_its_own() {
    let problem = Problem::new(ProblemType::Overlap, "the room is taken")
        .field("/from")
        .with("room", "r1")
        .with("status", "can't be replaced");
    let response = problem.error_response();
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!(response.headers().get("content-type").unwrap(), MEDIA_TYPE);
    let body: Value = serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap();
    let expected = json!({
        "type": "/problems/overlap", "title": "Another reservation is in the way", "status": 409,
        "detail": "the room is taken", "field": "/from", "room": "r1"
    });
    assert_eq!(body, expected);
}

#[actix_web::test]
async fn a_defect_says_nothing_of_its_cause() {
    let cause = std::io::Error::other("mysql://u:hunter2@h");
    let problem = Problem::internal(&cause);
    assert!(problem.0.cause.as_ref().unwrap().contains("hunter2"));
    let body = to_bytes(problem.error_response().into_body()).await.unwrap();
    assert!(!String::from_utf8_lossy(&body).contains("hunter2"));
}

#[test]
fn headers_go_with_their_types() {
    let header = |problem: Problem, name: &str| {
        problem.error_response().headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let problem = |kind| Problem::new(kind, "");
    for kind in ProblemType::ALL {
        let temporary = matches!(kind.status().as_u16(), 429 | 503) || *kind == ProblemType::InProgress;
        assert_eq!(header(problem(*kind), "retry-after").is_some(), temporary, "{kind:?}");
    }
    let soon = problem(ProblemType::Overloaded).retry_after(Duration::from_millis(1200));
    assert_eq!(header(soon, "retry-after").as_deref(), Some("2"));
    assert_eq!(header(problem(ProblemType::Unauthenticated), "www-authenticate").as_deref(), Some("Bearer"));
}

#[test]
fn slugs_are_unique_and_found_again() {
    for kind in ProblemType::ALL {
        assert_eq!(ProblemType::from_slug(kind.slug()), Some(*kind));
    }
}

#[test]
fn a_long_detail_is_cut() {
    let problem = Problem::new(ProblemType::Malformed, "ü".repeat(100_000));
    assert_eq!(problem.0.detail.chars().count(), MAX_DETAIL + 3);
}
