//! Around every request: its id, its line in the log, headers that every answer has.
//!
//! Must stay true: one line per request, without query, body, token or any header that could hold a secret.

use std::{net::IpAddr, sync::Arc, time::Instant};

use actix_web::{
    Error as ActixError, HttpResponse,
    body::MessageBody,
    dev::{ResponseHead, ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        ConnectionType, Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use crm_kernel::Error;
use crm_tenancy::fault::Fault;
use tokio::time::timeout;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::{
    connection::Watch, contract, current, head, limits, policy, problem::Problem, server::Transport, services::Services,
    spelling, tracing_export,
};

/// The middleware.
///
/// # Errors
/// Those of the inner service.
pub async fn around<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, ActixError> {
    let _under_way = request.conn_data::<Arc<Watch>>().map(Watch::begin);
    let services = request.app_data::<Data<Services>>().cloned();
    let id = accepted_id(&request).unwrap_or_else(|| Uuid::now_v7().to_string());
    let address = address(&request);
    let method = request.method().clone();
    spelling::settle(&mut request);
    let seen = Seen::of(&request, method);
    let takes_over = contract::takes_over(request.headers());
    let front = services.as_ref().map(|services| services.front.clone()).unwrap_or_default();
    let span = tracing_export::request_span(seen.method.as_str(), &seen.route, seen.operation, &id, request.headers());
    let inner = span.clone();
    current::scope(id.clone(), address, async move {
        let answered = match head::check(&request) {
            Ok(()) => timeout(front.patience.request, next.call(request)).await.unwrap_or_else(|_| Err(too_slow())),
            Err(refusal) => Err(refusal),
        };
        let stamp = |head: &mut ResponseHead| {
            stamp(head.headers_mut(), &id, front.transport);
            // The next request of this client shall find another process; of one that wanted to go on in another language, there is none.
            if takes_over || services.as_ref().is_some_and(|services| services.readiness.is_ending()) {
                head.set_connection_type(ConnectionType::Close);
            }
        };
        match answered {
            Ok(mut response) => {
                seen.tell(
                    response.status().as_u16(),
                    problem_in(response.response()),
                    &id,
                    &inner,
                    services.as_ref().map(Data::get_ref),
                );
                stamp(response.response_mut().head_mut());
                Ok(response)
            }
            // What no inner wrapper has made an answer of becomes one here, where the request is still known.
            Err(error) => {
                let mut response = error.error_response();
                seen.tell(
                    response.status().as_u16(),
                    error.as_error::<Problem>(),
                    &id,
                    &inner,
                    services.as_ref().map(Data::get_ref),
                );
                stamp(response.head_mut());
                Err(InternalError::from_response("refused", response).into())
            }
        }
    })
    .instrument(span)
    .await
}

fn too_slow() -> ActixError {
    Problem(Error::too_slow("the request took longer than CRM_REQUEST_SECONDS")).into()
}

/// What is noted of a request before it goes on its way.
struct Seen {
    began: Instant,
    method: Method,
    /// The pattern of its address: without ids, without a query.
    route: String,
    operation: &'static str,
}

impl Seen {
    /// `method` is the one that was sent.
    fn of(request: &ServiceRequest, method: Method) -> Self {
        let route = request.match_pattern().unwrap_or_else(|| "-".into());
        let operation = policy::find(request.method(), &route).map_or("-", |operation| operation.name);
        Self { began: Instant::now(), method, route, operation }
    }

    /// The lines in the log, and the numbers.
    fn tell(&self, status: u16, problem: Option<&Problem>, id: &str, span: &Span, services: Option<&Services>) {
        let (organization, user) = current::caller();
        let took = self.began.elapsed();
        let milliseconds = took.as_secs_f64() * 1000.0;
        let (method, path, operation) = (&self.method, &self.route, self.operation);
        let trace_id = tracing_export::trace_id(span);
        log_error(problem, id);
        tracing::info!(request_id = %id, %method, path, operation, status, milliseconds, organization, user, trace_id, "request");
        tracing_export::note_end(span, status, &organization);
        let Some(services) = services else { return };
        services.metrics.note_request(self.operation, &self.method, status, took);
        if status == 429 {
            let levels = current::levels();
            let full = levels.iter().find(|level| level.standing.retry_after > 0);
            services.metrics.note_limited(full.map_or("other", |level| level.name));
        }
        if let Some(fault) = problem.and_then(|problem| Fault::of(&problem.0)) {
            services.metrics.note_fault(fault);
        }
    }
}

fn problem_in<B>(response: &HttpResponse<B>) -> Option<&Problem> {
    response.error().and_then(|error| error.as_error::<Problem>())
}

/// Where it comes from.
fn address(request: &ServiceRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    let services = request.app_data::<Data<Services>>();
    Some(services.map_or(peer, |services| services.trusted_proxies.client(peer, request.headers())))
}

/// A client's own request id, if it can stand in a header and a log line.
fn accepted_id(request: &ServiceRequest) -> Option<String> {
    let text = request.headers().get("x-request-id")?.to_str().ok()?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    (!text.is_empty() && text.len() <= 128 && text.chars().all(plain)).then(|| text.to_owned())
}

/// The inside text of an error, once.
fn log_error(problem: Option<&Problem>, id: &str) {
    let Some(problem) = problem else { return };
    match &problem.0 {
        error @ Error::Internal(_) => tracing::error!(request_id = %id, %error, "internal error"),
        error @ Error::TooSlow(_) => tracing::warn!(request_id = %id, %error, "too slow"),
        error @ Error::Unavailable(_) => tracing::warn!(request_id = %id, %error, "unavailable"),
        error => tracing::debug!(request_id = %id, %error, "refused"),
    }
}

/// Headers that every answer has: what is answered is data, never a page.
const FIXED: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "same-site"),
];
/// Two years, as the lists of browsers ask for.
const ENCRYPTED: (&str, &str) = ("strict-transport-security", "max-age=63072000; includeSubDomains");

fn stamp(headers: &mut HeaderMap, id: &str, transport: Transport) {
    let encrypted = (transport == Transport::Encrypted).then_some(ENCRYPTED);
    for (name, value) in FIXED.into_iter().chain(encrypted) {
        if !headers.contains_key(name) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    let mut told = vec![("x-request-id", id.to_owned())];
    let levels = current::levels();
    if !levels.is_empty() {
        told.push(("ratelimit-policy", limits::policy_header(&levels)));
        told.push(("ratelimit", limits::level_header(&levels)));
    }
    for (name, value) in told {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
