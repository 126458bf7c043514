//! Validation rules that several nouns share, in the form garde calls them, and its report as field errors.
//!
//! Must stay true: pointers are JSON pointers into the body the client sent, and all bad fields are named at once.

use std::collections::HashSet;

use garde::{Path, Report};
use serde_json::Value;

use crate::{Error, FieldError, Money, Object, Result, Tags, filter::fold, text::is_invisible};

/// Runs the rules on an input.
///
/// # Errors
/// `Invalid` with every bad field.
pub fn check<T: garde::Validate<Context = ()>>(input: &T) -> Result<()> {
    input.validate().map_err(|report| Error::Invalid(field_errors(&report)))
}

/// The same together with what was found elsewhere.
///
/// # Errors
/// `Invalid` with every bad field.
pub fn check_with<T: garde::Validate<Context = ()>>(input: &T, faults: Vec<FieldError>) -> Result<()> {
    let mut all = input.validate().err().map(|report| field_errors(&report)).unwrap_or_default();
    all.extend(faults);
    if all.is_empty() { Ok(()) } else { Err(Error::Invalid(all)) }
}

/// garde's report with its Rust paths (`tags[3]`) turned into JSON pointers (`/tags/3`).
#[must_use]
pub fn field_errors(report: &Report) -> Vec<FieldError> {
    let field_error = |(path, error): &(Path, garde::Error)| {
        let (message, below) = error.message().split_once(BELOW).unwrap_or((error.message(), ""));
        let (code, message) = code(message);
        FieldError::new(format!("{}{below}", pointer(path)), code, message)
    };
    report.iter().map(field_error).collect()
}

/// Stands in a message before the pointer, from the field on, to the part of it that is wrong: a rule tells a sentence and nothing else.
const BELOW: char = '\u{1f}';

/// The same complaint about what lies one step further in.
fn inside(step: &str, error: &garde::Error) -> garde::Error {
    let (message, below) = error.message().split_once(BELOW).unwrap_or((error.message(), ""));
    garde::Error::new(format!("{message}{BELOW}/{}{below}", step.replace('~', "~0").replace('/', "~1")))
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
    // First: U+0000 is invisible as well, but that is not what is wrong with it.
    storable(text, context)?;
    if text.chars().all(|letter| letter.is_whitespace() || is_invisible(letter)) {
        return Err(garde::Error::new("required: must not be blank"));
    }
    Ok(())
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

/// At most 50 tags of 1 to 100 characters without control characters, none twice: tags that differ in case or accents alone are one.
///
/// # Errors
/// A sentence for the field.
pub fn tags(tags: &Tags, _: &()) -> garde::Result {
    if tags.0.len() > 50 {
        return Err(garde::Error::new("too_many: at most 50 tags"));
    }
    let mut known = HashSet::new();
    for (index, tag) in tags.0.iter().enumerate() {
        if tag.chars().any(char::is_control) {
            return Err(garde::Error::new(format!("character: tag {index} must not contain control characters")));
        }
        if readable(tag, &()).is_err() || tag.chars().count() > 100 {
            return Err(garde::Error::new(format!("tag: tag {index} must have 1 to 100 characters")));
        }
        if !known.insert(fold(tag.trim())) {
            return Err(garde::Error::new(format!("duplicate: tag {index} is there twice")));
        }
    }
    Ok(())
}

/// An e-mail address; see [`crate::email`].
///
/// # Errors
/// A sentence for the field.
pub fn email(text: &str, (): &()) -> garde::Result {
    if crate::email::is_address(text) { Ok(()) } else { Err(garde::Error::new("email: not an e-mail address")) }
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

/// A time zone of the IANA database, spelled as there.
///
/// # Errors
/// A sentence for the field.
pub fn time_zone(name: &str, (): &()) -> garde::Result {
    if crate::time_zone::is_known(name) { Ok(()) } else { Err(garde::Error::new("time_zone_unknown: not an IANA time zone")) }
}

/// A web address: http or https, a host, nobody's password. Written so that every program reads the same in it: no spaces, no
/// backslashes, nothing invisible.
///
/// # Errors
/// A sentence for the field.
pub fn web_address(text: &str, context: &()) -> garde::Result {
    storable(text, context)?;
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let is_plain = !text.chars().any(|letter| letter.is_whitespace() || is_invisible(letter) || letter == '\\');
    // `http:///x` and `https:x` are mended by the reader, and then mean another address than they show.
    let shows_host = text.split_once("://").is_some_and(|(_, rest)| !rest.starts_with('/'));
    if !is_plain || !shows_host || !matches!(scheme.as_deref(), Some("http" | "https")) {
        return Err(garde::Error::new("url: expected http://… or https://…"));
    }
    match url::Url::parse(text) {
        Ok(address) if address.username().is_empty() && address.password().is_none() && !holds_at(text) => Ok(()),
        Ok(_) => Err(garde::Error::new("url: must not contain a user name or password")),
        Err(_) => Err(garde::Error::new("url: expected http://… or https://…")),
    }
}

/// Whether there is an `@` where host and port stand, although nothing may be before it.
fn holds_at(address: &str) -> bool {
    let authority = address.split_once("://").map_or("", |(_, rest)| rest);
    authority.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// The bytes a JSON object of the caller's choice may have, as the database checks again.
const OBJECT_BYTES: usize = 65_536;
/// The keys it may have, as the database checks again.
const OBJECT_KEYS: usize = 200;
/// Characters of a key.
const LONGEST_KEY: usize = 100;
/// Levels of objects and lists, its own included.
const DEEPEST: usize = 16;

/// An object that can be stored: bounded, its keys readable, without U+0000.
///
/// # Errors
/// A sentence for the field.
pub fn object(object: &Object, _: &()) -> garde::Result {
    bounded(&Value::Object(object.0.clone()))
}

/// The keys an address may have; each is text of at most 255 characters.
pub const ADDRESS_KEYS: &[&str] = &["street", "city", "region", "postal_code", "country"];

/// A postal address: known keys, text values, all optional; the country by its code.
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
        match (key.as_str(), value.as_str()) {
            ("country", Some(code)) => country(code, context)?,
            ("postal_code", Some(code)) => postal_code(code)?,
            _ => {}
        }
    }
    Ok(())
}

/// The codes of the world are letters and digits with spaces and hyphens between them; which of them a country has, it changes.
fn postal_code(code: &str) -> garde::Result {
    let plain = |letter: char| letter.is_alphanumeric() || letter == ' ' || letter == '-';
    if code.chars().count() <= 20 && code.chars().all(plain) && (code.is_empty() || code.chars().any(char::is_alphanumeric)) {
        return Ok(());
    }
    Err(garde::Error::new("postal_code: at most 20 letters and digits, with spaces and hyphens between them"))
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
    if value.as_object().is_some_and(|map| map.len() > OBJECT_KEYS) {
        return Err(garde::Error::new(format!("too_many: at most {OBJECT_KEYS} keys")));
    }
    if value.to_string().len() > OBJECT_BYTES {
        return Err(garde::Error::new(format!("length: at most {OBJECT_BYTES} bytes")));
    }
    if !within(value, DEEPEST) {
        return Err(garde::Error::new(format!("depth: at most {DEEPEST} levels")));
    }
    storable_inside(value)
}

/// Whether it has so many levels of objects and lists at most.
fn within(value: &Value, levels: usize) -> bool {
    let below = |item: &Value| levels.checked_sub(1).is_some_and(|levels| within(item, levels));
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(below),
        Value::Object(map) => levels > 0 && map.values().all(below),
        _ => true,
    }
}

/// Looks at the decoded texts: in JSON, U+0000 is an escape, and so may be a backslash before the same letters. The complaint names the
/// text, or the key, and not the whole object.
fn storable_inside(value: &Value) -> garde::Result {
    match value {
        Value::String(text) => storable(text, &()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| storable_inside(item).map_err(|error| inside(&index.to_string(), &error))),
        Value::Object(map) => map.iter().try_for_each(|(name, item)| {
            let judged = key(name).and_then(|()| storable_inside(item));
            judged.map_err(|error| inside(name, &error))
        }),
        _ => Ok(()),
    }
}

fn key(name: &str) -> garde::Result {
    storable(name, &())?;
    if name.trim().is_empty() || name.chars().count() > LONGEST_KEY || name.chars().any(char::is_control) {
        return Err(garde::Error::new(format!("key: keys have 1 to {LONGEST_KEY} characters and no control characters")));
    }
    Ok(())
}
