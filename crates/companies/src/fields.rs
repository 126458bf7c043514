//! What companies can be filtered, sorted and picked by. Every filterable and sortable field has an index.

use crm_kernel::{Direction, Field, Kind, Sort};

use crate::model::{CompanySize, CompanyStatus};

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// The fields of a company, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("name", Kind::Caseless).filterable().sortable(),
    Field::shown("slug", Kind::Text).filterable(),
    Field::shown("industry", Kind::Text).nullable().filterable(),
    Field::shown("company_size", Kind::Choice(CompanySize::WORDS)).nullable().filterable(),
    Field::shown("website", Kind::Text).nullable(),
    Field::shown("billing_address", Kind::Object).nullable(),
    Field::shown("shipping_address", Kind::Object).nullable(),
    Field::shown("annual_revenue", Kind::Decimal).nullable().sortable(),
    Field::shown("employee_count", Kind::Integer).nullable().sortable(),
    Field::shown("company_status", Kind::Choice(CompanyStatus::WORDS)).filterable(),
    Field::shown("parent_id", Kind::Id).nullable().filterable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("created_by_id", Kind::Member).nullable(),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    CREATED_AT,
    Field::shown("updated_at", Kind::Timestamp),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
    Field::shown("version", Kind::Integer),
];

/// The order of lists when none is asked for: newest first.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}
