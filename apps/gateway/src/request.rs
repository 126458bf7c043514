//! Around every request: its id, its line in the log, headers that every answer has.
//!
//! Must stay true: one line per request, without query, body, token or any header that could hold a secret.

use std::{net::IpAddr, time::Instant};

use actix_web::{
    Error as ActixError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};
use crm_kernel::Error;
use uuid::Uuid;

use crate::{current, problem::Problem, services::Services};

/// The middleware.
///
/// # Errors
/// Those of the inner service.
pub async fn around<B: MessageBody + 'static>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, ActixError> {
    let started = Instant::now();
    let id = accepted_id(&request).unwrap_or_else(|| Uuid::now_v7().to_string());
    let (method, path) = (request.method().clone(), request.match_pattern().unwrap_or_else(|| "-".into()));
    let address = address(&request);
    current::scope(id.clone(), address, async move {
        let mut response = next.call(request).await?;
        let (organization, user) = current::caller();
        let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
        let status = response.status().as_u16();
        log_error(&response, &id);
        tracing::info!(request_id = %id, %method, path, status, milliseconds, organization, user, "request");
        stamp(&mut response, &id);
        Ok(response)
    })
    .await
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
fn log_error<B>(response: &ServiceResponse<B>, id: &str) {
    let Some(problem) = response.response().error().and_then(|error| error.as_error::<Problem>()) else { return };
    match &problem.0 {
        error @ Error::Internal(_) => tracing::error!(request_id = %id, %error, "internal error"),
        error @ Error::Unavailable(_) => tracing::warn!(request_id = %id, %error, "unavailable"),
        error => tracing::debug!(request_id = %id, %error, "refused"),
    }
}

fn stamp<B>(response: &mut ServiceResponse<B>, id: &str) {
    let headers = response.headers_mut();
    let fixed = [("x-content-type-options", "nosniff"), ("cache-control", "no-store"), ("referrer-policy", "no-referrer")];
    for (name, value) in fixed {
        if !headers.contains_key(name) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
}
