//! The contract of campaigns, and its keeping on PostgreSQL: each method is one transaction. What is done within it when something is
//! written is in `within.rs`.

use async_trait::async_trait;
use crm_kernel::{CampaignId, Context, Count, Deleted, Expected, ListQuery, Page, Result, Role, Total};
use crm_tenancy::Db;

use crate::{
    metrics::{self, CampaignMetrics},
    model::{Campaign, CampaignChanges, NewCampaign},
    store, within,
};

/// Campaigns of one organisation. Another organisation's campaign does not exist here: every method says `NotFound`.
#[async_trait]
pub trait Campaigns: Send + Sync {
    /// A page. The bin (`Deleted::Only`) is for owner and admin: `Forbidden` otherwise.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Campaign>>;

    /// A living campaign.
    async fn get(&self, context: &Context, id: CampaignId) -> Result<Campaign>;

    /// A campaign, from the bin too; for owner and admin.
    async fn get_with_deleted(&self, context: &Context, id: CampaignId) -> Result<Campaign>;

    /// Those of these that exist, deleted ones included, in no particular order: for showing what records refer to.
    async fn get_many(&self, context: &Context, ids: &[CampaignId]) -> Result<Vec<Campaign>>;

    /// A new campaign, in any status: what was done before it was written down has the times of this moment.
    async fn create(&self, context: &Context, new: NewCampaign) -> Result<Campaign>;

    /// Puts these values in place of all editable ones; a status that is not said stays.
    async fn replace(&self, context: &Context, id: CampaignId, expected: &Expected, new: NewCampaign) -> Result<Campaign>;

    /// Changes what is named and leaves the rest. The status goes forward only, and its times follow it. A change that changes nothing
    /// keeps the version and is not logged.
    async fn update(&self, context: &Context, id: CampaignId, expected: &Expected, changes: &CampaignChanges)
    -> Result<Campaign>;

    /// Moves it to the bin. What refers to it stays; nothing new can be attached.
    async fn delete(&self, context: &Context, id: CampaignId, expected: &Expected) -> Result<()>;

    /// Brings it back; for owner, admin and who deleted it.
    async fn restore(&self, context: &Context, id: CampaignId) -> Result<Campaign>;

    /// What came of a living campaign.
    async fn metrics(&self, context: &Context, id: CampaignId) -> Result<CampaignMetrics>;
}

/// Campaigns kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgCampaigns {
    db: Db,
}

impl PgCampaigns {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Campaigns for PgCampaigns {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Campaign>> {
        let mut tx = self.db.begin(context).await?;
        if query.deleted == Deleted::Only {
            tx.require(Role::is_manager, "see the bin")?;
        }
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, store::position).map(|(campaign, _)| campaign))
    }

    async fn get(&self, context: &Context, id: CampaignId) -> Result<Campaign> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn get_with_deleted(&self, context: &Context, id: CampaignId) -> Result<Campaign> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "see the bin")?;
        store::get_with_deleted(&mut tx, id).await
    }

    async fn get_many(&self, context: &Context, ids: &[CampaignId]) -> Result<Vec<Campaign>> {
        store::get_many(&mut self.db.begin(context).await?, ids).await
    }

    async fn create(&self, context: &Context, new: NewCampaign) -> Result<Campaign> {
        let mut tx = self.db.begin(context).await?;
        let campaign = within::create(&mut tx, new).await?;
        tx.commit().await?;
        Ok(campaign)
    }

    async fn replace(&self, context: &Context, id: CampaignId, expected: &Expected, new: NewCampaign) -> Result<Campaign> {
        let mut tx = self.db.begin(context).await?;
        let campaign = within::replace(&mut tx, id, expected, new).await?;
        tx.commit().await?;
        Ok(campaign)
    }

    async fn update(
        &self,
        context: &Context,
        id: CampaignId,
        expected: &Expected,
        changes: &CampaignChanges,
    ) -> Result<Campaign> {
        let mut tx = self.db.begin(context).await?;
        let campaign = within::update(&mut tx, id, expected, changes).await?;
        tx.commit().await?;
        Ok(campaign)
    }

    async fn delete(&self, context: &Context, id: CampaignId, expected: &Expected) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        within::delete(&mut tx, id, expected).await?;
        tx.commit().await
    }

    async fn restore(&self, context: &Context, id: CampaignId) -> Result<Campaign> {
        let mut tx = self.db.begin(context).await?;
        let campaign = within::restore(&mut tx, id).await?;
        tx.commit().await?;
        Ok(campaign)
    }

    async fn metrics(&self, context: &Context, id: CampaignId) -> Result<CampaignMetrics> {
        metrics::of(&mut self.db.begin(context).await?, id).await
    }
}
