//! The contract of deals, and its keeping on PostgreSQL: each method is one transaction. What is done within it when something is
//! written is in `within.rs`.

use async_trait::async_trait;
use crm_kernel::{ContactId, Context, Count, DealId, Deleted, Expected, ListQuery, Page, Result, Role, Total};
use crm_tenancy::Db;

use crate::{
    deal_contacts::{DealContactList, DealContactsRequest},
    history::{StageHistory, StageStay},
    line_items::{LineItemList, LineItemsRequest},
    model::{Deal, DealChanges, NewDeal},
    parts_store,
    stage::StageStep,
    store, within,
};

/// Deals of one organisation. Another organisation's deal does not exist here: every method says `NotFound`.
#[async_trait]
pub trait Deals: Send + Sync {
    /// A page. The bin (`Deleted::Only`) is for owner and admin: `Forbidden` otherwise.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Deal>>;

    /// A living deal.
    async fn get(&self, context: &Context, id: DealId) -> Result<Deal>;

    /// A deal, from the bin too; for owner and admin.
    async fn get_with_deleted(&self, context: &Context, id: DealId) -> Result<Deal>;

    /// Those of these that exist, deleted ones included, in no particular order: for showing what records refer to.
    async fn get_many(&self, context: &Context, ids: &[DealId]) -> Result<Vec<Deal>>;

    /// A new deal, in the first stage of the default pipeline unless it says otherwise. The rules of closing hold for one
    /// that begins in a closed stage.
    async fn create(&self, context: &Context, new: NewDeal) -> Result<Deal>;

    /// Puts these values in place of all editable ones. Pipeline, stage, closing date and reason may be left out or said as
    /// they are; another value is `Invalid`, because those move with [`Deals::move_to`].
    async fn replace(&self, context: &Context, id: DealId, expected: &Expected, new: NewDeal) -> Result<Deal>;

    /// Changes what is named and leaves the rest. A change that changes nothing keeps the version and is not logged.
    async fn update(&self, context: &Context, id: DealId, expected: &Expected, changes: &DealChanges) -> Result<Deal>;

    /// Moves it to the bin. What refers to it stays; nothing new can be attached.
    async fn delete(&self, context: &Context, id: DealId, expected: &Expected) -> Result<()>;

    /// Brings it back; for owner, admin and who deleted it.
    async fn restore(&self, context: &Context, id: DealId) -> Result<Deal>;

    /// Takes it to a stage: wins, loses or opens it again, or moves it on. A step to the stage it stands in, with nothing
    /// else in it, changes nothing. Two steps at once happen one after the other.
    async fn move_to(&self, context: &Context, id: DealId, expected: &Expected, step: &StageStep) -> Result<Deal>;

    /// The stages a living deal has been in.
    async fn stage_history(&self, context: &Context, id: DealId) -> Result<StageHistory>;

    /// What a living deal consists of.
    async fn line_items(&self, context: &Context, id: DealId) -> Result<LineItemList>;

    /// Gives a deal these lines and no others; it is worth their sum from then on. Who may change the deal may do so, and it has a new
    /// version. A deal whose last line goes keeps its amount.
    async fn replace_line_items(
        &self,
        context: &Context,
        id: DealId,
        expected: &Expected,
        wanted: &LineItemsRequest,
    ) -> Result<LineItemList>;

    /// Who takes part in a living deal.
    async fn contacts(&self, context: &Context, id: DealId) -> Result<DealContactList>;

    /// The deals that this contact takes part in, at most [`MOST_TAKING_PART`], newest first: whose primary contact it is, lists of deals say.
    async fn with_contact(&self, context: &Context, contact: ContactId) -> Result<Vec<DealId>>;

    /// Lets these people take part in a deal and no others; it has a new version.
    async fn replace_contacts(
        &self,
        context: &Context,
        id: DealId,
        expected: &Expected,
        wanted: &DealContactsRequest,
    ) -> Result<DealContactList>;
}

/// Deals of a contact that are found by its taking part.
pub const MOST_TAKING_PART: i64 = 500;

/// Deals kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgDeals {
    db: Db,
}

impl PgDeals {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Deals for PgDeals {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Deal>> {
        let mut tx = self.db.begin(context).await?;
        if query.deleted == Deleted::Only {
            tx.require(Role::is_manager, "see the bin")?;
        }
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, store::position).map(|(deal, _)| deal))
    }

    async fn get(&self, context: &Context, id: DealId) -> Result<Deal> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn get_with_deleted(&self, context: &Context, id: DealId) -> Result<Deal> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "see the bin")?;
        store::get_with_deleted(&mut tx, id).await
    }

    async fn get_many(&self, context: &Context, ids: &[DealId]) -> Result<Vec<Deal>> {
        store::get_many(&mut self.db.begin(context).await?, ids).await
    }

    async fn create(&self, context: &Context, new: NewDeal) -> Result<Deal> {
        let mut tx = self.db.begin(context).await?;
        let deal = within::create(&mut tx, new).await?;
        tx.commit().await?;
        Ok(deal)
    }

    async fn replace(&self, context: &Context, id: DealId, expected: &Expected, new: NewDeal) -> Result<Deal> {
        let mut tx = self.db.begin(context).await?;
        let deal = within::replace(&mut tx, id, expected, new).await?;
        tx.commit().await?;
        Ok(deal)
    }

    async fn update(&self, context: &Context, id: DealId, expected: &Expected, changes: &DealChanges) -> Result<Deal> {
        let mut tx = self.db.begin(context).await?;
        let deal = within::update(&mut tx, id, expected, changes).await?;
        tx.commit().await?;
        Ok(deal)
    }

    async fn delete(&self, context: &Context, id: DealId, expected: &Expected) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        within::delete(&mut tx, id, expected).await?;
        tx.commit().await
    }

    async fn restore(&self, context: &Context, id: DealId) -> Result<Deal> {
        let mut tx = self.db.begin(context).await?;
        let deal = within::restore(&mut tx, id).await?;
        tx.commit().await?;
        Ok(deal)
    }

    async fn move_to(&self, context: &Context, id: DealId, expected: &Expected, step: &StageStep) -> Result<Deal> {
        let mut tx = self.db.begin(context).await?;
        let deal = within::move_to(&mut tx, id, expected, step).await?;
        tx.commit().await?;
        Ok(deal)
    }

    async fn stage_history(&self, context: &Context, id: DealId) -> Result<StageHistory> {
        let mut tx = self.db.begin(context).await?;
        let deal = store::get(&mut tx, id).await?;
        let rows = store::stays(&mut tx, id).await?;
        let data = rows.into_iter().map(|row| StageStay::of(row, &deal.currency)).collect();
        Ok(StageHistory { data })
    }

    async fn line_items(&self, context: &Context, id: DealId) -> Result<LineItemList> {
        within::line_items(&mut self.db.begin(context).await?, id).await
    }

    async fn replace_line_items(
        &self,
        context: &Context,
        id: DealId,
        expected: &Expected,
        wanted: &LineItemsRequest,
    ) -> Result<LineItemList> {
        let mut tx = self.db.begin(context).await?;
        let lines = within::replace_line_items(&mut tx, id, expected, wanted).await?;
        tx.commit().await?;
        Ok(lines)
    }

    async fn contacts(&self, context: &Context, id: DealId) -> Result<DealContactList> {
        within::contacts(&mut self.db.begin(context).await?, id).await
    }

    async fn replace_contacts(
        &self,
        context: &Context,
        id: DealId,
        expected: &Expected,
        wanted: &DealContactsRequest,
    ) -> Result<DealContactList> {
        let mut tx = self.db.begin(context).await?;
        let contacts = within::replace_contacts(&mut tx, id, expected, wanted).await?;
        tx.commit().await?;
        Ok(contacts)
    }

    async fn with_contact(&self, context: &Context, contact: ContactId) -> Result<Vec<DealId>> {
        parts_store::deals_with(&mut self.db.begin(context).await?, contact, MOST_TAKING_PART).await
    }
}
