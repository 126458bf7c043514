//! What deals can be filtered, sorted and picked by. Every filterable and sortable field has an index.
//!
//! Amounts are in different currencies, so a list is not sorted by `amount` but by `base_amount`, the same in the
//! organisation's currency; deals whose currency has no rate have none and come last.
//! The filter language may name any field, and those of the records a deal points to.

use crm_kernel::{Direction, Field, Kind, Parent, Sort, Vocabulary};
use crm_tenancy::members;

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// The fields of a deal, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("name", Kind::Caseless).key("name_key").filterable().sortable(),
    Field::shown("company_id", Kind::Id).nullable().filterable(),
    Field::shown("primary_contact_id", Kind::Id).nullable().filterable(),
    Field::shown("campaign_id", Kind::Id).nullable().filterable(),
    Field::shown("pipeline_id", Kind::Id).filterable(),
    Field::shown("stage", Kind::Text).filterable(),
    Field::shown("probability", Kind::Integer),
    Field::shown("amount", Kind::Decimal).nullable(),
    Field::shown("currency", Kind::Text).filterable(),
    Field::shown("base_amount", Kind::Decimal).key("base_amount_key").nullable().sortable(),
    Field::shown("base_rate", Kind::Decimal).nullable(),
    Field::shown("base_rate_on", Kind::Date).nullable(),
    Field::shown("expected_close_date", Kind::Date).key("expected_close_key").nullable().filterable().sortable(),
    Field::shown("actual_close_date", Kind::Date).key("actual_close_key").nullable().filterable().sortable(),
    Field::shown("deal_source", Kind::Text).nullable().filterable(),
    Field::shown("lost_reason", Kind::Text).nullable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("created_by_id", Kind::Member).nullable(),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    CREATED_AT,
    Field::shown("updated_at", Kind::Timestamp).key("updated_at_key").sortable(),
    Field::shown("last_activity_at", Kind::Timestamp).key("last_activity_key").filterable().sortable(),
    Field::shown("rots_at", Kind::Timestamp).nullable(),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
    Field::shown("version", Kind::Integer),
];

/// What a filter of deals may ask of their company. Domains do not know each other, so it is said here again, and below of
/// the contact; a test of the gateway compares.
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

static CONTACT: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("first_name", Kind::Text),
    Field::shown("last_name", Kind::Text).sortable(),
    Field::shown("email", Kind::Caseless).key("email_key").nullable().filterable(),
    Field::shown("phone", Kind::Text).nullable(),
    Field::shown("title", Kind::Text).nullable(),
    Field::shown("department", Kind::Text).nullable(),
    Field::shown("contact_status", Kind::Choice(&["active", "inactive", "bounced"])).filterable(),
    Field::shown("lead_source", Kind::Text).nullable().filterable(),
    Field::shown("lead_score", Kind::Integer).key("lead_score_key").nullable().sortable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
];

static CAMPAIGN: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("name", Kind::Caseless).key("name_key").filterable().sortable(),
    Field::shown("campaign_type", Kind::Choice(&["email", "social", "webinar", "event", "content", "other"])).filterable(),
    Field::shown("status", Kind::Choice(&["planning", "active", "paused", "completed", "cancelled"])).filterable(),
    Field::shown("start_date", Kind::Date).key("start_key").nullable().filterable().sortable(),
    Field::shown("end_date", Kind::Date).key("end_key").nullable().filterable().sortable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
];

/// What a filter of deals may name.
pub static VOCABULARY: Vocabulary = Vocabulary {
    fields: FIELDS,
    parents: &[
        Parent { name: "company", key: "company_id", fields: COMPANY, view: "q_companies", entity: "company" },
        Parent { name: "primary_contact", key: "primary_contact_id", fields: CONTACT, view: "q_contacts", entity: "contact" },
        Parent { name: "campaign", key: "campaign_id", fields: CAMPAIGN, view: "q_campaigns", entity: "campaign" },
        Parent { name: "owner", key: "owner_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
        Parent { name: "created_by", key: "created_by_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
    ],
};

/// The view that deals are read from.
pub(crate) const VIEW: &str = "q_deals";

/// The order of lists when none is asked for: newest first.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}
