//! The document of the API: what the generator made of the routes, made whole and true.
//!
//! Must stay true: the document is a promise that clients generate code from. What is mended here is mended for every operation alike,
//! from the policy's list, the schemas and the rules of bodies themselves, never by hand for one address; `tests/openapi` calls every
//! operation and compares.

#![allow(
    clippy::indexing_slicing,
    reason = "of JSON values: a missing key is null when read and made when written; a wrong kind shows in every test"
)]

mod about;
mod examples;
mod operations;
mod problems;
pub mod rules;
mod schemas;
pub mod views;

pub use operations::header_names;

use serde_json::Value;

/// The raw document of the generator, made whole.
#[must_use]
pub fn finish(raw: Value) -> Value {
    let mut document = raw;
    about::describe(&mut document);
    if let Some(known) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas::finish(known);
    }
    let mut components = document["components"].take();
    for (name, shared) in operations::components() {
        components[name] = shared;
    }
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        operations::finish(paths, &mut components);
    }
    for shared in ["responses", "schemas"] {
        if let Some(shared) = components[shared].as_object_mut() {
            shared.sort_keys();
        }
    }
    document["components"] = components;
    document
}
