//! The contract of companies, and its keeping on PostgreSQL: each method is one transaction. What is done within it when something is
//! written is in `within.rs`.

use async_trait::async_trait;
use crm_kernel::{CompanyId, Context, Count, Deleted, Expected, ListQuery, Page, Result, Role, Total};
use crm_tenancy::Db;

use crate::{
    model::{Company, CompanyChanges, NewCompany},
    store, within,
};

/// Companies of one organisation. Another organisation's company does not exist here: every method says `NotFound`.
#[async_trait]
pub trait Companies: Send + Sync {
    /// A page. The bin (`Deleted::Only`) is for owner and admin: `Forbidden` otherwise.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Company>>;

    /// A living company.
    async fn get(&self, context: &Context, id: CompanyId) -> Result<Company>;

    /// A company, from the bin too; for owner and admin.
    async fn get_with_deleted(&self, context: &Context, id: CompanyId) -> Result<Company>;

    /// Those of these that exist, deleted ones included, in no particular order: for showing what records refer to.
    async fn get_many(&self, context: &Context, ids: &[CompanyId]) -> Result<Vec<Company>>;

    /// A new company. Without a slug it gets one from its name; a slug that is taken is a `Conflict`.
    async fn create(&self, context: &Context, new: NewCompany) -> Result<Company>;

    /// Puts these values in place of all editable ones. The slug stays when the new values name none.
    async fn replace(&self, context: &Context, id: CompanyId, expected: &Expected, new: NewCompany) -> Result<Company>;

    /// Changes what is named and leaves the rest. A change that changes nothing keeps the version and is not logged.
    async fn update(&self, context: &Context, id: CompanyId, expected: &Expected, changes: &CompanyChanges) -> Result<Company>;

    /// Moves it to the bin. What refers to it stays; nothing new can be attached.
    async fn delete(&self, context: &Context, id: CompanyId, expected: &Expected) -> Result<()>;

    /// Brings it back. `Conflict` when its slug was taken meanwhile; for owner, admin and who deleted it.
    async fn restore(&self, context: &Context, id: CompanyId) -> Result<Company>;
}

/// Companies kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgCompanies {
    db: Db,
}

impl PgCompanies {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Companies for PgCompanies {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Company>> {
        let mut tx = self.db.begin(context).await?;
        if query.deleted == Deleted::Only {
            tx.require(Role::is_manager, "see the bin")?;
        }
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, store::position).map(|(company, _)| company))
    }

    async fn get(&self, context: &Context, id: CompanyId) -> Result<Company> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn get_with_deleted(&self, context: &Context, id: CompanyId) -> Result<Company> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "see the bin")?;
        store::get_with_deleted(&mut tx, id).await
    }

    async fn get_many(&self, context: &Context, ids: &[CompanyId]) -> Result<Vec<Company>> {
        store::get_many(&mut self.db.begin(context).await?, ids).await
    }

    async fn create(&self, context: &Context, new: NewCompany) -> Result<Company> {
        let mut tx = self.db.begin(context).await?;
        let company = within::create(&mut tx, new).await?;
        tx.commit().await?;
        Ok(company)
    }

    async fn replace(&self, context: &Context, id: CompanyId, expected: &Expected, new: NewCompany) -> Result<Company> {
        let mut tx = self.db.begin(context).await?;
        let company = within::replace(&mut tx, id, expected, new).await?;
        tx.commit().await?;
        Ok(company)
    }

    async fn update(&self, context: &Context, id: CompanyId, expected: &Expected, changes: &CompanyChanges) -> Result<Company> {
        let mut tx = self.db.begin(context).await?;
        let company = within::update(&mut tx, id, expected, changes).await?;
        tx.commit().await?;
        Ok(company)
    }

    async fn delete(&self, context: &Context, id: CompanyId, expected: &Expected) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        within::delete(&mut tx, id, expected).await?;
        tx.commit().await
    }

    async fn restore(&self, context: &Context, id: CompanyId) -> Result<Company> {
        let mut tx = self.db.begin(context).await?;
        let company = within::restore(&mut tx, id).await?;
        tx.commit().await?;
        Ok(company)
    }
}
