//! What projects can be filtered, sorted and picked by. Every filterable and sortable field has an index.
//!
//! What is overdue is `open_due_date < today()`: the index of that field begins with it.
//! The filter language may name any field, and those of the records a project points to.

use crm_kernel::{Direction, Field, Kind, Parent, Sort, Vocabulary};
use crm_tenancy::members;

use crate::words::{Priority, ProjectOrigin, ProjectStatus};

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// The fields of a project, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("name", Kind::Caseless).key("name_key").filterable().sortable(),
    Field::shown("company_id", Kind::Id).nullable().filterable(),
    Field::shown("deal_id", Kind::Id).nullable().filterable(),
    Field::shown("description", Kind::Text).nullable(),
    Field::shown("project_status", Kind::Choice(ProjectStatus::WORDS)).filterable(),
    Field::shown("priority", Kind::Choice(Priority::WORDS)).filterable(),
    Field::shown("start_date", Kind::Date).nullable(),
    Field::shown("due_date", Kind::Date).key("due_key").nullable().filterable().sortable(),
    Field::shown("completion_date", Kind::Date).key("completion_key").nullable().filterable().sortable(),
    Field::shown("open_due_date", Kind::Date).key("open_due_key").nullable().filterable().sortable(),
    Field::shown("is_overdue", Kind::Boolean).incomparable(),
    Field::shown("estimated_hours", Kind::Decimal).nullable(),
    Field::shown("actual_hours", Kind::Decimal).nullable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("project_manager_id", Kind::Member).nullable().filterable(),
    Field::shown("created_by_id", Kind::Member).nullable(),
    Field::shown("origin", Kind::Choice(ProjectOrigin::WORDS)),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    CREATED_AT,
    Field::shown("updated_at", Kind::Timestamp).key("updated_at_key").sortable(),
    Field::shown("last_activity_at", Kind::Timestamp).key("last_activity_key").filterable().sortable(),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
    Field::shown("version", Kind::Integer),
];

/// What a filter of projects may ask of their company. Domains do not know each other, so it is said here again, and below of
/// the deal; a test of the gateway compares.
static COMPANY: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("name", Kind::Caseless).key("name_key").filterable().sortable(),
    Field::shown("industry", Kind::Text).nullable().filterable(),
    Field::shown("company_size", Kind::Choice(&["startup", "small", "medium", "enterprise"])).nullable().filterable(),
    Field::shown("website", Kind::Text).nullable(),
    Field::shown("billing_address", Kind::Object).nullable(),
    Field::shown("annual_revenue", Kind::Decimal).key("annual_revenue_key").nullable().sortable(),
    Field::shown("employee_count", Kind::Integer).key("employee_count_key").nullable().sortable(),
    Field::shown("company_status", Kind::Choice(&["lead", "prospect", "customer", "churned"])).filterable(),
    Field::shown("parent_id", Kind::Id).nullable().filterable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
];

static DEAL: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("name", Kind::Caseless).key("name_key").filterable().sortable(),
    Field::shown("stage", Kind::Text).filterable(),
    Field::shown("probability", Kind::Integer),
    Field::shown("amount", Kind::Decimal).nullable(),
    Field::shown("currency", Kind::Text).filterable(),
    Field::shown("base_amount", Kind::Decimal).key("base_amount_key").nullable().sortable(),
    Field::shown("expected_close_date", Kind::Date).key("expected_close_key").nullable().filterable().sortable(),
    Field::shown("actual_close_date", Kind::Date).key("actual_close_key").nullable().filterable().sortable(),
    Field::shown("deal_source", Kind::Text).nullable().filterable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
];

/// What a filter of projects may name.
pub static VOCABULARY: Vocabulary = Vocabulary {
    fields: FIELDS,
    parents: &[
        Parent { name: "company", key: "company_id", fields: COMPANY, view: "q_companies", entity: "company" },
        Parent { name: "deal", key: "deal_id", fields: DEAL, view: "q_deals", entity: "deal" },
        Parent { name: "owner", key: "owner_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
        Parent {
            name: "project_manager",
            key: "project_manager_id",
            fields: members::FIELDS,
            view: members::VIEW,
            entity: "member",
        },
        Parent { name: "created_by", key: "created_by_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
    ],
};

/// The view that projects are read from.
pub(crate) const VIEW: &str = "q_projects";

/// The order of lists when none is asked for: newest first.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}
