//! Deals in calls that change many at once: the use cases of `within.rs` under the names that all nouns share.

use async_trait::async_trait;
use crm_kernel::{DealId, Expected, Result};
use crm_tenancy::{Entity, Tx, bulk, custom_fields::RecordKind};
use uuid::Uuid;

use crate::{
    model::{Deal, DealChanges, NewDeal},
    store, within,
};

/// Deals, as a noun of bulk calls. They have no natural key.
#[derive(Debug)]
pub struct BulkDeals;

#[async_trait]
impl bulk::Noun for BulkDeals {
    type Record = Deal;
    type New = NewDeal;
    type Changes = DealChanges;

    const ENTITY: Entity = store::DEAL;
    const KIND: RecordKind = RecordKind::Deal;
    const NATURAL_KEY: Option<&'static str> = None;

    fn id(record: &Deal) -> Uuid {
        record.id.uuid()
    }
    fn give_id(new: &mut NewDeal, id: Uuid) -> Option<Uuid> {
        new.id.replace(DealId(id)).map(DealId::uuid)
    }

    async fn create(tx: &mut Tx, new: NewDeal) -> Result<Deal> {
        within::create(tx, new).await
    }
    async fn create_all(tx: &mut Tx, new: Vec<NewDeal>) -> Result<Vec<Deal>> {
        within::create_all(tx, new).await
    }
    async fn update(tx: &mut Tx, id: Uuid, expected: &Expected, changes: &DealChanges) -> Result<Deal> {
        within::update(tx, DealId(id), expected, changes).await
    }
    async fn delete(tx: &mut Tx, id: Uuid, expected: &Expected) -> Result<()> {
        within::delete(tx, DealId(id), expected).await
    }
    async fn living(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Deal>> {
        let ids: Vec<DealId> = ids.iter().copied().map(DealId).collect();
        Ok(store::get_many(tx, &ids).await?.into_iter().filter(|deal| deal.deleted_at.is_none()).collect())
    }
    async fn with_natural_key(_: &mut Tx, _: &str) -> Result<Vec<Uuid>> {
        Ok(Vec::new())
    }
}
