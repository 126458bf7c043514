//! Campaigns in calls that change many at once: the use cases of `within.rs` under the names that all nouns share.

use async_trait::async_trait;
use crm_kernel::{CampaignId, Expected, Result};
use crm_tenancy::{Entity, Tx, bulk, custom_fields::RecordKind};
use uuid::Uuid;

use crate::{
    model::{Campaign, CampaignChanges, NewCampaign},
    store, within,
};

/// Campaigns, as a noun of bulk calls. They have no natural key.
#[derive(Debug)]
pub struct BulkCampaigns;

#[async_trait]
impl bulk::Noun for BulkCampaigns {
    type Record = Campaign;
    type New = NewCampaign;
    type Changes = CampaignChanges;

    const ENTITY: Entity = store::CAMPAIGN;
    const KIND: RecordKind = RecordKind::Campaign;
    const NATURAL_KEY: Option<&'static str> = None;

    fn id(record: &Campaign) -> Uuid {
        record.id.uuid()
    }
    fn give_id(new: &mut NewCampaign, id: Uuid) -> Option<Uuid> {
        new.id.replace(CampaignId(id)).map(CampaignId::uuid)
    }

    async fn create(tx: &mut Tx, new: NewCampaign) -> Result<Campaign> {
        within::create(tx, new).await
    }
    async fn create_all(tx: &mut Tx, new: Vec<NewCampaign>) -> Result<Vec<Campaign>> {
        within::create_all(tx, new).await
    }
    async fn update(tx: &mut Tx, id: Uuid, expected: &Expected, changes: &CampaignChanges) -> Result<Campaign> {
        within::update(tx, CampaignId(id), expected, changes).await
    }
    async fn delete(tx: &mut Tx, id: Uuid, expected: &Expected) -> Result<()> {
        within::delete(tx, CampaignId(id), expected).await
    }
    async fn living(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Campaign>> {
        let ids: Vec<CampaignId> = ids.iter().copied().map(CampaignId).collect();
        Ok(store::get_many(tx, &ids).await?.into_iter().filter(|campaign| campaign.deleted_at.is_none()).collect())
    }
    async fn with_natural_key(_: &mut Tx, _: &str) -> Result<Vec<Uuid>> {
        Ok(Vec::new())
    }
}
