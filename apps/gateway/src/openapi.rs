//! The finishing step of the API's document: mends what the generator cannot say.
//!
//! Must stay true: the document is a promise that clients generate code from. What is mended here is mended for every
//! operation alike, from the policy's list and the schemas themselves, never by hand for one address.

#![allow(
    clippy::indexing_slicing,
    reason = "of JSON values: a missing key is null when read and made when written; a wrong kind shows in every test"
)]

use serde_json::{Map, Value, json};

use crate::{
    policy::{self, Access, Operation},
    question::described,
};

/// The raw document of the generator, made true.
#[must_use]
pub fn finish(raw: Value) -> Value {
    let mut document = raw;
    describe(&mut document);
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        finish_schemas(schemas);
        schemas.insert("FilterCondition".into(), described::condition());
        schemas["SearchRequest"]["properties"]["where"] =
            json!({ "allOf": [{ "$ref": "#/components/schemas/FilterCondition" }], "nullable": true });
    }
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        finish_paths(paths);
    }
    document
}

fn describe(document: &mut Value) {
    document["openapi"] = json!("3.0.3");
    document["info"] = json!({
        "title": "Ascendore CRM",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "A multi-tenant CRM. Log in at /auth/login and send the access token as a bearer token.",
        "license": { "name": "Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/" }]);
    document["components"]["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "biscuit" },
    });
    document["components"]["schemas"]["Problem"] = json!({
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "code", "detail", "request_id"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "code": { "type": "string", "description": "Stable word for programs." },
            "detail": { "type": "string" },
            "request_id": { "type": "string" },
            "errors": { "type": "array", "items": { "$ref": "#/components/schemas/FieldError" } },
        },
    });
    document["components"]["schemas"]["FieldError"] = json!({
        "type": "object",
        "required": ["pointer", "code", "message"],
        "properties": {
            "pointer": { "type": "string", "description": "JSON pointer into the body, or the name of a query parameter or header." },
            "code": { "type": "string", "description": "Stable word for programs." },
            "message": { "type": "string", "description": "One sentence for people." },
        },
    });
}

/// Whether a schema is something clients send.
fn is_input(name: &str) -> bool {
    name.starts_with("New")
        || name.ends_with("Changes")
        || name.ends_with("Request")
        || name.ends_with("Step")
        || name == "Credentials"
        || ACCOUNT_INPUTS.contains(&name)
}

/// What clients send to have an account.
const ACCOUNT_INPUTS: [&str; 7] = [
    "EmailChange",
    "ForgottenPassword",
    "LinkToken",
    "PasswordChange",
    "PasswordReset",
    "Registration",
    "RegistrationConfirmation",
];

fn finish_schemas(schemas: &mut Map<String, Value>) {
    let optional: Map<String, Value> =
        schemas.iter().map(|(name, schema)| (name.clone(), json!(optional_names(schema)))).collect();
    for (name, schema) in schemas.iter_mut() {
        let may_be_null = nullable_names(name, &optional);
        if is_input(name) {
            schema["additionalProperties"] = json!(false);
        } else {
            require_all(schema);
        }
        let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { continue };
        for (property, value) in properties {
            finish_inside(value, is_input(name));
            if may_be_null.contains(property) {
                make_nullable(value);
            }
        }
    }
}

/// The same for objects that a schema contains instead of naming: the generator writes parts of records so.
fn finish_inside(schema: &mut Value, input: bool) {
    if let Some(items) = schema.get_mut("items") {
        finish_inside(items, input);
    }
    let may_be_null = optional_names(schema);
    if schema.get("properties").is_some() {
        if input {
            schema["additionalProperties"] = json!(false);
        } else {
            require_all(schema);
        }
    }
    for (property, value) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        finish_inside(value, input);
        if may_be_null.contains(property) {
            make_nullable(value);
        }
    }
}

fn optional_names(schema: &Value) -> Vec<String> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    properties.filter(|name| !required.contains(&name.as_str())).collect()
}

/// An optional field of a record is null when it is empty. In changes, where every field is optional, null is only
/// taken by the fields that may be empty in the record itself.
fn nullable_names(name: &str, optional: &Map<String, Value>) -> Vec<String> {
    let source = name.strip_suffix("Changes").filter(|record| optional.contains_key(*record)).unwrap_or(name);
    let names = optional.get(source).and_then(Value::as_array).into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// What answers carry only when it was asked for, or when there is something to say.
const ABSENT_AT_TIMES: &[&str] = &[
    "total",
    "errors", // of a page, of a problem
    "succeeded",
    "failed",
    "results",
    "matched",
    "sample",
    "changed",
    "unchanged",
    "left",
    "reasons", // of a bulk call
    "record",
    "problem", // of one of its operations
];

/// Answers carry every field, always, but for those that depend on the question.
fn require_all(schema: &mut Value) {
    let names: Vec<Value> = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| json!(name)).collect();
    let names: Vec<Value> =
        names.into_iter().filter(|name| !name.as_str().is_some_and(|name| ABSENT_AT_TIMES.contains(&name))).collect();
    if !names.is_empty() {
        schema["required"] = json!(names);
    }
}

fn make_nullable(value: &mut Value) {
    if value.get("$ref").is_some() {
        let reference = value.take();
        *value = json!({ "allOf": [reference], "nullable": true });
        return;
    }
    value["nullable"] = json!(true);
    // A closed list must name null too, or no null passes it.
    if let Some(words) = value.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
}

fn finish_paths(paths: &mut Map<String, Value>) {
    let slashed: Vec<String> = paths.keys().filter(|path| path.len() > 1 && path.ends_with('/')).cloned().collect();
    for path in slashed {
        if let Some(item) = paths.remove(&path) {
            paths.insert(path.trim_end_matches('/').to_owned(), item);
        }
    }
    paths.sort_keys();
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if let Some(known) =
                policy::OPERATIONS.iter().find(|known| known.path == path && known.method.eq_ignore_ascii_case(method))
            {
                finish_operation(known, operation);
            }
        }
    }
}

fn finish_operation(known: &Operation, operation: &mut Value) {
    if known.access != Access::Public {
        operation["security"] = json!([{ "bearer": [] }]);
    }
    finish_parameters(known, operation);
    finish_body(known, operation);
    for (status, description) in problems(known) {
        operation["responses"][status] = json!({
            "description": description,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
    }
    let makes_record = known.name.ends_with(":create") || known.path.contains("/by-external-id/");
    if has_record(known) && known.method != "DELETE" || makes_record && !is_unversioned(known) {
        let tag = json!({ "description": "Version and shape of the record.", "schema": { "type": "string" } });
        for status in ["200", "201"] {
            if operation["responses"].get(status).is_some() {
                operation["responses"][status]["headers"]["ETag"] = tag.clone();
            }
        }
    }
}

/// Whether the operation is about one record, by its address.
fn has_record(known: &Operation) -> bool {
    // The organisation of the token is one record, although no id leads to it.
    ["/organizations/current", "/security", "/{id}", "/restore", "/stage"].iter().any(|end| known.path.ends_with(end))
        && !is_unversioned(known)
}

/// Whether what it is about has no version: it is made, seldom changed by one person, and ended.
fn is_unversioned(known: &Operation) -> bool {
    ["api_token", "service_user", "session"].contains(&known.entity())
}

fn changes_record(known: &Operation) -> bool {
    // Whoever revokes or removes means it, whatever has changed.
    let whatever_changed = matches!(known.name, "invitation:revoke" | "external_identity:unlink");
    let may_change = has_record(known) && matches!(known.method, "PUT" | "PATCH" | "DELETE");
    !whatever_changed && may_change || known.name.ends_with(":upsert")
}

fn finish_parameters(known: &Operation, operation: &mut Value) {
    if !operation["parameters"].is_array() {
        operation["parameters"] = json!([]);
    }
    let Some(parameters) = operation["parameters"].as_array_mut() else { return };
    for parameter in parameters.iter_mut() {
        // Repeated parameters, not one with commas: a value may contain a comma.
        if parameter["schema"]["type"] == "array" {
            parameter["style"] = json!("form");
            parameter["explode"] = json!(true);
        }
    }
    if changes_record(known) {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "schema": { "type": "string" },
            "description": "The ETag this change was made from; 412 when the record has changed since.",
        }));
    }
    if parameters.is_empty()
        && let Some(operation) = operation.as_object_mut()
    {
        operation.remove("parameters");
    }
}

fn finish_body(known: &Operation, operation: &mut Value) {
    let Some(content) = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut) else { return };
    if known.method == "PATCH"
        && let Some(json) = content.get("application/json").cloned()
    {
        content.insert("application/merge-patch+json".into(), json);
    }
    operation["requestBody"]["required"] = json!(true);
}

/// The problems this operation can answer with.
fn problems(known: &Operation) -> Vec<(&'static str, &'static str)> {
    let takes_body = (matches!(known.method, "POST" | "PUT" | "PATCH")
        && !known.path.ends_with("/restore")
        && !known.path.ends_with("/logout")
        && known.name != "session:end_others"
        && !known.name.ends_with(":attach"))
        || matches!(known.name, "second_factor:disable" | "external_identity:unlink");
    let asks_password = matches!(known.name, "api_token:create" | "service_user:mint");
    let counts_tries = matches!(known.name, "session:login" | "external_identity:link" | "external_identity:unlink")
        || asks_password
        || known.name.starts_with("account:")
        || known.name.starts_with("second_factor:");
    let manages = matches!(known.access, Access::Manage | Access::Administer | Access::Govern) || known.name == "member:leave";
    let writes = known.access == Access::Write || (manages && known.method != "GET");
    let named = known.path.contains('{');
    let mut problems = vec![("500", "A fault of ours"), ("503", "Something needed is away; try again")];
    let mut when = |condition: bool, status: &'static str, description: &'static str| {
        if condition {
            problems.push((status, description));
        }
    };
    when(true, "400", "The request cannot be understood");
    when(true, "401", "No valid credentials");
    when(counts_tries, "429", "Too many tries; see Retry-After");
    let limited = matches!(known.name, "invitation:create" | "invitation:resend" | "invitation:accept");
    when(limited, "429", "Too many letters or passwords at once; see Retry-After");
    when(known.name == "session:exchange", "403", "The external identity is linked to nobody");
    when(known.path.starts_with("/api/v1/auth/invitations/"), "404", "No such invitation, or no longer");
    when(known.name.starts_with("invitation:") && known.method != "GET", "409", "A member already, or closed");
    when(known.name.starts_with("external_identity:") && known.method != "GET", "409", "Linked already, or the only way in");
    when(known.access != Access::Public, "403", "Your role or token may not do this");
    when(known.name == "account:register", "403", "Nobody can sign up here");
    when(matches!(known.name, "account:confirm" | "account:confirm_email"), "409", "Taken by somebody else meanwhile");
    when(
        named || known.name == "session:switch" || known.name.starts_with("second_factor:"),
        "404",
        "Not there, or not yours to see",
    );
    when(
        writes && !changes_record(known)
            || known.method == "PUT"
            || known.method == "PATCH"
            || known.name.starts_with("second_factor:")
            || is_unversioned(known) && known.method == "POST",
        "409",
        "Collides with something that exists",
    );
    when(changes_record(known) || known.name.ends_with(":bulk"), "412", "Changed since the version you named");
    when(takes_body, "408", "The body did not arrive in time");
    when(takes_body, "413", "Body too large");
    when(takes_body, "415", "Body is not JSON");
    when(takes_body || writes, "422", "Values that cannot be accepted");
    problems
}
