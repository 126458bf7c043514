//! What contacts can be filtered, sorted and picked by. Every filterable and sortable field has an index.
//!
//! A list sorted by `last_name` runs by last name, then first name, whatever their case: that is the key `name_key`.

use crm_kernel::{Direction, Field, Kind, Sort};

use crate::model::ContactStatus;

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// The fields of a contact, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("company_id", Kind::Id).nullable().filterable(),
    Field::shown("first_name", Kind::Text),
    Field::shown("last_name", Kind::Text).sortable(),
    Field::shown("email", Kind::Caseless).nullable().filterable(),
    Field::shown("phone", Kind::Text).nullable(),
    Field::shown("mobile", Kind::Text).nullable(),
    Field::shown("title", Kind::Text).nullable(),
    Field::shown("department", Kind::Text).nullable(),
    Field::shown("contact_status", Kind::Choice(ContactStatus::WORDS)).filterable(),
    Field::shown("lead_source", Kind::Text).nullable().filterable(),
    Field::shown("lead_score", Kind::Integer).nullable().sortable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("created_by_id", Kind::Member).nullable(),
    Field::shown("social_profiles", Kind::Object).nullable(),
    Field::shown("preferences", Kind::Object).nullable(),
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
