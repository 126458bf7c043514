//! What deals can be filtered, sorted and picked by. Every filterable and sortable field has an index.
//!
//! Amounts are in different currencies, so a list is not sorted by `amount` but by `base_amount`, the same in the
//! organisation's currency; deals whose currency has no rate have none and come last.

use crm_kernel::{Direction, Field, Kind, Sort};

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// The fields of a deal, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("name", Kind::Caseless).filterable().sortable(),
    Field::shown("company_id", Kind::Id).nullable().filterable(),
    Field::shown("primary_contact_id", Kind::Id).nullable().filterable(),
    Field::shown("pipeline_id", Kind::Id).filterable(),
    Field::shown("stage", Kind::Text).filterable(),
    Field::shown("probability", Kind::Integer),
    Field::shown("amount", Kind::Decimal).nullable(),
    Field::shown("currency", Kind::Text).filterable(),
    Field::shown("base_amount", Kind::Decimal).nullable().sortable(),
    Field::shown("expected_close_date", Kind::Date).nullable().filterable().sortable(),
    Field::shown("actual_close_date", Kind::Date).nullable().filterable().sortable(),
    Field::shown("deal_source", Kind::Text).nullable().filterable(),
    Field::shown("lost_reason", Kind::Text).nullable(),
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
