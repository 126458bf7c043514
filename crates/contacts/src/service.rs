//! The contract of contacts, and its keeping on PostgreSQL: each method is one transaction. What is done within it when something is
//! written is in `within.rs`.

use async_trait::async_trait;
use crm_kernel::{CompanyId, ContactId, Context, Count, Deleted, Expected, ListQuery, Page, Result, Role, Total};
use crm_tenancy::Db;

use crate::{
    contact_companies::{ContactCompaniesRequest, ContactCompanyList},
    contact_points::{ContactPointList, ContactPointsRequest},
    lists_store,
    model::{Contact, ContactChanges, NewContact},
    store, within,
};

/// Contacts of one organisation. Another organisation's contact does not exist here: every method says `NotFound`.
#[async_trait]
pub trait Contacts: Send + Sync {
    /// A page. The bin (`Deleted::Only`) is for owner and admin: `Forbidden` otherwise.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Contact>>;

    /// A living contact.
    async fn get(&self, context: &Context, id: ContactId) -> Result<Contact>;

    /// A contact, from the bin too; for owner and admin.
    async fn get_with_deleted(&self, context: &Context, id: ContactId) -> Result<Contact>;

    /// Those of these that exist, deleted ones included, in no particular order: for showing what records refer to.
    async fn get_many(&self, context: &Context, ids: &[ContactId]) -> Result<Vec<Contact>>;

    /// A new contact. An e-mail address that a living contact has, in whatever case, is a `Conflict`.
    async fn create(&self, context: &Context, new: NewContact) -> Result<Contact>;

    /// Puts these values in place of all editable ones.
    async fn replace(&self, context: &Context, id: ContactId, expected: &Expected, new: NewContact) -> Result<Contact>;

    /// Changes what is named and leaves the rest. A change that changes nothing keeps the version and is not logged.
    async fn update(&self, context: &Context, id: ContactId, expected: &Expected, changes: &ContactChanges) -> Result<Contact>;

    /// Moves it to the bin. What refers to it stays; nothing new can be attached. Its e-mail address is free again.
    async fn delete(&self, context: &Context, id: ContactId, expected: &Expected) -> Result<()>;

    /// Brings it back. `Conflict` when its e-mail address was taken meanwhile; for owner, admin and who deleted it.
    async fn restore(&self, context: &Context, id: ContactId) -> Result<Contact>;

    /// The addresses and numbers of a living contact.
    async fn points(&self, context: &Context, id: ContactId) -> Result<ContactPointList>;

    /// Gives it these addresses and numbers and no others; the primary ones become its `email` and `phone`. It has a new version.
    /// `Conflict` when the primary address is a living contact's already.
    async fn replace_points(
        &self,
        context: &Context,
        id: ContactId,
        expected: &Expected,
        wanted: &ContactPointsRequest,
    ) -> Result<ContactPointList>;

    /// The companies of a living contact.
    async fn companies(&self, context: &Context, id: ContactId) -> Result<ContactCompanyList>;

    /// Lets it belong to these companies and no others; the primary one becomes its `company_id`. It has a new version.
    async fn replace_companies(
        &self,
        context: &Context,
        id: ContactId,
        expected: &Expected,
        wanted: &ContactCompaniesRequest,
    ) -> Result<ContactCompanyList>;

    /// The contacts that belong to this company without its being their first, at most [`MOST_FURTHER`].
    async fn further_of(&self, context: &Context, company: CompanyId) -> Result<Vec<ContactId>>;
}

/// Contacts of a company that are found besides those whose first it is.
pub const MOST_FURTHER: i64 = 500;

/// Contacts kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgContacts {
    db: Db,
}

impl PgContacts {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Contacts for PgContacts {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Contact>> {
        let mut tx = self.db.begin(context).await?;
        if query.deleted == Deleted::Only {
            tx.require(Role::is_manager, "see the bin")?;
        }
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, store::position).map(|(contact, _)| contact))
    }

    async fn get(&self, context: &Context, id: ContactId) -> Result<Contact> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn get_with_deleted(&self, context: &Context, id: ContactId) -> Result<Contact> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "see the bin")?;
        store::get_with_deleted(&mut tx, id).await
    }

    async fn get_many(&self, context: &Context, ids: &[ContactId]) -> Result<Vec<Contact>> {
        store::get_many(&mut self.db.begin(context).await?, ids).await
    }

    async fn create(&self, context: &Context, new: NewContact) -> Result<Contact> {
        let mut tx = self.db.begin(context).await?;
        let contact = within::create(&mut tx, new).await?;
        tx.commit().await?;
        Ok(contact)
    }

    async fn replace(&self, context: &Context, id: ContactId, expected: &Expected, new: NewContact) -> Result<Contact> {
        let mut tx = self.db.begin(context).await?;
        let contact = within::replace(&mut tx, id, expected, new).await?;
        tx.commit().await?;
        Ok(contact)
    }

    async fn update(&self, context: &Context, id: ContactId, expected: &Expected, changes: &ContactChanges) -> Result<Contact> {
        let mut tx = self.db.begin(context).await?;
        let contact = within::update(&mut tx, id, expected, changes).await?;
        tx.commit().await?;
        Ok(contact)
    }

    async fn delete(&self, context: &Context, id: ContactId, expected: &Expected) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        within::delete(&mut tx, id, expected).await?;
        tx.commit().await
    }

    async fn restore(&self, context: &Context, id: ContactId) -> Result<Contact> {
        let mut tx = self.db.begin(context).await?;
        let contact = within::restore(&mut tx, id).await?;
        tx.commit().await?;
        Ok(contact)
    }

    async fn points(&self, context: &Context, id: ContactId) -> Result<ContactPointList> {
        within::points(&mut self.db.begin(context).await?, id).await
    }

    async fn replace_points(
        &self,
        context: &Context,
        id: ContactId,
        expected: &Expected,
        wanted: &ContactPointsRequest,
    ) -> Result<ContactPointList> {
        let mut tx = self.db.begin(context).await?;
        let points = within::replace_points(&mut tx, id, expected, wanted).await?;
        tx.commit().await?;
        Ok(points)
    }

    async fn companies(&self, context: &Context, id: ContactId) -> Result<ContactCompanyList> {
        within::companies(&mut self.db.begin(context).await?, id).await
    }

    async fn replace_companies(
        &self,
        context: &Context,
        id: ContactId,
        expected: &Expected,
        wanted: &ContactCompaniesRequest,
    ) -> Result<ContactCompanyList> {
        let mut tx = self.db.begin(context).await?;
        let companies = within::replace_companies(&mut tx, id, expected, wanted).await?;
        tx.commit().await?;
        Ok(companies)
    }

    async fn further_of(&self, context: &Context, company: CompanyId) -> Result<Vec<ContactId>> {
        lists_store::further_of(&mut self.db.begin(context).await?, company, MOST_FURTHER).await
    }
}
