//! Custom fields through the API: defining them, judging values, what is unique, what is in order, converting.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod conversions;
mod definitions;
mod questions;
#[path = "../support/mod.rs"]
mod support;
mod unique;
mod values;

use serde_json::{Value, json};

use crate::support::{App, Caller, world::World};

/// The nouns: how addresses call them, what definitions call them, and a body that is right but for custom fields.
const NOUNS: [(&str, &str); 7] = [
    ("companies", "company"),
    ("contacts", "contact"),
    ("deals", "deal"),
    ("projects", "project"),
    ("tasks", "task"),
    ("notes", "note"),
    ("campaigns", "campaign"),
];

async fn start() -> (App, World) {
    let app = App::start().await;
    let world = World::create(&app, "Acme").await;
    (app, world)
}

/// A record of the noun with these custom fields and nothing else of note.
fn body(noun: &str, custom_fields: &Value) -> Value {
    match noun {
        "contacts" => json!({ "first_name": "A", "last_name": "B", "custom_fields": custom_fields }),
        "tasks" => json!({ "title": "A", "custom_fields": custom_fields }),
        "notes" => json!({ "content": "A", "custom_fields": custom_fields }),
        _ => json!({ "name": "A", "custom_fields": custom_fields }),
    }
}

/// Defines a field; what is not said is usual.
async fn define(caller: &Caller, entity: &str, key: &str, field_type: &str, more: &Value) -> Value {
    let mut field = json!({ "entity": entity, "key": key, "label": key, "field_type": field_type });
    field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    caller.post("custom-fields", &field).await.expect(201).body
}

/// Works until nothing is left to do.
async fn work(app: &App) {
    while crm_tenancy::custom_fields::work::step(&app.database.db()).await.unwrap() {}
}

fn id(record: &Value) -> String {
    record["id"].as_str().unwrap().to_owned()
}
