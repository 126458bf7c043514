//! Records in the shape that was asked for: `fields` leaves some of a record out, `include` puts others beside it.
//!
//! Must stay true: an operation that takes these parameters does not promise the whole record.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

use crate::related::Relation;

/// What each relation leads to, by its name; noted when the routes are wired.
static TARGETS: Mutex<BTreeMap<&str, BTreeSet<&str>>> = Mutex::new(BTreeMap::new());

/// Notes the relations of a noun.
pub fn note(relations: &'static [Relation]) {
    let mut targets = TARGETS.lock().unwrap_or_else(PoisonError::into_inner);
    for relation in relations {
        targets.entry(relation.name).or_default().insert(relation.target.entity());
    }
}

/// A list of these words with commas between them.
pub fn pattern<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.collect();
    let word = format!("({})", words.join("|"));
    format!("^{word}(,{word})*$")
}

/// The words of such a pattern.
pub fn words(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split(')').next().unwrap_or_default().trim_start_matches("^(").split('|')
}

/// Lets the answer of an operation that takes `fields` or `include` say so.
pub fn show(operation: &mut Value, components: &mut Value) {
    let parameter = |name: &str| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        parameters.into_iter().find(|known| known["in"] == "query" && known["name"] == name)
    };
    let include = parameter("include").and_then(|include| include["schema"]["pattern"].as_str()).map(ToOwned::to_owned);
    let searches = operation.pointer("/requestBody/content/application~1json/schema/$ref")
        == Some(&json!("#/components/schemas/SearchRequest"));
    if parameter("fields").is_none() && !searches {
        return;
    }
    let Some(schema) = operation.pointer_mut("/responses/200/content/application~1json/schema") else { return };
    let place = if schema.get("$ref").is_some() { schema } else { &mut schema["properties"]["data"]["items"] };
    let Some(name) = place["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).map(ToOwned::to_owned) else {
        return;
    };
    place["$ref"] = json!(format!("#/components/schemas/{name}View"));
    let view = components["schemas"].get(format!("{name}View")).cloned();
    let mut view = view.unwrap_or_else(|| view_of(&components["schemas"][&name]));
    for relation in include.iter().flat_map(|pattern| words(pattern)) {
        view["properties"][relation] = related(relation);
    }
    components["schemas"][format!("{name}View")] = view;
}

/// The same fields, none of which must be there.
fn view_of(whole: &Value) -> Value {
    let mut view = whole.clone();
    let description = whole["description"].as_str().unwrap_or_default();
    view["description"] =
        json!(format!("{description} Whole, or the fields that `fields` names; with what `include` names beside them."));
    if let Some(view) = view.as_object_mut() {
        view.remove("required");
    }
    view
}

fn related(relation: &str) -> Value {
    let targets = TARGETS.lock().unwrap_or_else(PoisonError::into_inner);
    let targets = targets.get(relation).into_iter().flatten();
    let references: Vec<Value> =
        targets.map(|entity| json!({ "$ref": format!("#/components/schemas/{}", capital(entity)) })).collect();
    json!({ "anyOf": references, "nullable": true, "description": "Only with `include`; null when there is none." })
}

fn capital(entity: &str) -> String {
    entity.get(..1).unwrap_or_default().to_uppercase() + entity.get(1..).unwrap_or_default()
}
