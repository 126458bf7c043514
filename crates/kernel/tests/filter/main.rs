//! The filter language: what its three spellings mean, what is refused and in which words, and what holds for every tree.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod language;
mod memory;
mod moments;
mod properties;
mod refusals;

use crm_kernel::{Condition, Field, Kind, Parent, Vocabulary};

static COMPANY: &[Field] = &[
    Field::shown("id", Kind::Id),
    Field::shown("name", Kind::Caseless),
    Field::shown("industry", Kind::Text).nullable(),
    Field::shown("tags", Kind::Tags),
    Field::shown("custom_fields", Kind::Object),
];

/// A noun with a field of every kind.
static VOCABULARY: Vocabulary = Vocabulary {
    fields: &[
        Field::shown("id", Kind::Id).filterable(),
        Field::shown("name", Kind::Caseless).filterable(),
        Field::shown("website", Kind::Text).nullable(),
        Field::shown("company_status", Kind::Choice(&["lead", "prospect", "customer", "churned"])).filterable(),
        Field::shown("company_size", Kind::Choice(&["small", "large"])).nullable().filterable(),
        Field::shown("employee_count", Kind::Integer).nullable(),
        Field::shown("annual_revenue", Kind::Decimal).nullable(),
        Field::shown("pinned", Kind::Boolean),
        Field::shown("signed_on", Kind::Date).nullable(),
        Field::shown("created_at", Kind::Timestamp),
        Field::shown("called_at", Kind::Timestamp).nullable(),
        Field::shown("company_id", Kind::Id).nullable().filterable(),
        Field::shown("owner_id", Kind::Member).nullable().filterable(),
        Field::shown("tags", Kind::Tags).filterable(),
        Field::shown("custom_fields", Kind::Object),
        Field::shown("address", Kind::Object).nullable(),
        Field::shown("score", Kind::Integer).incomparable(),
    ],
    parents: &[Parent { name: "company", key: "company_id", fields: COMPANY, view: "q_companies", entity: "company" }],
};

fn parse(text: &str) -> Condition {
    Condition::parse(text, &VOCABULARY).unwrap_or_else(|error| panic!("{text} must be understood: {error:?}"))
}

fn field(name: &str) -> &'static Field {
    crm_kernel::fields::find(VOCABULARY.fields, name).unwrap_or_else(|| panic!("{name} is no field"))
}
