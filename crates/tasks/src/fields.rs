//! What tasks can be filtered, sorted and picked by. Every filterable and sortable field has an index.
//!
//! The filter language may name any field, and those of the people of a task. What a task is about is of several kinds: a filter reaches
//! it by its id alone.

use crm_kernel::{Direction, Field, Kind, Parent, Sort, Vocabulary};
use crm_tenancy::members;

use crate::model::{Priority, RelatedType, TaskStatus, TaskType};

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// The fields of a task, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("title", Kind::Caseless).key("title_key").filterable().sortable(),
    Field::shown("description", Kind::Text).nullable(),
    Field::shown("related_to_type", Kind::Choice(RelatedType::WORDS)).nullable().filterable(),
    Field::shown("related_to_id", Kind::Id).nullable().filterable(),
    Field::shown("task_type", Kind::Choice(TaskType::WORDS)).filterable(),
    Field::shown("status", Kind::Choice(TaskStatus::WORDS)).filterable(),
    Field::shown("priority", Kind::Choice(Priority::WORDS)).filterable(),
    Field::shown("due_date", Kind::Timestamp).key("due_key").nullable().filterable().sortable(),
    Field::shown("is_all_day", Kind::Boolean),
    Field::shown("remind_at", Kind::Timestamp).nullable(),
    Field::shown("recurrence", Kind::Text).nullable(),
    Field::shown("next_id", Kind::Id).nullable(),
    Field::shown("completed_at", Kind::Timestamp).nullable(),
    Field::shown("assigned_to_id", Kind::Member).nullable().filterable(),
    Field::shown("created_by_id", Kind::Member).nullable(),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    CREATED_AT,
    Field::shown("updated_at", Kind::Timestamp).key("updated_at_key").sortable(),
    Field::shown("last_activity_at", Kind::Timestamp).key("last_activity_key").filterable().sortable(),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
    Field::shown("version", Kind::Integer),
];

/// What a filter of tasks may name.
pub static VOCABULARY: Vocabulary = Vocabulary {
    fields: FIELDS,
    parents: &[
        Parent { name: "assigned_to", key: "assigned_to_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
        Parent { name: "created_by", key: "created_by_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
    ],
};

/// The view that tasks are read from.
pub(crate) const VIEW: &str = "q_tasks";

/// The order of lists when none is asked for: newest first.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}
