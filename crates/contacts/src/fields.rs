//! What contacts can be filtered, sorted and picked by. Every filterable and sortable field has an index.
//!
//! A list sorted by `last_name` runs by last name, then first name, whatever their case: that is the key `name_key`.
//! The filter language may name any field, and those of the records a contact points to.

use crm_kernel::{Direction, Field, Kind, Parent, Sort, Vocabulary};
use crm_tenancy::members;

use crate::model::ContactStatus;

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// The fields of a contact, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("company_id", Kind::Id).nullable().filterable(),
    Field::shown("first_name", Kind::Text),
    Field::shown("last_name", Kind::Text).sortable(),
    Field::shown("email", Kind::Caseless).key("email_key").nullable().filterable(),
    Field::shown("phone", Kind::Text).nullable(),
    Field::shown("mobile", Kind::Text).nullable(),
    Field::shown("title", Kind::Text).nullable(),
    Field::shown("department", Kind::Text).nullable(),
    Field::shown("contact_status", Kind::Choice(ContactStatus::WORDS)).filterable().ordered_by(&["last_name"]),
    Field::shown("lead_source", Kind::Text).nullable().filterable(),
    Field::shown("lead_score", Kind::Integer).key("lead_score_key").nullable().sortable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("created_by_id", Kind::Member).nullable(),
    Field::shown("social_profiles", Kind::Object).nullable(),
    Field::shown("preferences", Kind::Object).nullable(),
    Field::shown("opted_out", Kind::Boolean),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    CREATED_AT,
    Field::shown("updated_at", Kind::Timestamp).key("updated_at_key").sortable(),
    Field::shown("last_activity_at", Kind::Timestamp).key("last_activity_key").filterable().sortable(),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
    Field::shown("version", Kind::Integer),
];

/// What a filter of contacts may ask of their company. Domains do not know each other, so it is said here again; a test of
/// the gateway compares.
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

/// What a filter of contacts may name.
pub static VOCABULARY: Vocabulary = Vocabulary {
    fields: FIELDS,
    parents: &[
        Parent { name: "company", key: "company_id", fields: COMPANY, view: "q_companies", entity: "company" },
        Parent { name: "owner", key: "owner_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
        Parent { name: "created_by", key: "created_by_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
    ],
};

/// The view that contacts are read from.
pub(crate) const VIEW: &str = "q_contacts";

/// The order of lists when none is asked for: newest first.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}
