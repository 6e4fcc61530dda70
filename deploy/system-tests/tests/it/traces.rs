//! The spans of a reservation, from the request to the read model.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value as Any,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message;
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Answer, Client, Room, Server, Stack, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const FROM: &str = "2031-01-06T10:00:00Z";
const TO: &str = "2031-01-06T11:00:00Z";

/// A collector of OTLP over HTTP. Keeps the spans, each with its service. Dropped, it stops.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<(String, Span)>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::default();
        let kept = Arc::clone(&spans);
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(take(stream, Arc::clone(&kept)));
            }
        });
        Self { url, spans, serving }
    }

    /// Waits for a number of spans of a trace.
    async fn spans(&self, trace: &str, count: usize) -> Vec<(String, Span)> {
        until(async || {
            let spans = self.spans.lock().unwrap().clone();
            let of_trace: Vec<_> =
                spans.into_iter().filter(|(_, span)| hex(&span.trace_id) == trace).collect();
            if of_trace.len() >= count { Ok(of_trace) } else { Err(format!("only {of_trace:#?}")) }
        })
        .await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers the requests of one connection.
async fn take(mut stream: TcpStream, spans: Arc<Mutex<Vec<(String, Span)>>>) {
    let mut received = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break String::from_utf8(received.drain(..end + 4).collect()).unwrap().to_lowercase();
            }
            if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
                return;
            }
        };
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        while received.len() < length {
            if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body: Vec<u8> = received.drain(..length).collect();
        let batch = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        for resource in batch.resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let service = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
            let Some(Any::StringValue(service)) = service.value.clone().unwrap().value else { continue };
            let of_service = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.lock().unwrap().extend(of_service.map(|span| (service.clone(), span)));
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A system on real servers that sends its spans to the collector.
async fn traced(collector: &Collector) -> Stack {
    let mut stack = Stack::real(1).await;
    for server in stack.commands.iter_mut().chain(&mut stack.queries) {
        server.stop().await;
        server.start(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
            ("OTEL_TRACES_SAMPLER_ARG", "1"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ]);
    }
    for server in stack.commands.iter_mut().chain(&mut stack.queries) {
        server.until_ready().await;
    }
    stack
}

async fn reserve(client: &Client, room: &Room, traceparent: Option<String>) -> Answer {
    let call = client.reserve(&room.id, FROM, TO);
    let call = match &traceparent {
        Some(traceparent) => call.header("traceparent", traceparent),
        None => call,
    };
    call.send().await
}

/// The trace context of the room's latest event.
async fn of_latest_event(client: &Client, room: &Room) -> Option<String> {
    let path = format!("/v1/streams/{}/events", room.id);
    let events = client.command(Method::GET, &path).send().await.expect(200);
    let latest: &Value = events["items"].as_array().unwrap().last().unwrap();
    latest["traceparent"].as_str().map(str::to_owned)
}

fn named<'a>(spans: &'a [(String, Span)], name: &str) -> &'a (String, Span) {
    let mut found = spans.iter().filter(|(_, span)| span.name == name);
    let span = found.next().ok_or_else(|| format!("no {name}: {spans:#?}")).unwrap();
    assert!(found.next().is_none(), "{name} twice: {spans:#?}");
    span
}

#[tokio::test]
async fn one_reservation_is_followed_from_the_request_to_the_read_model() {
    let collector = Collector::start().await;
    let stack = traced(&collector).await;
    let client = stack.client();
    let room = client.register(json!({})).await;
    let reserved = reserve(&client, &room, Some(format!("00-{TRACE}-{PARENT}-01"))).await;
    reserved.expect(201);
    client.sees(&room, &reserved.token()).await;

    let spans = collector.spans(TRACE, 4).await;
    assert_eq!(spans.len(), 4, "{spans:#?}");
    let (service, request) = named(&spans, "POST /v1/rooms/{room}/reservations");
    assert_eq!((service.as_str(), request.kind()), ("command-service", SpanKind::Server));
    assert_eq!(hex(&request.parent_span_id), PARENT);
    for (name, service, kind) in [
        ("decide and commit", "command-service", SpanKind::Internal),
        ("publish", "command-service", SpanKind::Producer),
        ("apply", "query-service", SpanKind::Consumer),
    ] {
        let (of, span) = named(&spans, name);
        assert_eq!((of.as_str(), span.kind()), (service, kind), "{name}");
        assert_eq!(hex(&span.parent_span_id), hex(&request.span_id), "{name}");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{name}");
    }
    for (_, span) in &spans {
        assert!(span.status.as_ref().is_none_or(|status| status.code() != StatusCode::Error), "{span:#?}");
        let text = format!("{span:?}");
        assert!(!text.contains(client.name()) && !text.contains(&room.name), "{text}");
    }
    let carried = format!("00-{TRACE}-{}-01", hex(&request.span_id));
    assert_eq!(of_latest_event(&client, &room).await, Some(carried));
}

#[tokio::test]
async fn a_request_without_a_trace_begins_one_and_a_client_may_say_that_it_is_not_traced() {
    let collector = Collector::start().await;
    let stack = traced(&collector).await;
    let client = stack.client();
    let (room, other) = (client.register(json!({})).await, client.register(json!({})).await);
    reserve(&client, &room, None).await.expect(201);
    let begun = of_latest_event(&client, &room).await.unwrap();
    let spans = collector.spans(begun.split('-').nth(1).unwrap(), 4).await;
    let (_, request) = named(&spans, "POST /v1/rooms/{room}/reservations");
    assert_eq!(hex(&request.parent_span_id), "");

    let untraced = format!("00-{TRACE}-{PARENT}-00");
    let reserved = reserve(&client, &other, Some(untraced.clone())).await;
    reserved.expect(201);
    client.sees(&other, &reserved.token()).await;
    assert_eq!(of_latest_event(&client, &other).await, Some(untraced));
    // A later trace would come later.
    client.get(&other.path()).header("traceparent", &format!("00-{}1-{PARENT}-01", &TRACE[1..])).send().await;
    collector.spans(&format!("{}1", &TRACE[1..]), 1).await;
    assert_eq!(collector.spans(TRACE, 0).await, []);
}

#[tokio::test]
async fn a_collector_that_is_gone_does_no_harm() {
    let collector = Collector::start().await;
    let mut stack = traced(&collector).await;
    let client = stack.client();
    drop(collector);
    for _ in 0..20 {
        let room = client.register(json!({})).await;
        let reserved = reserve(&client, &room, None).await;
        reserved.expect(201);
        client.sees(&room, &reserved.token()).await;
    }
    let servers = stack.commands.iter_mut().chain(&mut stack.queries);
    let ends = futures_util::future::join_all(servers.map(Server::stop)).await;
    assert!(ends.iter().all(std::process::ExitStatus::success), "{ends:?}");
}
