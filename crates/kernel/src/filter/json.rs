//! The tree as JSON, for programs that build questions: `{"and": [{"field": "stage", "op": "=", "value": "negotiation"}]}`.
//!
//! `and`, `or` and `not` join conditions; a comparison has `field`, spelled as in the text, `op` and `value`, an array for
//! `in`. A moment, the caller or a number too long for a float is `{"expression": "now() - 30d"}`, in the words of the text. Must stay true: reading what was written gives the
//! same tree, and whatever is refused is named by its pointer.

use bigdecimal::BigDecimal;
use serde_json::{Map, Value, json};

use super::{
    Comparison, Condition, FilterValue, Operator,
    bounds::{DEEPEST, MOST_COMPARISONS, MOST_VALUES},
    grammar,
    reading::too_deep,
    syntax::{At, Complaint, Place, Spelling, Syntax},
};

/// Digits that every float keeps.
const DIGITS_OF_A_FLOAT: usize = 15;

/// Reads a condition found at `pointer` of a body.
pub(super) fn parse(value: &Value, pointer: &str) -> Result<Syntax, Complaint> {
    condition(value, pointer, 0)
}

const CONDITION: &str = "expected an object with and, or, not, or with field, op and value";

fn condition(value: &Value, pointer: &str, depth: usize) -> Result<Syntax, Complaint> {
    let place = Place::Json(pointer.to_owned());
    let object = value.as_object().ok_or_else(|| Complaint::new(&place, "type", CONDITION))?;
    let only = if object.len() == 1 { object.iter().next() } else { None };
    if depth == DEEPEST && only.is_some() {
        return Err(too_deep(&place));
    }
    match only.map(|(word, value)| (word.as_str(), value)) {
        Some(("and", parts)) => {
            let mut parts = conditions(parts, &format!("{pointer}/and"), depth)?;
            Ok(if parts.len() == 1 { parts.remove(0) } else { Syntax::All(place, parts) })
        }
        Some(("or", parts)) => {
            let mut parts = conditions(parts, &format!("{pointer}/or"), depth)?;
            match parts.len() {
                0 => Err(Complaint::new(&Place::Json(format!("{pointer}/or")), "required", "expected at least one condition")),
                1 => Ok(parts.remove(0)),
                _ => Ok(Syntax::Any(place, parts)),
            }
        }
        Some(("not", part)) => Ok(Syntax::Not(place, Box::new(condition(part, &format!("{pointer}/not"), depth + 1)?))),
        _ => comparison(object, pointer),
    }
}

fn conditions(value: &Value, pointer: &str, depth: usize) -> Result<Vec<Syntax>, Complaint> {
    let place = Place::Json(pointer.to_owned());
    let parts = value.as_array().ok_or_else(|| Complaint::new(&place, "type", "expected an array of conditions"))?;
    if parts.len() > MOST_COMPARISONS {
        return Err(Complaint::new(&place, "too_many", format!("at most {MOST_COMPARISONS} conditions")));
    }
    parts.iter().enumerate().map(|(index, part)| condition(part, &format!("{pointer}/{index}"), depth + 1)).collect()
}

fn comparison(object: &Map<String, Value>, pointer: &str) -> Result<Syntax, Complaint> {
    if let Some(unknown) = object.keys().find(|key| !["field", "op", "value"].contains(&key.as_str())) {
        let place = Place::Json(format!("{pointer}/{}", escaped(unknown)));
        return Err(Complaint::new(&place, "unknown", CONDITION));
    }
    let (field, path) = required(object, pointer, "field")?;
    let (op, spelled) = required(object, pointer, "op")?;
    let Some(operator) = spelled.as_str().and_then(operator) else {
        return Err(Complaint::new(&op, "operator", "expected one of = != < <= > >= in : ~"));
    };
    let words = path.as_str().ok_or_else(|| Complaint::new(&field, "type", "expected the name of a field"))?;
    let (place, value) = required(object, pointer, "value")?;
    let words = grammar::parse_path(words, &field)?;
    Ok(Syntax::Compare(words, At { place: op, what: operator }, values(value, operator, &place)?))
}

fn required<'o>(object: &'o Map<String, Value>, pointer: &str, name: &str) -> Result<(Place, &'o Value), Complaint> {
    let place = Place::Json(format!("{pointer}/{name}"));
    match object.get(name) {
        Some(value) => Ok((place, value)),
        None => Err(Complaint::new(&place, "required", CONDITION)),
    }
}

fn operator(spelled: &str) -> Option<Operator> {
    Operator::ALL.into_iter().find(|operator| operator.as_str() == spelled)
}

fn values(value: &Value, operator: Operator, place: &Place) -> Result<Vec<At<Spelling>>, Complaint> {
    let one = |place: &Place, value: &Value| spelling(value, place).map(|what| At { place: place.clone(), what });
    let Place::Json(pointer) = place else { return Ok(Vec::new()) };
    match (operator, value) {
        (Operator::In | Operator::Has, Value::Array(values)) if values.is_empty() => {
            Err(Complaint::new(place, "required", "expected at least one value"))
        }
        (Operator::In | Operator::Has, Value::Array(values)) if values.len() > MOST_VALUES => {
            Err(Complaint::new(place, "too_many", format!("at most {MOST_VALUES} values in one list")))
        }
        (Operator::In | Operator::Has, Value::Array(values)) => {
            values.iter().enumerate().map(|(index, value)| one(&Place::Json(format!("{pointer}/{index}")), value)).collect()
        }
        (Operator::In, _) => Err(Complaint::new(place, "type", "expected an array of values")),
        _ => Ok(vec![one(place, value)?]),
    }
}

fn spelling(value: &Value, place: &Place) -> Result<Spelling, Complaint> {
    match value {
        Value::Null => Ok(Spelling::Null),
        Value::Bool(value) => Ok(Spelling::Boolean(*value)),
        Value::Number(number) => number_as_sent(&number.to_string(), number.is_f64(), place),
        Value::String(text) => Ok(Spelling::Quoted(text.clone())),
        Value::Object(object) => match (object.len(), object.get("expression").and_then(Value::as_str)) {
            (1, Some(text)) => grammar::parse_expression(text, place),
            _ => Err(Complaint::new(place, "type", "expected a value, or an object with expression")),
        },
        Value::Array(_) => Err(Complaint::new(place, "type", "expected one value; only in and : take an array")),
    }
}

/// A number with a point has passed through a float, and may no longer be what was meant.
fn number_as_sent(number: &str, is_float: bool, place: &Place) -> Result<Spelling, Complaint> {
    if is_float && number.bytes().filter(u8::is_ascii_digit).count() > DIGITS_OF_A_FLOAT {
        let message = format!("send a number of more than {DIGITS_OF_A_FLOAT} digits as {{\"expression\": \"…\"}}");
        return Err(Complaint::new(place, "value", message));
    }
    Ok(Spelling::Bare(number.to_owned()))
}

/// As RFC 6901 spells a name within a pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Writes the tree.
pub(super) fn write(condition: &Condition) -> Value {
    match condition {
        Condition::All(parts) => json!({ "and": parts.iter().map(write).collect::<Vec<Value>>() }),
        // No condition of none holds; the JSON form has no empty `or`, which is too easily sent by mistake.
        Condition::Any(parts) if parts.is_empty() => json!({ "not": { "and": [] } }),
        Condition::Any(parts) => json!({ "or": parts.iter().map(write).collect::<Vec<Value>>() }),
        Condition::Not(part) => json!({ "not": write(part) }),
        Condition::Compare(Comparison { field, operator, values }) => {
            let mut values: Vec<Value> = values.iter().map(write_value).collect();
            let value = if values.len() == 1 && *operator != Operator::In { values.remove(0) } else { Value::Array(values) };
            json!({ "field": field.to_string(), "op": operator.as_str(), "value": value })
        }
    }
}

fn write_value(value: &FilterValue) -> Value {
    match value {
        FilterValue::Null => Value::Null,
        FilterValue::Text(text) => json!(text),
        FilterValue::Integer(number) => json!(number),
        FilterValue::Decimal(money) => json!(money),
        FilterValue::Number(number) => write_number(number),
        FilterValue::Boolean(value) => json!(value),
        FilterValue::Date(date) => json!(date),
        FilterValue::Timestamp(instant) => json!(instant),
        FilterValue::Id(id) => json!(id),
        FilterValue::Relative(relative) => json!({ "expression": relative.to_string() }),
    }
}

/// As a JSON number if that comes back as the same one; most programs read it into a float.
fn write_number(number: &BigDecimal) -> Value {
    let text = number.normalized().to_plain_string();
    match serde_json::from_str::<Value>(&text) {
        Ok(value) if text.len() <= DIGITS_OF_A_FLOAT && serde_json::to_string(&value).is_ok_and(|written| written == text) => {
            value
        }
        _ => json!({ "expression": text }),
    }
}
