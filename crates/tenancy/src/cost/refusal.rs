//! What is said of a question that would read too much: each part that no index answers, and what to narrow by.

use crm_kernel::{Comparison, Condition, Error, Field, FieldError, FieldPath, Kind, Operator};

pub(super) fn refusal(fields: &[Field], condition: &Condition) -> Error {
    let mut parts: Vec<FieldError> = alike(without_index(condition, Sense::Asked))
        .into_iter()
        .map(|(part, others)| {
            let message = match others {
                0 => format!("`{part}` is answered by no index"),
                others => format!("`{part}` is answered by no index, and {others} more like it"),
            };
            FieldError::new("filter", "no_index", message)
        })
        .collect();
    parts.push(FieldError::new("filter", "too_costly", advice(fields)));
    Error::TooCostly(parts)
}

fn advice(fields: &[Field]) -> String {
    let named = |wanted: fn(&Field) -> bool| {
        let names: Vec<&str> = fields.iter().filter(|field| wanted(field)).map(|field| field.name).collect();
        names.join(", ")
    };
    format!(
        "this would read too many records: narrow it, joined by AND, with = or IN on one of {}, or with < or > on one of {}",
        named(|field| field.filterable),
        named(has_range_index),
    )
}

/// Whether a condition is asked for, or stands behind a NOT.
#[derive(Clone, Copy)]
enum Sense {
    Asked,
    Denied,
}

fn without_index(condition: &Condition, sense: Sense) -> Vec<&Comparison> {
    match (condition, sense) {
        (Condition::All(parts) | Condition::Any(parts), _) => parts.iter().flat_map(|part| without_index(part, sense)).collect(),
        (Condition::Not(part), _) => without_index(part, Sense::Denied),
        (Condition::Compare(comparison), Sense::Asked) if has_index(comparison) => Vec::new(),
        (Condition::Compare(comparison), _) => vec![comparison],
    }
}

/// The first of those that ask the same of one field, and how many others do.
fn alike(parts: Vec<&Comparison>) -> Vec<(&Comparison, usize)> {
    let mut first: Vec<(&Comparison, usize)> = Vec::new();
    let is_alike = |one: &Comparison, other: &Comparison| {
        let name = |path: &FieldPath| path.parent.map(|parent| parent.name);
        let (own, others) = (&one.field, &other.field);
        one.operator == other.operator && (name(own), own.field.name, &own.key) == (name(others), others.field.name, &others.key)
    };
    for part in parts {
        match first.iter_mut().find(|(known, _)| is_alike(known, part)) {
            Some((_, others)) => *others += 1,
            None => first.push((part, 0)),
        }
    }
    first
}

/// Whether an index answers it.
pub(super) fn has_index(comparison: &Comparison) -> bool {
    let Comparison { field, operator, .. } = comparison;
    let own = field.field;
    let is_custom = field.key.is_some() && own.name == "custom_fields";
    let is_ordered = field.custom.as_ref().is_some_and(|custom| custom.ordered.is_some());
    let answered = match operator {
        Operator::Equal | Operator::In if field.key.is_some() => is_custom,
        Operator::Equal | Operator::In => own.filterable || has_range_index(own),
        Operator::Has => own.filterable || is_custom,
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            has_range_index(own) || is_ordered
        }
        Operator::NotEqual | Operator::Contains => false,
    };
    answered && field.parent.is_none()
}

/// Numbers, dates and times that lists sort by have their own index; the order of `created_at` is that of the id.
fn has_range_index(field: &Field) -> bool {
    let ranges = matches!(field.kind, Kind::Integer | Kind::Decimal | Kind::Date | Kind::Timestamp);
    ranges && field.sortable && field.key.is_some()
}
