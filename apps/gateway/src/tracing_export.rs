//! Traces for an OpenTelemetry collector: one span for each request, below the caller's when it sent `traceparent`.
//!
//! Must stay true: a span has what the request's line in the log has and no more; a collector that is slow or away delays nobody, its
//! spans are dropped.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use async_trait::async_trait;
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator},
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

/// Spans with this target are exported, and nothing else is.
pub const TARGET: &str = "crm_gateway::request_span";

/// How long the collector may take for a batch, and for the last one when the program ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether this is an address of a collector; says nothing of what is in it.
///
/// # Errors
/// When it is not.
pub fn check(url: &str) -> Result<(), String> {
    let url: reqwest::Url = url.parse().map_err(|_| "not an address such as http://collector.example.com:4318")?;
    if matches!(url.scheme(), "http" | "https") { Ok(()) } else { Err("neither http nor https".into()) }
}

/// Exports to the collector at this address, by HTTP and protobuf.
///
/// # Errors
/// When no exporter can be made for it.
pub fn provider(endpoint: &str) -> Result<SdkTracerProvider, String> {
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
    let client = Client { http: client.map_err(|error| error.to_string())?, runtime: Handle::current() };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(PATIENCE)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()
        .map_err(|error| error.to_string())?;
    let resource = Resource::builder()
        .with_service_name("crm-gateway")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// Sends what is left. Blocks for a few seconds at most.
pub fn finish(provider: &SdkTracerProvider) {
    if let Err(error) = provider.shutdown_with_timeout(PATIENCE) {
        tracing::warn!(%error, "the last traces were not sent");
    }
}

/// The layer of the log that makes spans of ours to spans of the collector.
pub fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let only_ours = filter_fn(|metadata: &Metadata<'_>| metadata.is_span() && metadata.target() == TARGET);
    tracing_opentelemetry::layer().with_tracer(provider.tracer("crm-gateway")).with_filter(only_ours)
}

/// The span of a request, below the caller's if its headers name one.
pub fn request_span(method: &str, route: &str, operation: &str, request_id: &str, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        crm.operation = operation,
        crm.request_id = request_id,
        crm.organization = tracing::field::Empty,
    );
    if !span.is_disabled() {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        // A span that has begun cannot be given a parent; this one has not.
        let _ = span.set_parent(parent);
    }
    span
}

/// Writes into the span how the request ended.
pub fn note_end(span: &Span, status: u16, organization: &str) {
    span.record("http.response.status_code", status);
    span.record("crm.organization", organization);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// The trace that a span belongs to, for the log; empty where traces go nowhere.
#[must_use]
pub fn trace_id(span: &Span) -> String {
    let context = span.context();
    let span_context = context.span().span_context().clone();
    if span_context.is_valid() { span_context.trace_id().to_string() } else { String::new() }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

/// The client that is there anyway. The exporter calls it from a thread of its own, which knows no runtime.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move {
            let answer = http.execute(request).await?;
            let status = answer.status();
            // What a collector says beside its status is of no use here.
            Ok::<_, reqwest::Error>(status)
        });
        let status = sent.await??;
        Ok(Response::builder().status(status).body(Bytes::new())?)
    }
}
