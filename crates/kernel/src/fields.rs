//! The typed list of fields that each noun declares in its `fields.rs`: what can be filtered, sorted and picked.
//!
//! Lists, their cursors, the document of the API and, later, the filter language read this one list; the store of the
//! noun maps each name to its column. Must stay true: a name that is not in the list never reaches SQL.

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
    /// A JSON object; not filtered in the short form.
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
    /// Whether lists take it as a filter parameter; every one that does has an index.
    pub filterable: bool,
    /// Whether lists sort by it; every one that does has an index.
    pub sortable: bool,
}

impl Field {
    /// A field that is only shown and picked.
    #[must_use]
    pub const fn shown(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, nullable: false, filterable: false, sortable: false }
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

    /// Can be sorted by.
    #[must_use]
    pub const fn sortable(mut self) -> Self {
        self.sortable = true;
        self
    }
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
