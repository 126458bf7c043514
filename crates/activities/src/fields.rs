//! What activities can be filtered, sorted and picked by.
//!
//! Types are plain text here, not choices: the log outlives the code that wrote it. `changes` is not compared: its values are
//! those of many kinds of fields, and lie where an erasure empties them; `fields` says which of them changed.

use crm_kernel::{Actor, Direction, Field, Kind, Parent, Sort, Vocabulary};
use crm_tenancy::members;

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// The fields of an activity, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id),
    Field::shown("activity_type", Kind::Text).filterable(),
    Field::shown("entity_type", Kind::Text).filterable(),
    Field::shown("entity_id", Kind::Id).filterable(),
    Field::shown("subject_type", Kind::Text),
    Field::shown("subject_id", Kind::Id).filterable(),
    Field::shown("user_id", Kind::Member).nullable().filterable(),
    Field::shown("actor_kind", Kind::Choice(Actor::WORDS)),
    Field::shown("description", Kind::Text).nullable(),
    Field::shown("fields", Kind::Tags).key("fields_list"),
    Field::shown("changes", Kind::Object).nullable().incomparable(),
    Field::shown("record_version", Kind::Integer).nullable(),
    Field::shown("operation_id", Kind::Id).nullable().filterable(),
    Field::shown("request_id", Kind::Text).nullable(),
    Field::shown("occurred_at", Kind::Timestamp),
    CREATED_AT,
    Field::shown("ip", Kind::Text).key("ip_text").nullable(),
    Field::shown("user_agent", Kind::Text).nullable(),
];

/// What a filter of activities may name.
pub static VOCABULARY: Vocabulary = Vocabulary {
    fields: FIELDS,
    parents: &[Parent { name: "user", key: "user_id", fields: members::FIELDS, view: members::VIEW, entity: "member" }],
};

/// The view that activities are read from.
pub(crate) const VIEW: &str = "q_activities";

/// The order of lists: newest first. They can be turned round, but know no other order.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}
