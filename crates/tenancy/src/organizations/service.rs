//! The contract of the organisation, and its use cases on PostgreSQL.

use async_trait::async_trait;
use crm_kernel::{Context, Error, Expected, Result, Role, validation};

use super::{
    model::{Organization, OrganizationChanges, SecuritySettings, SecuritySettingsChanges},
    store,
};
use crate::Db;

/// The organisation that a context is in.
#[async_trait]
pub trait Organizations: Send + Sync {
    /// As it is.
    async fn current(&self, context: &Context) -> Result<Organization>;

    /// Changes what is named; for owner and admin. `Conflict` when another organisation has the slug.
    async fn update(&self, context: &Context, expected: &Expected, changes: &OrganizationChanges) -> Result<Organization>;

    /// How it wants to be entered; for owner and admin.
    async fn security(&self, context: &Context) -> Result<SecuritySettings>;

    /// Changes how it wants to be entered; for owners.
    async fn update_security(
        &self,
        context: &Context,
        expected: &Expected,
        changes: &SecuritySettingsChanges,
    ) -> Result<SecuritySettings>;

    /// Deletes it; for owners, who say its slug. From the next request on nobody enters it any more; its people stay, its slug
    /// stays reserved, and an operator can bring it back.
    async fn delete(&self, context: &Context, expected: &Expected, slug: &str) -> Result<()>;
}

/// Organisations kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgOrganizations {
    db: Db,
}

impl PgOrganizations {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Organizations for PgOrganizations {
    async fn current(&self, context: &Context) -> Result<Organization> {
        store::get(&mut self.db.begin(context).await?).await
    }

    async fn update(&self, context: &Context, expected: &Expected, changes: &OrganizationChanges) -> Result<Organization> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "change the organisation")?;
        store::expect_version(&mut tx, expected).await?;
        validation::check(changes)?;
        if *changes != OrganizationChanges::default() {
            store::update(&mut tx, expected, changes).await?;
        }
        let organization = store::get(&mut tx).await?;
        tx.commit().await?;
        Ok(organization)
    }

    async fn security(&self, context: &Context) -> Result<SecuritySettings> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "see the security settings")?;
        store::security(&mut tx).await
    }

    async fn update_security(
        &self,
        context: &Context,
        expected: &Expected,
        changes: &SecuritySettingsChanges,
    ) -> Result<SecuritySettings> {
        let mut tx = self.db.begin(context).await?;
        tx.require(|role| role == Role::Owner, "change the security settings")?;
        store::expect_version(&mut tx, expected).await?;
        validation::check(changes)?;
        if *changes != SecuritySettingsChanges::default() {
            store::update_security(&mut tx, expected, changes).await?;
        }
        let settings = store::security(&mut tx).await?;
        tx.commit().await?;
        Ok(settings)
    }

    async fn delete(&self, context: &Context, expected: &Expected, slug: &str) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        tx.require(|role| role == Role::Owner, "delete the organisation")?;
        store::expect_version(&mut tx, expected).await?;
        if store::get(&mut tx).await?.slug != slug {
            return Err(Error::invalid("/confirm", "confirm", "say the slug of the organisation that is to be deleted"));
        }
        store::delete(&mut tx, expected).await?;
        tx.commit().await
    }
}
