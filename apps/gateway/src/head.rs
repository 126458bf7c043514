//! Bounds of a request's head: how long an address and how many headers are looked at.
//!
//! The HTTP library beneath has bounds of its own, 128 KiB and 96 headers, and ends the connection beyond them; these are the ones
//! that clients are told of.

use actix_web::{dev::ServiceRequest, http::StatusCode};

use crate::problem::problem;

/// Characters of an address with its query. A filter of 4,000 characters fits, whatever is escaped in it.
const LONGEST_ADDRESS: usize = 16 * 1024;
/// Headers of a request; browsers and proxies send about 30.
const MOST_HEADERS: usize = 64;
/// Bytes of all headers, names included. A token may have 8192.
const LARGEST_HEADERS: usize = 32 * 1024;

/// Refuses a head that is out of bounds.
///
/// # Errors
/// 414 or 431.
pub fn check(request: &ServiceRequest) -> Result<(), actix_web::Error> {
    let refuse = |status, code, title, detail: String| {
        let answer = problem(status, code, title, &detail, &[]);
        Err(actix_web::error::InternalError::from_response(code, answer).into())
    };
    let length = request.uri().path().len() + request.uri().query().map_or(0, str::len);
    if length > LONGEST_ADDRESS {
        let detail = format!("an address may have {LONGEST_ADDRESS} characters: long questions can be sent with POST …/search");
        return refuse(StatusCode::URI_TOO_LONG, "address_too_long", "Address too long", detail);
    }
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > MOST_HEADERS || bytes > LARGEST_HEADERS {
        let detail = format!("a request may have {MOST_HEADERS} headers of {LARGEST_HEADERS} bytes together");
        return refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", "Headers too large", detail);
    }
    Ok(())
}
