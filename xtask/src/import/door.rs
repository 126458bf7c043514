//! How records get in: as the application's own role, in the name of an organisation's owner, through the one function that may set
//! times. Shared by `seed` and `import`.
//!
//! Must stay true: all rows of a call are one transaction and one operation, and the log calls the actor the system, because no
//! person made these changes one by one.

use anyhow::{Context as _, Result, anyhow};
use crm_kernel::{Actor, Context, OperationId, Role};
use crm_tenancy::import::{self, Importable};
use crm_tenancy::{ConnectOptions, Db};
use serde_json::Value;

use crate::database::{self, Database};

pub struct Door {
    db: Db,
    context: Context,
}

impl Door {
    pub async fn open(database: &Database, organization_id: &str, owner_id: &str) -> Result<Self> {
        let options = ConnectOptions { max_size: 1, ..ConnectOptions::default() };
        let db = Db::connect(&url(database).await, options)?;
        let mut context = Context::new(organization_id.parse()?, owner_id.parse()?, Role::Owner);
        context.actor = Actor::System;
        context.user_agent = Some("cargo xtask".into());
        Ok(Self { db, context })
    }

    /// What one step of several changes begins with: an operation of its own.
    pub fn context(&self) -> Context {
        Context { operation_id: Some(OperationId::generate()), ..self.context.clone() }
    }

    /// The connection, for the services of the nouns.
    pub fn db(&self) -> Db {
        self.db.clone()
    }

    /// All of these rows or none; gives how many.
    pub async fn bring_in(&self, noun: Importable, rows: &[Value]) -> Result<usize> {
        let mut tx = self.db.begin(&self.context()).await.map_err(shown_once)?;
        let imported = import::records(&mut tx, noun, rows).await.map_err(shown_once)?;
        tx.commit().await.map_err(shown_once).context("the records may not have been kept")?;
        Ok(imported)
    }
}

/// As crm_app itself. Where its password was set by another installation, as the administrator stepping down to that role for the
/// whole connection: the walls stand for it just the same, and nobody's password needs to be changed.
pub async fn url(database: &Database) -> String {
    if database::connect(&database.app_url).await.is_ok() {
        return database.app_url.clone();
    }
    let separator = if database.admin_url.contains('?') { '&' } else { '?' };
    format!("{}{separator}options=-c%20role%3Dcrm_app", database.admin_url)
}

/// That error tells its source in its own text; with its chain everything would be said twice.
pub fn shown_once(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}
