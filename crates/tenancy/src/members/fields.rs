//! What members can be filtered, sorted and picked by.

use crm_kernel::{Field, Kind, Role, Sort, query::Direction};

use super::model::{MemberKind, MemberStatus};

const FULL_NAME: Field = Field::shown("full_name", Kind::Text).sortable();

/// The view that people are read from.
pub const VIEW: &str = "q_members";

/// What lists of members can be filtered and sorted by. The first names a member, for filters of what a member owns.
pub static FIELDS: &[Field] = &[
    Field::shown("user_id", Kind::Member).filterable(),
    Field::shown("email", Kind::Caseless).key("email").nullable().filterable(),
    FULL_NAME,
    Field::shown("role", Kind::Choice(Role::WORDS)).filterable(),
    Field::shown("status", Kind::Choice(MemberStatus::WORDS)).filterable(),
    Field::shown("title", Kind::Text).nullable(),
    Field::shown("manager_id", Kind::Member).nullable().filterable(),
    Field::shown("team_id", Kind::Id).nullable().filterable(),
    Field::shown("team_name", Kind::Text).nullable(),
    Field::shown("time_zone", Kind::Text),
    Field::shown("locale", Kind::Text),
    Field::shown("created_at", Kind::Timestamp),
    Field::shown("kind", Kind::Choice(MemberKind::WORDS)).filterable(),
    Field::shown("updated_at", Kind::Timestamp),
    Field::shown("version", Kind::Integer),
    Field::shown("has_second_factor", Kind::Boolean).nullable(),
];

/// The order of lists of members when none is asked for: by name.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &FULL_NAME, direction: Direction::Ascending }
}
