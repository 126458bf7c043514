//! What notes can be filtered, sorted and picked by. Every filterable and sortable field has an index.
//!
//! The filter language may name any field, and those of the people of a note. What a note is about is of several kinds: a filter reaches
//! it by its id alone.

use crm_kernel::{Direction, Field, Kind, Parent, Sort, Vocabulary};
use crm_tenancy::members;

use crate::model::RelatedType;

const IS_PINNED: Field = Field::shown("is_pinned", Kind::Boolean).filterable().sortable();

/// The fields of a note, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("content", Kind::Text),
    Field::shown("related_to_type", Kind::Choice(RelatedType::WORDS)).nullable().filterable(),
    Field::shown("related_to_id", Kind::Id).nullable().filterable().ordered_by(&["is_pinned"]),
    IS_PINNED,
    Field::shown("mentions", Kind::Tags).filterable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("created_by_id", Kind::Member).nullable(),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    Field::shown("created_at", Kind::Timestamp).sortable(),
    Field::shown("updated_at", Kind::Timestamp).key("updated_at_key").sortable(),
    Field::shown("last_activity_at", Kind::Timestamp).key("last_activity_key").filterable().sortable(),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
    Field::shown("version", Kind::Integer),
];

/// What a filter of notes may name.
pub static VOCABULARY: Vocabulary = Vocabulary {
    fields: FIELDS,
    parents: &[
        Parent { name: "owner", key: "owner_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
        Parent { name: "created_by", key: "created_by_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
    ],
};

/// The view that notes are read from.
pub(crate) const VIEW: &str = "q_notes";

/// The order of lists when none is asked for: pinned ones first, and the newest first among equals.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &IS_PINNED, direction: Direction::Descending }
}
