//! Whether one record is what a condition asks for, from its JSON alone.
//!
//! The record is what the API shows, with each parent under its name, as `include` embeds it. Must stay true: what is
//! true here is true in the database, and the other way round; the condition is a resolved one, and a relative value in it
//! equals nothing.

use std::cmp::Ordering;

use bigdecimal::BigDecimal;
use serde_json::Value;
use uuid::Uuid;

use super::{Comparison, Condition, FieldPath, FilterValue, Operator, fold, lower};
use crate::{CustomField, Date, Kind, Timestamp};

impl Condition {
    /// Whether it holds for this record.
    #[must_use]
    pub fn holds(&self, record: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(record)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(record)),
            Self::Not(part) => !part.holds(record),
            Self::Compare(comparison) => comparison.holds(record),
        }
    }
}

impl Comparison {
    fn holds(&self, record: &Value) -> bool {
        let found = self.field.find(record);
        let any = |holds: fn(&FieldPath, &Value, &FilterValue) -> bool| {
            self.values.iter().any(|value| match (found, value) {
                (None, FilterValue::Null) => true,
                (None, _) | (_, FilterValue::Null) => false,
                (Some(found), value) => holds(&self.field, found, value),
            })
        };
        match self.operator {
            Operator::Equal | Operator::In => any(equal),
            Operator::NotEqual => !any(equal),
            Operator::Less => any(|field, found, value| order(field, found, value) == Some(Ordering::Less)),
            Operator::LessOrEqual => any(|field, found, value| order(field, found, value).is_some_and(Ordering::is_le)),
            Operator::Greater => any(|field, found, value| order(field, found, value) == Some(Ordering::Greater)),
            Operator::GreaterOrEqual => any(|field, found, value| order(field, found, value).is_some_and(Ordering::is_ge)),
            Operator::Has => any(has),
            Operator::Contains => any(contains),
        }
    }
}

impl FieldPath {
    /// The value in the record; none when it is missing.
    fn find<'r>(&self, record: &'r Value) -> Option<&'r Value> {
        let record = match self.parent {
            Some(parent) => record.get(parent.name)?,
            None => record,
        };
        let found = record.get(self.field.name)?;
        let found = match &self.key {
            Some(key) => found.get(key)?,
            None => found,
        };
        let empty = self.field.kind == Kind::Tags && found.as_array().is_some_and(Vec::is_empty);
        (!found.is_null() && !empty).then_some(found)
    }
}

fn equal(field: &FieldPath, found: &Value, value: &FilterValue) -> bool {
    if let Some(custom) = &field.custom {
        return custom_equal(custom, found, value);
    }
    match (value, found) {
        (FilterValue::Text(text), Value::String(found)) if field.field.kind == Kind::Caseless => lower(found) == lower(text),
        (FilterValue::Boolean(value), Value::Bool(found)) => found == value,
        (FilterValue::Id(id), Value::String(found)) => found.parse::<Uuid>().is_ok_and(|found| found == *id),
        _ => order(field, found, value) == Some(Ordering::Equal),
    }
}

/// Only what is stored in the field's normal form is equal to a value of it; numbers are whatever their spelling.
fn custom_equal(custom: &CustomField, found: &Value, value: &FilterValue) -> bool {
    match (custom.field_type.json(value), found) {
        (Some(Value::Number(number)), Value::Number(found)) => {
            let exact = |number: &serde_json::Number| number.to_string().parse::<BigDecimal>().ok();
            exact(&number).is_some() && exact(&number) == exact(found)
        }
        (Some(json), found) => json == *found,
        (None, _) => false,
    }
}

/// How what was found stands to the value; none when they are not of one kind.
fn order(field: &FieldPath, found: &Value, value: &FilterValue) -> Option<Ordering> {
    if let Some(custom) = &field.custom {
        let (found, value) = (custom.field_type.number_key(found)?, custom.field_type.number_key_of(value)?);
        return Some(found.cmp(&value));
    }
    match (value, found) {
        (FilterValue::Text(text), Value::String(found)) => Some(found.as_str().cmp(text)),
        (FilterValue::Integer(number), Value::Number(found)) => found.as_i64().map(|found| found.cmp(number)),
        // Exchange rates have more digits than amounts.
        (FilterValue::Decimal(amount), Value::String(found)) => {
            found.parse::<BigDecimal>().ok().map(|found| found.cmp(amount.decimal()))
        }
        (FilterValue::Number(number), Value::Number(found)) if field.key.is_some() => {
            found.to_string().parse::<BigDecimal>().ok().map(|found| found.cmp(number))
        }
        (FilterValue::Date(date), Value::String(found)) => found.parse::<Date>().ok().map(|found| found.cmp(date)),
        (FilterValue::Timestamp(instant), Value::String(found)) => {
            found.parse::<Timestamp>().ok().map(|found| found.cmp(instant))
        }
        _ => None,
    }
}

fn has(_: &FieldPath, found: &Value, value: &FilterValue) -> bool {
    let (FilterValue::Text(word), Value::Array(words)) = (value, found) else { return false };
    words.iter().any(|found| found == word)
}

fn contains(_: &FieldPath, found: &Value, value: &FilterValue) -> bool {
    let (FilterValue::Text(text), Value::String(found)) = (value, found) else { return false };
    fold(found).contains(&fold(text))
}
