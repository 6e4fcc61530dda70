//! The parts of every query request: caller, path, parameters, and a consistency token where there is one.

use std::time::{Duration, SystemTime};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::{
        Method,
        header::{
            CACHE_CONTROL, ContentType, ETAG, HeaderMap, HeaderName, HeaderValue, HttpDate, IF_NONE_MATCH,
        },
    },
    web::Data,
};
use futures_util::future::LocalBoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use service_kit::{
    audit::Act,
    auth::Caller,
    http::{
        decode::integer,
        headers::{TAGGED, joined, names_tag, no_conditions, wait},
        path::Path,
        problem::{Problem, ProblemType},
        query::Query,
    },
};
use sha2::{Digest, Sha256};
use shared_events::{ConsistencyToken, RoomId, Timestamp, Version};
use tokio::time::Instant;

use super::{OfThisThread, Reading, parameters::invalid};
use crate::{queries::KeptKinds, read_models::AsOf, stores::Queries};

pub(super) const TOKEN: &str = "Consistency-Token";
pub(super) const GENERATION: &str = "generation";
/// The time that a query waits by default.
const DEFAULT_WAIT: Duration = Duration::from_secs(2);
/// Usage positions are read at least once, which takes this long at most.
const ONE_LOOK: Duration = Duration::from_millis(100);
/// An answer about a moment may miss events that were being committed then. Later it is final.
const FINAL_AFTER_MS: i64 = 30_000;

/// A query request. The caller is checked before everything else.
pub(super) struct QueryRequest<P, Q> {
    request: HttpRequest,
    pub(super) of_this_thread: Data<OfThisThread>,
    /// Whether it reads a frozen generation.
    pub(super) is_frozen: bool,
    /// The present: that of a frozen generation lies in the past.
    pub(super) now: Timestamp,
    pub(super) caller: Caller,
    pub(super) path: P,
    pub(super) parameters: Q,
    /// Looked up once, so that the whole answer is from one generation.
    reading: Option<Reading>,
    /// The versions that the answer must show.
    wanted: Vec<(RoomId, Version)>,
    pub(super) wait: Duration,
    if_none_match: Option<String>,
}

impl<P: DeserializeOwned + 'static, Q: DeserializeOwned + 'static> FromRequest for QueryRequest<P, Q> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let caller = caller.await?;
            let of_this_thread = request.app_data::<Data<OfThisThread>>().cloned();
            let of_this_thread =
                of_this_thread.ok_or_else(|| Problem::defect("no API in the application's data"))?;
            no_conditions(&request)?;
            let headers = request.headers();
            let path = Path::<P>::extract(&request).await?.0;
            let (generation, parameters) = generation(request.query_string())?;
            let parameters = Query::<Q>::of(&parameters)?.0;
            let wanted = wanted(headers)?;
            let (reading, now) = match generation {
                None => (of_this_thread.reading(), of_this_thread.now()),
                Some(number) => {
                    caller.require_admin()?;
                    if !wanted.is_empty() {
                        return Err(invalid(TOKEN, "a frozen generation shows no later versions"));
                    }
                    let frozen = of_this_thread.frozen(number);
                    let none = || invalid(GENERATION, "there is no frozen generation of this number");
                    let (reading, until) = frozen.ok_or_else(none)?;
                    (Some(reading), until)
                }
            };
            let wait = wait(headers)?;
            let if_none_match = joined(headers, IF_NONE_MATCH.as_str())?;
            Ok(Self {
                request,
                of_this_thread,
                is_frozen: generation.is_some(),
                now,
                caller,
                path,
                parameters,
                reading,
                wanted,
                wait: wait.unwrap_or(DEFAULT_WAIT),
                if_none_match,
            })
        })
    }
}

impl<P, Q> QueryRequest<P, Q> {
    /// Records that an administrator reads another person's values. `on` names nobody.
    pub(super) fn note_reading(&self, act: &'static str, on: &str) {
        Act::begun(&self.caller.user, act, on, None).ended("let through");
    }

    /// All values of a header, separated by commas.
    pub(super) fn header(&self, name: &str) -> Result<Option<String>, Problem> {
        joined(self.request.headers(), name)
    }

    /// The method.
    pub(super) fn method(&self) -> &Method {
        self.request.method()
    }

    /// An answer about the past, with the headers of a memento (RFC 7089).
    pub(super) fn of_the_past<N>(
        &self,
        mut answer: HttpResponse,
        at: AsOf<N>,
        recorded_at: Timestamp,
        timemap: Option<&str>,
    ) -> HttpResponse {
        let mut link = format!("<{}>; rel=\"original\"", self.request.path());
        if let Some(timemap) = timemap {
            link = format!("{link}, <{timemap}>; rel=\"timemap\"");
        }
        let mut headers = vec![
            ("memento-datetime", HttpDate::from(SystemTime::from(recorded_at.to_utc())).to_string()),
            ("link", link),
        ];
        let since = |moment: Timestamp| self.now.epoch_millis() - moment.epoch_millis();
        let is_final = match at {
            AsOf::Moment(moment) => since(moment) > FINAL_AFTER_MS,
            AsOf::Number(_) => true,
        };
        if is_final {
            // A cache asks again, because an erasure of a person changes the past.
            headers.push(("cache-control", "private, no-cache".to_owned()));
        }
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                answer.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        answer
    }

    /// Counts the request as so many of its caller.
    pub(super) fn charge(&self, weight: u32) -> Result<(), Problem> {
        self.caller.charge(&self.request, weight)
    }

    /// The time of the oldest state that the answer may show. Call it after [`QueryRequest::shown`].
    pub(super) fn oldest(&self) -> Instant {
        let now = Instant::now();
        if self.wanted.is_empty() { now.checked_sub(KeptKinds::KEPT).unwrap_or(now) } else { now }
    }

    /// The read models, once they show the versions of the request's token.
    pub(super) async fn shown(&self) -> Result<&Reading, Problem> {
        let unavailable = || Problem::new(ProblemType::Unavailable, "the read models are not there yet");
        let shown = self.reading.as_ref().ok_or_else(unavailable)?;
        if !self.wanted.is_empty() {
            let (models, user) = (shown.models.as_ref(), &self.caller.user);
            shown.generation.progress.wait(models, user, &self.wanted, self.wait).await?;
        }
        Ok(shown)
    }

    /// [`QueryRequest::shown`], once usage counts the versions of the request's token, too.
    pub(super) async fn counted(&self) -> Result<&Reading, Problem> {
        let begun = Instant::now();
        let shown = self.shown().await?;
        if !self.wanted.is_empty() {
            let wait = self.wait.saturating_sub(begun.elapsed()).max(ONE_LOOK);
            let (positions, user) = (shown.models.usage_positions(), &self.caller.user);
            let rooms: Vec<_> = self.wanted.iter().map(|(room, _)| *room).collect();
            shown.models.hasten_usage(&rooms);
            shown.generation.usage.wait(positions, user, &self.wanted, wait).await?;
        }
        Ok(shown)
    }

    /// [`QueryRequest::shown`], for queries that need no progress.
    pub(super) async fn models(&self) -> Result<&dyn Queries, Problem> {
        Ok(self.shown().await?.models.as_ref())
    }

    /// An answer with its `ETag`, or 304 if the client has this answer. The tag holds the revision, by which `If-Match` counts,
    /// and a digest: a version or a name changes without the revision.
    pub(super) fn tagged(&self, revision: u32, answer: &impl Serialize) -> Result<HttpResponse, Problem> {
        let body = body_of(answer)?;
        let tag = format!("\"{revision}.{}\"", digest::<8>(&body));
        Ok(self.unless_known(tag, body))
    }

    /// An answer with a digest as its `ETag`, or 304 if the client has this answer.
    pub(super) fn digested(&self, answer: &impl Serialize) -> Result<HttpResponse, Problem> {
        let body = body_of(answer)?;
        let tag = format!("\"{}\"", digest::<16>(&body));
        Ok(self.unless_known(tag, body))
    }

    fn unless_known(&self, tag: String, body: Vec<u8>) -> HttpResponse {
        let is_known = self.if_none_match.as_deref().is_some_and(|tags| names_tag(tags, &tag));
        let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        answer.insert_header((ETAG, tag)).insert_header((CACHE_CONTROL, TAGGED));
        match is_known {
            true => answer.finish(),
            false => answer.content_type(ContentType::json()).body(body),
        }
    }
}

fn body_of(answer: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(answer).map_err(|error| Problem::internal(&error))
}

/// The first bytes of a digest, in hexadecimal.
pub(super) fn digest<const BYTES: usize>(text: &[u8]) -> String {
    Sha256::digest(text).iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// The number of the frozen generation that a query string names, and the other parameters.
fn generation(query: &str) -> Result<(Option<u32>, String), Problem> {
    let value = |pair: &str| match pair.split_once('=') {
        Some((GENERATION, value)) => Some(value.to_owned()),
        _ => (pair == GENERATION).then(String::new),
    };
    let (named, others): (Vec<&str>, Vec<&str>) = query.split('&').partition(|pair| value(pair).is_some());
    let number = match named.as_slice() {
        [] => None,
        [one] => {
            let number = value(one).and_then(|value| integer(&value).parse().ok());
            Some(number.ok_or_else(|| invalid(GENERATION, "it must be a number"))?)
        }
        _ => return Err(invalid(GENERATION, "it can be sent once")),
    };
    Ok((number, others.join("&")))
}

fn wanted(headers: &HeaderMap) -> Result<Vec<(RoomId, Version)>, Problem> {
    let Some(text) = joined(headers, TOKEN)? else { return Ok(Vec::new()) };
    let token = ConsistencyToken::parse_header(&text).map_err(|error| invalid(TOKEN, &error.to_string()))?;
    Ok(token.rooms)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn tokens_of_several_headers_are_joined_and_the_highest_version_counts() {
        let room = |n| RoomId(Uuid::from_u128(n));
        let token =
            |n, version| ConsistencyToken { rooms: vec![(room(n), Version::from(version))] }.to_string();
        let lines = [
            ("consistency-token", format!("{}, {}", token(1, 3), token(2, 9))),
            ("consistency-token", token(1, 4)),
        ];
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut found = wanted(&headers(&lines)).unwrap();
        found.sort_unstable();
        assert_eq!(found, [(room(1), 4.into()), (room(2), 9.into())]);
        let bad = wanted(&headers(&[("consistency-token", "zzz")])).unwrap_err();
        assert_eq!((bad.kind(), bad.named_field()), (ProblemType::InvalidValue, Some(TOKEN)));
    }
}
