//! The typed list of fields that each noun declares in its `fields.rs`: what can be filtered, sorted and picked.
//!
//! Lists, their cursors, the document of the API and the filter language read this one list; a field's name is its
//! column in the noun's view. Must stay true: a name that is not in the list never reaches SQL.

use crate::filter::Operator;

/// What a field holds, which decides how a value in a filter is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, compared as it is stored.
    Text,
    /// Text compared without regard to case, such as a name or an e-mail address.
    Caseless,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// An exact decimal.
    Decimal,
    /// true or false.
    Boolean,
    /// A calendar date.
    Date,
    /// An instant.
    Timestamp,
    /// The id of a record.
    Id,
    /// A member of the organisation; `me` is the caller.
    Member,
    /// A list of words; a filter asks whether it contains one.
    Tags,
    /// A JSON object; a filter compares one of its keys.
    Object,
}

/// One field of a noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name in JSON, in filters and in the database.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be NULL, and so whether a filter may ask for `null`.
    pub nullable: bool,
    /// Whether lists take it as a parameter, `field=value`; every one that does has an index.
    pub filterable: bool,
    /// Whether the filter language may name it.
    pub comparable: bool,
    /// The column that an index holds in place of the field's own, in the shape that its kind has: lower case for
    /// `Caseless`; thousandths for `Decimal`, the number for `Integer`, with the largest bigint where the field is NULL;
    /// the date for `Date` and the instant for a `Timestamp` that may be NULL, with infinity where it is; for other kinds the column itself, where the view calls it
    /// otherwise.
    pub key: Option<&'static str>,
    /// Whether lists sort by it; every one that does has an index.
    pub sortable: bool,
    /// Orders, beside that of making, in which an index holds the living records of each of its values.
    pub orders: &'static [&'static str],
}

impl Field {
    /// A field that is only shown and picked.
    #[must_use]
    pub const fn shown(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, nullable: false, filterable: false, comparable: true, key: None, sortable: false, orders: &[] }
    }

    /// May be NULL.
    #[must_use]
    pub const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// Can be filtered by.
    #[must_use]
    pub const fn filterable(mut self) -> Self {
        self.filterable = true;
        self
    }

    /// The living records of each of its values are held by an index in these orders too.
    #[must_use]
    pub const fn ordered_by(mut self, orders: &'static [&'static str]) -> Self {
        self.orders = orders;
        self
    }

    /// Is only shown: the view has no such column, or nothing can be asked of it.
    #[must_use]
    pub const fn incomparable(mut self) -> Self {
        self.comparable = false;
        self
    }

    /// Is compared through this column of the view, see [`Field::key`].
    #[must_use]
    pub const fn key(mut self, column: &'static str) -> Self {
        self.key = Some(column);
        self
    }

    /// Can be sorted by.
    #[must_use]
    pub const fn sortable(mut self) -> Self {
        self.sortable = true;
        self
    }
}

impl Field {
    /// How the filter language may compare it, or, for an object, one of its keys.
    #[must_use]
    pub fn operators(&self) -> &'static [Operator] {
        use Operator::{Contains, Equal, Greater, GreaterOrEqual, Has, In, Less, LessOrEqual, NotEqual};
        if !self.comparable {
            return &[];
        }
        match self.kind {
            Kind::Text | Kind::Caseless => &[Equal, NotEqual, In, Contains],
            Kind::Choice(_) | Kind::Id | Kind::Member | Kind::Boolean => &[Equal, NotEqual, In],
            Kind::Integer | Kind::Decimal | Kind::Date | Kind::Timestamp => {
                &[Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, In]
            }
            Kind::Tags => &[Has],
            Kind::Object => &[Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, In, Contains],
        }
    }

    /// Whether the filter language may ask if it is missing; a list of words is when it is empty.
    #[must_use]
    pub fn may_be_missing(&self) -> bool {
        self.comparable && (self.nullable || self.kind == Kind::Tags)
    }
}

/// A record that another one points to: a filter may ask for its fields, `company.industry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// How the language calls it.
    pub name: &'static str,
    /// The field that holds the parent's id.
    pub key: &'static str,
    /// The parent's own fields.
    pub fields: &'static [Field],
    /// The view that the parents are read from.
    pub view: &'static str,
    /// What the policy and narrowed tokens call it.
    pub entity: &'static str,
}

/// All that a filter of one noun may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vocabulary {
    /// The noun's own fields.
    pub fields: &'static [Field],
    /// The records it points to.
    pub parents: &'static [Parent],
}

/// The field of this name.
#[must_use]
pub fn find(fields: &'static [Field], name: &str) -> Option<&'static Field> {
    fields.iter().find(|field| field.name == name)
}

/// The names that `wanted` accepts, for an error that says what is allowed.
#[must_use]
pub fn names(fields: &[Field], wanted: fn(&Field) -> bool) -> String {
    let names: Vec<&str> = fields.iter().filter(|field| wanted(field)).map(|field| field.name).collect();
    names.join(", ")
}
