//! JSON bodies: bounded, typed, with every bad field named at once by its pointer.
//!
//! Must stay true: a body of more than 2 MiB (8 MiB for many records) or nested deeper than 64 is refused before it is understood; unknown fields
//! are refused by name, because a field that is silently ignored looks like one that was saved, and so are names that are there
//! twice.

use std::{future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{Method, header::CONTENT_TYPE},
    web::{Bytes, Data},
};
use crm_kernel::{Error, FieldError, Result};
use futures_util::StreamExt;
use paperclip::{
    actix::OperationModifier,
    v2::{
        models::{DefaultOperationRaw, DefaultSchemaRaw},
        schema::Apiv2Schema,
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    json::{self, Objects},
    openapi::rules,
    problem::{Problem, problem},
    services::Services,
};

/// How large a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Bytes, in MiB.
    mebibytes: usize,
    /// Values: every one becomes an object in memory many times its size. Counted by the characters that separate them, those inside
    /// texts included, so the true bound is a little lower.
    most_values: usize,
}

impl Bound {
    /// Of what describes one record or one question.
    pub const ONE_RECORD: Self = Self { mebibytes: 2, most_values: 50_000 };
    /// Of what describes a thousand records.
    pub const MANY_RECORDS: Self = Self { mebibytes: 8, most_values: 200_000 };

    fn bytes(self) -> usize {
        self.mebibytes * 1024 * 1024
    }
}

/// Bad fields that are named; whoever sends more is told the first ones.
const MOST_ERRORS: usize = 50;

/// Something a client sends, with rules for its values.
pub trait Input: DeserializeOwned + Apiv2Schema {
    /// How large a body of this kind may be.
    const BOUND: Bound = Bound::ONE_RECORD;

    /// Every value that breaks a rule of its own, without looking at anything else.
    ///
    /// # Errors
    /// `Invalid` with all of them.
    fn check(&self) -> Result<()>;
}

/// A JSON body as `T`.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A JSON body that is a new record or, if the record is there, a change to it: it must be right as both.
#[derive(Debug)]
pub struct EitherBody<New, Changes> {
    /// The record, if there is none.
    pub new: New,
    /// The change, if there is one.
    pub changes: Changes,
}

/// SHA-256 of the body that came with a request, for whoever compares bodies.
#[derive(Debug, Clone, Copy)]
pub struct BodyHash(pub [u8; 32]);

impl<T: Input + 'static> FromRequest for Body<T> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let value = received(request.clone(), payload.take(), T::BOUND);
        Box::pin(async move { Ok(Self(typed(value.await?).map_err(Problem)?)) })
    }
}

impl<New: Input + 'static, Changes: Input + 'static> FromRequest for EitherBody<New, Changes> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let value = received(request.clone(), payload.take(), New::BOUND);
        Box::pin(async move {
            let value = value.await?;
            let changes = typed(value.clone()).map_err(Problem)?;
            Ok(Self { new: typed(value).map_err(Problem)?, changes })
        })
    }
}

/// The JSON object that a request brings.
async fn received(request: HttpRequest, mut payload: Payload, bound: Bound) -> Result<Value, actix_web::Error> {
    is_json(&request)?;
    let patience = request.app_data::<Data<Services>>().map(|services| services.front.patience).unwrap_or_default().body;
    let bytes = tokio::time::timeout(patience, read(&request, &mut payload, bound)).await.map_err(|_| too_slow())??;
    if request.headers().contains_key(crate::once::HEADER) {
        request.extensions_mut().insert(BodyHash(Sha256::digest(&bytes).into()));
    }
    Ok(parse(&bytes, bound).map_err(Problem)?)
}

fn is_json(request: &HttpRequest) -> Result<(), actix_web::Error> {
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let header = header.to_ascii_lowercase();
    let mut parts = header.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let is_patch = request.method() == Method::PATCH;
    // White space around the sign is against the grammar, but what it says counts all the same.
    let said = parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| name.trim_end() == "charset");
    let is_utf8 = said.map(|(_, value)| value.trim_start()).all(|value| matches!(value.trim_matches('"'), "utf-8" | "utf8"));
    if is_utf8 && (kind == "application/json" || is_patch && kind == "application/merge-patch+json") {
        return Ok(());
    }
    let status = actix_web::http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let wanted = if is_patch { "application/json or application/merge-patch+json" } else { "application/json" };
    let detail = format!("Content-Type: send a body of type {wanted}, in UTF-8");
    let answer = problem(status, "unsupported_media_type", "Unsupported media type", &detail, &[]);
    Err(actix_web::error::InternalError::from_response("media type", answer).into())
}

fn too_slow() -> actix_web::Error {
    let status = actix_web::http::StatusCode::REQUEST_TIMEOUT;
    let mut answer = problem(status, "too_slow", "Request timeout", "the body did not arrive in time", &[]);
    answer.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    actix_web::error::InternalError::from_response("too slow", answer).into()
}

async fn read(request: &HttpRequest, payload: &mut Payload, bound: Bound) -> Result<Bytes, actix_web::Error> {
    let too_large = || {
        let status = actix_web::http::StatusCode::PAYLOAD_TOO_LARGE;
        let detail = format!("this body may have {} MiB at most", bound.mebibytes);
        let answer = problem(status, "too_large", "Body too large", &detail, &[]);
        actix_web::Error::from(actix_web::error::InternalError::from_response("too large", answer))
    };
    let announced = request.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > bound.bytes()) {
        return Err(too_large());
    }
    let mut bytes = actix_web::web::BytesMut::with_capacity(announced.unwrap_or(1024).min(16 * 1024));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem(Error::malformed("", "body", "the body ended early or is badly encoded")))?;
        if bytes.len() + chunk.len() > bound.bytes() {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn parse(bytes: &[u8], bound: Bound) -> Result<Value> {
    let separators = bytes.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    if separators > bound.most_values {
        let message = format!("this body may have {} values at most", bound.most_values);
        return Err(Error::malformed("", "too_many", message));
    }
    let value = json::parse(bytes)?;
    if value.is_object() { Ok(value) } else { Err(Error::malformed("", "type", "expected a JSON object")) }
}

/// Everything that is wrong with a value as a `T` by itself; the document of the API learns the rules by it.
pub fn faults<T: Input>(value: Value) -> Vec<FieldError> {
    match typed::<T>(value).and_then(|typed| typed.check()) {
        Err(Error::Malformed(errors) | Error::Invalid(errors)) => errors,
        _ => Vec::new(),
    }
}

/// Reads the value as `T`. A field that cannot be read is noted and taken out, one that is missing is noted and put in, and
/// the rest is tried again, so that the client learns of all of them at once.
///
/// # Errors
/// `Malformed` with every field that cannot be read, and those that break a rule.
pub fn typed<T: Input>(mut value: Value) -> Result<T> {
    let mut errors: Vec<FieldError> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(Objects(&value)) {
            Ok(typed) if errors.is_empty() => return Ok(typed),
            Ok(typed) => {
                if let Err(Error::Invalid(broken)) = typed.check() {
                    errors.extend(
                        broken
                            .into_iter()
                            .filter(|broken| !errors.iter().any(|known| known.pointer == broken.pointer))
                            .collect::<Vec<_>>(),
                    );
                }
                return Err(Error::Malformed(errors));
            }
            Err(error) => field_error(&error),
        };
        // The same field again: what was put in for it does not fit either, and nothing more can be learnt.
        let again = errors.iter().any(|known| known.pointer == error.pointer);
        let mended =
            if error.code == "required" { put_in(&mut value, &error.pointer) } else { take_out(&mut value, &error.pointer) };
        if !again {
            errors.push(error);
        }
        if again || !mended || errors.len() == MOST_ERRORS {
            return Err(Error::Malformed(errors));
        }
    }
}

fn field_error(error: &serde_path_to_error::Error<serde_json::Error>) -> FieldError {
    let (pointer, message) = (pointer(error.path()), error.inner().to_string());
    if let Some(name) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        return FieldError::new(format!("{pointer}/{name}"), "required", "is required");
    }
    let code = if message.starts_with("unknown field") { "unknown" } else { "type" };
    FieldError::new(pointer, code, in_words_of_json(&message))
}

/// What the reader of JSON says, without the types of this program.
fn in_words_of_json(message: &str) -> String {
    if message.starts_with("UUID parsing failed") {
        return "expected an id (UUID)".into();
    }
    let is_type = message.starts_with("invalid type") || message.starts_with("invalid value");
    let Some((_, expected)) = message.split_once("expected ").filter(|_| is_type) else { return message.to_owned() };
    let word = match expected {
        "a string" => "text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        number if number.starts_with(['i', 'u']) && number.contains(|letter: char| letter.is_ascii_digit()) => "a whole number",
        structure if structure.starts_with("struct ") => "an object",
        other => other,
    };
    format!("expected {word}")
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", escape(key))),
            Segment::Enum { variant } => pointer.push_str(&format!("/{}", escape(variant))),
            Segment::Unknown => {}
        }
    }
    pointer
}

/// Puts something where a field is missing at the top: a text that an id can be read from as well, so that the next one is found.
fn put_in(value: &mut Value, pointer: &str) -> bool {
    let Some(name) = pointer.strip_prefix('/').filter(|name| !name.contains('/')) else { return false };
    value.as_object_mut().is_some_and(|map| map.insert(name.to_owned(), Value::String(uuid::Uuid::nil().to_string())).is_none())
}

/// Takes out the top-level field that the pointer leads into.
fn take_out(value: &mut Value, pointer: &str) -> bool {
    let Some(first) = pointer.strip_prefix('/').and_then(|rest| rest.split('/').next()) else { return false };
    let key = first.replace("~1", "/").replace("~0", "~");
    value.as_object_mut().is_some_and(|map| map.shift_remove(&key).is_some())
}

impl<T: Input> Apiv2Schema for Body<T> {
    fn name() -> Option<String> {
        T::name()
    }
    fn raw_schema() -> DefaultSchemaRaw {
        T::raw_schema()
    }
}

impl<T: Input> OperationModifier for Body<T> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        <actix_web::web::Json<T> as OperationModifier>::update_parameter(operation);
    }
    fn update_definitions(map: &mut std::collections::BTreeMap<String, DefaultSchemaRaw>) {
        <actix_web::web::Json<T> as OperationModifier>::update_definitions(map);
        rules::note::<T>();
    }
}

impl<New: Input, Changes> Apiv2Schema for EitherBody<New, Changes> {
    fn name() -> Option<String> {
        New::name()
    }
    fn raw_schema() -> paperclip::v2::models::DefaultSchemaRaw {
        New::raw_schema()
    }
}

impl<New: Input, Changes> OperationModifier for EitherBody<New, Changes> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        <actix_web::web::Json<New> as OperationModifier>::update_parameter(operation);
    }
    fn update_definitions(map: &mut std::collections::BTreeMap<String, DefaultSchemaRaw>) {
        <Body<New> as OperationModifier>::update_definitions(map);
    }
}
