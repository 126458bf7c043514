//! Schemas of the document: what the generator made of the types, mended where it cannot know.
//!
//! Must stay true: a body is closed and says what its rules say; an answer is complete.

use crm_campaigns::MOST_IDS;
use crm_tenancy::bulk::MOST_OPERATIONS;
use serde_json::{Map, Value, json};

use super::{examples, rules};
use crate::question::described;

/// Mends every schema, and adds those that no type stands for.
pub fn finish(schemas: &mut Map<String, Value>) {
    let inputs = inputs(schemas);
    let optional: Map<String, Value> =
        schemas.iter().map(|(name, schema)| (name.clone(), json!(optional_names(schema, &[])))).collect();
    for (name, schema) in schemas.iter_mut() {
        if inputs.contains(name) {
            finish_input(name, schema);
            keep_from_null(schema, name.strip_suffix("Changes").and_then(|record| optional.get(record)));
        } else {
            finish_output(name, schema);
        }
    }
    describe_mentions(schemas);
    share_addresses(schemas);
    share_values(schemas);
    describe_members(schemas);
    describe_bulk(schemas);
    schemas.insert("FilterCondition".into(), described::condition());
    if let Some(search) = schemas.get_mut("SearchRequest") {
        search["properties"]["where"] =
            json!({ "allOf": [{ "$ref": "#/components/schemas/FilterCondition" }], "nullable": true });
        search["example"] = json!({
            "where": { "and": [{ "field": "created_at", "op": ">", "value": { "expression": "now() - 30d" } }] },
            "sort": "-created_at", "limit": 50, "count": true,
        });
    }
    schemas.insert("Problem".into(), problem());
    schemas.insert("FieldError".into(), field_error());
    schemas.values_mut().for_each(examples::apply);
    schemas.sort_keys();
}

/// Whom a note mentions are texts for the database, and ids of members for everybody else.
fn describe_mentions(schemas: &mut Map<String, Value>) {
    for name in ["Note", "NewNote", "NoteChanges"] {
        let Some(mentions) = schemas.get_mut(name).map(|schema| &mut schema["properties"]["mentions"]) else { continue };
        mentions["items"] = json!({ "type": "string", "format": "uuid" });
        (mentions["maxItems"], mentions["uniqueItems"]) = (json!(crm_notes::MOST_MENTIONS), json!(true));
    }
}

/// The bodies that handlers take, and what stands inside them.
fn inputs(schemas: &Map<String, Value>) -> Vec<String> {
    let mut inputs: Vec<String> = schemas.keys().filter(|name| rules::is_body(name)).cloned().collect();
    let mut place = 0;
    while let Some(schema) = inputs.get(place).and_then(|name| schemas.get(name)) {
        let new: Vec<String> = references(schema).into_iter().filter(|name| !inputs.contains(name)).collect();
        inputs.extend(new);
        place += 1;
    }
    inputs
}

/// The names of the schemas that this one refers to.
fn references(schema: &Value) -> Vec<String> {
    let mut names: Vec<String> = match schema {
        Value::Object(map) => map.values().flat_map(references).collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    };
    names.extend(schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).map(ToOwned::to_owned));
    names
}

fn finish_input(name: &str, schema: &mut Value) {
    schema["additionalProperties"] = json!(false);
    let optional = optional_names(schema, &[]);
    for (field, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        finish_inside(property, Side::Input);
        mark(property);
        // Of bodies the rules know better; of what stands inside them nobody is asked.
        if !rules::is_body(name) && optional.contains(field) {
            make_nullable(property);
        }
    }
    rules::apply(name, schema);
}

/// In changes null empties a field, which only those take that may be empty in the record: for an object the database says so, which
/// is not asked here.
fn keep_from_null(schema: &mut Value, may_be_empty: Option<&Value>) {
    let Some(may_be_empty) = may_be_empty.and_then(Value::as_array) else { return };
    for (field, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if !may_be_empty.iter().any(|known| known == field)
            && let Some(property) = property.as_object_mut()
        {
            property.remove("nullable");
        }
    }
}

fn finish_output(name: &str, schema: &mut Value) {
    let absent = ABSENT_AT_TIMES.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, fields)| fields);
    let may_be_null = optional_names(schema, absent);
    require_all(schema, absent);
    for (field, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        finish_inside(property, Side::Output(absent));
        mark(property);
        if may_be_null.contains(field) {
            make_nullable(property);
        }
    }
}

/// Which way a schema goes.
#[derive(Clone, Copy)]
enum Side {
    Input,
    /// With the fields that are absent at times.
    Output(&'static [&'static str]),
}

/// The same for objects that a schema contains instead of naming: the generator writes parts of records so.
fn finish_inside(schema: &mut Value, side: Side) {
    if let Some(items) = schema.get_mut("items") {
        finish_inside(items, side);
        mark(items);
    }
    let absent = if let Side::Output(absent) = side { absent } else { &[] };
    let may_be_null = optional_names(schema, absent);
    if schema.get("properties").is_some() {
        match side {
            Side::Input => schema["additionalProperties"] = json!(false),
            Side::Output(absent) => require_all(schema, absent),
        }
    }
    for (field, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        finish_inside(property, side);
        mark(property);
        if may_be_null.contains(field) {
            make_nullable(property);
        }
    }
}

/// What the kernel's types cannot say through the generator, they say by their title.
fn mark(property: &mut Value) {
    if property["title"] == "Money" {
        if let Some(object) = property.as_object_mut() {
            object.remove("title");
        }
        property["pattern"] = json!("^-?[0-9]+(\\.[0-9]{1,3})?$");
        property["example"] = json!("1250000.00");
    }
}

/// An address in an answer has the keys that it was sent with.
fn share_addresses(schemas: &mut Map<String, Value>) {
    let is_address = |property: &Value| property["properties"].get("postal_code").is_some();
    let known: Vec<String> = schemas
        .values()
        .filter_map(|schema| schema["properties"].as_object())
        .flatten()
        .filter(|(_, property)| is_address(property))
        .map(|(name, _)| name.clone())
        .collect();
    for (name, property) in schemas.values_mut().filter_map(|schema| schema.get_mut("properties")?.as_object_mut()).flatten() {
        if known.contains(name) && property["type"] == "object" && !is_address(property) {
            let nullable = property["nullable"] == true;
            *property = rules::address(property);
            if nullable {
                make_nullable(property);
            }
        }
    }
}

/// What can be any JSON in a request can be that in the answer.
fn share_values(schemas: &mut Map<String, Value>) {
    let known: Vec<String> = schemas
        .values()
        .filter_map(|schema| schema["properties"].as_object())
        .flatten()
        .filter(|(_, property)| rules::is_any_value(property))
        .map(|(name, _)| name.clone())
        .collect();
    schemas.values_mut().for_each(|schema| share_values_inside(schema, &known));
}

/// The same for objects that a schema contains instead of naming.
fn share_values_inside(schema: &mut Value, known: &[String]) {
    if let Some(items) = schema.get_mut("items") {
        share_values_inside(items, known);
    }
    for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if known.contains(name) && property["type"] == "object" {
            *property = rules::any_value(property);
        } else {
            share_values_inside(property, known);
        }
    }
}

/// Whom to add to a campaign: how many at once.
fn describe_members(schemas: &mut Map<String, Value>) {
    let Some(request) = schemas.get_mut("NewMembers") else { return };
    if let Some(ids) = request.pointer_mut("/properties/contact_ids") {
        (ids["minItems"], ids["maxItems"]) = (json!(1), json!(MOST_IDS));
    }
    request["example"] = json!({ "contact_ids": [examples::ID] });
}

/// What a bulk call consists of and what becomes of it: the records in it are of the noun that the address names.
fn describe_bulk(schemas: &mut Map<String, Value>) {
    if let Some(request) = schemas.get_mut("BulkRequest") {
        let mut operations = request["properties"]["operations"].take();
        operations["items"] = json!({ "$ref": "#/components/schemas/BulkOperation" });
        (operations["minItems"], operations["maxItems"]) = (json!(1), json!(MOST_OPERATIONS));
        operations["example"] = json!([{ "op": "update", "id": examples::ID, "version": 3, "data": { "tags": ["vip"] } }]);
        request["example"] = json!({ "operations": operations["example"], "atomic": true });
        request["properties"]["operations"] = operations;
        schemas.insert("BulkOperation".into(), bulk_operation());
    }
    if let Some(result) =
        schemas.get_mut("BulkAnswer").and_then(|answer| answer.pointer_mut("/properties/results/items/properties"))
    {
        result["problem"] = json!({ "$ref": "#/components/schemas/Problem" });
    }
}

fn bulk_operation() -> Value {
    let text = |description: &str, longest: usize, example: &str| json!({ "type": "string", "nullable": true, "description": description, "maxLength": longest, "example": example });
    json!({
        "type": "object",
        "description": "One change. Its record is named by `id`, by `source` and `external_id`, or by `key`.",
        "additionalProperties": false,
        "required": ["op"],
        "properties": {
            "op": { "type": "string", "enum": ["create", "update", "delete", "upsert"], "description": "What to do.",
                "example": "update" },
            "id": { "type": "string", "format": "uuid", "nullable": true, "description": "The id of the record.", "example": examples::ID },
            "source": text("The other system that calls the record `external_id`.", 100, "hubspot"),
            "external_id": text("What the other system calls the record.", 255, "4711"),
            "key": text("A company's slug, any e-mail address of a contact; the others have none.", 255, "acme-shipping"),
            "version": { "type": "integer", "format": "int32", "nullable": true, "description": "The version that the record must have, as in `If-Match`.",
                "example": 3 },
            "data": { "type": "object", "nullable": true, "description": "The new record, or a JSON Merge Patch of it; a deletion has none." },
        },
    })
}

fn optional_names(schema: &Value, absent: &[&str]) -> Vec<String> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    properties.filter(|name| !required.contains(&name.as_str()) && !absent.contains(&name.as_str())).collect()
}

/// What answers carry only when it was asked for, or when there is something to say; never null then.
const ABSENT_AT_TIMES: &[(&str, &[&str])] = &[
    ("PageInfo", &["total"]),
    (
        "BulkAnswer",
        &["succeeded", "failed", "results", "record", "problem", "matched", "sample", "changed", "unchanged", "left", "reasons"],
    ),
    (
        "MembersAnswer",
        &["operation_id", "matched", "added", "already_members", "opted_out", "not_found", "opted_out_ids", "not_found_ids"],
    ),
];

/// Answers carry every field, always, but for those that depend on the question.
fn require_all(schema: &mut Value, absent: &[&str]) {
    let names = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name);
    let names = names.filter(|name| !absent.contains(&name.as_str()));
    let names: Vec<Value> = names.map(|name| json!(name)).collect();
    if !names.is_empty() {
        schema["required"] = json!(names);
    }
}

/// Null is one of its values.
pub fn make_nullable(value: &mut Value) {
    if value.get("$ref").is_some() {
        let reference = value.take();
        *value = json!({ "allOf": [reference], "nullable": true });
        return;
    }
    value["nullable"] = json!(true);
    // A closed list must name null too, or no null passes it.
    if let Some(words) = value.get_mut("enum").and_then(Value::as_array_mut)
        && !words.contains(&Value::Null)
    {
        words.push(Value::Null);
    }
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "code", "detail", "request_id"],
        "properties": {
            "type": { "type": "string", "description": "The code as a URN.", "pattern": "^urn:crm:problem:[a-z_]+$",
                "example": "urn:crm:problem:invalid" },
            "title": { "type": "string", "description": "The same for every problem of this code.",
                "example": "Some values cannot be accepted" },
            "status": { "type": "integer", "description": "The status of the answer.", "minimum": 400, "maximum": 599, "example": 422 },
            "code": { "type": "string", "description": "Stable word for programs.", "example": "invalid" },
            "detail": { "type": "string", "description": "One sentence for people.", "example": "/email: not a valid email address" },
            "request_id": { "type": "string", "description": "The id of the request, as in `X-Request-Id`.",
                "example": "0198c5f2-7f3a-7c61-9d5e-3b1f6a2c4d8e" },
            "errors": { "type": "array", "description": "Every bad field at once.", "minItems": 1,
                "items": { "$ref": "#/components/schemas/FieldError" } },
        },
    })
}

fn field_error() -> Value {
    json!({
        "type": "object",
        "required": ["pointer", "code", "message"],
        "properties": {
            "pointer": { "type": "string", "description": "JSON pointer into the body, or the name of a query parameter or header.",
                "example": "/email" },
            "code": { "type": "string", "description": "Stable word for programs.", "example": "email" },
            "message": { "type": "string", "description": "One sentence for people.", "example": "not a valid email address" },
        },
    })
}
