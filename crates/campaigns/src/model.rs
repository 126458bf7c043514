//! The campaign as it is stored, as it comes in, and as it is changed. Validation of single values sits on the two inputs; rules that
//! need more than one value are in `rules.rs`.

use crm_kernel::{
    CampaignId, Date, Money, Object, ObjectChange, Tags, Timestamp, UserId, validation,
    values::{nullable, present},
};
use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::schema::{crm_campaigns, q_campaigns};

crm_kernel::text_enum!(
    /// By what a campaign reaches people.
    CampaignType {
        /// Letters to their e-mail addresses.
        Email = "email",
        /// Social networks.
        Social = "social",
        /// A presentation over the network.
        Webinar = "webinar",
        /// A meeting at a place.
        Event = "event",
        /// Something to read or to watch.
        Content = "content",
        /// Something else.
        Other = "other",
    }
);

crm_kernel::text_enum!(
    /// How far a campaign is.
    CampaignStatus {
        /// Not begun.
        Planning = "planning",
        /// Under way.
        Active = "active",
        /// Stopped for a while.
        Paused = "paused",
        /// Over, as it was meant to be.
        Completed = "completed",
        /// Over before that, or never begun.
        Cancelled = "cancelled",
    }
);

impl CampaignStatus {
    /// Whether a campaign may go from here to there; the guard of the database has the same table.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use CampaignStatus::{Active, Cancelled, Completed, Paused, Planning};
        match self {
            Planning => matches!(next, Planning | Active | Cancelled),
            Active | Paused => next != Planning,
            Completed | Cancelled => next == self,
        }
    }
}

/// A campaign: what is done to win people over, what it costs, and who is to be reached.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_campaigns, check_for_backend(diesel::pg::Pg))]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What it is called.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// By what it reaches people.
    pub campaign_type: CampaignType,
    /// How far it is.
    pub status: CampaignStatus,
    /// When it is to begin.
    pub start_date: Option<Date>,
    /// When it is to end.
    pub end_date: Option<Date>,
    /// What it may cost, in the organisation's currency.
    pub budget: Option<Money>,
    /// What it has cost, in the organisation's currency.
    pub actual_cost: Option<Money>,
    /// Who is to be reached, in the organisation's own words.
    pub target_audience: Option<Object>,
    /// What is to be achieved, in the organisation's own words.
    pub goals: Option<Object>,
    /// When it became active for the first time; null while it was not.
    pub started_at: Option<Timestamp>,
    /// When it was paused; null unless it is.
    pub paused_at: Option<Timestamp>,
    /// When it was completed; null unless it is.
    pub completed_at: Option<Timestamp>,
    /// When it was cancelled; null unless it is.
    pub cancelled_at: Option<Timestamp>,
    /// The member who looks after it.
    pub owner_id: Option<UserId>,
    /// The member who created it.
    pub created_by_id: Option<UserId>,
    /// Words attached to it.
    pub tags: Tags,
    /// The organisation's own fields.
    pub custom_fields: Object,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When somebody last did something to it or to what hangs on it; what the CRM does by itself does not count.
    pub last_activity_at: Timestamp,
    /// When it was deleted; null while it lives.
    pub deleted_at: Option<Timestamp>,
    /// Counts its changes, from 1; see If-Match.
    pub version: i32,
}

impl Campaign {
    /// With amounts in the digits of the organisation's currency.
    pub(crate) fn shown(mut self, currency: &str) -> Self {
        self.budget = self.budget.map(|amount| amount.in_currency(currency));
        self.actual_cost = self.actual_cost.map(|amount| amount.in_currency(currency));
        self
    }
}

/// A campaign to be created, or to take another's place.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Insertable)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_campaigns)]
#[serde(deny_unknown_fields)]
pub struct NewCampaign {
    /// An id chosen by the client: UUID version 7. Ignored when replacing.
    #[serde(default)]
    pub id: Option<CampaignId>,
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// What it is about.
    #[serde(default)]
    pub description: Option<String>,
    /// By what it reaches people; `other` when absent.
    #[serde(default)]
    pub campaign_type: Option<CampaignType>,
    /// How far it is; when absent `planning`, and as it is when replacing: it goes forward only.
    #[serde(default)]
    pub status: Option<CampaignStatus>,
    /// When it is to begin.
    #[serde(default)]
    pub start_date: Option<Date>,
    /// When it is to end; not before it begins.
    #[serde(default)]
    pub end_date: Option<Date>,
    /// What it may cost, in the organisation's currency.
    #[serde(default)]
    pub budget: Option<Money>,
    /// What it has cost, in the organisation's currency.
    #[serde(default)]
    pub actual_cost: Option<Money>,
    /// Who is to be reached, in the organisation's own words.
    #[serde(default)]
    pub target_audience: Option<Object>,
    /// What is to be achieved, in the organisation's own words.
    #[serde(default)]
    pub goals: Option<Object>,
    /// The member who looks after it; the caller when absent on creation.
    #[serde(default)]
    pub owner_id: Option<UserId>,
    /// Words attached to it.
    #[serde(default)]
    pub tags: Option<Tags>,
    /// The organisation's own fields.
    #[serde(default)]
    pub custom_fields: Option<Object>,
}

/// A change to a campaign: what is absent stays. The rules for every value sit here, for new campaigns too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_campaigns)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct CampaignChanges {
    /// What it is called.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 255), inner(custom(validation::readable)))]
    pub name: Option<String>,
    /// What it is about.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 10_000), inner(inner(custom(validation::storable))))]
    pub description: Option<Option<String>>,
    /// By what it reaches people.
    #[serde(deserialize_with = "present")]
    pub campaign_type: Option<CampaignType>,
    /// How far it is: from `planning` to `active` or `cancelled`, between `active` and `paused`, from both to `completed` or `cancelled`.
    #[serde(deserialize_with = "present")]
    pub status: Option<CampaignStatus>,
    /// When it is to begin.
    #[serde(deserialize_with = "nullable")]
    pub start_date: Option<Option<Date>>,
    /// When it is to end; not before it begins.
    #[serde(deserialize_with = "nullable")]
    pub end_date: Option<Option<Date>>,
    /// What it may cost, in the organisation's currency.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(inner(custom(validation::not_negative))))]
    pub budget: Option<Option<Money>>,
    /// What it has cost, in the organisation's currency.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(inner(custom(validation::not_negative))))]
    pub actual_cost: Option<Option<Money>>,
    /// Who is to be reached; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::object_change))]
    pub target_audience: ObjectChange,
    /// What is to be achieved; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::object_change))]
    pub goals: ObjectChange,
    /// The member who looks after it.
    #[serde(deserialize_with = "nullable")]
    pub owner_id: Option<Option<UserId>>,
    /// Words attached to it, all of them.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(validation::tags)))]
    pub tags: Option<Tags>,
    /// The organisation's own fields; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::object_change))]
    pub custom_fields: ObjectChange,
}

impl From<NewCampaign> for CampaignChanges {
    /// Every editable field: what the new campaign does not say becomes empty or its default; but its status stays, which goes forward only.
    fn from(new: NewCampaign) -> Self {
        Self {
            name: Some(new.name),
            description: Some(new.description),
            campaign_type: Some(new.campaign_type.unwrap_or(CampaignType::Other)),
            status: new.status,
            start_date: Some(new.start_date),
            end_date: Some(new.end_date),
            budget: Some(new.budget),
            actual_cost: Some(new.actual_cost),
            target_audience: ObjectChange::Replace(new.target_audience),
            goals: ObjectChange::Replace(new.goals),
            owner_id: Some(new.owner_id),
            tags: Some(new.tags.unwrap_or_default()),
            custom_fields: ObjectChange::Replace(Some(new.custom_fields.unwrap_or_default())),
        }
    }
}
