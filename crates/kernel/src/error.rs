//! The one error type. Each kind is a promise about what the caller may do next; the gateway gives each its status.
//!
//! Must stay true: the texts in here may be shown to a client, except those inside `Internal`, `TooSlow` and `Unavailable`,
//! which go to the log alone. Another organisation's record is `NotFound`, with the same text as one that never was.

use std::borrow::Cow;

use serde::Serialize;

/// Result with the CRM's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be understood: a parameter, a cursor, a JSON text. HTTP 400.
    #[error("malformed: {}", list(.0))]
    Malformed(Vec<FieldError>),
    /// No proof, or no longer a valid proof, of who calls. HTTP 401.
    #[error("unauthenticated: {0}")]
    Unauthenticated(Cow<'static, str>),
    /// An external identity is proved, but linked to nobody here. HTTP 403.
    #[error("the external identity is linked to nobody")]
    NotLinked,
    /// The password was right, but the person has a second factor and gave no code of it, or none that is right. HTTP 401.
    #[error("no right code of the second factor was given")]
    SecondFactorMissing,
    /// The organisation lets in only sessions that have given a second factor, and this one has not. HTTP 403.
    #[error("the organisation requires a second factor")]
    SecondFactorRequired,
    /// The record is not there, or not the caller's to see: the two cannot be told apart. HTTP 404.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// It is there, but the caller may not do this. HTTP 403.
    #[error("forbidden: {0}")]
    Forbidden(Cow<'static, str>),
    /// The record was changed since the version the caller named. HTTP 412.
    #[error("{0} was changed meanwhile")]
    Stale(&'static str),
    /// Values that cannot be accepted: every bad field at once. HTTP 422.
    #[error("invalid: {}", list(.0))]
    Invalid(Vec<FieldError>),
    /// A part of a request that is done as a whole or not at all was refused: where it is, and why. The status is that of the reason.
    #[error("{pointer}: {reason}")]
    Part {
        /// RFC 6901 pointer to the part.
        pointer: String,
        /// What is wrong with it.
        reason: Box<Error>,
    },
    /// The question would read more than one may: what no index answers, and what to ask instead. HTTP 422.
    #[error("too costly: {}", list(.0))]
    TooCostly(Vec<FieldError>),
    /// Collides with something that exists, such as a unique value. HTTP 409.
    #[error("conflict: {}", list(.0))]
    Conflict(Vec<FieldError>),
    /// Too much; try again after this many seconds. HTTP 429.
    #[error("limited for {retry_after_seconds} s")]
    Limited {
        /// When it is worth trying again.
        retry_after_seconds: u64,
    },
    /// Something needed is away for now; trying again is right. HTTP 503. The text is for the log.
    #[error("unavailable: {}", chain(.0.as_ref()))]
    Unavailable(#[source] Source),
    /// The database did not finish a question in the time that one may take: a narrower one is needed, or a quieter hour. HTTP 503.
    /// The text is for the log.
    #[error("too slow: {}", chain(.0.as_ref()))]
    TooSlow(#[source] Source),
    /// A fault of ours. HTTP 500. The text is for the log.
    #[error("internal: {}", chain(.0.as_ref()))]
    Internal(#[source] Source),
}

/// One thing wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct FieldError {
    /// RFC 6901 pointer into the body (`/tags/3`), or the name of a query parameter or header.
    pub pointer: String,
    /// Stable word for programs: `required`, `length`, `unknown`, `unique`, or the name of a business rule.
    pub code: String,
    /// One sentence for people.
    pub message: String,
}

impl FieldError {
    /// Says what is wrong where.
    pub fn new(pointer: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: cut(pointer.into()), code: code.into(), message: cut(message.into()) }
    }
}

/// Names that a client sent come back in pointers and messages: as much of them as helps, no more.
const LONGEST_ECHO: usize = 500;

fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST_ECHO) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

impl Error {
    /// A single bad field.
    pub fn invalid(pointer: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, code, message)])
    }

    /// A single parameter that cannot be understood.
    pub fn malformed(pointer: impl Into<String>, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Malformed(vec![FieldError::new(pointer, code, message)])
    }

    /// The caller may not do this.
    pub fn forbidden(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Forbidden(reason.into())
    }

    /// The caller is not known, or no longer.
    pub fn unauthenticated(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Unauthenticated(reason.into())
    }

    /// A fault of ours, with the cause for the log.
    pub fn internal(cause: impl Into<Source>) -> Self {
        Self::Internal(cause.into())
    }

    /// Not finished in time, with the cause for the log.
    pub fn too_slow(cause: impl Into<Source>) -> Self {
        Self::TooSlow(cause.into())
    }

    /// Something needed is away, with the cause for the log.
    pub fn unavailable(cause: impl Into<Source>) -> Self {
        Self::Unavailable(cause.into())
    }
}

/// An error with its causes: the outermost one alone is often no more than "db error".
fn chain(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

fn list(errors: &[FieldError]) -> String {
    let parts: Vec<String> = errors.iter().map(|error| format!("{} {}: {}", error.pointer, error.code, error.message)).collect();
    parts.join("; ")
}
