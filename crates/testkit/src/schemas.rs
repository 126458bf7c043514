//! Schemas of an OpenAPI 3.0 document, as judges of values.
//!
//! Must stay true: nothing is fetched; a schema refers to the components of its own document alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The components of a document, and the schemas that have been asked for.
#[derive(Debug)]
pub struct Schemas {
    /// In the words of JSON Schema.
    components: Value,
    validators: Mutex<BTreeMap<String, Arc<Validator>>>,
}

impl Schemas {
    /// Of a document with these components.
    #[must_use]
    pub fn of(components: &Value) -> Self {
        Self { components: in_json_schema(components), validators: Mutex::default() }
    }

    /// What is wrong with a value by this schema.
    #[must_use]
    pub fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validator(schema);
        validator.iter_errors(value).map(|error| format!("{} {error}", error.instance_path())).collect()
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut known = self.validators.lock().unwrap();
        let made = known.entry(schema.to_string()).or_insert_with(|| {
            let mut whole = in_json_schema(schema);
            whole["components"] = self.components.clone();
            let built = jsonschema::draft202012::options().should_validate_formats(true).build(&whole);
            Arc::new(built.unwrap_or_else(|error| panic!("{schema} is no schema: {error}")))
        });
        Arc::clone(made)
    }
}

/// A schema of OpenAPI 3.0 as one of JSON Schema: null is a type there, and not a remark.
fn in_json_schema(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(in_json_schema).collect(),
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| *key != "nullable");
            let mut translated: Map<String, Value> = kept.map(|(key, value)| (key.clone(), in_json_schema(value))).collect();
            if map.get("nullable") != Some(&json!(true)) {
                return Value::Object(translated);
            }
            match translated.get("type").cloned() {
                Some(kind) => {
                    translated.insert("type".into(), json!([kind, "null"]));
                    Value::Object(translated)
                }
                None => json!({ "anyOf": [Value::Object(translated), { "type": "null" }] }),
            }
        }
        other => other.clone(),
    }
}
