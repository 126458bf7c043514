//! The contract of companies, and its use cases on PostgreSQL.

use async_trait::async_trait;
use crm_kernel::{
    CompanyId, Context, Count, Deleted, Error, Expected, ListQuery, Page, Result, Role, Total, slug::slugify, validation,
};
use crm_tenancy::{Db, Tx};

use crate::{
    model::{Company, CompanyChanges, NewCompany},
    store,
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

/// How a slug is made of a name.
#[derive(Clone, Copy)]
enum Slug {
    /// The name alone, while that is free.
    Readable,
    /// With eight characters of chance, so that nobody makes the same at the same moment.
    Distinct,
}

impl PgCompanies {
    async fn insert(&self, context: &Context, mut new: NewCompany, slug: Slug) -> Result<Company> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::may_write, "create companies")?;
        validation::check(&CompanyChanges::from(new.clone()))?;
        if new.slug.is_none() {
            new.slug = Some(free_slug(&mut tx, &new.name, slug).await?);
        }
        let company = store::insert(&mut tx, &new).await?;
        tx.commit().await?;
        Ok(company)
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
        match self.insert(context, new.clone(), Slug::Readable).await {
            // Somebody took the slug between the look and the insert; the client never chose it and must not hear of it.
            Err(Error::Conflict(fields)) if new.slug.is_none() && fields.iter().all(|field| field.pointer == "/slug") => {
                self.insert(context, new, Slug::Distinct).await
            }
            inserted => inserted,
        }
    }

    async fn replace(&self, context: &Context, id: CompanyId, expected: &Expected, new: NewCompany) -> Result<Company> {
        self.update(context, id, expected, &CompanyChanges::from(new)).await
    }

    async fn update(&self, context: &Context, id: CompanyId, expected: &Expected, changes: &CompanyChanges) -> Result<Company> {
        let mut tx = self.db.begin(context).await?;
        if let Err(invalid) = validation::check(changes) {
            return Err(store::refusal(&mut tx, id, expected).await?.unwrap_or(invalid));
        }
        let company = store::update(&mut tx, id, expected, changes).await?;
        tx.commit().await?;
        Ok(company)
    }

    async fn delete(&self, context: &Context, id: CompanyId, expected: &Expected) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        store::delete(&mut tx, id, expected).await?;
        tx.commit().await
    }

    async fn restore(&self, context: &Context, id: CompanyId) -> Result<Company> {
        let mut tx = self.db.begin(context).await?;
        let company = store::restore(&mut tx, id).await?;
        tx.commit().await?;
        Ok(company)
    }
}

async fn free_slug(tx: &mut Tx, name: &str, slug: Slug) -> Result<String> {
    let plain = slugify(name, "company");
    if matches!(slug, Slug::Readable) && !store::slug_taken(tx, &plain).await? {
        return Ok(plain);
    }
    let chance = CompanyId::generate().to_string();
    let tail = chance.get(chance.len().saturating_sub(8)..).unwrap_or_default().to_owned();
    Ok(format!("{plain}-{tail}"))
}
