//! The deal as it is stored, as it comes in, and as it is changed. Validation of single values sits on the two inputs;
//! rules that need more than one value are in `rules.rs`, those of closing in `stage.rs`.

use crm_kernel::{
    CampaignId, CompanyId, ContactId, Date, DealId, Money, Object, ObjectChange, PipelineId, Tags, Timestamp, UserId, validation,
    values::{nullable, present},
};
use diesel::{
    AsChangeset, Insertable, Queryable, Selectable,
    dsl::sql,
    expression::SqlLiteral,
    sql_types::{Nullable, Numeric, Timestamptz},
};
use serde::{Deserialize, Serialize};

use crate::{
    rate::Rate,
    schema::{crm_deals, q_deals},
};

// Diesel knows no more columns of the view than it has already, hence the fixed pieces of SQL.
/// A deal: something that may be sold, on its way through the stages of a pipeline.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_deals, check_for_backend(diesel::pg::Pg))]
pub struct Deal {
    /// Its id.
    pub id: DealId,
    /// What it is called.
    pub name: String,
    /// The company that buys.
    pub company_id: Option<CompanyId>,
    /// The contact it is talked over with.
    pub primary_contact_id: Option<ContactId>,
    /// The campaign that it came of.
    pub campaign_id: Option<CampaignId>,
    /// The pipeline it is in.
    pub pipeline_id: PipelineId,
    /// The key of the stage of that pipeline it stands in.
    pub stage: String,
    /// How likely it is to be won, in percent: 0 to 100.
    pub probability: i32,
    /// What it is worth, in its own currency.
    pub amount: Option<Money>,
    /// ISO 4217 code of `amount`.
    pub currency: String,
    /// What it is worth in the organisation's currency; null while there is no rate.
    pub base_amount: Option<Money>,
    /// The exchange rate that `base_amount` was counted at: 1 in the organisation's own currency, null while there is none.
    #[diesel(select_expression = sql::<Nullable<Numeric>>("q_deals.base_rate"))]
    #[diesel(select_expression_type = SqlLiteral<Nullable<Numeric>>)]
    pub base_rate: Option<Rate>,
    /// The day from which on that rate is valid; null in the organisation's own currency and while there is no rate.
    #[diesel(select_expression = sql::<Nullable<diesel::sql_types::Date>>("q_deals.base_rate_on"))]
    #[diesel(select_expression_type = SqlLiteral<Nullable<diesel::sql_types::Date>>)]
    pub base_rate_on: Option<Date>,
    /// When it should be decided.
    pub expected_close_date: Option<Date>,
    /// When it was won or lost; null while it is open.
    pub actual_close_date: Option<Date>,
    /// Where it came from, in the organisation's own words.
    pub deal_source: Option<String>,
    /// Why it was lost; null unless it is.
    pub lost_reason: Option<String>,
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
    /// From when on it has stood in its stage for longer than the stage's `rotting_days`; null where it never has.
    #[diesel(select_expression = sql::<Nullable<Timestamptz>>("q_deals.rots_at"))]
    #[diesel(select_expression_type = SqlLiteral<Nullable<Timestamptz>>)]
    pub rots_at: Option<Timestamp>,
    /// When it was deleted; null while it lives.
    pub deleted_at: Option<Timestamp>,
    /// Counts its changes, from 1; see If-Match.
    pub version: i32,
}

impl Deal {
    /// With amounts in the digits of their currencies.
    pub(crate) fn shown(mut self, base_currency: &str) -> Self {
        self.amount = self.amount.map(|amount| amount.in_currency(&self.currency));
        self.base_amount = self.base_amount.map(|amount| amount.in_currency(base_currency));
        self
    }
}

/// A deal to be created, or to take another's place.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Insertable)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_deals)]
#[serde(deny_unknown_fields)]
pub struct NewDeal {
    /// An id chosen by the client: UUID version 7. Ignored when replacing.
    #[serde(default)]
    pub id: Option<DealId>,
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// The company that buys.
    #[serde(default)]
    pub company_id: Option<CompanyId>,
    /// The contact it is talked over with.
    #[serde(default)]
    pub primary_contact_id: Option<ContactId>,
    /// The campaign that it came of.
    #[serde(default)]
    pub campaign_id: Option<CampaignId>,
    /// The pipeline it is in; the default one when absent. When replacing: absent, or as it is.
    #[serde(default)]
    pub pipeline_id: Option<PipelineId>,
    /// The key of a stage of that pipeline; its first one when absent. When replacing: absent, or as it is.
    #[serde(default)]
    pub stage: Option<String>,
    /// How likely it is to be won, in percent; as the stage says when absent.
    #[serde(default)]
    pub probability: Option<i32>,
    /// What it is worth, in its own currency.
    #[serde(default)]
    pub amount: Option<Money>,
    /// ISO 4217 code of `amount`; the organisation's when absent.
    #[serde(default)]
    pub currency: Option<String>,
    /// When it should be decided.
    #[serde(default)]
    pub expected_close_date: Option<Date>,
    /// When it was won or lost; today when absent and the stage is a closed one. When replacing: absent, or as it is.
    #[serde(default)]
    pub actual_close_date: Option<Date>,
    /// Where it came from, in the organisation's own words.
    #[serde(default)]
    pub deal_source: Option<String>,
    /// Why it was lost, for a stage that means lost. When replacing: absent, or as it is.
    #[serde(default)]
    pub lost_reason: Option<String>,
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

/// A change to a deal: what is absent stays. The rules for every value sit here, for new deals too. Stage, pipeline,
/// closing date and reason are not in it: those move together, see `StageStep`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_deals)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct DealChanges {
    /// What it is called.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 255), inner(custom(validation::readable)))]
    pub name: Option<String>,
    /// The company that buys.
    #[serde(deserialize_with = "nullable")]
    pub company_id: Option<Option<CompanyId>>,
    /// The contact it is talked over with.
    #[serde(deserialize_with = "nullable")]
    pub primary_contact_id: Option<Option<ContactId>>,
    /// The campaign that it came of.
    #[serde(deserialize_with = "nullable")]
    pub campaign_id: Option<Option<CampaignId>>,
    /// How likely it is to be won, in percent: 0 to 100. Cannot change once the deal is closed.
    #[serde(deserialize_with = "present")]
    #[garde(range(min = 0, max = 100))]
    pub probability: Option<i32>,
    /// What it is worth, in its own currency.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(inner(custom(validation::not_negative))))]
    pub amount: Option<Option<Money>>,
    /// ISO 4217 code of `amount`.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(validation::currency)))]
    pub currency: Option<String>,
    /// When it should be decided.
    #[serde(deserialize_with = "nullable")]
    pub expected_close_date: Option<Option<Date>>,
    /// Where it came from, in the organisation's own words.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 100), inner(inner(custom(validation::storable))))]
    pub deal_source: Option<Option<String>>,
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

impl From<NewDeal> for DealChanges {
    /// Every editable field: what the new deal does not say becomes empty or its default. Probability and currency have
    /// defaults that only the database knows: absent here, and filled in by the service.
    fn from(new: NewDeal) -> Self {
        Self {
            name: Some(new.name),
            company_id: Some(new.company_id),
            primary_contact_id: Some(new.primary_contact_id),
            campaign_id: Some(new.campaign_id),
            probability: new.probability,
            amount: Some(new.amount),
            currency: new.currency,
            expected_close_date: Some(new.expected_close_date),
            deal_source: Some(new.deal_source),
            owner_id: Some(new.owner_id),
            tags: Some(new.tags.unwrap_or_default()),
            custom_fields: ObjectChange::Replace(Some(new.custom_fields.unwrap_or_default())),
        }
    }
}
