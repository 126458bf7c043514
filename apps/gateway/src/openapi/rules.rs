//! Bounds of what clients send, asked of the rules themselves.
//!
//! Every type that handlers take as a body is noted when the routes are wired, with the function that reads and checks it. The
//! document then tries values on that function: which length is the first that is refused, whether null is taken, what is required.
//! Must stay true: nothing here says what a rule is; it says how to find out. A rule that is changed changes the document.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crm_kernel::{FieldError, validation::ADDRESS_KEYS};
use serde_json::{Map, Value, json};

use crate::body::{self, Input};

/// Reads and checks a body; everything that is wrong with it.
type Check = fn(Value) -> Vec<FieldError>;

/// The bodies that handlers take, by the names of their schemas.
static CHECKS: Mutex<BTreeMap<String, Check>> = Mutex::new(BTreeMap::new());

/// Notes a body that a handler takes.
pub fn note<T: Input>() {
    if let Some(name) = T::name() {
        CHECKS.lock().unwrap_or_else(PoisonError::into_inner).insert(name, body::faults::<T>);
    }
}

/// Whether handlers take a body of this name.
pub fn is_body(name: &str) -> bool {
    check_of(name).is_some()
}

fn check_of(name: &str) -> Option<Check> {
    CHECKS.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
}

/// Writes into the schema of this name what the rules of its body say.
pub fn apply(name: &str, schema: &mut Value) {
    let Some(check) = check_of(name) else { return };
    let base = least(check, schema);
    let required: Vec<&String> = base.keys().collect();
    if let Some(object) = schema.as_object_mut() {
        object.remove("required");
        if !required.is_empty() {
            object.insert("required".into(), json!(required));
        }
    }
    for (field, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        Trial { check, base: &base, field }.describe(property);
    }
}

/// The fields without which nothing goes, each with a value that can be read. Asked again until none is missing: an empty body is told of
/// those only that can be told at once.
fn least(check: Check, schema: &Value) -> Map<String, Value> {
    let mut body = Map::new();
    loop {
        let missing = check(Value::Object(body.clone())).into_iter().filter(|error| error.code == "required");
        let missing: Vec<String> = missing.filter_map(|error| Some(error.pointer.strip_prefix('/')?.to_owned())).collect();
        let new = missing.into_iter().filter(|field| !body.contains_key(field));
        let new: Vec<(String, Value)> =
            new.filter_map(|field| Some((field.clone(), plausible(schema["properties"].get(&field)?)))).collect();
        if new.is_empty() {
            return body;
        }
        body.extend(new);
    }
}

/// A value that at least can be read, so that the rules for other fields are reached.
fn plausible(property: &Value) -> Value {
    if let Some(first) = property["enum"].get(0) {
        return first.clone();
    }
    match (property["type"].as_str(), property["format"].as_str()) {
        (Some("string"), Some("uuid")) => json!("01890000-0000-7000-8000-000000000000"),
        (Some("string"), Some("date")) => json!("2026-01-31"),
        (Some("string"), Some("date-time")) => json!("2026-01-31T09:30:00Z"),
        (Some("string"), _) => json!("1"),
        (Some("integer" | "number"), _) => json!(1),
        (Some("boolean"), _) => json!(true),
        (Some("array"), _) => json!([]),
        _ => json!({}),
    }
}

/// Longer than any text that a rule lets pass.
const LONGEST_TEXT: usize = 100_000;
/// More than any list that a rule lets pass.
const MOST_ITEMS: usize = 2_000;
/// No rule asks for texts longer than this.
const LONGEST_MINIMUM: usize = 64;

/// What a rule is called when it stands for a shape of text.
const SHAPES: [(&str, &str, &str); 6] = [
    ("format", "pattern", "^[a-z][a-z0-9_]{0,49}$"),
    ("slug", "pattern", "^[a-z0-9]+(-[a-z0-9]+)*$"),
    ("currency", "pattern", "^[A-Z]{3}$"),
    ("country", "pattern", "^[A-Z]{2}$"),
    ("url", "pattern", "^[hH][tT][tT][pP][sS]?://[^/\\s\\\\][^\\s\\\\]*$"),
    ("email", "format", "email"),
];

/// Values tried on one field.
struct Trial<'a> {
    check: Check,
    base: &'a Map<String, Value>,
    field: &'a str,
}

impl Trial<'_> {
    /// What is wrong with the field, or inside it, when it has this value.
    fn faults(&self, value: Value) -> Vec<FieldError> {
        let mut body = self.base.clone();
        body.insert(self.field.to_owned(), value);
        let pointer = format!("/{}", self.field);
        let about = |error: &FieldError| error.pointer == pointer || error.pointer.starts_with(&format!("{pointer}/"));
        (self.check)(Value::Object(body)).into_iter().filter(about).collect()
    }

    fn takes(&self, value: Value) -> bool {
        self.faults(value).is_empty()
    }

    /// Whether one of these rules refuses the value.
    fn breaks(&self, value: Value, codes: &[&str]) -> bool {
        self.faults(value).iter().any(|error| codes.contains(&error.code.as_str()))
    }

    fn describe(&self, property: &mut Value) {
        if property.get("enum").is_none() {
            match (property["type"].as_str(), property.get("format")) {
                (Some("string"), None) => self.describe_text(property),
                (Some("integer"), _) => self.describe_number(property),
                (Some("array"), _) => self.describe_list(property),
                (Some("object"), _) if property.get("properties").is_none() => self.describe_object(property),
                _ => {}
            }
        }
        if self.takes(Value::Null) {
            super::schemas::make_nullable(property);
        }
    }

    fn describe_text(&self, property: &mut Value) {
        if self.takes(json!(1)) && self.takes(json!("1")) {
            let sign = if self.takes(json!("-1")) { "-?" } else { "" };
            let most = edge(1, MOST_DECIMAL, |number: i64| self.takes(json!(number.to_string())));
            *property = decimal(property, sign, most);
            return;
        }
        let refused = |length: usize| self.breaks(json!("a".repeat(length)), &["length"]);
        if refused(LONGEST_TEXT) {
            // Short texts may be refused for being short.
            let fits = (0..=LONGEST_MINIMUM).find(|length| !refused(*length)).unwrap_or_default();
            property["maxLength"] = json!(last_before(fits, LONGEST_TEXT, refused));
        }
        let too_short = |length: usize| self.breaks(json!("a".repeat(length)), &["length", "required"]);
        if let Some(shortest @ 1..) = (0..=LONGEST_MINIMUM).find(|length| !too_short(*length)) {
            property["minLength"] = json!(shortest);
        }
        if self.breaks(json!(" "), &["required"]) {
            property["pattern"] = json!("\\S");
        }
        for (code, key, value) in SHAPES {
            if self.breaks(json!("\u{b6}"), &[code]) {
                property[key] = json!(value);
            }
        }
    }

    fn describe_number(&self, property: &mut Value) {
        bound_number(property, |number| self.takes(json!(number)));
    }

    fn describe_list(&self, property: &mut Value) {
        if property["items"].get("properties").is_some() {
            return self.describe_list_of_objects(property);
        }
        if property["items"]["type"] != "string" || property["items"].get("format").is_some() {
            return;
        }
        let exactly = format!("/{}", self.field);
        let list = |count: usize| (0..count).map(|number| json!(format!("w{number}"))).collect::<Vec<_>>();
        let whole = |value: Value| self.faults(value).iter().any(|error| error.pointer == exactly);
        if whole(json!(list(MOST_ITEMS))) && !whole(json!(list(1))) {
            property["maxItems"] = json!(last_before(1, MOST_ITEMS, |count| whole(json!(list(count)))));
        }
        if whole(json!(["w", "w"])) && !whole(json!(["w"])) {
            property["uniqueItems"] = json!(true);
        }
        // A word that is not known is refused whatever its length.
        let refused = |length: usize| self.faults(json!(["a".repeat(length)])).iter().any(|error| error.code != "unknown");
        if refused(LONGEST_TEXT) && !refused(1) {
            property["items"]["maxLength"] = json!(last_before(1, LONGEST_TEXT, refused));
        }
        if refused(0) && !refused(1) {
            property["items"]["minLength"] = json!(1);
        }
    }

    /// What is required of each, and how many there may be.
    fn describe_list_of_objects(&self, property: &mut Value) {
        let items = property["items"]["properties"].as_object().cloned().unwrap_or_default();
        let pointer = format!("/{}/0/", self.field);
        let mut required: Vec<String> = Vec::new();
        let object = |required: &[String], number: usize| {
            let value = |name: &String| match plausible(items.get(name).unwrap_or(&Value::Null)) {
                Value::String(text) => json!(format!("{text}w{number}")),
                other => other,
            };
            Value::Object(required.iter().map(|name| (name.clone(), value(name))).collect())
        };
        // The reader tells of one at a time.
        while let Some(missing) = self.faults(json!([object(&required, 0)])).into_iter().find_map(|error| {
            (error.code == "required").then(|| error.pointer.strip_prefix(&pointer).map(ToOwned::to_owned)).flatten()
        }) {
            if required.contains(&missing) || !items.contains_key(&missing) {
                break;
            }
            required.push(missing);
        }
        property["items"]["required"] = json!(required);
        for (name, inside) in property["items"]["properties"].as_object_mut().into_iter().flatten() {
            let takes = |value: Value| {
                let mut item = object(&required, 0);
                item[name.as_str()] = value;
                self.takes(json!([item]))
            };
            if inside["type"] == "string" && inside.get("enum").is_none() {
                bound_text(inside, |length| !takes(json!("a".repeat(length))));
            } else if inside["type"] == "integer" {
                bound_number(inside, |number| takes(json!(number)));
            }
        }
        let refused = |count: usize| {
            let list: Vec<Value> = (0..count).map(|number| object(&required, number)).collect();
            self.breaks(json!(list), &["too_many"])
        };
        if refused(MOST_ITEMS) {
            property["maxItems"] = json!(last_before(0, MOST_ITEMS, refused));
        }
    }

    fn describe_object(&self, property: &mut Value) {
        if self.takes(json!("w")) && self.takes(json!(1)) && self.takes(json!([])) {
            *property = any_value(property);
            return;
        }
        if self.breaks(json!({ "\u{b6}": "w" }), &["unknown"]) && self.takes(json!({ "city": "w" })) {
            *property = address(property);
            let lines = &mut property["properties"];
            if self.breaks(json!({ "country": "\u{b6}" }), &["country"]) {
                lines["country"]["pattern"] = json!("^[A-Z]{2}$");
            }
            let refused = |length: usize| self.breaks(json!({ "postal_code": "1".repeat(length) }), &["postal_code"]);
            if refused(255) {
                lines["postal_code"]["maxLength"] = json!(last_before(1, 255, refused));
            }
        }
    }
}

/// Between which numbers those lie that are taken.
fn bound_number(property: &mut Value, taken: impl Fn(i64) -> bool) {
    let narrow = property["format"] == "int32";
    let largest = if narrow { i64::from(i32::MAX) } else { i64::MAX / 2 };
    let Some(fits) = [0_i64, 1, 10, 30, 365].into_iter().find(|number| taken(*number)) else { return };
    for (key, end) in [("minimum", -largest), ("maximum", largest)] {
        let bound = edge(fits, end, &taken);
        // The end of what the wide type holds is no rule, and no client comes near it.
        if narrow || bound != end {
            property[key] = json!(bound);
        }
    }
}

/// How long a text may be of which one letter is a right one.
fn bound_text(property: &mut Value, refused: impl Fn(usize) -> bool) {
    if refused(1) {
        return;
    }
    if refused(0) {
        property["minLength"] = json!(1);
    }
    if refused(LONGEST_TEXT) {
        property["maxLength"] = json!(last_before(1, LONGEST_TEXT, refused));
    }
}

/// The last number at or after `fits` that is not refused; `beyond` is.
fn last_before(mut fits: usize, mut beyond: usize, refused: impl Fn(usize) -> bool) -> usize {
    while beyond - fits > 1 {
        let middle = fits + (beyond - fits) / 2;
        if refused(middle) { beyond = middle } else { fits = middle }
    }
    fits
}

/// The number farthest from `fits` towards `end` that is taken.
fn edge(fits: i64, end: i64, taken: impl Fn(i64) -> bool) -> i64 {
    if taken(end) {
        return end;
    }
    let (mut inside, mut outside) = (fits, end);
    while (outside - inside).abs() > 1 {
        let middle = inside + (outside - inside) / 2;
        if taken(middle) { inside = middle } else { outside = middle }
    }
    inside
}

/// The largest decimal without a fraction.
const MOST_DECIMAL: i64 = 999_999_999_999_999;

/// An exact decimal of at most `most`, as requests may send it: the text of it, or a number.
fn decimal(property: &Value, sign: &str, most: i64) -> Value {
    let digits = most.to_string().len();
    let fraction = "(\\.[0-9]{1,3})?";
    let pattern = match most.checked_ilog10() {
        // A power of ten is told exactly: everything that is shorter, and itself.
        Some(zeros @ 1..) if most == 10_i64.pow(zeros) => {
            format!("^{sign}([0-9]{{1,{zeros}}}{fraction}|10{{{zeros}}}(\\.0{{1,3}})?)$")
        }
        _ => format!("^{sign}[0-9]{{1,{digits}}}{fraction}$"),
    };
    let example = if most < 1_250_000 { "10.00" } else { "1250000.00" };
    json!({
        "description": property["description"],
        "anyOf": [
            { "type": "string", "pattern": pattern, "example": example },
            {
                "type": "number", "multipleOf": 0.001, "maximum": most.min(999_999_999_999_i64),
                "minimum": if sign.is_empty() { 0 } else { -999_999_999_999_i64 },
            },
        ],
        "example": example,
    })
}

/// A value of a custom field, of whatever type that has.
pub fn any_value(property: &Value) -> Value {
    json!({
        "description": property["description"],
        "anyOf": [
            { "type": "string" },
            { "type": "number" },
            { "type": "boolean" },
            { "type": "array", "items": {} },
            { "type": "object" },
        ],
        "nullable": true,
    })
}

/// Whether a field has been found to be such a value.
pub fn is_any_value(property: &Value) -> bool {
    *property == any_value(property)
}

/// A postal address.
pub fn address(property: &Value) -> Value {
    let line = json!({ "type": "string", "maxLength": 255, "nullable": true });
    let lines: Map<String, Value> = ADDRESS_KEYS.iter().map(|key| ((*key).to_owned(), line.clone())).collect();
    json!({ "description": property["description"], "type": "object", "properties": lines, "additionalProperties": false })
}
