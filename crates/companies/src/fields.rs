//! What companies can be filtered, sorted and picked by. Every filterable and sortable field has an index.
//!
//! The filter language may name any field, and those of the records a company points to.

use crm_kernel::{Direction, Field, Kind, Parent, Sort, Vocabulary};
use crm_tenancy::members;

use crate::model::{CompanySize, CompanyStatus};

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// The fields of a company, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("name", Kind::Caseless).key("name_key").filterable().sortable(),
    Field::shown("slug", Kind::Text).filterable(),
    Field::shown("industry", Kind::Text).nullable().filterable(),
    Field::shown("company_size", Kind::Choice(CompanySize::WORDS)).nullable().filterable(),
    Field::shown("website", Kind::Text).nullable(),
    Field::shown("billing_address", Kind::Object).nullable(),
    Field::shown("shipping_address", Kind::Object).nullable(),
    Field::shown("annual_revenue", Kind::Decimal).key("annual_revenue_key").nullable().sortable(),
    Field::shown("employee_count", Kind::Integer).key("employee_count_key").nullable().sortable(),
    Field::shown("company_status", Kind::Choice(CompanyStatus::WORDS)).filterable(),
    Field::shown("parent_id", Kind::Id).nullable().filterable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("created_by_id", Kind::Member).nullable(),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    CREATED_AT,
    Field::shown("updated_at", Kind::Timestamp).key("updated_at_key").sortable(),
    Field::shown("last_activity_at", Kind::Timestamp).key("last_activity_key").filterable().sortable(),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
    Field::shown("version", Kind::Integer),
];

/// What a filter of companies may name.
pub static VOCABULARY: Vocabulary = Vocabulary {
    fields: FIELDS,
    parents: &[
        Parent { name: "parent", key: "parent_id", fields: FIELDS, view: VIEW, entity: "company" },
        Parent { name: "owner", key: "owner_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
        Parent { name: "created_by", key: "created_by_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
    ],
};

/// The view that companies are read from.
pub(crate) const VIEW: &str = "q_companies";

/// The order of lists when none is asked for: newest first.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}
