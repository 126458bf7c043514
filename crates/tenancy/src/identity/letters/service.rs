//! The use cases of a process that sends letters.

use std::time::Duration;

use async_trait::async_trait;
use crm_kernel::Result;
use uuid::Uuid;

use super::{Claimed, Failure, store};
use crate::Db;

/// The queue of letters.
#[async_trait]
pub trait Letters: Send + Sync {
    /// Takes at most so many letters that are due. Whoever does not say within the lease what became of one loses it to the next
    /// claim.
    async fn claim(&self, limit: u16, lease: Duration) -> Result<Claimed>;

    /// It has been handed over.
    async fn sent(&self, id: Uuid) -> Result<()>;

    /// It could not be sent; `true` when it will not be tried again.
    async fn failed(&self, id: Uuid, failure: &Failure) -> Result<bool>;
}

/// The queue kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgLetters {
    db: Db,
}

impl PgLetters {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Letters for PgLetters {
    async fn claim(&self, limit: u16, lease: Duration) -> Result<Claimed> {
        let seconds = i32::try_from(lease.as_secs()).unwrap_or(i32::MAX);
        store::claim(&mut *self.db.connection().await?, i32::from(limit), seconds).await
    }

    async fn sent(&self, id: Uuid) -> Result<()> {
        store::sent(&mut *self.db.connection().await?, id).await
    }

    async fn failed(&self, id: Uuid, failure: &Failure) -> Result<bool> {
        let (reason, retryable) = match failure {
            Failure::Temporary(reason) => (reason, true),
            Failure::Permanent(reason) => (reason, false),
        };
        store::failed(&mut *self.db.connection().await?, id, &reason.replace('\0', ""), retryable).await
    }
}
