//! Sends the spans of traced requests to an OpenTelemetry collector (OTLP over HTTP).
//!
//! Commit, delivery and projection are child spans of the request's: its trace context travels with the command's events. An
//! untraced event costs one look at its trace context; without a collector, nothing.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

pub use opentelemetry::trace::SpanKind;

use crate::kit_settings::TraceSettings;

/// Longest wait for the collector to take a batch. The last batch delays the end of the process by at most this.
const PATIENCE: Duration = Duration::from_secs(3);

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The traces of the process. Spans wait for the collector in a bounded queue; when it is full, new ones are dropped.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Starts sending spans to the collector, if the settings name one. Only the first call in a process has an effect. Must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// If the URL can't be used.
    pub fn start(service: &'static str, settings: Option<&TraceSettings>) -> anyhow::Result<Self> {
        let Some(settings) = settings else { return Ok(Self(None)) };
        let collector = Collector {
            http: reqwest::Client::builder().timeout(PATIENCE).build()?,
            runtime: tokio::runtime::Handle::current(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_endpoint(format!("{}/v1/traces", settings.endpoint))
            .with_timeout(PATIENCE)
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name(service).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.ratio))))
            .with_batch_exporter(exporter)
            .build();
        if TRACER.set(provider.tracer("room-reservations")).is_err() {
            tracing::debug!("traces were started before");
        }
        Ok(Self(Some(provider)))
    }

    /// Sends the remaining spans, for a few seconds at most.
    pub async fn finish(self) {
        let Some(provider) = self.0 else { return };
        let sent = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(PATIENCE)).await;
        if !matches!(sent, Ok(Ok(()))) {
            tracing::warn!("the last spans were not sent");
        }
    }
}

/// Sends batches with the process's HTTP client and runtime.
#[derive(Debug)]
struct Collector {
    http: reqwest::Client,
    runtime: tokio::runtime::Handle,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, request) = (self.http.clone(), reqwest::Request::try_from(request)?);
        let answered = self.runtime.spawn(async move {
            let response = http.execute(request).await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        });
        let (status, body) = answered.await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}

/// A span of work. Dropping it without [`Span::end`] marks it as failed.
#[derive(Debug)]
pub struct Span(Box<opentelemetry_sdk::trace::Span>);

impl Span {
    /// Renames the span.
    pub(crate) fn name(&mut self, name: String) {
        self.0.update_name(name);
    }

    /// Sets an attribute, which must not be personal.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(name, value));
    }

    /// Ends the span as successful.
    pub fn end(mut self) {
        self.0.end();
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        // No effect after the end.
        self.0.set_status(Status::error("not finished"));
    }
}

/// Begins the span of a request as a child of the client's, if it sent a trace context. The client decides whether the request
/// is traced, or else chance. If so, `traceparent` becomes the span's own.
pub(crate) fn request(traceparent: &mut Option<String>) -> Option<Span> {
    let tracer = TRACER.get()?;
    let parent = traceparent.as_deref().and_then(parse);
    let parent = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
    let span = tracer.span_builder("request").with_kind(SpanKind::Server).start_with_context(tracer, &parent);
    if !span.is_recording() {
        return None;
    }
    let context = span.span_context();
    *traceparent = Some(format!("00-{}-{}-01", context.trace_id(), context.span_id()));
    Some(Span(Box::new(span)))
}

/// A span of work for the request with this trace context, which began `begun` ago. `None` if the request is not traced.
#[must_use]
pub fn of_request(
    traceparent: Option<&str>,
    name: &'static str,
    kind: SpanKind,
    begun: Duration,
) -> Option<Span> {
    let tracer = TRACER.get()?;
    let parent = traceparent.and_then(parse).filter(SpanContext::is_sampled)?;
    let parent = Context::new().with_remote_span_context(parent);
    let now = opentelemetry::time::now();
    let builder = tracer.span_builder(name).with_kind(kind);
    let span =
        builder.with_start_time(now.checked_sub(begun).unwrap_or(now)).start_with_context(tracer, &parent);
    Some(Span(Box::new(span)))
}

/// Reads a `traceparent` (W3C trace context). That of a message may be anything.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_read_and_anything_else_is_none() {
        let good = parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(good.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(good.is_sampled());
        assert!(!parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").unwrap().is_sampled());
        for bad in ["", "00", "00-x-y-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "---"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_traced_where_traces_are_off() {
        let mut traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
        let sent = traceparent.clone();
        assert!(request(&mut traceparent).is_none());
        assert_eq!(traceparent, sent);
        assert!(of_request(sent.as_deref(), "work", SpanKind::Internal, Duration::ZERO).is_none());
    }
}
