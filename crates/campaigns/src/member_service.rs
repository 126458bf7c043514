//! The contract of members of campaigns, and its keeping on PostgreSQL.

use async_trait::async_trait;
use crm_kernel::{CampaignId, ContactId, Context, Count, Expected, Filter, ListQuery, Page, Position, Result, Total};
use crm_tenancy::Db;
use serde_json::Value;

use crate::{
    audience::{Audience, MembersAdded},
    member::{CampaignContact, CampaignContactChanges},
    member_store as store, within,
};

/// Members of the campaigns of one organisation: who may change a campaign may change them. Another organisation's do not exist here:
/// every method says `NotFound`.
#[async_trait]
pub trait CampaignContacts: Send + Sync {
    /// A page, of whatever campaigns and contacts the query narrows to.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<CampaignContact>>;

    /// One member.
    async fn get(&self, context: &Context, campaign: CampaignId, contact: ContactId) -> Result<CampaignContact>;

    /// Makes these contacts members: 1 to [`MOST_IDS`](crate::MOST_IDS) of them. Who is one already stays as they are; who opted out and what is not there is left out and told.
    async fn add(&self, context: &Context, campaign: CampaignId, contacts: &[ContactId]) -> Result<MembersAdded>;

    /// Makes the contacts of an audience members, in steps that are transactions of their own: after an error, doing it again adds the
    /// rest. `Invalid` when they are more than [`MOST_ADDED`](crate::MOST_ADDED), `TooCostly` when the filter would read too much.
    async fn add_audience(&self, context: &Context, campaign: CampaignId, audience: &Audience) -> Result<MembersAdded>;

    /// Says how far a member has come, which goes forward only: its times follow. `Unsubscribed` opts the contact out.
    async fn update(
        &self,
        context: &Context,
        campaign: CampaignId,
        contact: ContactId,
        expected: &Expected,
        changes: &CampaignContactChanges,
    ) -> Result<CampaignContact>;

    /// Takes the members that match out of the campaign, and with them what is known of how far they came; says how many they were. In
    /// steps that are transactions of their own.
    async fn remove(&self, context: &Context, campaign: CampaignId, filter: &Filter) -> Result<usize>;
}

/// Members of campaigns kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgCampaignContacts {
    db: Db,
}

impl PgCampaignContacts {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl CampaignContacts for PgCampaignContacts {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<CampaignContact>> {
        let mut tx = self.db.begin(context).await?;
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, |member, _| Position::new(Value::Null, member.id)))
    }

    async fn get(&self, context: &Context, campaign: CampaignId, contact: ContactId) -> Result<CampaignContact> {
        store::get(&mut self.db.begin(context).await?, campaign, contact).await
    }

    async fn add(&self, context: &Context, campaign: CampaignId, contacts: &[ContactId]) -> Result<MembersAdded> {
        let mut tx = self.db.begin(context).await?;
        let added = within::add_contacts(&mut tx, campaign, contacts).await?;
        tx.commit().await?;
        Ok(added)
    }

    async fn add_audience(&self, context: &Context, campaign: CampaignId, audience: &Audience) -> Result<MembersAdded> {
        let mut tx = self.db.begin(context).await?;
        within::audience_size(&mut tx, campaign, audience).await?;
        tx.commit().await?;
        let (mut all, mut after) = (MembersAdded::default(), None);
        loop {
            let mut tx = self.db.begin(context).await?;
            let (added, last) = within::add_step(&mut tx, campaign, audience, after).await?;
            tx.commit().await?;
            all.and(added);
            after = last;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    async fn update(
        &self,
        context: &Context,
        campaign: CampaignId,
        contact: ContactId,
        expected: &Expected,
        changes: &CampaignContactChanges,
    ) -> Result<CampaignContact> {
        let mut tx = self.db.begin(context).await?;
        let member = within::update_member(&mut tx, campaign, contact, expected, changes).await?;
        tx.commit().await?;
        Ok(member)
    }

    async fn remove(&self, context: &Context, campaign: CampaignId, filter: &Filter) -> Result<usize> {
        let mut all = 0;
        loop {
            let mut tx = self.db.begin(context).await?;
            let (gone, is_more) = store::remove(&mut tx, campaign, filter).await?;
            tx.commit().await?;
            all += gone;
            if !is_more {
                return Ok(all);
            }
        }
    }
}
