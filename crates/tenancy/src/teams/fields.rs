//! What teams can be filtered, sorted and picked by.

use crm_kernel::{Direction, Field, Kind, Sort};

const NAME: Field = Field::shown("name", Kind::Caseless).key("name_key").filterable().sortable();

/// The fields of a team, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    NAME,
    Field::shown("manager_id", Kind::Member).nullable().filterable(),
    Field::shown("created_at", Kind::Timestamp),
    Field::shown("updated_at", Kind::Timestamp),
    Field::shown("version", Kind::Integer),
];

/// The order of lists when none is asked for: by name.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &NAME, direction: Direction::Ascending }
}
