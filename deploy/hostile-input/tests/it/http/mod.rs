//! Both HTTP sides, in this process and, but for [`heads`], without sockets: every hostile path, query, header and body is answered by a
//! problem that blames the client, or by what a good one is.

mod commands;
mod heads;
mod queries;

use actix_web::{
    Error, HttpResponse,
    body::to_bytes,
    dev::ServiceResponse,
    http::{Method, Uri, header::HeaderValue},
    test::TestRequest,
};
use hostile_input::{cases, hostile};
use serde_json::Value;

/// What is asked.
#[derive(Clone, Copy, Debug)]
struct Sample {
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

/// What of it is hostile.
const PLACES: u64 = 8;

/// What the service answers, also where that travels as an error.
fn answer(outcome: Result<ServiceResponse, Error>) -> HttpResponse {
    match outcome {
        Ok(response) => response.into_parts().1,
        Err(error) => error.as_response_error().error_response(),
    }
}

/// Asks for hostile variants of all samples, and judges each answer. A status of `expected` is a good sample's.
async fn ask(app: impl AsyncFn(TestRequest) -> HttpResponse, samples: &[Sample], expected: &[u16]) {
    let (mut accepted, mut refused) = (0, 0);
    for number in 0..cases() {
        let sample = samples[usize::try_from(number / PLACES).unwrap() % samples.len()];
        let Some(request) = variant(sample, samples, number) else { continue };
        let shown = format!("{number}: {sample:?}");
        let response = app(request).await;
        let status = response.status().as_u16();
        if expected.contains(&status) {
            accepted += 1;
            continue;
        }
        assert!((400..500).contains(&status), "{status} {shown}");
        refused += 1;
        let problem: Value = serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap();
        assert_eq!(problem["status"], status, "{problem} {shown}");
        assert!(problem["type"].as_str().unwrap().starts_with("/problems/"), "{problem} {shown}");
    }
    assert!(accepted > 0 && refused > 0, "{accepted} accepted, {refused} refused");
}

/// A request with one place hostile; none where that can't be a request at all.
fn variant(sample: Sample, samples: &[Sample], number: u64) -> Option<TestRequest> {
    let place = number % PLACES;
    let bodies: Vec<&[u8]> = samples.iter().map(|sample| sample.body.as_bytes()).collect();
    let (path, query) = sample.path.split_once('?').unwrap_or((sample.path, ""));
    let text = |good: &str| String::from_utf8_lossy(&hostile(&[good.as_bytes()], number)).into_owned();
    let target = match place {
        0 => text(sample.path),
        1 | 2 => format!("{path}?{}", escaped(&text(query))),
        _ => sample.path.to_owned(),
    };
    // Whatever is no address never reaches the services.
    let uri: Uri = target.parse().ok().filter(|_| target.starts_with('/'))?;
    let mut request =
        TestRequest::default().method(sample.method.parse::<Method>().ok()?).uri(&uri.to_string());
    let count = u64::try_from(sample.headers.len()).ok()?.max(1);
    for (at, (name, value)) in (0..).zip(sample.headers) {
        let value = if (3..=4).contains(&place) && at == number / PLACES % count {
            HeaderValue::from_bytes(&hostile(&[value.as_bytes()], number)).ok()?
        } else {
            HeaderValue::from_bytes(value.as_bytes()).ok()?
        };
        request = request.append_header((*name, value));
    }
    let own = [sample.body.as_bytes()];
    let body = match place {
        5 | 6 => hostile(&own, number),
        7 => hostile(&bodies, number),
        _ => sample.body.as_bytes().to_vec(),
    };
    Some(request.set_payload(body))
}

/// What an address can't hold is percent-encoded; percent signs stay, and may be followed by anything.
fn escaped(query: &str) -> String {
    let mut escaped = String::new();
    for byte in query.bytes() {
        if byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
        {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
