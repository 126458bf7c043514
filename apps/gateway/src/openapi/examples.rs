//! Examples: one plausible value for each field that needs one, by the field's name.
//!
//! Must stay true: a test finds every text of a request that has no example here, and every example that its schema refuses.

use serde_json::{Map, Value, json};

/// Values by the names of fields; what an enumeration, a format or a number says by itself needs none.
const TEXTS: &[(&str, &str)] = &[
    ("access_token", "En0KEwoEMTIzNBgDIgkKBwgKEgMYgAgSJAgAEiA"),
    ("billing_address", ""),
    ("city", "Rotterdam"),
    ("code", "492039"),
    ("confirm", "acme"),
    ("content", "Called: they decide **next week**."),
    ("country", "NL"),
    ("currency", "EUR"),
    ("current_password", "correct horse battery staple"),
    ("cursor", "eyJwIjpbIkFjbWUiXX0"),
    ("deal_source", "referral"),
    ("default_currency", "EUR"),
    ("department", "Purchasing"),
    ("description", "Install, train, hand over"),
    ("device_token", "d3b07384d113edec49eaa6238ad5ff00"),
    ("email", "ada.lovelace@example.com"),
    ("external_token", "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"),
    ("field", "company_status"),
    ("first_name", "Ada"),
    ("from", "qualification"),
    ("full_name", "Ada Lovelace"),
    ("industry", "Shipping"),
    ("key", "region"),
    ("label", "Region"),
    ("last_name", "Lovelace"),
    ("lead_source", "trade fair"),
    ("locale", "en-GB"),
    ("lost_reason", "the price was too high"),
    ("mobile", "+31 6 1234 5678"),
    ("name", "Acme Shipping"),
    ("new_password", "a much better passphrase"),
    ("organization", "acme"),
    ("organization_name", "Acme"),
    ("password", "correct horse battery staple"),
    ("phone", "+31 10 123 4567"),
    ("recurrence", "FREQ=WEEKLY;BYDAY=MO"),
    ("role", "decides"),
    ("refresh_token", "7c9e6679f7425d40aa6e1b2f0d0f1d5e"),
    ("slug", "acme-shipping"),
    ("sort", "-created_at"),
    ("stage", "negotiation"),
    ("time_zone", "Europe/Amsterdam"),
    ("title", "Head of Purchasing"),
    ("to", "proposal"),
    ("token", "KqMI2n5o1tq8dZ0qv3kB1w"),
    ("value", "ada.lovelace@example.com"),
    ("website", "https://acme.example.com"),
];

/// Exact decimals that are no amounts of money, or small ones.
const DECIMALS: &[(&str, &str)] = &[
    ("actual_hours", "12.50"),
    ("discount_percent", "10.00"),
    ("estimated_hours", "40.00"),
    ("quantity", "3.00"),
    ("base_rate", "1.08350000"),
    ("rate", "1.08350000"),
    ("unit_price", "550.00"),
];

/// Words of lists, by the names of fields.
const WORDS: &[(&str, &[&str])] = &[
    ("tags", &["vip"]),
    ("operations", &["company:list", "company:get"]),
    ("entities", &["company"]),
    ("fields", &["id", "name"]),
    ("include", &["owner"]),
];

/// The id in all examples.
pub const ID: &str = "0198c5f2-7f3a-7c61-9d5e-3b1f6a2c4d8e";

/// Gives the fields of a schema their examples.
pub fn apply(schema: &mut Value) {
    for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        if let Some(items) = property.get_mut("items") {
            apply(items);
        }
        if let Some((_, decimal)) = DECIMALS.iter().find(|(known, _)| known == name) {
            property["example"] = json!(decimal);
        }
        if property.get("example").is_none()
            && let Some(example) = example(name, property)
        {
            property["example"] = example;
        }
    }
}

/// A whole body: what is required, and everything else that has an example and refers to nothing.
pub fn body(schema: &Value) -> Value {
    let is_required = |name: &str| schema["required"].as_array().into_iter().flatten().any(|known| known == name);
    let fields = schema["properties"].as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| is_required(name) || !(name.ends_with("_id") || *name == "id" || *name == "cursor"));
    let fields = fields.filter_map(|(name, property)| Some((name.clone(), value(name, property)?)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn value(name: &str, property: &Value) -> Option<Value> {
    property.get("example").cloned().or_else(|| example(name, property))
}

/// A value that the field takes, where one is known.
pub fn example(name: &str, property: &Value) -> Option<Value> {
    if let Some(first) = property["enum"].get(0) {
        return Some(first.clone());
    }
    let text = || TEXTS.iter().find(|(known, _)| *known == name).map(|(_, text)| json!(text));
    match (property["type"].as_str()?, property["format"].as_str()) {
        ("string", Some("uuid")) => Some(json!(ID)),
        ("string", Some("date")) => Some(json!("2031-01-31")),
        ("string", Some("date-time")) => Some(json!("2031-01-31T09:30:00Z")),
        ("string", _) => text(),
        ("integer", _) => Some(number(property)),
        ("boolean", _) => Some(json!(true)),
        ("array", _) => {
            let words = WORDS.iter().find(|(known, _)| *known == name).map(|(_, words)| json!(words));
            let is_sent = property.pointer("/items/additionalProperties") == Some(&json!(false));
            words.or_else(|| is_sent.then(|| json!([body(&property["items"])])))
        }
        ("object", _) => match property["properties"].as_object() {
            // Only what is sent is closed; an answer would have to be whole.
            Some(_) => (property["additionalProperties"] == false).then(|| body(property)),
            None => Some(json!({})),
        },
        _ => None,
    }
}

/// A number between the bounds that is nothing special.
fn number(property: &Value) -> Value {
    let bound = |key: &str| property[key].as_i64();
    let number = 30.max(bound("minimum").unwrap_or_default());
    json!(number.min(bound("maximum").unwrap_or(number)))
}
