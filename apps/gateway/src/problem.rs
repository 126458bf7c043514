//! Errors as RFC 9457 `application/problem+json`: the one place where an error gets a status and a stable code.
//!
//! Must stay true: nothing internal is shown; the inside text goes to the log once, with the request id.

use std::borrow::Cow;

use actix_web::{HttpRequest, HttpResponse, ResponseError, http::StatusCode};
use crm_kernel::{Error, FieldError};
use paperclip::v2::schema::Apiv2Errors;
use serde_json::{Map, Value, json};

use crate::{current, policy};

/// An error on its way out.
#[derive(Debug)]
pub struct Problem(pub Error);

/// What a handler returns.
pub type Answer<T> = Result<T, Problem>;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

// The document of the API gets its problem answers in one place, `openapi::finish`.
impl Apiv2Errors for Problem {}

/// Status, stable code and title of every kind of error.
fn kind(error: &Error) -> (StatusCode, &'static str, &'static str) {
    match error {
        Error::Part { reason, .. } => kind(reason),
        Error::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed", "The request cannot be understood"),
        Error::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "unauthenticated", "Valid credentials are needed"),
        Error::NotLinked => (StatusCode::FORBIDDEN, "not_linked", "This external identity is not linked"),
        Error::SecondFactorMissing => {
            (StatusCode::UNAUTHORIZED, "second_factor_required", "A code of the second factor is needed")
        }
        Error::SecondFactorRequired => (StatusCode::FORBIDDEN, "second_factor_required", "A second factor is needed"),
        Error::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
        Error::NotFound(_) => (StatusCode::NOT_FOUND, "not_found", "Not found"),
        Error::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Collides with something that exists"),
        Error::Stale(_) => (StatusCode::PRECONDITION_FAILED, "stale", "Changed meanwhile"),
        Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Some values cannot be accepted"),
        Error::TooCostly(_) => (StatusCode::UNPROCESSABLE_ENTITY, "too_costly", "This question would read too much"),
        Error::Limited { .. } => (StatusCode::TOO_MANY_REQUESTS, "limited", "Too many requests"),
        Error::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again later"),
        Error::TooSlow(_) => (StatusCode::SERVICE_UNAVAILABLE, "question_too_slow", "The database took too long"),
        Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side"),
    }
}

/// The sentence for this case, and the fields at fault.
fn explanation(error: &Error) -> (String, Cow<'_, [FieldError]>) {
    match error {
        Error::Malformed(fields) | Error::Invalid(fields) | Error::Conflict(fields) | Error::TooCostly(fields) => {
            (sentences(fields), fields.into())
        }
        Error::Part { pointer, reason } => in_part(pointer, reason),
        Error::Unauthenticated(reason) | Error::Forbidden(reason) => (reason.to_string(), Cow::default()),
        Error::NotLinked => (
            "log in another way and link it with POST /api/v1/auth/identities, or accept an invitation with it".into(),
            Cow::default(),
        ),
        Error::SecondFactorMissing => {
            ("send `code`: the code that your device shows now, or a recovery code".into(), Cow::default())
        }
        Error::SecondFactorRequired => (
            "a second factor is needed here: enrol with POST /api/v1/auth/second-factor and confirm it, or give a code \
             at /api/v1/auth/second-factor/verify or when you log in"
                .into(),
            Cow::default(),
        ),
        Error::NotFound(what) => (format!("there is no such {what}"), Cow::default()),
        Error::Stale(what) => (format!("the {what} has another version by now: read it again"), Cow::default()),
        Error::Limited { retry_after_seconds } => (format!("try again in {retry_after_seconds} seconds"), Cow::default()),
        Error::Unavailable(_) => ("something this request needs is away for the moment".into(), Cow::default()),
        Error::TooSlow(_) => (
            "this did not finish in the time that a question may take; narrow it: fewer conditions joined by OR, a condition on an \
             indexed field beside `~`, a shorter span of time, a smaller `limit`, no `count=true`"
                .into(),
            Cow::default(),
        ),
        Error::Internal(_) => ("the request id helps us find out what".into(), Cow::default()),
    }
}

/// What is wrong with a part, with pointers into the whole; where no field is at fault, the part itself is.
fn in_part<'a>(pointer: &str, reason: &Error) -> (String, Cow<'a, [FieldError]>) {
    let (detail, fields) = explanation(reason);
    let moved = |field: &FieldError| FieldError { pointer: format!("{pointer}{}", field.pointer), ..field.clone() };
    let mut fields: Vec<FieldError> = fields.iter().map(moved).collect();
    if fields.is_empty() {
        fields.push(FieldError::new(pointer, kind(reason).1, detail));
    }
    (sentences(&fields), fields.into())
}

fn sentence(field: &FieldError) -> String {
    if field.pointer.is_empty() { field.message.clone() } else { format!("{}: {}", field.pointer, field.message) }
}

/// Characters of the sentence that sums up all bad fields.
const LONGEST_DETAIL: usize = 1000;

fn sentences(fields: &[FieldError]) -> String {
    let sentences: Vec<String> = fields.iter().map(sentence).collect();
    let whole = sentences.join("; ");
    // The fields below say all of it; this is for reading.
    match whole.char_indices().nth(LONGEST_DETAIL) {
        Some((end, _)) => format!("{}…", whole.get(..end).unwrap_or_default()),
        None => whole,
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        kind(&self.0).0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, code, title) = kind(&self.0);
        let (detail, fields) = explanation(&self.0);
        let mut answer = problem(status, code, title, &detail, &fields);
        match &self.0 {
            Error::Unauthenticated(_) | Error::SecondFactorMissing => header(&mut answer, "www-authenticate", "Bearer"),
            Error::Limited { retry_after_seconds } => header(&mut answer, "retry-after", &retry_after_seconds.to_string()),
            Error::TooSlow(_) => header(&mut answer, "retry-after", "10"),
            Error::Unavailable(_) => header(&mut answer, "retry-after", "1"),
            _ => {}
        }
        answer
    }
}

/// A problem answer with this content.
#[must_use]
pub fn problem(status: StatusCode, code: &str, title: &str, detail: &str, fields: &[FieldError]) -> HttpResponse {
    let body = Value::Object(body(status, code, title, detail, fields));
    HttpResponse::build(status).content_type("application/problem+json").body(body.to_string())
}

fn body(status: StatusCode, code: &str, title: &str, detail: &str, fields: &[FieldError]) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("type".into(), json!(format!("urn:crm:problem:{code}")));
    body.insert("title".into(), json!(title));
    body.insert("status".into(), json!(status.as_u16()));
    body.insert("code".into(), json!(code));
    body.insert("detail".into(), json!(detail));
    body.insert("request_id".into(), json!(current::id()));
    if !fields.is_empty() {
        body.insert("errors".into(), json!(fields));
    }
    body
}

/// The status of an error, and what a problem answer would say of it: for one that concerns a part of a request.
#[must_use]
pub fn of_part(error: &Error) -> (StatusCode, Map<String, Value>) {
    let (status, code, title) = kind(error);
    if status.is_server_error() {
        tracing::error!(request_id = current::id(), %error, "a part of the request failed");
    }
    let (detail, fields) = explanation(error);
    (status, body(status, code, title, &detail, &fields))
}

fn header(answer: &mut HttpResponse, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        answer.headers_mut().insert(actix_web::http::header::HeaderName::from_static(name), value);
    }
}

/// Where no route matched: an address that leads nowhere, or one that does not take this method.
pub async fn no_route(request: HttpRequest) -> HttpResponse {
    let mut allowed: Vec<&str> = policy::methods_at(request.path()).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.sort_unstable();
    allowed.dedup();
    if allowed.is_empty() {
        return problem(StatusCode::NOT_FOUND, "not_found", "Not found", "there is nothing at this address", &[]);
    }
    let detail = format!("this address takes {}", allowed.join(", "));
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", &detail, &[]);
    header(&mut answer, "allow", &allowed.join(", "));
    answer
}
