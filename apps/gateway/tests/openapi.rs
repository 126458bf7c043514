//! The document of the API: whole, consistent, and true of what is really answered.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use std::collections::BTreeSet;

use crm_kernel::Role;
use serde_json::Value;
use support::{App, document::Document, requests::REFUSED, world::World};

#[test]
fn every_reference_leads_somewhere() {
    let document = Document::of_the_application();
    let mut followed = 0;
    visit(&document.value, &mut |value| {
        if value.get("$ref").is_some() {
            assert!(document.resolve(value).is_object(), "{value}");
            assert_eq!(value.as_object().unwrap().len(), 1, "what stands beside a reference is ignored: {value}");
            followed += 1;
        }
    });
    assert!(followed > 100, "only {followed} references");
}

fn visit(value: &Value, look: &mut impl FnMut(&Value)) {
    look(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, look)),
        Value::Object(map) => map.values().for_each(|item| visit(item, look)),
        _ => {}
    }
}

#[test]
fn every_operation_says_what_it_is_and_what_it_answers() {
    let document = Document::of_the_application();
    let operations = document.operations();
    let ids: BTreeSet<&str> = operations.iter().map(|operation| operation.value["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len(), "operation ids are unique");
    for operation in &operations {
        let (name, value) = (operation.name(), &operation.value);
        assert!(value["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name} has no summary");
        assert_eq!(value["tags"].as_array().map(Vec::len), Some(1), "{name} has one tag");
        assert_eq!(
            operation.path.contains('{'),
            value["parameters"].as_array().into_iter().flatten().any(|known| known["in"] == "path"),
            "{name}"
        );
        let responses = value["responses"].as_object().unwrap();
        let good: Vec<&String> = responses.keys().filter(|status| status.starts_with('2')).collect();
        // What creates or changes says which of the two; what has parts, whether all of them were done.
        let wanted = if name.ends_with("/bulk") || name.starts_with("PUT") && name.contains("/by-external-id/") { 2 } else { 1 };
        assert_eq!(good.len(), wanted, "{name} has its good answers: {good:?}");
        assert_eq!(operation.answer_schema().is_none(), good[0] == "204", "{name} says what it answers with");
        let mut expected = vec!["400", "401", "500", "503"];
        expected.extend((!operation.is_public()).then_some("403"));
        expected.extend(operation.path.contains('{').then_some("404"));
        expected.extend(operation.body_schema().iter().flat_map(|_| ["413", "415", "422"]));
        for status in expected {
            let problem = responses.get(status).unwrap_or_else(|| panic!("{name} does not mention {status}"));
            let schema = &problem["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{name} {status}");
        }
        assert_eq!(operation.body_schema().is_some(), value.get("requestBody").is_some(), "{name}: bodies are named schemas");
        let names: Vec<String> = value["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|known| format!("{} {}", known["in"], known["name"]))
            .collect();
        assert_eq!(BTreeSet::from_iter(&names).len(), names.len(), "{name}: a parameter is there once");
    }
}

#[test]
fn inputs_are_closed_and_outputs_are_complete() {
    let document = Document::of_the_application();
    let inputs: BTreeSet<String> =
        document.operations().iter().filter_map(|operation| operation.body_schema().map(ToOwned::to_owned)).collect();
    // What stands inside a body is a part of it.
    let inputs: BTreeSet<String> =
        inputs.iter().flat_map(|name| [vec![name.clone()], referred(&document, name)].concat()).collect();
    for (name, schema) in document.value["components"]["schemas"].as_object().unwrap() {
        assert_eq!(schema["type"], "object", "{name}");
        assert_eq!(
            schema["additionalProperties"] == false,
            inputs.contains(name),
            "{name}: unknown fields are refused in bodies alone"
        );
        for (field, property) in schema["properties"].as_object().unwrap() {
            let typed = ["type", "$ref", "allOf", "anyOf"].iter().any(|key| property.get(key).is_some());
            assert!(typed, "{name}.{field} has no type");
        }
    }
}

/// The schemas that this one names, itself perhaps.
fn referred(document: &Document, name: &str) -> Vec<String> {
    let mut names = Vec::new();
    visit(&document.value["components"]["schemas"][name], &mut |value| {
        names.extend(value["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).map(ToOwned::to_owned));
    });
    names
}

#[test]
fn the_document_is_the_same_every_time() {
    assert_eq!(Document::of_the_application().value.to_string(), Document::of_the_application().value.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_what_the_document_says() {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    for step in ["closed_won", "prospecting"] {
        let address = format!("deals/{}/stage", world.first("deals"));
        world.member().put(&address, &serde_json::json!({ "stage": step })).await.expect(200);
    }
    let document = Document::of_the_application();
    let mut checked = 0;
    for (number, operation) in document.operations().into_iter().enumerate() {
        let label = format!("schema-{number}");
        let owner = match operation.collection() {
            None if operation.method != "GET" => world.newcomer(&app, Role::Owner, &label).await,
            _ => world.person("owner"),
        };
        let ids = match (operation.thing(), operation.collection()) {
            (None, _) if operation.is_about_an_external_id() => vec![label.clone()],
            (None, _) => vec![String::new()],
            (Some("activities"), _) => world.owner().get("activities").await.expect(200).ids(),
            (Some(kind), Some(_)) if operation.method == "GET" && world.records.contains_key(kind) => {
                world.records[kind].iter().take(3).map(support::world::id).collect()
            }
            (Some(kind), _) => vec![world.thing(&app, kind, &owner, &label).await],
        };
        for id in ids {
            let mut address = operation.at(&id);
            world.known_elsewhere(&operation, &id, &uuid::Uuid::now_v7().simple().to_string()).await;
            if operation.takes("count") {
                address.push_str("?count=true&limit=2");
            }
            let answer = world.request_at(&app, &operation, &owner, &address, &label).await.send().await;
            if REFUSED.iter().any(|(name, status, _)| *name == operation.name() && *status == answer.status) {
                continue;
            }
            assert!(answer.status < 300, "{}: {}", answer.name, answer.text);
            let (status, body) = (answer.status, answer.body);
            let Some(schema) = operation.answer_schema() else {
                assert_eq!((status, body), (204, Value::Null), "{}", operation.name());
                continue;
            };
            assert!(operation.value["responses"].get(status.to_string()).is_some(), "{} answered {status}", operation.name());
            let mut faults = Vec::new();
            check(&document, schema, &body, &operation.name(), &mut faults);
            assert!(faults.is_empty(), "{}\nin {body}", faults.join("\n"));
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} answers were checked");
    let problem = world.owner().post("companies", &serde_json::json!({ "colour": 1 })).await.problem(400, "malformed");
    let mut faults = Vec::new();
    check(&document, &document.value["components"]["schemas"]["Problem"], &problem.body, "problem", &mut faults);
    assert!(faults.is_empty(), "{faults:?}");
}

/// What is wrong with a value by its schema: types, required and unknown fields, null, enumerations, formats.
fn check(document: &Document, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(all) = schema["allOf"].as_array() {
        if !(value.is_null() && schema["nullable"] == true) {
            all.iter().for_each(|part| check(document, part, value, at, faults));
        }
        return;
    }
    let schema = document.resolve(schema);
    if value.is_null() {
        if schema["nullable"] != true {
            faults.push(format!("{at} is null"));
        }
        return;
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        faults.push(format!("{at}: {value} is not in {}", schema["enum"]));
    }
    let fits = match schema["type"].as_str() {
        Some("string") => value.as_str().is_some_and(|text| has_format(schema["format"].as_str(), text)),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        other => panic!("{at}: a schema of type {other:?}"),
    };
    if !fits {
        faults.push(format!("{at}: {value} is not {} {}", schema["type"], schema["format"]));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(document, &schema["items"], item, &format!("{at}/{index}"), faults);
    }
    let (Some(fields), Some(properties)) = (value.as_object(), schema["properties"].as_object()) else { return };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            faults.push(format!("{at} lacks {required}"));
        }
    }
    for (name, field) in fields {
        match properties.get(name) {
            Some(property) => check(document, property, field, &format!("{at}/{name}"), faults),
            None => faults.push(format!("{at}/{name} is not in the document")),
        }
    }
}

fn has_format(format: Option<&str>, text: &str) -> bool {
    match format {
        Some("uuid") => text.parse::<uuid::Uuid>().is_ok(),
        Some("date") => text.parse::<crm_kernel::Date>().is_ok(),
        Some("date-time") => text.ends_with('Z') && text.parse::<crm_kernel::Timestamp>().is_ok(),
        _ => true,
    }
}
