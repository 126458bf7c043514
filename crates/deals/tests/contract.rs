//! Deals pass the contract of every noun.

mod parents;

use async_trait::async_trait;
use crm_deals::{BulkDeals, Deal, DealChanges, Deals, FIELDS, NewDeal, PgDeals, StageStep, default_sort};
use crm_kernel::{CompanyId, Context, DealId, Expected, Field, ListQuery, Object, ObjectChange, Page, Result, Sort, Tags};
use crm_tenancy::Db;
use crm_testkit::contract::{Draft, Noun};
use serde_json::{Value, json};
use uuid::Uuid;

struct Contract {
    deals: PgDeals,
    db: Db,
}

/// Values repeat at different intervals, so that every list has ties, and some are missing, so that it has nulls. All are
/// open: `dress` closes some.
fn new_deal(draft: Draft) -> NewDeal {
    let number = draft.number;
    let every = |interval: usize| number.is_multiple_of(interval);
    let currency = if every(5) { "JPY" } else { "USD" };
    NewDeal {
        id: draft.id.map(DealId),
        name: format!("{} Order {}", if every(2) { "acme" } else { "Borealis" }, number / 2),
        probability: every(3).then_some(35),
        amount: (!every(4)).then(|| format!("{}", number % 3 * 1_000).parse().expect("a decimal")),
        currency: (!every(2)).then(|| currency.to_owned()),
        expected_close_date: (!every(3)).then(|| format!("2026-0{}-15", number % 4 + 1).parse().expect("a date")),
        deal_source: (!every(3)).then(|| if every(2) { "Trade fair" } else { "website" }.to_owned()),
        owner_id: draft.owner,
        tags: Some(Tags(["vip", "east", "new"].iter().take(number % 4).map(ToString::to_string).collect())),
        custom_fields: Some(object(&json!({ "number": number, "nested": { "deep": [number] } }))),
        ..NewDeal::default()
    }
}

fn object(value: &Value) -> Object {
    Object(value.as_object().cloned().unwrap_or_default())
}

#[async_trait]
impl Noun for Contract {
    type Record = Deal;
    type Bulk = BulkDeals;

    const ENTITY: &'static str = "deal";
    const TEXT_FIELD: &'static str = "name";
    const UNIQUE_FIELD: Option<&'static str> = None;
    const PARENT_FIELD: Option<&'static str> = Some("company_id");

    fn on(db: Db) -> Self {
        Self { deals: PgDeals::new(db.clone()), db }
    }
    fn fields() -> &'static [Field] {
        FIELDS
    }
    fn default_sort() -> Sort {
        default_sort()
    }

    fn new(draft: Draft) -> NewDeal {
        new_deal(draft)
    }
    fn new_with(draft: Draft, custom_fields: Object) -> NewDeal {
        NewDeal { custom_fields: Some(custom_fields), ..new_deal(draft) }
    }
    fn customizing(custom_fields: Object) -> DealChanges {
        DealChanges { custom_fields: ObjectChange::Merge(custom_fields.0.into()), ..DealChanges::default() }
    }
    fn renaming(text: &str) -> DealChanges {
        DealChanges { name: Some(text.to_owned()), ..DealChanges::default() }
    }

    async fn create(&self, context: &Context, draft: Draft) -> Result<Deal> {
        self.deals.create(context, new_deal(draft)).await
    }
    async fn get(&self, context: &Context, id: Uuid) -> Result<Deal> {
        self.deals.get(context, DealId(id)).await
    }
    async fn get_with_deleted(&self, context: &Context, id: Uuid) -> Result<Deal> {
        self.deals.get_with_deleted(context, DealId(id)).await
    }
    async fn get_many(&self, context: &Context, ids: &[Uuid]) -> Result<Vec<Deal>> {
        let ids: Vec<_> = ids.iter().copied().map(DealId).collect();
        self.deals.get_many(context, &ids).await
    }
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Deal>> {
        self.deals.list(context, query).await
    }
    async fn rename(&self, context: &Context, id: Uuid, expected: &Expected, text: &str) -> Result<Deal> {
        self.deals.update(context, DealId(id), expected, &Self::renaming(text)).await
    }
    async fn replace(&self, context: &Context, id: Uuid, expected: &Expected, draft: Draft) -> Result<Deal> {
        self.deals.replace(context, DealId(id), expected, new_deal(draft)).await
    }
    async fn delete(&self, context: &Context, id: Uuid, expected: &Expected) -> Result<()> {
        self.deals.delete(context, DealId(id), expected).await
    }
    async fn restore(&self, context: &Context, id: Uuid) -> Result<Deal> {
        self.deals.restore(context, DealId(id)).await
    }

    async fn attach(&self, context: &Context, id: Uuid, company: Uuid) -> Result<Deal> {
        let changes = DealChanges { company_id: Some(Some(CompanyId(company))), ..DealChanges::default() };
        self.deals.update(context, DealId(id), &Expected::Any, &changes).await
    }

    /// Every third deal has a company and is won, every fourth has a contact, no owner, and is lost if it is not won.
    async fn dress(&self, context: &Context, number: usize, deal: Deal, _: &[Deal]) -> Result<Deal> {
        let (third, fourth) = (number.is_multiple_of(3), number.is_multiple_of(4));
        let company_id = if third { Some(Some(parents::company(&self.db, context).await?)) } else { None };
        let primary_contact_id = if fourth { Some(Some(parents::contact(&self.db, context).await?)) } else { None };
        let campaign_id = if fourth { Some(Some(parents::campaign(&self.db, context).await?)) } else { None };
        let changes = DealChanges {
            company_id,
            primary_contact_id,
            campaign_id,
            owner_id: fourth.then_some(None),
            ..DealChanges::default()
        };
        let dressed = self.deals.update(context, deal.id, &Expected::Any, &changes).await?;
        let closed = StageStep {
            stage: if third { "closed_won" } else { "closed_lost" }.to_owned(),
            actual_close_date: Some(format!("2025-0{}-28", number % 2 + 1).parse().expect("a date")),
            amount: third.then(|| "1500".parse().expect("a decimal")),
            lost_reason: (!third).then(|| "too dear".to_owned()),
            ..StageStep::default()
        };
        if third || fourth { self.deals.move_to(context, deal.id, &Expected::Any, &closed).await } else { Ok(dressed) }
    }
}

crm_testkit::crud_contract!(Contract);
