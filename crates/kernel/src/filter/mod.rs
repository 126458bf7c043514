//! The question a list is narrowed by: one tree, three spellings.
//!
//! Lives here: the tree. The text of the language is read in `grammar` and written in `print`, the JSON form lives in
//! `json`, `field=value` pairs in `short`, what a moment stands for in `moment`, the answer for one record in `evaluate`;
//! `reading` looks up what `grammar` and `json` found. SQL is made of the tree by the tenancy crate.
//! Must stay true: a tree names only fields that the noun declares, every value has been read as its field demands before
//! a store sees it, and a value is only ever bound, never spelled out in SQL.
//!
//! The meaning has two values. A comparison with a missing value is false; `!=` is exactly the opposite of `=`, and so
//! true of what is missing; `= null` and `!= null` ask whether it is missing. A list of words is missing when it is empty;
//! a field of a parent is missing when there is no parent.

pub mod bounds;
mod evaluate;
mod fold;
mod grammar;
mod json;
mod moment;
mod print;
mod reading;
mod short;
mod syntax;
mod value;

use std::{fmt, sync::Arc};

use bigdecimal::BigDecimal;
use serde_json::Value;
use uuid::Uuid;

use crate::{CustomField, CustomFields, Date, Field, FieldError, Money, Parent, Timestamp, Vocabulary};

pub use fold::{fold, lower};
pub use moment::Moment;
pub(crate) use reading::{expected_one_of, nearest};
pub use short::Filter;

/// What a record must be like.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Each of these holds; true when there are none.
    All(Vec<Self>),
    /// At least one of these holds; false when there are none.
    Any(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// One field is compared with values.
    Compare(Comparison),
}

/// One field compared with one value; `In` and `Has` take several and hold when they do for any of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What is compared.
    pub field: FieldPath,
    /// How.
    pub operator: Operator,
    /// With what: at least one; exactly one unless the operator is `In` or `Has`.
    pub values: Vec<FilterValue>,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Is this value; text of kind `Caseless` whatever its case.
    Equal,
    /// Is not this value, or is missing.
    NotEqual,
    /// Is smaller or earlier.
    Less,
    /// Is smaller, earlier or equal.
    LessOrEqual,
    /// Is larger or later.
    Greater,
    /// Is larger, later or equal.
    GreaterOrEqual,
    /// Is one of these values.
    In,
    /// The list of words has one of these.
    Has,
    /// The text contains this one, whatever case and accents.
    Contains,
}

/// Where a value is found: in the record, in a key of one of its objects, or one hop away in its parent.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldPath {
    /// The record's field, or the parent's.
    pub field: &'static Field,
    /// The parent, if it is the parent's field.
    pub parent: Option<&'static Parent>,
    /// The key within an object, and only then.
    pub key: Option<String>,
    /// What the organisation says about that key, if it says anything.
    pub custom: Option<Arc<CustomField>>,
}

/// What a filter may name: what the noun declares, and what an organisation has defined beside it.
#[derive(Debug, Clone, Copy)]
pub struct Known<'k> {
    /// The noun's fields and parents.
    pub vocabulary: &'k Vocabulary,
    /// What the log calls the noun: `company`.
    pub entity: &'k str,
    /// The organisation's own fields, the parents' among them.
    pub custom: &'k CustomFields,
}

/// A value of the field's kind.
#[derive(Debug, Clone, PartialEq)]
pub enum FilterValue {
    /// The value is missing; only with `Equal`, `NotEqual` and `In`.
    Null,
    /// Text, a choice or a tag, as it was sent.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// An exact decimal of a field.
    Decimal(Money),
    /// A number in a key of an object.
    Number(BigDecimal),
    /// true or false.
    Boolean(bool),
    /// A calendar date.
    Date(Date),
    /// An instant.
    Timestamp(Timestamp),
    /// A record or a member.
    Id(Uuid),
    /// What depends on who asks and when. A [`Filter`] has put the value in its place before a store sees it.
    Relative(Relative),
}

/// A value that depends on who asks and when: a search that is kept says `me` and means whoever runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relative {
    /// The caller.
    Me,
    /// Whoever is in the caller's team, the caller included; nobody when the caller is in none.
    MyTeam,
    /// The moment of the request, moved.
    Now(Span),
    /// The caller's day, moved by whole days.
    Today(Span),
    /// The first day of the period that the caller's day is in, or of one before or after it, moved by whole days.
    Start(Period, i32, Span),
}

/// A period of the calendar. Weeks begin on Monday, as in ISO 8601; quarters in January, April, July and October.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Seven days from a Monday.
    Week,
    /// A month.
    Month,
    /// Three months.
    Quarter,
    /// A year.
    Year,
}

/// How far a moment is moved: first by days of the caller's calendar, which may be 23 or 25 hours long, then by seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Days, negative into the past.
    pub days: i32,
    /// Seconds, negative into the past.
    pub seconds: i64,
}

impl Period {
    /// Every period.
    pub const ALL: [Self; 4] = [Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// The function that tells its first day, as the language spells it.
    #[must_use]
    pub fn function(self) -> &'static str {
        match self {
            Self::Week => "week_start",
            Self::Month => "month_start",
            Self::Quarter => "quarter_start",
            Self::Year => "year_start",
        }
    }
}

impl Default for Condition {
    /// Holds for every record.
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Condition {
    /// Reads the text of the language.
    ///
    /// # Errors
    /// What is wrong, with line and column, what was expected there, and the nearest name.
    pub fn parse(text: &str, vocabulary: &Vocabulary) -> Result<Self, FieldError> {
        Self::parse_with(text, &Known { vocabulary, entity: "", custom: &CustomFields::default() })
    }

    /// Reads the text of the language, knowing the organisation's own fields.
    ///
    /// # Errors
    /// As [`Condition::parse`].
    pub fn parse_with(text: &str, known: &Known<'_>) -> Result<Self, FieldError> {
        let condition = grammar::parse(text).and_then(|syntax| reading::read(syntax, known));
        condition.map_err(|complaint| complaint.about(text))
    }

    /// Reads the JSON form, which stands at `pointer` of a body.
    ///
    /// # Errors
    /// What is wrong, with the pointer to it.
    pub fn from_json(value: &Value, pointer: &str, vocabulary: &Vocabulary) -> Result<Self, FieldError> {
        Self::from_json_with(value, pointer, &Known { vocabulary, entity: "", custom: &CustomFields::default() })
    }

    /// Reads the JSON form, knowing the organisation's own fields.
    ///
    /// # Errors
    /// As [`Condition::from_json`].
    pub fn from_json_with(value: &Value, pointer: &str, known: &Known<'_>) -> Result<Self, FieldError> {
        let condition = json::parse(value, pointer).and_then(|syntax| reading::read(syntax, known));
        condition.map_err(|complaint| complaint.about(""))
    }

    /// The JSON form.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json::write(self)
    }

    /// The parents that are asked through, once for each comparison.
    #[must_use]
    pub fn parents(&self) -> Vec<&'static Parent> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::parents).collect(),
            Self::Not(part) => part.parents(),
            Self::Compare(comparison) => comparison.field.parent.into_iter().collect(),
        }
    }

    /// Whether it compares this field of the record itself.
    #[must_use]
    pub fn compares(&self, field: &str) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.compares(field)),
            Self::Not(part) => part.compares(field),
            Self::Compare(comparison) => comparison.field.parent.is_none() && comparison.field.field.name == field,
        }
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let parts = |condition| match condition {
            Self::All(parts) => parts,
            single => vec![single],
        };
        let mut all = parts(self);
        all.extend(parts(other));
        if all.len() == 1 { all.remove(0) } else { Self::All(all) }
    }
}

impl FieldPath {
    /// A field of the record itself.
    #[must_use]
    pub fn of(field: &'static Field) -> Self {
        Self { field, parent: None, key: None, custom: None }
    }

    /// A key of an object of the record.
    #[must_use]
    pub fn of_key(field: &'static Field, key: impl Into<String>) -> Self {
        Self { field, parent: None, key: Some(key.into()), custom: None }
    }

    /// A defined key of `field`, which is the object that custom fields stand in.
    #[must_use]
    pub fn of_custom(field: &'static Field, custom: Arc<CustomField>) -> Self {
        Self { field, parent: None, key: Some(custom.key.clone()), custom: Some(custom) }
    }

    /// How the filter language may compare it.
    #[must_use]
    pub fn operators(&self) -> &'static [Operator] {
        self.custom.as_ref().map_or_else(|| self.field.operators(), |custom| custom.field_type.operators())
    }

    /// The same path seen from a record that has this parent.
    #[must_use]
    pub fn within(mut self, parent: &'static Parent) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Whether the value may be missing.
    #[must_use]
    pub fn may_be_missing(&self) -> bool {
        self.key.is_some() || self.parent.is_some() || self.field.may_be_missing()
    }
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 9] = [
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::In,
        Self::Has,
        Self::Contains,
    ];

    /// As the language and its JSON form spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Has => ":",
            Self::Contains => "~",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
