//! The body of a command.

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::decode;
use super::limits::Limits;
use super::media_types::{JSON, MERGE_PATCH};
use super::problem::{Problem, ProblemType};

/// Largest body, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// A JSON body: its value, and its bytes, which identify a repeated request.
#[derive(Debug, Clone)]
pub struct Json<T> {
    /// The decoded value.
    pub value: T,
    /// The body as it was sent.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_patch = request.method() == Method::PATCH;
        let checked = match is_patch {
            true => check_media_type(request, &[JSON, MERGE_PATCH]).map_err(Problem::accept_patch),
            false => check_media_type(request, &[JSON]),
        };
        let bytes = bytes(request, payload);
        Box::pin(async move {
            checked?;
            let bytes = bytes.await?;
            Ok(Self { value: decode::json(&bytes)?, bytes })
        })
    }
}

/// The bytes of a body.
///
/// # Errors
/// `too-large`, `too-slow`, or `malformed` if the body breaks off.
pub fn bytes(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<Bytes, Problem>> + use<> {
    bytes_up_to(MAX_BODY_BYTES, request, payload)
}

/// The bytes of a body of at most `most` bytes.
///
/// # Errors
/// As [`bytes()`].
pub fn bytes_up_to(
    most: usize,
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<Bytes, Problem>> + use<> {
    let (checked, limits, payload) = (check_length(request, most), Limits::of(request), payload.take());
    async move {
        checked?;
        let Some(limits) = limits else { return collect(payload, most).await };
        tokio::time::timeout(limits.slow_client(), collect(payload, most)).await.unwrap_or_else(|_| {
            let detail =
                format!("the body did not arrive within {:?}; nothing was done", limits.slow_client());
            Err(Problem::new(ProblemType::TooSlow, detail))
        })
    }
}

/// Whether the body is a merge patch.
#[must_use]
pub fn is_merge_patch(request: &HttpRequest) -> bool {
    request.content_type() == MERGE_PATCH
}

/// Refuses a body of another media type, not in UTF-8, or compressed.
///
/// # Errors
/// `unsupported-media-type`.
pub fn check_media_type(request: &HttpRequest, expected: &[&str]) -> Result<(), Problem> {
    let unsupported =
        |detail: String, field: &str| Problem::new(ProblemType::UnsupportedMediaType, detail).field(field);
    if !expected.contains(&request.content_type()) {
        return Err(unsupported(format!("the body must be {}", expected.join(" or ")), "Content-Type"));
    }
    if !request.encoding().is_ok_and(|encoding| encoding.name() == "UTF-8") {
        return Err(unsupported("the body must be in UTF-8".to_owned(), "Content-Type"));
    }
    let coding = request.headers().get(header::CONTENT_ENCODING);
    if coding.is_some_and(|coding| coding.as_bytes() != b"identity") {
        return Err(unsupported("the body must not be compressed".to_owned(), "Content-Encoding"));
    }
    Ok(())
}

fn check_length(request: &HttpRequest, most: usize) -> Result<(), Problem> {
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > most as u64) { Err(too_large(most)) } else { Ok(()) }
}

async fn collect(mut payload: Payload, most: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Problem::new(ProblemType::Malformed, "the body did not arrive as a whole").caused_by(&error)
        })?;
        if body.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(most: usize) -> Problem {
    Problem::new(ProblemType::TooLarge, format!("a body has at most {most} bytes")).with("limit", most)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        people: u32,
    }

    async fn extract(request: TestRequest) -> Result<Json<Body>, Problem> {
        let (request, mut payload) = request.to_http_parts();
        Json::from_request(&request, &mut payload).await
    }

    fn post(media_type: &str, body: impl Into<Bytes>) -> TestRequest {
        TestRequest::post().insert_header(("content-type", media_type)).set_payload(body)
    }

    #[actix_web::test]
    async fn value_and_bytes_are_given() {
        let json = extract(post("application/json; charset=utf-8", "{\"people\":  2}")).await.unwrap();
        assert_eq!(json.value.people, 2);
        assert_eq!(json.bytes, "{\"people\":  2}");
    }

    #[actix_web::test]
    async fn other_media_types_are_refused() {
        let body = "{\"people\": 2}";
        let requests = [
            post("text/plain", body),
            post("application/json; charset=latin1", body),
            post("application/jsonx", body),
            post("application/json", body).insert_header(("content-encoding", "gzip")),
            TestRequest::post().set_payload(body),
        ];
        for request in requests {
            assert_eq!(extract(request).await.unwrap_err().kind(), ProblemType::UnsupportedMediaType);
        }
    }

    #[actix_web::test]
    async fn a_patch_may_be_a_merge_patch_and_another_one_is_told_both_media_types() {
        let body = "{\"people\": 2}";
        for media_type in ["application/json", "application/merge-patch+json; charset=utf-8"] {
            assert_eq!(extract(post(media_type, body).method(Method::PATCH)).await.unwrap().value.people, 2);
        }
        let problem =
            extract(post("application/json-patch+json", body).method(Method::PATCH)).await.unwrap_err();
        let headers = actix_web::ResponseError::error_response(&problem).headers().clone();
        assert_eq!(headers.get("accept-patch").unwrap(), "application/json, application/merge-patch+json");
        let problem = extract(post("application/merge-patch+json", body)).await.unwrap_err();
        assert_eq!(problem.kind(), ProblemType::UnsupportedMediaType, "a POST is no patch");
    }

    #[actix_web::test]
    async fn a_large_body_is_refused_with_or_without_a_length() {
        let body = format!("{{\"people\": {}2}}", " ".repeat(MAX_BODY_BYTES));
        let with_length =
            post("application/json", body.clone()).insert_header(("content-length", body.len()));
        assert_eq!(extract(with_length).await.unwrap_err().kind(), ProblemType::TooLarge);
        assert_eq!(extract(post("application/json", body)).await.unwrap_err().kind(), ProblemType::TooLarge);
    }

    #[actix_web::test]
    async fn mistakes_in_the_body_are_named() {
        let problem = extract(post("application/json", "{\"people\": \"x\"}")).await.unwrap_err();
        assert_eq!((problem.kind(), problem.named_field()), (ProblemType::InvalidValue, Some("/people")));
        let problem = extract(post("application/json", "")).await.unwrap_err();
        assert_eq!(problem.kind(), ProblemType::Malformed);
    }
}
