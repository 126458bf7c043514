//! The document of the API: whole, consistent, and true of what is really answered.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod page;
#[path = "../support/mod.rs"]
mod support;
mod truth;

use std::collections::BTreeSet;

use crm_gateway::policy;
use serde_json::Value;
use support::{document::Document, judge::Judge};

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
    let tags: Vec<&Value> = document.value["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    for operation in &operations {
        let (name, value) = (operation.name(), &operation.value);
        for text in ["summary", "description"] {
            assert!(value[text].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {text}");
        }
        assert!(value["x-operation"].is_string(), "{name} is not in policy::OPERATIONS");
        assert_eq!(value["tags"].as_array().map(Vec::len), Some(1), "{name} has one tag");
        assert!(tags.contains(&&value["tags"][0]), "{name}: say in openapi/about.rs what {} are", value["tags"]);
        let responses = value["responses"].as_object().unwrap();
        let good: Vec<&String> = responses.keys().filter(|status| status.starts_with('2')).collect();
        // Signing up has two, one of them of a server for development alone; what creates or changes says which of the two; what has
        // parts, whether all of them were done.
        let has_two = value["x-operation"] == "account:register"
            || name.ends_with("/bulk")
            || responses.contains_key("201") && operation.method == "PUT";
        assert_eq!(good.len(), if has_two { 2 } else { 1 }, "{name} has its good answers: {good:?}");
        assert_eq!(operation.answer_schema().is_none(), good[0] == "204", "{name} says what it answers with");
        assert_eq!(operation.body_schema().is_some(), value.get("requestBody").is_some(), "{name}: bodies are named schemas");
    }
    let unknown: Vec<_> = policy::OPERATIONS
        .iter()
        .filter(|known| !operations.iter().any(|said| said.path == known.path && said.method == known.method))
        .collect();
    assert!(unknown.is_empty(), "the policy has what no route is: {unknown:?}");
    assert!(tags.iter().all(|tag| operations.iter().any(|operation| operation.value["tags"][0] == **tag)), "every tag is used");
}

#[test]
fn operation_ids_say_what_is_done_to_what() {
    let verbs = ["list", "create", "get", "replace", "update", "delete", "restore", "search"];
    for operation in Document::of_the_application().operations() {
        let (id, name) = (operation.value["operationId"].as_str().unwrap(), operation.value["x-operation"].as_str().unwrap());
        assert!(id.starts_with(|letter: char| letter.is_ascii_lowercase()), "{id}");
        let verb = name.split(':').nth(1).unwrap();
        let searches = verb == "list" && operation.path.ends_with("/search");
        if verbs.contains(&verb) && operation.path.starts_with("/api/v1/a-crm/") {
            assert!(id.starts_with(if searches { "search" } else { verb }), "{name} is called {id}");
        }
    }
}

#[test]
fn parameters_are_typed_and_there_once() {
    let document = Document::of_the_application();
    for operation in document.operations() {
        let parameters: Vec<&Value> =
            operation.value["parameters"].as_array().into_iter().flatten().map(|known| document.resolve(known)).collect();
        let names: BTreeSet<String> = parameters.iter().map(|known| format!("{} {}", known["in"], known["name"])).collect();
        assert_eq!(names.len(), parameters.len(), "{}: a parameter is there once", operation.name());
        assert_eq!(operation.path.contains('{'), names.iter().any(|name| name.starts_with("\"path\"")), "{}", operation.name());
        for parameter in parameters {
            let name = format!("{} {}", operation.name(), parameter["name"]);
            assert!(parameter["schema"]["type"].is_string(), "{name} has no type");
            assert!(parameter["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no description");
        }
    }
}

#[test]
fn every_body_has_an_example_that_its_schema_takes() {
    let judge = Judge::new();
    let mut bodies = 0;
    for operation in judge.document.operations() {
        for (kind, media) in operation.value["requestBody"]["content"].as_object().into_iter().flatten() {
            let faults = judge.value_faults(&media["schema"], &media["example"]);
            assert!(faults.is_empty(), "{} {kind}: {faults:?}; openapi/examples.rs has a value for each name", operation.name());
            bodies += 1;
        }
    }
    assert!(bodies > 50, "only {bodies} bodies");
    for (name, schema) in judge.document.value["components"]["schemas"].as_object().unwrap() {
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            if property.get("example").is_some() {
                let faults = judge.value_faults(property, &property["example"]);
                assert!(faults.is_empty(), "{name}.{field}: {faults:?}");
            }
        }
    }
}

#[test]
fn bounds_are_those_of_the_rules() {
    let document = Document::of_the_application();
    let schemas = &document.value["components"]["schemas"];
    let company = &schemas["NewCompany"]["properties"];
    assert_eq!(schemas["NewCompany"]["required"], serde_json::json!(["name"]));
    assert_eq!((&company["name"]["minLength"], &company["name"]["maxLength"]), (&1.into(), &255.into()));
    assert_eq!((&company["tags"]["maxItems"], &company["tags"]["uniqueItems"]), (&50.into(), &true.into()));
    assert_eq!(company["tags"]["items"]["maxLength"], 100);
    assert_eq!(company["slug"]["pattern"], "^[a-z0-9]+(-[a-z0-9]+)*$");
    assert_eq!(company["annual_revenue"]["anyOf"][1]["minimum"], 0);
    assert_eq!(company["annual_revenue"]["anyOf"][1]["maximum"], 999_999_999_999_i64);
    for schema in ["NewProject", "ProjectChanges", "ProjectOfDeal"] {
        let hours = &schemas[schema]["properties"]["estimated_hours"]["anyOf"];
        assert_eq!((&hours[1]["minimum"], &hours[1]["maximum"]), (&0.into(), &1_000_000.into()), "{schema}");
        assert_eq!(hours[0]["pattern"], r"^([0-9]{1,6}(\.[0-9]{1,3})?|10{6}(\.0{1,3})?)$", "{schema}");
    }
    assert_eq!(schemas["NewDeal"]["properties"]["probability"]["maximum"], 100);
    assert_eq!(schemas["CompanyChanges"]["properties"]["name"].get("nullable"), None);
    assert_eq!(schemas["CompanyChanges"]["properties"]["industry"]["nullable"], true);
}

#[test]
fn what_may_be_any_value_is_so_wherever_it_stands() {
    let document = Document::of_the_application();
    let mut found = 0;
    visit(&document.value["components"]["schemas"], &mut |value| {
        let Some(default) = value["properties"].get("default_value") else { return };
        let types: BTreeSet<&str> =
            default["anyOf"].as_array().into_iter().flatten().filter_map(|way| way["type"].as_str()).collect();
        assert_eq!(types, BTreeSet::from(["array", "boolean", "number", "object", "string"]), "{default}");
        assert_eq!(default["nullable"], true);
        found += 1;
    });
    assert!(found > 3, "in requests, in answers and in lists; only {found}");
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
        let closed = |schema: &Value| schema["additionalProperties"] == false;
        assert_eq!(
            closed(schema) || schema["anyOf"].as_array().is_some_and(|ways| ways.iter().all(closed)),
            inputs.contains(name),
            "{name}: unknown fields are refused in bodies alone"
        );
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
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
