//! Operations of the document: who may call them, what they take beside the body, every answer they give.
//!
//! Must stay true: what is said of an operation follows from the policy's list, from what its handler takes and returns, and from
//! `problems.rs`; never from its address alone where one of those knows.

use serde_json::{Map, Value, json};

use super::{examples, problems, views};
use crate::policy::{self, Access, Operation};

/// What there is to know about an operation.
pub struct Facts {
    /// `company:list`
    pub name: &'static str,
    /// Without a token.
    pub is_public: bool,
    /// Its address holds an id, ours or that of another system.
    pub has_id: bool,
    /// It takes a body.
    pub takes_body: bool,
    /// It takes `If-Match`.
    pub takes_version: bool,
    /// It takes `Idempotency-Key`.
    pub takes_key: bool,
}

impl Facts {
    fn of(known: &Operation, operation: &Value) -> Self {
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        Self {
            name: known.name,
            is_public: known.access == Access::Public,
            has_id: known.path.contains('{'),
            takes_body: operation.get("requestBody").is_some(),
            takes_version: takes_version(known, operation),
            takes_key: parameters.any(|parameter| parameter["name"] == "Idempotency-Key"),
        }
    }
}

/// Whether `If-Match` counts: where a record is changed whose answers carry an ETag.
fn takes_version(known: &Operation, operation: &Value) -> bool {
    let changes = match known.method {
        "PUT" | "PATCH" => operation.pointer("/responses/200/headers/ETag").is_some(),
        "DELETE" => policy::OPERATIONS.iter().any(|other| other.path == known.path && other.method == "PATCH"),
        _ => ["custom_field:retire", "custom_field:convert"].contains(&known.name),
    };
    changes && known.entity() != "service_user"
}

/// Whether a header is there whenever the answer is what it is, or only at times.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Always,
    AtTimes,
}
use Presence::{Always, AtTimes};

/// The headers that answers may carry: name, pattern, presence, meaning.
const HEADERS: &[(&str, &str, Presence, &str)] = &[
    ("ETag", "^\"[0-9]+(-[0-9a-f]{16})?\"$", Always, "Version and shape of the record: for `If-Match` and `If-None-Match`."),
    (
        "Idempotency-Replayed",
        "^true$",
        AtTimes,
        "This is the answer that the same request with this `Idempotency-Key` had before; nothing was done again.",
    ),
    ("Location", "^/api/v1/", Always, "Where the new record is found."),
    (
        "RateLimit",
        "^\"[a-z]+\";r=[0-9]+;t=[0-9]+(, \"[a-z]+\";r=[0-9]+;t=[0-9]+)*$",
        AtTimes,
        "How many requests are left in each limit (`r`), and in how many seconds there are more (`t`); absent where nothing is limited.",
    ),
    (
        "RateLimit-Policy",
        "^\"[a-z]+\";q=[0-9]+;w=[0-9]+(, \"[a-z]+\";q=[0-9]+;w=[0-9]+)*$",
        AtTimes,
        "The limits: `q` requests in `w` seconds.",
    ),
    ("Retry-After", "^[0-9]+$", Always, "Seconds until it is worth trying again."),
    ("WWW-Authenticate", "^Bearer", Always, "How to prove who calls."),
    (
        "X-Request-Id",
        "^[A-Za-z0-9._:-]{1,128}$",
        Always,
        "The id of this request, as in our log: the client's own, if it sent one.",
    ),
];

/// What operations share.
pub fn components() -> [(&'static str, Value); 2] {
    let headers = HEADERS.iter().map(|(name, pattern, presence, description)| {
        let schema = json!({ "type": "string", "pattern": pattern });
        ((*name).to_owned(), json!({ "description": description, "required": *presence == Always, "schema": schema }))
    });
    let parameters = [
        (
            "RequestId",
            "X-Request-Id",
            "An id for this request: up to 128 letters, digits and `-_.:`. Another one is replaced by ours.",
        ),
        (
            "IfMatch",
            "If-Match",
            "The ETag that this change was made from, such as `\"3\"`, or `*`; 412 when the record has another version by now, or would be made.",
        ),
        ("IfNoneMatch", "If-None-Match", "The ETag of what the client has, such as `\"3\"`; 304 when it is still that."),
    ];
    let parameters = parameters.into_iter().map(|(key, name, description)| {
        (key.to_owned(), json!({ "name": name, "in": "header", "description": description, "schema": { "type": "string" } }))
    });
    [("headers", Value::Object(headers.collect())), ("parameters", Value::Object(parameters.collect()))]
}

/// The names of the headers that answers may carry.
pub fn header_names() -> impl Iterator<Item = &'static str> {
    HEADERS.iter().map(|(name, ..)| *name)
}

/// What every answer carries, whatever it is.
const EVERYWHERE: [&str; 3] = ["RateLimit", "RateLimit-Policy", "X-Request-Id"];

/// References to these of the headers, and to those that every answer carries.
pub fn header_references(names: &[&str]) -> Map<String, Value> {
    let reference = |name: &&str| ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    names.iter().chain(&EVERYWHERE).map(reference).collect()
}

/// Finishes every operation; what they share is put among the components.
pub fn finish(paths: &mut Map<String, Value>, components: &mut Value) {
    let slashed: Vec<String> = paths.keys().filter(|path| path.len() > 1 && path.ends_with('/')).cloned().collect();
    for path in slashed {
        if let Some(item) = paths.remove(&path) {
            paths.insert(path.trim_end_matches('/').to_owned(), item);
        }
    }
    paths.sort_keys();
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let is_it = |known: &&Operation| known.path == path && known.method.eq_ignore_ascii_case(method);
            if let Some(known) = policy::OPERATIONS.iter().find(is_it) {
                finish_operation(known, operation, components);
            }
        }
    }
}

fn finish_operation(known: &Operation, operation: &mut Value, components: &mut Value) {
    if known.access != Access::Public {
        operation["security"] = json!([{ "bearer": [] }]);
    }
    let facts = Facts::of(known, operation);
    operation["x-operation"] = json!(known.name);
    let said = operation["description"].as_str().map(|said| format!("{said}\n\n")).unwrap_or_default();
    operation["description"] = json!(format!("{said}{} Its name is `{}`.", callers(known.access), known.name));
    finish_body(known, operation, components);
    views::show(operation, components);
    finish_answers(known, &facts, operation, components);
    finish_parameters(known, &facts, operation);
}

/// Who may call, in words.
fn callers(access: Access) -> &'static str {
    match access {
        Access::Public => "For everybody: no token is asked for.",
        Access::Own => "For every role, with any token.",
        Access::Session => "For every role, with the whole token of a login.",
        Access::Read => "For every role.",
        Access::Write => "For owner, admin and member; a member changes what is their own.",
        Access::Manage => "For owner and admin.",
        Access::Administer => "For owner and admin, with the whole token of a login.",
        Access::Govern => "For the owner, with the whole token of a login.",
    }
}

fn finish_parameters(known: &Operation, facts: &Facts, operation: &mut Value) {
    let reads_version = operation.pointer("/responses/304").is_some();
    if !operation["parameters"].is_array() {
        operation["parameters"] = json!([]);
    }
    let Some(parameters) = operation["parameters"].as_array_mut() else { return };
    parameters.retain(|parameter| !said_by_the_address(known, parameter));
    for parameter in parameters.iter_mut() {
        // Repeated parameters, not one with commas: a value may contain a comma.
        if parameter["schema"]["type"] == "array" {
            parameter["style"] = json!("form");
            parameter["explode"] = json!(true);
        }
        if parameter["in"] == "path" {
            describe_address(known, parameter);
        }
        open_list(parameter);
        exemplify(parameter);
    }
    let mut shared = vec!["RequestId"];
    shared.extend(facts.takes_version.then_some("IfMatch"));
    shared.extend(reads_version.then_some("IfNoneMatch"));
    parameters.extend(shared.into_iter().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })));
}

/// A name in the address: an id of ours, or what another system calls a record.
fn describe_address(known: &Operation, parameter: &mut Value) {
    let (description, longest, example) = match parameter["name"].as_str() {
        Some("source") => ("The other system.".to_owned(), Some(100), "hubspot"),
        Some("stage") => ("The key of the stage.".to_owned(), None, "negotiation"),
        Some("external_id") => (format!("What the other system calls the {}.", known.entity()), Some(255), "4711"),
        _ => (format!("The id of the {}.", addressed(known)), None, examples::ID),
    };
    parameter["description"] = json!(description);
    parameter["example"] = json!(example);
    if let Some(longest) = longest {
        (parameter["schema"]["minLength"], parameter["schema"]["maxLength"]) = (json!(1), json!(longest));
    }
}

/// A closed list with a pattern beside it: either will do.
fn open_list(parameter: &mut Value) {
    let schema = &mut parameter["schema"];
    if schema["enum"].is_array() && schema["pattern"].is_string() {
        let (words, pattern) = (schema["enum"].take(), schema["pattern"].take());
        *schema = json!({
            "type": "string",
            "anyOf": [{ "type": "string", "enum": words }, { "type": "string", "pattern": pattern }],
        });
    }
}

/// Whether a list below a record is narrowed by this already: by the record's own id.
fn said_by_the_address(known: &Operation, parameter: &Value) -> bool {
    let key = match (known.entity(), known.addressed()) {
        (_, None) => return false,
        ("activity", Some(_)) => "entity_id".to_owned(),
        (_, Some(addressed)) => format!("{addressed}_id"),
    };
    parameter["in"] == "query" && parameter["name"] == key.as_str()
}

/// What the id in the address is one of, in words.
fn addressed(known: &Operation) -> String {
    known.addressed().unwrap_or_else(|| known.entity()).replace('_', " ")
}

/// Examples of query parameters that a form would otherwise be filled with: harmless ones.
fn exemplify(parameter: &mut Value) {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    let example = match name.as_str() {
        "filter" => Some(json!("created_at > now() - 30d")),
        "limit" => Some(json!(50)),
        "fields" => Some(json!("id")),
        "include" => {
            parameter["schema"]["pattern"].as_str().and_then(|pattern| views::words(pattern).next()).map(|word| json!(word))
        }
        "Idempotency-Key" => Some(json!("0198c5f2-7f3a-7c61-9d5e-3b1f6a2c4d8e")),
        _ => None,
    };
    if let Some(example) = example {
        parameter["example"] = example;
    }
}

fn finish_body(known: &Operation, operation: &mut Value, components: &Value) {
    let Some(content) = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut) else { return };
    for media in content.values_mut() {
        let name = media["schema"]["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).unwrap_or_default();
        if let Some(schema) = components["schemas"].get(name) {
            media["example"] = schema.get("example").cloned().unwrap_or_else(|| examples::body(schema));
        }
    }
    if known.method == "PATCH"
        && let Some(json) = content.get("application/json").cloned()
    {
        content.insert("application/merge-patch+json".into(), json);
    }
    operation["requestBody"]["required"] = json!(true);
}

fn finish_answers(known: &Operation, facts: &Facts, operation: &mut Value, components: &mut Value) {
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for response in responses.values_mut() {
        let carried: Vec<&str> =
            HEADERS.iter().map(|(name, ..)| *name).filter(|name| response["headers"].get(name).is_some()).collect();
        response["headers"] = Value::Object(header_references(&carried));
    }
    if known.method == "GET" && responses.get("200").is_some_and(|found| found["headers"].get("ETag").is_some()) {
        let headers = header_references(&["ETag"]);
        responses.insert("304".into(), json!({ "description": "The client has it: see `If-None-Match`.", "headers": headers }));
    }
    let problems = problems::of(facts);
    for of_one_status in problems.chunk_by(|one, other| one.1 == other.1) {
        let (name, status) =
            (problems::name(of_one_status), of_one_status.iter().map(|known| known.1).next().unwrap_or_default());
        responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
        components["responses"][name] = problems::answer(of_one_status);
    }
    responses.sort_keys();
}
