//! What a list is narrowed to: the short form, `field=value`, and beside it a condition of the language.
//!
//! A repeated field means any of its values, different fields mean all of them. Must stay true: a value of the short form
//! is taken whole, whatever it looks like; only `null` and `me` are words, and only where no text could be meant.

use std::sync::Arc;

use uuid::Uuid;

use super::{Comparison, Condition, FieldPath, FilterValue, Moment, Operator, bounds::MOST_VALUES, value};
use crate::{Context, CustomField, Field, FieldError, FieldType, Kind};

/// Everything that a record must be to be listed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// One for each field of the short form, in the order of the request.
    short: Vec<Comparison>,
    /// In the caller's words, `now()` and `me` included.
    asked: Condition,
    /// The same for this caller and moment.
    resolved: Condition,
    /// What is let in besides where the short form narrows a field of this name.
    also: Option<(&'static str, Comparison)>,
}

impl Filter {
    /// Adds that `field` has the id, as the lists below a record do (`/companies/{id}/contacts`).
    #[must_use]
    pub fn and_id(mut self, field: &'static Field, id: impl Into<Uuid>) -> Self {
        self.short.push(one(FieldPath::of(field), FilterValue::Id(id.into())));
        self
    }

    /// Lets in, where the short form narrows `field`, what has one of these ids as well: what hangs on a record in more than one way. It is
    /// no part of what was asked, so that a page is continued although there are more of them since.
    #[must_use]
    pub fn letting_in(mut self, field: &'static Field, own: &'static Field, also: &[Uuid]) -> Self {
        let values: Vec<FilterValue> = also.iter().copied().map(FilterValue::Id).collect();
        let named = || Comparison { field: FieldPath::of(own), operator: Operator::In, values: values.clone() };
        self.also = (!values.is_empty()).then(|| (field.name, named()));
        self
    }

    /// Adds that `field` is this word, as the lists below a record do for what can hang on several kinds of record.
    #[must_use]
    pub fn and_word(mut self, field: &'static Field, word: &str) -> Self {
        self.short.push(one(FieldPath::of(field), FilterValue::Text(word.to_owned())));
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
        self.add_value(FieldPath::of(field), value)
    }

    /// Adds one alternative of a custom field, a key of `field`.
    ///
    /// # Errors
    /// What the value should look like.
    pub fn add_custom(
        &mut self,
        context: &Context,
        field: &'static Field,
        custom: &Arc<CustomField>,
        text: &str,
    ) -> Result<(), FieldError> {
        let path = FieldPath::of_custom(field, Arc::clone(custom));
        let value = value::read_custom_word(context, custom, text);
        let value = value.map_err(|message| FieldError::new(path.to_string(), "value", message))?;
        self.add_value(path, value)
    }

    fn add_value(&mut self, path: FieldPath, value: FilterValue) -> Result<(), FieldError> {
        match self.short.iter_mut().find(|comparison| comparison.field == path) {
            Some(comparison) if comparison.values.len() == MOST_VALUES => {
                return Err(FieldError::new(path.to_string(), "too_many", format!("at most {MOST_VALUES} values")));
            }
            Some(comparison) => {
                comparison.values.push(value);
                comparison.operator = if is_list(&path) { Operator::Has } else { Operator::In };
            }
            None => self.short.push(one(path, value)),
        }
        Ok(())
    }

    /// The whole tree, with nothing relative in it: what a store narrows its records by.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let Some((field, named)) = &self.also else { return self.short().and(self.resolved.clone()) };
        let widened = |comparison: &Comparison| {
            let alone = Condition::Compare(comparison.clone());
            let is_it = comparison.field.field.name == *field;
            if is_it { Condition::Any(vec![alone, Condition::Compare(named.clone())]) } else { alone }
        };
        Condition::All(self.short.iter().map(widened).collect()).and(self.resolved.clone())
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

fn one(field: FieldPath, value: FilterValue) -> Comparison {
    let operator = match (is_list(&field), &value) {
        (true, FilterValue::Null) | (false, _) => Operator::Equal,
        (true, _) => Operator::Has,
    };
    Comparison { field, operator, values: vec![value] }
}

fn is_list(field: &FieldPath) -> bool {
    field.field.kind == Kind::Tags || field.custom.as_ref().is_some_and(|custom| custom.field_type == FieldType::Choices)
}
