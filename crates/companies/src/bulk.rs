//! Companies in calls that change many at once: the use cases of `within.rs` under the names that all nouns share.

use async_trait::async_trait;
use crm_kernel::{CompanyId, Expected, Result};
use crm_tenancy::{Entity, Tx, bulk, custom_fields::RecordKind};
use uuid::Uuid;

use crate::{
    model::{Company, CompanyChanges, NewCompany},
    store, within,
};

/// Companies, as a noun of bulk calls. Its natural key is the slug.
#[derive(Debug)]
pub struct BulkCompanies;

#[async_trait]
impl bulk::Noun for BulkCompanies {
    type Record = Company;
    type New = NewCompany;
    type Changes = CompanyChanges;

    const ENTITY: Entity = store::COMPANY;
    const KIND: RecordKind = RecordKind::Company;
    const NATURAL_KEY: Option<&'static str> = Some("slug");

    fn id(record: &Company) -> Uuid {
        record.id.uuid()
    }
    fn give_id(new: &mut NewCompany, id: Uuid) -> Option<Uuid> {
        new.id.replace(CompanyId(id)).map(CompanyId::uuid)
    }
    fn natural_key(new: &mut NewCompany) -> Option<&mut Option<String>> {
        Some(&mut new.slug)
    }

    async fn create(tx: &mut Tx, new: NewCompany) -> Result<Company> {
        within::create(tx, new).await
    }
    async fn create_all(tx: &mut Tx, new: Vec<NewCompany>) -> Result<Vec<Company>> {
        within::create_all(tx, new).await
    }
    async fn update(tx: &mut Tx, id: Uuid, expected: &Expected, changes: &CompanyChanges) -> Result<Company> {
        within::update(tx, CompanyId(id), expected, changes).await
    }
    async fn delete(tx: &mut Tx, id: Uuid, expected: &Expected) -> Result<()> {
        within::delete(tx, CompanyId(id), expected).await
    }
    async fn living(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Company>> {
        let ids: Vec<CompanyId> = ids.iter().copied().map(CompanyId).collect();
        Ok(store::get_many(tx, &ids).await?.into_iter().filter(|company| company.deleted_at.is_none()).collect())
    }
    async fn with_natural_key(tx: &mut Tx, slug: &str) -> Result<Vec<Uuid>> {
        store::with_slug(tx, slug).await
    }
}
