//! One operation of a bulk call, as it is written.

use crm_kernel::{Error, Expected, FieldError, Object, Result};
use crm_tenancy::bulk::{self, Key, Operation};
use paperclip::actix::Apiv2Schema;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Noun, below, external_id};
use crate::body::{Input, typed};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Apiv2Schema)]
#[serde(rename_all = "lowercase")]
enum Verb {
    Create,
    Update,
    Delete,
    Upsert,
}

/// An operation.
#[derive(Debug, Clone, Deserialize, Apiv2Schema)]
#[serde(deny_unknown_fields)]
struct Written {
    op: Verb,
    #[serde(default)]
    id: Option<Uuid>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    version: Option<i32>,
    #[serde(default)]
    data: Option<Object>,
}

impl Input for Written {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Understands it.
///
/// # Errors
/// `Malformed` and `Invalid`, with pointers into the operation.
pub(super) fn read<N: Noun>(written: Map<String, Value>) -> Result<Operation<N::Bulk>> {
    let written: Written = typed(Value::Object(written))?;
    let expected = written.version.map_or(Expected::Any, |version| Expected::OneOf(vec![version]));
    let named = written.id.is_some() || written.source.is_some() || written.external_id.is_some() || written.key.is_some();
    if written.key.is_some() && <N::Bulk as bulk::Noun>::NATURAL_KEY.is_none() {
        let message = "these records have no key of their own: use id, or source and external_id";
        return Err(Error::malformed("/key", "unknown", message));
    }
    if written.op == Verb::Create && (named || written.version.is_some()) {
        let message = "a record that is created has no key and no version yet; its id may be in data";
        return Err(Error::malformed("/op", "either_or", message));
    }
    if written.op == Verb::Delete && written.data.is_some() {
        return Err(Error::malformed("/data", "unknown", "nothing is written when a record is deleted"));
    }
    match written.op {
        Verb::Create => Ok(Operation::Create(Box::new(data(&written)?))),
        Verb::Update => Ok(Operation::Update(key(&written)?, expected, Box::new(data(&written)?))),
        Verb::Delete => Ok(Operation::Delete(key(&written)?, expected)),
        Verb::Upsert => {
            let key = key(&written)?;
            Ok(Operation::Upsert(key, expected, Box::new(data(&written)?), Box::new(data(&written)?)))
        }
    }
}

fn data<T: Input>(written: &Written) -> Result<T> {
    let Some(Object(data)) = written.data.clone() else {
        return Err(Error::malformed("/data", "required", "is required"));
    };
    typed(Value::Object(data)).map_err(|error| below("/data", error))
}

fn key(written: &Written) -> Result<Key> {
    match (written.id, &written.source, &written.external_id, &written.key) {
        (Some(id), None, None, None) => Ok(Key::Id(id)),
        (None, Some(source), Some(id), None) => external_id(source.clone(), id.clone()).map(Key::External),
        (None, None, None, Some(key)) if !key.contains('\0') => Ok(Key::Natural(key.clone())),
        _ => {
            let message = "name the record in one way: id, or source and external_id, or key";
            Err(Error::malformed("", "either_or", message))
        }
    }
}

/// What a noun says about a value, as a complaint about an operation: values are in its data.
pub(super) fn in_data(error: Error) -> Error {
    let about_data = |field: &FieldError| !["/key", "/source", "/external_id"].contains(&field.pointer.as_str());
    match &error {
        Error::Malformed(fields) | Error::Invalid(fields) | Error::Conflict(fields) if fields.iter().all(about_data) => {
            below("/data", error)
        }
        _ => error,
    }
}

/// The same complaint, as one about the call: which of its operations is at fault.
pub(super) fn at(index: usize, error: Error) -> Error {
    Error::Part { pointer: format!("/operations/{index}"), reason: Box::new(error) }
}
