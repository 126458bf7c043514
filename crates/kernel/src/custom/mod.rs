//! Custom fields: what an organisation says about the keys of `custom_fields`, as far as values and filters need it.
//!
//! Lives here: the types, what a value of each looks like, how it is compared. Does not live here: definitions with their labels and
//! rights, which tenancy keeps.
//! Must stay true: a value has one normal form in JSON, and the database recognises the same one (`app.custom_number_key`,
//! `app.custom_text_key`); what is stored in another form, from before there was a definition, equals nothing and stands in no order.

mod value;

use std::sync::Arc;

use crate::{CustomFieldId, Operator};

pub use value::{LARGEST_INTEGER, Misfit};

crate::text_enum!(
    /// What a custom field holds.
    FieldType {
        /// One line of text.
        Text = "text",
        /// Text of several lines.
        LongText = "long_text",
        /// A whole number, a JSON number.
        Integer = "integer",
        /// An exact number with at most three digits after the point, a JSON string.
        Decimal = "decimal",
        /// An amount in the organisation's currency, a JSON string.
        Money = "money",
        /// A calendar date.
        Date = "date",
        /// An instant.
        Time = "time",
        /// true or false.
        Boolean = "boolean",
        /// The key of one option.
        Choice = "choice",
        /// A list of keys of options.
        Choices = "choices",
        /// A web address.
        Url = "url",
        /// An e-mail address, in lower case.
        Email = "email",
        /// The id of a member.
        Member = "member",
        /// The id of a company.
        Company = "company",
        /// The id of a contact.
        Contact = "contact",
        /// The id of a deal.
        Deal = "deal",
    }
);

/// A defined key of `custom_fields`, as values and filters need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomField {
    /// The definition's id.
    pub id: CustomFieldId,
    /// The key in `custom_fields`.
    pub key: String,
    /// What it holds.
    pub field_type: FieldType,
    /// The keys of its options; none unless it is a choice.
    pub options: Vec<String>,
    /// Under which number the database keeps its values in order; none when it does not, or not yet for every record.
    pub ordered: Option<i32>,
}

/// The defined keys of some nouns, for understanding a filter.
#[derive(Debug, Clone, Default)]
pub struct CustomFields {
    known: Vec<(String, Arc<CustomField>)>,
}

impl CustomFields {
    /// Adds one of a noun, which the log calls so: `company`.
    pub fn add(&mut self, entity: impl Into<String>, field: CustomField) {
        self.known.push((entity.into(), Arc::new(field)));
    }

    /// Those of a noun, in the order in which they were added.
    pub fn of<'a>(&'a self, entity: &str) -> impl Iterator<Item = &'a Arc<CustomField>> {
        let entity = entity.to_owned();
        self.known.iter().filter(move |(own, _)| *own == entity).map(|(_, field)| field)
    }

    /// The noun's field of this key.
    #[must_use]
    pub fn find(&self, entity: &str, key: &str) -> Option<&Arc<CustomField>> {
        self.of(entity).find(|field| field.key == key)
    }
}

/// What is said about a key that is not defined, where only defined ones may stand.
#[must_use]
pub fn unknown_key(known: &[&str], key: &str) -> String {
    let said: String = key.chars().take(60).collect();
    match crate::filter::nearest(&said, known) {
        Some(near) => format!("no such custom field; did you mean `{near}`?"),
        None => "no such custom field".to_owned(),
    }
}

impl FieldType {
    /// How the filter language may compare it.
    #[must_use]
    pub fn operators(self) -> &'static [Operator] {
        use Operator::{Contains, Equal, Greater, GreaterOrEqual, Has, In, Less, LessOrEqual, NotEqual};
        match self {
            Self::Text | Self::LongText | Self::Url | Self::Email => &[Equal, NotEqual, In, Contains],
            Self::Integer | Self::Decimal | Self::Money | Self::Date | Self::Time => {
                &[Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, In]
            }
            Self::Boolean => &[Equal, NotEqual],
            Self::Choice | Self::Member | Self::Company | Self::Contact | Self::Deal => &[Equal, NotEqual, In],
            Self::Choices => &[Has],
        }
    }

    /// Whether its values stand in an order that a list can be sorted by.
    #[must_use]
    pub fn is_sortable(self) -> bool {
        self.is_numeric() || matches!(self, Self::Text | Self::Choice | Self::Url | Self::Email)
    }

    /// Whether the database orders its values by a number, see [`Self::number_key`], and not by their text.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Money | Self::Date | Self::Time)
    }

    /// Whether no two records may have the same value, if the organisation wants that.
    #[must_use]
    pub fn may_be_unique(self) -> bool {
        !matches!(self, Self::LongText | Self::Boolean | Self::Choices)
    }

    /// Whether it is made of options.
    #[must_use]
    pub fn has_options(self) -> bool {
        matches!(self, Self::Choice | Self::Choices)
    }

    /// Whether it names a member or a record.
    #[must_use]
    pub fn is_reference(self) -> bool {
        matches!(self, Self::Member | Self::Company | Self::Contact | Self::Deal)
    }
}
