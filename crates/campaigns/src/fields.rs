//! What campaigns and their members can be filtered, sorted and picked by. Every filterable and sortable field has an index; of members,
//! whose lists are always those of one campaign or one contact, behind that one's id.
//!
//! The filter language may name any field, and those of the records that a campaign or a member points to.

use crm_kernel::{Direction, Field, Kind, Parent, Sort, Vocabulary};
use crm_tenancy::members;

use crate::{
    member::MemberStatus,
    model::{CampaignStatus, CampaignType},
};

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// The fields of a campaign, in the order of its JSON.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("name", Kind::Caseless).key("name_key").filterable().sortable(),
    Field::shown("description", Kind::Text).nullable(),
    Field::shown("campaign_type", Kind::Choice(CampaignType::WORDS)).filterable(),
    Field::shown("status", Kind::Choice(CampaignStatus::WORDS)).filterable(),
    Field::shown("start_date", Kind::Date).key("start_key").nullable().filterable().sortable(),
    Field::shown("end_date", Kind::Date).key("end_key").nullable().filterable().sortable(),
    Field::shown("budget", Kind::Decimal).key("budget_key").nullable().sortable(),
    Field::shown("actual_cost", Kind::Decimal).nullable(),
    Field::shown("target_audience", Kind::Object).nullable(),
    Field::shown("goals", Kind::Object).nullable(),
    Field::shown("started_at", Kind::Timestamp).nullable(),
    Field::shown("paused_at", Kind::Timestamp).nullable(),
    Field::shown("completed_at", Kind::Timestamp).nullable(),
    Field::shown("cancelled_at", Kind::Timestamp).nullable(),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("created_by_id", Kind::Member).nullable(),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    CREATED_AT,
    Field::shown("updated_at", Kind::Timestamp).key("updated_at_key").sortable(),
    Field::shown("last_activity_at", Kind::Timestamp).key("last_activity_key").filterable().sortable(),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
    Field::shown("version", Kind::Integer),
];

/// What a filter of campaigns may name.
pub static VOCABULARY: Vocabulary = Vocabulary {
    fields: FIELDS,
    parents: &[
        Parent { name: "owner", key: "owner_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
        Parent { name: "created_by", key: "created_by_id", fields: members::FIELDS, view: members::VIEW, entity: "member" },
    ],
};

/// The fields of a member of a campaign, in the order of its JSON.
pub static MEMBER_FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("campaign_id", Kind::Id).filterable(),
    Field::shown("contact_id", Kind::Id).filterable(),
    Field::shown("status", Kind::Choice(MemberStatus::WORDS)).filterable(),
    Field::shown("sent_at", Kind::Timestamp).nullable(),
    Field::shown("delivered_at", Kind::Timestamp).nullable(),
    Field::shown("opened_at", Kind::Timestamp).nullable(),
    Field::shown("clicked_at", Kind::Timestamp).nullable(),
    Field::shown("bounced_at", Kind::Timestamp).nullable(),
    Field::shown("unsubscribed_at", Kind::Timestamp).nullable(),
    CREATED_AT,
    Field::shown("updated_at", Kind::Timestamp),
    Field::shown("version", Kind::Integer),
];

/// What a filter of members may ask of their contact. Domains do not know each other, so it is said here again; a test of the gateway
/// compares.
static CONTACT: &[Field] = &[
    Field::shown("id", Kind::Id).filterable(),
    Field::shown("company_id", Kind::Id).nullable().filterable(),
    Field::shown("first_name", Kind::Text),
    Field::shown("last_name", Kind::Text).sortable(),
    Field::shown("email", Kind::Caseless).key("email_key").nullable().filterable(),
    Field::shown("title", Kind::Text).nullable(),
    Field::shown("department", Kind::Text).nullable(),
    Field::shown("contact_status", Kind::Choice(&["active", "inactive", "bounced"])).filterable(),
    Field::shown("lead_source", Kind::Text).nullable().filterable(),
    Field::shown("lead_score", Kind::Integer).key("lead_score_key").nullable().sortable(),
    Field::shown("opted_out", Kind::Boolean),
    Field::shown("owner_id", Kind::Member).nullable().filterable(),
    Field::shown("tags", Kind::Tags).filterable(),
    Field::shown("custom_fields", Kind::Object),
    Field::shown("deleted_at", Kind::Timestamp).nullable(),
];

/// What a filter of members may name.
pub static MEMBER_VOCABULARY: Vocabulary = Vocabulary {
    fields: MEMBER_FIELDS,
    parents: &[
        Parent { name: "campaign", key: "campaign_id", fields: FIELDS, view: VIEW, entity: "campaign" },
        Parent { name: "contact", key: "contact_id", fields: CONTACT, view: "q_contacts", entity: "contact" },
    ],
};

/// The view that campaigns are read from.
pub(crate) const VIEW: &str = "q_campaigns";
/// The view that members are read from.
pub(crate) const MEMBER_VIEW: &str = "q_campaign_contacts";

/// The order of lists when none is asked for, of campaigns and of members: newest first.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}
