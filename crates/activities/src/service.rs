//! The contract of activities, and its use cases on PostgreSQL.

use async_trait::async_trait;
use crm_kernel::{ActivityId, Context, Count, ListQuery, Page, Position, Result, Role, Total};
use crm_tenancy::Db;
use serde_json::Value;

use crate::{
    audit,
    model::Activity,
    store,
    timeline::{self, TimelineEntry, TimelineQuestion},
};

/// The log of one organisation, for reading. Another organisation's activity does not exist here: `NotFound`.
#[async_trait]
pub trait Activities: Send + Sync {
    /// A page. There is no bin here: what the query says of deleted records is not looked at.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Activity>>;

    /// A page of what concerns the security of the organisation; for owner and admin. Knows the filters of [`audit::PERIOD`] too.
    async fn audit(&self, context: &Context, query: &ListQuery) -> Result<Page<Activity>>;

    /// A page of what happened on a record's page, newest first, in sentences. Whether the record is there is not asked here.
    async fn timeline(&self, context: &Context, question: &TimelineQuestion) -> Result<Page<TimelineEntry>>;

    /// One activity.
    async fn get(&self, context: &Context, id: ActivityId) -> Result<Activity>;
}

/// The log kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgActivities {
    db: Db,
}

impl PgActivities {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Activities for PgActivities {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Activity>> {
        let mut tx = self.db.begin(context).await?;
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, |activity, _| Position::new(Value::Null, activity.id)))
    }

    async fn audit(&self, context: &Context, query: &ListQuery) -> Result<Page<Activity>> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "see the audit list")?;
        let rows = audit::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(audit::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, |activity, _| Position::new(Value::Null, activity.id)))
    }

    async fn timeline(&self, context: &Context, question: &TimelineQuestion) -> Result<Page<TimelineEntry>> {
        timeline::page(&mut self.db.begin(context).await?, question).await
    }

    async fn get(&self, context: &Context, id: ActivityId) -> Result<Activity> {
        store::get(&mut self.db.begin(context).await?, id).await
    }
}
