//! The use cases of external identities.

use std::sync::Arc;

use async_trait::async_trait;
use crm_kernel::{Context, Error, ExternalIdentityId, Result, validation};

use super::{
    model::{ExchangeRequest, ExternalIdentity, LinkRequest, UnlinkRequest},
    store,
    tokens::{ExternalTokens, VerifiedToken},
};
use crate::{
    Db, PgIdentity,
    identity::{
        model::{Origin, Tokens},
        password_proof,
        second_factor::{self, Proved},
        service::new_secret,
        throttle::{Attempt, Bucket, Purpose},
    },
};

/// Coming in with an identity of an external provider, and which ones are a person's.
#[async_trait]
pub trait ExternalIdentities: Send + Sync {
    /// A session for the person to whom the token's identity is linked. `Unauthenticated` for a token that is not right, whatever the
    /// reason; `NotLinked` for a right one whose identity is nobody's here; `SecondFactorMissing` when a code is asked for.
    async fn exchange(&self, request: &ExchangeRequest, origin: &Origin) -> Result<Tokens>;

    /// Links the token's identity to the caller; takes the password of who has one, because what is linked is a way in. `Conflict` when it is somebody else's, whose is not told; `SecondFactorRequired` in a
    /// session that has not given the second factor that the caller has.
    async fn link(&self, context: &Context, request: &LinkRequest) -> Result<ExternalIdentity>;

    /// The caller's.
    async fn list(&self, context: &Context) -> Result<Vec<ExternalIdentity>>;

    /// One of the caller's.
    async fn get(&self, context: &Context, id: ExternalIdentityId) -> Result<ExternalIdentity>;

    /// Removes one of the caller's, and ends what it has opened but for the session that asks; takes the password of who has one, as
    /// linking does: a thief of a session would keep the person out with it. `Conflict` when it is the only way in.
    async fn unlink(&self, context: &Context, id: ExternalIdentityId, request: &UnlinkRequest) -> Result<()>;
}

/// External identities kept in PostgreSQL.
#[derive(Debug)]
pub struct PgExternalIdentities {
    db: Db,
    identity: Arc<PgIdentity>,
    tokens: Arc<ExternalTokens>,
}

impl PgExternalIdentities {
    /// On this database, for the tokens of these providers.
    #[must_use]
    pub fn new(db: Db, identity: Arc<PgIdentity>, tokens: Arc<ExternalTokens>) -> Self {
        Self { db, identity, tokens }
    }

    /// What a token says, counted as a try. The provider may be slow: no connection waits for it.
    async fn verified(&self, bucket: Bucket, token: &str) -> Result<VerifiedToken> {
        let attempt = Attempt::begin(&mut *self.db.connection().await?, [bucket]).await?;
        let verified = self.tokens.verify(token).await;
        if !matches!(verified, Err(Error::Unauthenticated(_))) {
            attempt.succeeded(&mut *self.db.connection().await?).await?;
        }
        verified
    }
}

#[async_trait]
impl ExternalIdentities for PgExternalIdentities {
    async fn exchange(&self, request: &ExchangeRequest, origin: &Origin) -> Result<Tokens> {
        validation::check(request)?;
        let token = self.verified(Bucket::address(Purpose::Exchange, origin.ip), &request.token).await?;
        let (refresh_token, hash) = new_secret()?;
        let lifetimes = self.identity.lifetimes();
        let mut connection = self.db.connection().await?;
        let person = store::find_person(&mut connection, &token).await?;
        let whose = (person, request.code.as_deref());
        let proved = match person {
            Some(person) if !token.second_factor => {
                self.identity.prove_second_factor(&mut connection, person, request.code.as_deref()).await
            }
            _ => Ok(Proved::default()),
        };
        let proved = self.identity.told(proved, whose, origin)?;
        let organization = request.organization.as_deref();
        let entered = store::exchange(&mut connection, (&token, &proved), organization, &hash, lifetimes, origin).await;
        let (user_id, organization_id, opened) = self.identity.told(entered, whose, origin)?;
        self.identity.used_up(&proved.given);
        self.identity.tokens(user_id, organization_id, opened, refresh_token)
    }

    async fn link(&self, context: &Context, request: &LinkRequest) -> Result<ExternalIdentity> {
        validation::check(request)?;
        // An ended session counts nothing for the person.
        drop(self.db.begin(context).await?);
        let token = self.verified(Bucket::inside(Purpose::Exchange, context.user_id), &request.token).await?;
        let hash = second_factor::password_hash(&mut *self.db.connection().await?, context).await?;
        password_proof::require(&self.db, context, hash, request.password.as_deref()).await?;
        let mut tx = self.db.begin(context).await?;
        let id = store::link(&mut tx, &token).await?;
        let linked = store::list(&mut tx).await?.into_iter().find(|identity| identity.id == id);
        tx.commit().await?;
        self.identity.letter_queued();
        linked.ok_or_else(|| Error::internal("what was linked is not there"))
    }

    async fn list(&self, context: &Context) -> Result<Vec<ExternalIdentity>> {
        store::list(&mut self.db.begin(context).await?).await
    }

    async fn get(&self, context: &Context, id: ExternalIdentityId) -> Result<ExternalIdentity> {
        let found = self.list(context).await?.into_iter().find(|identity| identity.id == id);
        found.ok_or(Error::NotFound("external identity"))
    }

    async fn unlink(&self, context: &Context, id: ExternalIdentityId, request: &UnlinkRequest) -> Result<()> {
        validation::check(request)?;
        self.get(context, id).await?;
        let hash = second_factor::password_hash(&mut *self.db.connection().await?, context).await?;
        password_proof::require(&self.db, context, hash, request.password.as_deref()).await?;
        let mut tx = self.db.begin(context).await?;
        store::unlink(&mut tx, id).await?;
        tx.commit().await?;
        self.identity.letter_queued();
        Ok(())
    }
}
