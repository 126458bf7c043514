//! Companies pass the contract of every noun. This adapter is the model for the other nouns.

use async_trait::async_trait;
use crm_companies::{
    BulkCompanies, Companies, Company, CompanyChanges, CompanySize, CompanyStatus, FIELDS, NewCompany, PgCompanies, default_sort,
};
use crm_kernel::{CompanyId, Context, Expected, Field, ListQuery, Object, ObjectChange, Page, Result, Sort, Tags};
use crm_tenancy::Db;
use crm_testkit::contract::{Draft, Noun};
use serde_json::json;
use uuid::Uuid;

struct Contract(PgCompanies);

/// Values repeat at different intervals, so that every list has ties, and some are missing, so that it has nulls.
fn new_company(draft: Draft) -> NewCompany {
    let number = draft.number;
    let every = |interval: usize| number.is_multiple_of(interval);
    NewCompany {
        id: draft.id.map(CompanyId),
        name: format!("{} Company {}", if every(2) { "acme" } else { "Borealis" }, number / 2),
        slug: Some(format!("company-{number}")),
        industry: (!every(3)).then(|| if every(2) { "Software" } else { "Steel" }.to_owned()),
        company_size: (!every(4)).then_some(if every(3) { CompanySize::Small } else { CompanySize::Enterprise }),
        website: Some(format!("https://company-{number}.example.com")),
        billing_address: (!every(2)).then(|| object(&json!({ "city": "Basel", "country": "CH" }))),
        shipping_address: None,
        annual_revenue: (!every(3)).then(|| format!("{}.5", number % 4 * 1_000_000).parse().expect("a decimal")),
        employee_count: (!every(5)).then(|| i32::try_from(number % 3).expect("a small number")),
        company_status: every(2).then_some(CompanyStatus::Customer),
        parent_id: None,
        owner_id: draft.owner,
        tags: Some(Tags(["vip", "east", "new"].iter().take(number % 4).map(ToString::to_string).collect())),
        custom_fields: Some(object(&json!({ "number": number, "nested": { "deep": [number] } }))),
    }
}

fn object(value: &serde_json::Value) -> Object {
    Object(value.as_object().cloned().unwrap_or_default())
}

#[async_trait]
impl Noun for Contract {
    type Record = Company;
    type Bulk = BulkCompanies;

    const ENTITY: &'static str = "company";
    const TEXT_FIELD: &'static str = "name";
    const UNIQUE_FIELD: Option<&'static str> = Some("slug");
    const PARENT_FIELD: Option<&'static str> = Some("parent_id");

    fn on(db: Db) -> Self {
        Self(PgCompanies::new(db))
    }
    fn fields() -> &'static [Field] {
        FIELDS
    }
    fn default_sort() -> Sort {
        default_sort()
    }

    fn new(draft: Draft) -> NewCompany {
        new_company(draft)
    }
    fn new_with(draft: Draft, custom_fields: Object) -> NewCompany {
        NewCompany { custom_fields: Some(custom_fields), ..new_company(draft) }
    }
    fn customizing(custom_fields: Object) -> CompanyChanges {
        CompanyChanges { custom_fields: ObjectChange::Merge(custom_fields.0.into()), ..CompanyChanges::default() }
    }
    fn renaming(text: &str) -> CompanyChanges {
        CompanyChanges { name: Some(text.to_owned()), ..CompanyChanges::default() }
    }

    async fn create(&self, context: &Context, draft: Draft) -> Result<Company> {
        self.0.create(context, new_company(draft)).await
    }
    async fn get(&self, context: &Context, id: Uuid) -> Result<Company> {
        self.0.get(context, CompanyId(id)).await
    }
    async fn get_with_deleted(&self, context: &Context, id: Uuid) -> Result<Company> {
        self.0.get_with_deleted(context, CompanyId(id)).await
    }
    async fn get_many(&self, context: &Context, ids: &[Uuid]) -> Result<Vec<Company>> {
        let ids: Vec<_> = ids.iter().copied().map(CompanyId).collect();
        self.0.get_many(context, &ids).await
    }
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Company>> {
        self.0.list(context, query).await
    }
    async fn rename(&self, context: &Context, id: Uuid, expected: &Expected, text: &str) -> Result<Company> {
        self.0.update(context, CompanyId(id), expected, &Self::renaming(text)).await
    }
    async fn replace(&self, context: &Context, id: Uuid, expected: &Expected, draft: Draft) -> Result<Company> {
        self.0.replace(context, CompanyId(id), expected, new_company(draft)).await
    }
    async fn delete(&self, context: &Context, id: Uuid, expected: &Expected) -> Result<()> {
        self.0.delete(context, CompanyId(id), expected).await
    }
    async fn restore(&self, context: &Context, id: Uuid) -> Result<Company> {
        self.0.restore(context, CompanyId(id)).await
    }

    async fn attach(&self, context: &Context, id: Uuid, company: Uuid) -> Result<Company> {
        let changes = CompanyChanges { parent_id: Some(Some(CompanyId(company))), ..CompanyChanges::default() };
        self.0.update(context, CompanyId(id), &Expected::Any, &changes).await
    }

    /// Every third company belongs to the first, every fourth has no owner.
    async fn dress(&self, context: &Context, number: usize, company: Company, earlier: &[Company]) -> Result<Company> {
        let parent = earlier.first().filter(|_| number.is_multiple_of(3)).map(|first| Some(first.id));
        let owner = number.is_multiple_of(4).then_some(None);
        let changes = CompanyChanges { parent_id: parent, owner_id: owner, ..CompanyChanges::default() };
        self.0.update(context, company.id, &Expected::Any, &changes).await
    }
}

crm_testkit::crud_contract!(Contract);
