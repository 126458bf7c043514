//! The use cases of sessions.

use async_trait::async_trait;
use crm_kernel::{Context, Error, Result, SessionId, UserId};

use super::{
    model::SessionList,
    store::{self, Ended},
};
use crate::Db;

/// Sessions of a person, and of members for their managers.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// One's own living sessions in all organisations, newest first.
    async fn list(&self, context: &Context) -> Result<SessionList>;

    /// Ends one of one's own; `NotFound` for another's, one that has ended and one that never was.
    async fn end(&self, context: &Context, id: SessionId) -> Result<()>;

    /// Ends all of one's own but the one that calls.
    async fn end_others(&self, context: &Context) -> Result<()>;

    /// Ends a member's sessions in this organisation: for owners and admins, an admin not an owner's. `NotFound` for strangers.
    async fn end_of_member(&self, context: &Context, member: UserId) -> Result<()>;
}

/// Sessions kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgSessions {
    db: Db,
}

impl PgSessions {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl Sessions for PgSessions {
    async fn list(&self, context: &Context) -> Result<SessionList> {
        let data = store::list(&mut *self.db.connection().await?, context).await?;
        Ok(SessionList { data })
    }

    async fn end(&self, context: &Context, id: SessionId) -> Result<()> {
        let ended = store::end(&mut *self.db.connection().await?, context, id).await?;
        if ended { Ok(()) } else { Err(Error::NotFound("session")) }
    }

    async fn end_others(&self, context: &Context) -> Result<()> {
        store::end_others(&mut *self.db.connection().await?, context).await
    }

    async fn end_of_member(&self, context: &Context, member: UserId) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        match store::end_of_member(&mut tx, member).await? {
            Ended::Done => tx.commit().await,
            Ended::Unknown => Err(Error::NotFound("member")),
            Ended::Forbidden => {
                Err(Error::forbidden("only owners and admins may end a member's sessions, and an owner's only an owner"))
            }
        }
    }
}
