//! Ids of another tenant in the fields of a body.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    probe::{Asked, Bench, never, understood},
    support::{
        document::{Document, Operation, example},
        world::{NOUNS, ROLES},
    },
};

/// The fields of the operation's body that hold an id; `data/0/contact_id` is one of the first object of a list.
fn id_fields(document: &Document, operation: &Operation) -> Vec<String> {
    let Some(name) = operation.body_schema() else { return Vec::new() };
    let mut fields = Vec::new();
    for (field, schema) in document.value["components"]["schemas"][name]["properties"].as_object().unwrap() {
        let is_id = schema["format"] == "uuid";
        let sounds_so = field == "id"
            || field.ends_with("_id")
            || field.ends_with("_ids")
            || ["to", "reassign_to", "mentions"].contains(&field.as_str());
        let is_ids = schema["items"]["format"] == "uuid";
        assert_eq!(is_id || is_ids, sounds_so, "{name}.{field}: an id is called so and has format uuid");
        // An operation of a bulk call names its record: `an_id_in_an_operation` tries those of others.
        let is_operations = (name, field.as_str()) == ("BulkRequest", "operations");
        let inner = ids_of_items(document, schema);
        let is_understood = sounds_so || is_operations || !inner.is_empty() || !nests_an_id(document, schema);
        assert!(is_understood, "teach tests/seal to put ids into {name}.{field}");
        if sounds_so {
            fields.push(field.clone());
        } else if !is_operations {
            fields.extend(inner.iter().map(|inner| format!("{field}/0/{inner}")));
        }
    }
    fields
}

/// The fields of the objects of a list that hold an id.
fn ids_of_items(document: &Document, list: &Value) -> Vec<String> {
    let object = document.resolve(&document.resolve(list)["items"])["properties"].clone();
    let ids = object.as_object().into_iter().flatten().filter(|(_, schema)| schema["format"] == "uuid");
    ids.map(|(name, _)| name.clone()).collect()
}

fn nests_an_id(document: &Document, schema: &Value) -> bool {
    let schema = document.resolve(schema);
    let parts = schema["properties"].as_object().into_iter().flat_map(|map| map.values());
    schema["format"] == "uuid" || parts.chain(schema.get("items")).any(|part| nests_an_id(document, part))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_a_body() {
    let bench = Bench::new().await;
    let (document, operations) = understood();
    let mut compared = 0;
    for operation in &operations {
        for field in id_fields(&document, operation) {
            // A client's own id may be any that is free in its organisation, so each is used once.
            let chosen = field == "id" && operation.method == "POST";
            let kinds: Vec<&str> = if chosen { vec!["fresh"] } else { bench.foreign.keys().copied().collect() };
            for kind in kinds {
                let of_roles = ROLES.map(|role| {
                    let (bench, field) = (&bench, &field);
                    async move {
                        let what = format!("{} by {role}, {kind} as {field}", operation.name());
                        let foreign = match kind {
                            "fresh" => {
                                let (kind, label) = (operation.path.rsplit('/').next().unwrap(), format!("umbrella-{}", never()));
                                bench.umbrella.thing(&bench.app, kind, &bench.umbrella.person("owner"), &label).await
                            }
                            kind => bench.foreign[kind].clone(),
                        };
                        let theirs = bench.sent(operation, role, field, &foreign).await;
                        bench.alike(&what, &theirs, &bench.sent(operation, role, field, &never()).await);
                        assert!(
                            chosen || field == "id" || theirs.answer.status >= 400,
                            "{what} was taken: {}",
                            theirs.answer.text
                        );
                    }
                });
                compared += join_all(of_roles).await.len();
            }
        }
    }
    assert!(compared > 300, "only {compared} comparisons");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_an_operation() {
    let bench = Bench::new().await;
    let mut compared = 0;
    for (noun, _) in NOUNS {
        for role in ROLES {
            for op in ["update", "delete"] {
                let asked = async |id: &str| {
                    let mut operation = json!({ "op": op, "id": id });
                    if op == "update" {
                        operation["data"] = json!({ "tags": ["taken"] });
                    }
                    let body = json!({ "operations": [operation] });
                    let answer = bench.acme.caller(role).post(&format!("{noun}/bulk"), &body).await;
                    let operation_id = answer.body["operation_id"].as_str().unwrap_or_default().to_owned();
                    Asked::new(answer, &[id, &operation_id])
                };
                let theirs = asked(&bench.foreign[noun]).await;
                bench.alike(&format!("{op} of {noun} by {role}"), &theirs, &asked(&never()).await);
                assert_ne!(theirs.answer.status, 200, "nothing was done: {}", theirs.answer.text);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, NOUNS.len() * ROLES.len() * 2);
}

impl Bench {
    /// A body that is right but for the id in this field, sent to a record of Acme that nobody has touched.
    async fn sent(&self, operation: &Operation, role: &str, field: &str, value: &str) -> Asked {
        let label = never();
        let mut record = String::new();
        if let Some(kind) = operation.thing() {
            record = self.acme.thing(&self.app, kind, &self.acme.person(role), &format!("old-{label}")).await;
        }
        let mut body = example(operation.body_schema().unwrap(), &label);
        match field.split_once("/0/") {
            Some((list, inner)) => body[list][0][inner] = value.into(),
            None => body[field] = if field.ends_with("_ids") || field == "mentions" { json!([value]) } else { value.into() },
        }
        let call = self.acme.caller(role).call(&operation.method, &operation.at(&record));
        Asked::new(call.json(&body).send().await, &[value, &record, &label])
    }
}
