//! Campaigns pass the contract of every noun.

use async_trait::async_trait;
use crm_campaigns::{
    BulkCampaigns, Campaign, CampaignChanges, CampaignStatus, CampaignType, Campaigns, FIELDS, NewCampaign, PgCampaigns,
    default_sort,
};
use crm_kernel::{CampaignId, Context, Expected, Field, ListQuery, Object, ObjectChange, Page, Result, Sort, Tags};
use crm_tenancy::Db;
use crm_testkit::contract::{Draft, Noun};
use serde_json::{Value, json};
use uuid::Uuid;

struct Contract {
    campaigns: PgCampaigns,
}

/// Values repeat at different intervals, so that every list has ties, and some are missing, so that it has nulls.
fn new_campaign(draft: Draft) -> NewCampaign {
    let number = draft.number;
    let every = |interval: usize| number.is_multiple_of(interval);
    let date = |text: String| text.parse().expect("a date");
    NewCampaign {
        id: draft.id.map(CampaignId),
        name: format!("{} Spring {}", if every(2) { "acme" } else { "Borealis" }, number / 2),
        description: every(3).then(|| "Letters to whoever bought last year".to_owned()),
        campaign_type: every(3).then_some(CampaignType::Webinar),
        start_date: (!every(3)).then(|| date(format!("202{}-0{}-15", 5 + number % 3 * 2, number % 4 + 1))),
        end_date: (!every(4)).then(|| date(format!("203{}-0{}-15", number % 3, number % 4 + 1))),
        budget: (!every(4)).then(|| format!("{}.50", number % 3 * 400).parse().expect("a decimal")),
        actual_cost: every(4).then(|| "12.25".parse().expect("a decimal")),
        goals: every(2).then(|| object(&json!({ "leads": number }))),
        target_audience: every(5).then(|| object(&json!({ "region": "east" }))),
        owner_id: draft.owner,
        tags: Some(Tags(["vip", "east", "new"].iter().take(number % 4).map(ToString::to_string).collect())),
        custom_fields: Some(object(&json!({ "number": number, "nested": { "deep": [number] } }))),
        ..NewCampaign::default()
    }
}

fn object(value: &Value) -> Object {
    Object(value.as_object().cloned().unwrap_or_default())
}

#[async_trait]
impl Noun for Contract {
    type Record = Campaign;
    type Bulk = BulkCampaigns;

    const ENTITY: &'static str = "campaign";
    const TEXT_FIELD: &'static str = "name";
    const UNIQUE_FIELD: Option<&'static str> = None;
    const PARENT_FIELD: Option<&'static str> = None;

    fn on(db: Db) -> Self {
        Self { campaigns: PgCampaigns::new(db) }
    }
    fn fields() -> &'static [Field] {
        FIELDS
    }
    fn default_sort() -> Sort {
        default_sort()
    }

    fn new(draft: Draft) -> NewCampaign {
        new_campaign(draft)
    }
    fn new_with(draft: Draft, custom_fields: Object) -> NewCampaign {
        NewCampaign { custom_fields: Some(custom_fields), ..new_campaign(draft) }
    }
    fn customizing(custom_fields: Object) -> CampaignChanges {
        CampaignChanges { custom_fields: ObjectChange::Merge(custom_fields.0.into()), ..CampaignChanges::default() }
    }
    fn renaming(text: &str) -> CampaignChanges {
        CampaignChanges { name: Some(text.to_owned()), ..CampaignChanges::default() }
    }

    async fn create(&self, context: &Context, draft: Draft) -> Result<Campaign> {
        self.campaigns.create(context, new_campaign(draft)).await
    }
    async fn get(&self, context: &Context, id: Uuid) -> Result<Campaign> {
        self.campaigns.get(context, CampaignId(id)).await
    }
    async fn get_with_deleted(&self, context: &Context, id: Uuid) -> Result<Campaign> {
        self.campaigns.get_with_deleted(context, CampaignId(id)).await
    }
    async fn get_many(&self, context: &Context, ids: &[Uuid]) -> Result<Vec<Campaign>> {
        let ids: Vec<_> = ids.iter().copied().map(CampaignId).collect();
        self.campaigns.get_many(context, &ids).await
    }
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Campaign>> {
        self.campaigns.list(context, query).await
    }
    async fn rename(&self, context: &Context, id: Uuid, expected: &Expected, text: &str) -> Result<Campaign> {
        self.campaigns.update(context, CampaignId(id), expected, &Self::renaming(text)).await
    }
    async fn replace(&self, context: &Context, id: Uuid, expected: &Expected, draft: Draft) -> Result<Campaign> {
        self.campaigns.replace(context, CampaignId(id), expected, new_campaign(draft)).await
    }
    async fn delete(&self, context: &Context, id: Uuid, expected: &Expected) -> Result<()> {
        self.campaigns.delete(context, CampaignId(id), expected).await
    }
    async fn restore(&self, context: &Context, id: Uuid) -> Result<Campaign> {
        self.campaigns.restore(context, CampaignId(id)).await
    }

    /// Every third is active, every seventh paused, every fourth has no owner.
    async fn dress(&self, context: &Context, number: usize, campaign: Campaign, _: &[Campaign]) -> Result<Campaign> {
        let every = |interval: usize| number.is_multiple_of(interval);
        let to = |status| CampaignChanges { status: Some(status), ..CampaignChanges::default() };
        let campaign = match every(3) || every(7) {
            true => self.campaigns.update(context, campaign.id, &Expected::Any, &to(CampaignStatus::Active)).await?,
            false => campaign,
        };
        let changes = CampaignChanges {
            owner_id: every(4).then_some(None),
            status: every(7).then_some(CampaignStatus::Paused),
            ..CampaignChanges::default()
        };
        self.campaigns.update(context, campaign.id, &Expected::Any, &changes).await
    }
}

crm_testkit::crud_contract!(Contract);
