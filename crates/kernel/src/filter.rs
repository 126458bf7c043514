//! What a list is narrowed to: the short form, `field=value`, repeated values meaning any of.
//!
//! A `Filter` is a conjunction of terms. The long form of the filter language will parse into the same type, grown by
//! OR, NOT and the other operators; stores walk the tree, so they will see it in one place.
//! Must stay true: every value is typed by its field before a store sees it, and is only ever bound, never spelled out.

use uuid::Uuid;

use crate::{Context, Date, Field, FieldError, Kind, Money, Timestamp};

/// All of these terms hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// In the order of the request.
    pub terms: Vec<Term>,
}

/// The field equals one of the values (for tags: contains one of them).
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// From the noun's list.
    pub field: &'static Field,
    /// At least one.
    pub any_of: Vec<FilterValue>,
}

/// A value of the field's kind.
#[derive(Debug, Clone, PartialEq)]
pub enum FilterValue {
    /// The field is NULL.
    Null,
    /// Text, a choice or a tag, as it was sent.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// An exact decimal.
    Decimal(Money),
    /// true or false.
    Boolean(bool),
    /// A calendar date.
    Date(Date),
    /// An instant.
    Timestamp(Timestamp),
    /// A record or a member.
    Id(Uuid),
}

/// How many values one list of alternatives may have: bounds the plan and the address line.
const MOST_VALUES: usize = 100;

impl Filter {
    /// Adds that `field` has the id, as the lists below a record do (`/companies/{id}/contacts`).
    #[must_use]
    pub fn and_id(mut self, field: &'static Field, id: impl Into<Uuid>) -> Self {
        self.terms.push(Term { field, any_of: vec![FilterValue::Id(id.into())] });
        self
    }

    /// Adds one alternative of the short form, read as the field's kind demands.
    ///
    /// # Errors
    /// What the value should look like.
    pub fn add(&mut self, context: &Context, field: &'static Field, text: &str) -> Result<(), FieldError> {
        let value = read(context, field, text).map_err(|message| FieldError::new(field.name, "value", message))?;
        if let Some(term) = self.terms.iter_mut().find(|term| term.field.name == field.name) {
            if term.any_of.len() == MOST_VALUES {
                return Err(FieldError::new(field.name, "too_many", format!("at most {MOST_VALUES} values")));
            }
            term.any_of.push(value);
        } else {
            self.terms.push(Term { field, any_of: vec![value] });
        }
        Ok(())
    }
}

impl Term {
    /// Whether NULL is among the alternatives.
    #[must_use]
    pub fn includes_null(&self) -> bool {
        self.any_of.contains(&FilterValue::Null)
    }

    /// The texts among the alternatives.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.any_of
            .iter()
            .filter_map(|value| if let FilterValue::Text(text) = value { Some(text.clone()) } else { None })
            .collect()
    }

    /// The ids among the alternatives.
    #[must_use]
    pub fn ids(&self) -> Vec<Uuid> {
        self.any_of.iter().filter_map(|value| if let FilterValue::Id(id) = value { Some(*id) } else { None }).collect()
    }

    /// The instants among the alternatives.
    #[must_use]
    pub fn timestamps(&self) -> Vec<Timestamp> {
        self.any_of
            .iter()
            .filter_map(|value| if let FilterValue::Timestamp(instant) = value { Some(*instant) } else { None })
            .collect()
    }

    /// The dates among the alternatives.
    #[must_use]
    pub fn dates(&self) -> Vec<Date> {
        self.any_of.iter().filter_map(|value| if let FilterValue::Date(date) = value { Some(*date) } else { None }).collect()
    }
}

fn read(context: &Context, field: &Field, text: &str) -> Result<FilterValue, String> {
    if text.contains('\0') {
        return Err("the character U+0000 cannot be stored and so cannot be searched".into());
    }
    // For text `null` is a word like any other: a company may be called that.
    if text == "null" && field.nullable && !matches!(field.kind, Kind::Text | Kind::Caseless) {
        return Ok(FilterValue::Null);
    }
    match field.kind {
        Kind::Text | Kind::Caseless | Kind::Tags => Ok(FilterValue::Text(text.to_owned())),
        Kind::Choice(words) if words.contains(&text) => Ok(FilterValue::Text(text.to_owned())),
        Kind::Choice(words) => Err(format!("expected one of {}", words.join(", "))),
        Kind::Integer => text.parse().map(FilterValue::Integer).map_err(|_| "expected a whole number".into()),
        Kind::Decimal => text.parse().map(FilterValue::Decimal),
        Kind::Boolean => text.parse().map(FilterValue::Boolean).map_err(|_| "expected true or false".into()),
        Kind::Date => text.parse().map(FilterValue::Date),
        Kind::Timestamp => text.parse().map(FilterValue::Timestamp),
        Kind::Member if text == "me" => Ok(FilterValue::Id(context.user_id.uuid())),
        Kind::Id | Kind::Member => text.parse().map(FilterValue::Id).map_err(|_| "expected an id (UUID)".into()),
        Kind::Object => Err("an object cannot be compared".into()),
    }
}
