//! What a call must be refused with. Each takes the rule as its last argument and says it when the rule is broken.

use std::fmt::Debug;

use crm_kernel::{Error, Result};

/// It is not there, or not the caller's to see.
#[track_caller]
pub fn not_found<T: Debug>(answer: Result<T>, rule: &str) -> Error {
    refused(answer, rule, "NotFound", |error| matches!(error, Error::NotFound(_)))
}

/// The caller may not.
#[track_caller]
pub fn forbidden<T: Debug>(answer: Result<T>, rule: &str) -> Error {
    refused(answer, rule, "Forbidden", |error| matches!(error, Error::Forbidden(_)))
}

/// Nobody known calls.
#[track_caller]
pub fn unauthenticated<T: Debug>(answer: Result<T>, rule: &str) -> Error {
    refused(answer, rule, "Unauthenticated", |error| matches!(error, Error::Unauthenticated(_)))
}

/// Changed since.
#[track_caller]
pub fn stale<T: Debug>(answer: Result<T>, rule: &str) -> Error {
    refused(answer, rule, "Stale", |error| matches!(error, Error::Stale(_)))
}

/// Not to be understood, because of this parameter.
#[track_caller]
pub fn malformed<T: Debug>(answer: Result<T>, pointer: &str, rule: &str) -> Error {
    refused(
        answer,
        rule,
        &format!("Malformed {pointer}"),
        |error| matches!(error, Error::Malformed(fields) if fields.iter().any(|field| field.pointer == pointer)),
    )
}

/// Another record has this value.
#[track_caller]
pub fn conflict<T: Debug>(answer: Result<T>, pointer: &str, rule: &str) -> Error {
    refused(
        answer,
        rule,
        &format!("Conflict {pointer}"),
        |error| matches!(error, Error::Conflict(fields) if fields.iter().any(|field| field.pointer == pointer)),
    )
}

/// A value that cannot be accepted, with the code of the reason.
#[track_caller]
pub fn invalid<T: Debug>(answer: Result<T>, pointer: &str, code: &str, rule: &str) -> Error {
    let named = |error: &Error| matches!(error, Error::Invalid(fields) if fields.iter().any(|field| field.pointer == pointer && field.code == code));
    refused(answer, rule, &format!("Invalid {pointer} {code}"), named)
}

#[track_caller]
fn refused<T: Debug>(answer: Result<T>, rule: &str, expected: &str, fits: impl FnOnce(&Error) -> bool) -> Error {
    match answer {
        Err(error) if fits(&error) => error,
        Err(error) => panic!("{rule}: expected {expected}, was refused with {error:?}"),
        Ok(value) => panic!("{rule}: expected {expected}, but it was accepted: {value:?}"),
    }
}
