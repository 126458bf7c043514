//! Validation rules that several nouns share, in the form garde calls them, and its report as field errors.
//!
//! Must stay true: pointers are JSON pointers into the body the client sent, and all bad fields are named at once.

use garde::{Path, Report};
use serde_json::Value;

use crate::{Error, FieldError, Money, Object, Result, Tags};

/// Runs the rules on an input.
///
/// # Errors
/// `Invalid` with every bad field.
pub fn check<T: garde::Validate<Context = ()>>(input: &T) -> Result<()> {
    input.validate().map_err(|report| Error::Invalid(field_errors(&report)))
}

/// garde's report with its Rust paths (`tags[3]`) turned into JSON pointers (`/tags/3`).
#[must_use]
pub fn field_errors(report: &Report) -> Vec<FieldError> {
    let field_error = |(path, error): &(Path, garde::Error)| {
        let (code, message) = code(error.message());
        FieldError::new(pointer(path), code, message)
    };
    report.iter().map(field_error).collect()
}

fn pointer(path: &Path) -> String {
    let plain = path.to_string().replace('[', ".").replace(']', "");
    plain.split('.').filter(|part| !part.is_empty()).map(|part| format!("/{part}")).collect()
}

/// A stable word and a sentence. Our own rules say `code: sentence`; for garde's prose the word is chosen here.
fn code(message: &str) -> (&str, &str) {
    match message.split_once(": ") {
        Some((code, sentence)) if code.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_') => (code, sentence),
        _ if message.contains("length") => ("length", message),
        _ if message.contains("email") => ("email", message),
        _ if message.contains("greater") || message.contains("lower") => ("range", message),
        _ => ("invalid", message),
    }
}

/// Something can be read in it, and it can be stored.
///
/// # Errors
/// A sentence for the field.
pub fn readable(text: &str, context: &()) -> garde::Result {
    if text.trim().is_empty() {
        return Err(garde::Error::new("required: must not be blank"));
    }
    storable(text, context)
}

/// PostgreSQL text holds every character but U+0000.
///
/// # Errors
/// A sentence for the field.
pub fn storable(text: &str, _: &()) -> garde::Result {
    if text.contains('\0') { Err(garde::Error::new("character: must not contain U+0000")) } else { Ok(()) }
}

/// A slug: lower case letters, digits and single hyphens between them.
///
/// # Errors
/// A sentence for the field.
pub fn slug(text: &str, _: &()) -> garde::Result {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if text.split('-').all(word) { Ok(()) } else { Err(garde::Error::new("slug: lower case letters, digits and single hyphens")) }
}

/// At most 50 tags of 1 to 100 characters, none twice.
///
/// # Errors
/// A sentence for the field.
pub fn tags(tags: &Tags, _: &()) -> garde::Result {
    let tags = &tags.0;
    if tags.len() > 50 {
        return Err(garde::Error::new("too_many: at most 50 tags"));
    }
    for (index, tag) in tags.iter().enumerate() {
        if tag.trim().is_empty() || tag.chars().count() > 100 || tag.contains('\0') {
            return Err(garde::Error::new(format!("tag: tag {index} must have 1 to 100 characters")));
        }
        if tags.iter().take(index).any(|earlier| earlier == tag) {
            return Err(garde::Error::new(format!("duplicate: tag {index} is there twice")));
        }
    }
    Ok(())
}

/// Not below zero.
///
/// # Errors
/// A sentence for the field.
pub fn not_negative(amount: &Money, _: &()) -> garde::Result {
    if amount.is_negative() { Err(garde::Error::new("range: must not be negative")) } else { Ok(()) }
}

/// A currency in use, as ISO 4217 spells it.
///
/// # Errors
/// A sentence for the field.
pub fn currency(code: &str, (): &()) -> garde::Result {
    if crate::currency::digits(code).is_some() { Ok(()) } else { Err(garde::Error::new("currency: not an ISO 4217 code in use")) }
}

/// A country, as ISO 3166-1 alpha-2 spells it.
///
/// # Errors
/// A sentence for the field.
pub fn country(code: &str, (): &()) -> garde::Result {
    if crate::country::is_known(code) { Ok(()) } else { Err(garde::Error::new("country: not an ISO 3166-1 alpha-2 code")) }
}

/// A web address: http or https with a host.
///
/// # Errors
/// A sentence for the field.
pub fn web_address(text: &str, context: &()) -> garde::Result {
    storable(text, context)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plausible = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.chars().any(char::is_whitespace));
    if plausible { Ok(()) } else { Err(garde::Error::new("url: expected http://… or https://…")) }
}

/// The bytes a JSON object of the caller's choice may have, as the database checks again.
const OBJECT_BYTES: usize = 65_536;

/// An object that can be stored: bounded, without U+0000.
///
/// # Errors
/// A sentence for the field.
pub fn object(object: &Object, _: &()) -> garde::Result {
    bounded(&Value::Object(object.0.clone()))
}

/// The keys an address may have; each is text of at most 255 characters.
pub const ADDRESS_KEYS: &[&str] = &["street", "city", "region", "postal_code", "country"];

/// A postal address: known keys, text values, all optional.
///
/// # Errors
/// A sentence for the field.
pub fn address(object: &Object, context: &()) -> garde::Result {
    self::object(object, context)?;
    for (key, value) in &object.0 {
        if !ADDRESS_KEYS.contains(&key.as_str()) {
            return Err(garde::Error::new(format!("unknown: an address has {}", ADDRESS_KEYS.join(", "))));
        }
        if !value.is_null() && value.as_str().is_none_or(|text| text.chars().count() > 255) {
            return Err(garde::Error::new(format!("address: {key} must be text of at most 255 characters")));
        }
    }
    Ok(())
}

/// A change to a JSON object, checked like the object itself.
///
/// # Errors
/// A sentence for the field.
pub fn object_change(change: &crate::ObjectChange, _: &()) -> garde::Result {
    change.patch().map_or(Ok(()), |patch| bounded(&patch))
}

/// A change to a postal address, checked like the address itself.
///
/// # Errors
/// A sentence for the field.
pub fn address_change(change: &crate::ObjectChange, context: &()) -> garde::Result {
    match change.patch() {
        Some(Value::Object(map)) => address(&Object(map), context),
        _ => Ok(()),
    }
}

fn bounded(value: &Value) -> garde::Result {
    let text = value.to_string();
    if text.len() > OBJECT_BYTES {
        return Err(garde::Error::new(format!("length: at most {OBJECT_BYTES} bytes")));
    }
    // serde_json writes U+0000 as this escape, and PostgreSQL's jsonb refuses it. An escaped backslash before it is
    // another matter, so look at the decoded strings.
    if text.contains("\\u0000") && contains_nul(value) {
        return Err(garde::Error::new("character: must not contain U+0000"));
    }
    Ok(())
}

fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(contains_nul),
        Value::Object(map) => map.iter().any(|(key, item)| key.contains('\0') || contains_nul(item)),
        _ => false,
    }
}
