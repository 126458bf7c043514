//! What a list is narrowed to: the short form, `field=value`, and beside it a condition of the language.
//!
//! A repeated field means any of its values, different fields mean all of them. Must stay true: a value of the short form
//! is taken whole, whatever it looks like; only `null` and `me` are words, and only where no text could be meant.

use uuid::Uuid;

use super::{Comparison, Condition, FieldPath, FilterValue, Moment, Operator, bounds::MOST_VALUES, value};
use crate::{Context, Field, FieldError, Kind};

/// Everything that a record must be to be listed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// One for each field of the short form, in the order of the request.
    short: Vec<Comparison>,
    /// In the caller's words, `now()` and `me` included.
    asked: Condition,
    /// The same for this caller and moment.
    resolved: Condition,
}

impl Filter {
    /// Adds that `field` has the id, as the lists below a record do (`/companies/{id}/contacts`).
    #[must_use]
    pub fn and_id(mut self, field: &'static Field, id: impl Into<Uuid>) -> Self {
        self.short.push(one(field, FilterValue::Id(id.into())));
        self
    }

    /// Adds a condition of the language, for this caller and moment.
    ///
    /// # Errors
    /// When it leaves the calendar.
    pub fn and(mut self, condition: Condition, moment: &Moment) -> Result<Self, FieldError> {
        self.resolved = self.resolved.and(condition.resolved(moment)?);
        self.asked = self.asked.and(condition);
        Ok(self)
    }

    /// Adds one alternative of the short form, read as the field's kind demands.
    ///
    /// # Errors
    /// What the value should look like.
    pub fn add(&mut self, context: &Context, field: &'static Field, text: &str) -> Result<(), FieldError> {
        let value = value::read_word(context, field, text).map_err(|message| FieldError::new(field.name, "value", message))?;
        match self.short.iter_mut().find(|comparison| comparison.field.field.name == field.name) {
            Some(comparison) if comparison.values.len() == MOST_VALUES => {
                return Err(FieldError::new(field.name, "too_many", format!("at most {MOST_VALUES} values")));
            }
            Some(comparison) => {
                comparison.values.push(value);
                comparison.operator = if field.kind == Kind::Tags { Operator::Has } else { Operator::In };
            }
            None => self.short.push(one(field, value)),
        }
        Ok(())
    }

    /// The whole tree, with nothing relative in it: what a store narrows its records by.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.short().and(self.resolved.clone())
    }

    /// The whole tree as the caller asked for it: the same for every page of a list, however long reading takes.
    #[must_use]
    pub fn asked(&self) -> Condition {
        self.short().and(self.asked.clone())
    }

    /// Whether the short form narrows this field.
    #[must_use]
    pub fn narrows(&self, field: &Field) -> bool {
        self.short.iter().any(|comparison| comparison.field.field.name == field.name)
    }

    /// The ids that the field must have one of, when that is asked of every record and not within an alternative.
    #[must_use]
    pub fn ids(&self, field: &str) -> Option<Vec<Uuid>> {
        self.demanded(field, |value| if let FilterValue::Id(id) = value { Some(*id) } else { None })
    }

    /// The texts that the field must have one of, when that is asked of every record and not within an alternative.
    #[must_use]
    pub fn texts(&self, field: &str) -> Option<Vec<String>> {
        self.demanded(field, |value| if let FilterValue::Text(text) = value { Some(text.clone()) } else { None })
    }

    fn demanded<T>(&self, field: &str, read: fn(&FilterValue) -> Option<T>) -> Option<Vec<T>> {
        let parts = match self.condition() {
            Condition::All(parts) => parts,
            single => vec![single],
        };
        parts.into_iter().find_map(|part| match part {
            Condition::Compare(Comparison { field: path, operator: Operator::Equal | Operator::In, values })
                if path.parent.is_none() && path.field.name == field =>
            {
                Some(values.iter().filter_map(read).collect())
            }
            _ => None,
        })
    }

    fn short(&self) -> Condition {
        self.short.iter().cloned().fold(Condition::default(), |all, comparison| all.and(Condition::Compare(comparison)))
    }
}

fn one(field: &'static Field, value: FilterValue) -> Comparison {
    let operator = if field.kind == Kind::Tags { Operator::Has } else { Operator::Equal };
    Comparison { field: FieldPath::of(field), operator, values: vec![value] }
}
