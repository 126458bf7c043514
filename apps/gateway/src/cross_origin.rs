//! Pages of other origins that may call from a browser (CORS): those that configuration names, none otherwise.
//!
//! Must stay true: never every origin, and never with cookies: a token is sent by the page itself or not at all.

use actix_cors::Cors;
use actix_web::{
    http::{Method, header},
    middleware::Condition,
};

use crate::{configuration::Origins, openapi};

/// What a page may send.
const SENT: [&str; 7] =
    ["authorization", "content-type", "if-match", "if-none-match", "idempotency-key", "x-request-id", "traceparent"];
/// For how many seconds a browser need not ask again.
const REMEMBERED: usize = 3600;

/// The wrapper for these origins; it does nothing where there are none.
#[must_use]
pub fn wrapper(origins: &Origins) -> Condition<Cors> {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let allowed = origins.0.iter().fold(Cors::default(), |cors, origin| cors.allowed_origin(origin));
    let cors = allowed
        .allowed_methods(methods)
        .allowed_headers(SENT.map(header::HeaderName::from_static))
        // What a page may read beside what it may always read: all that the document names.
        .expose_headers(openapi::header_names())
        .max_age(REMEMBERED);
    Condition::new(!origins.0.is_empty(), cors)
}
