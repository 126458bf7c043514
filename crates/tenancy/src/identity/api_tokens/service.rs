//! The use cases of API tokens.

use async_trait::async_trait;
use crm_kernel::{
    Actor, Context, Count, Error, ListQuery, Page, Position, Result, Role, Timestamp, TokenId, Total, UserId, validation,
};

use super::{
    model::{ApiToken, IssuedApiToken, NewApiToken},
    store::{self, Entry},
    uses::Uses,
};
use crate::{
    Db, Tx,
    identity::{password_proof, service_users},
    token::{Claims, KeyRing, Proof},
};

/// How long a token lives when nobody says.
const USUAL_LIFETIME: time::Duration = time::Duration::days(90);

/// Named tokens of programs. A person sees and revokes their own; owners and admins those of everybody in the organisation. The
/// token of another organisation does not exist here: every method says `NotFound`.
#[async_trait]
pub trait ApiTokens: Send + Sync {
    /// A page, newest first; revoked and expired ones too.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<ApiToken>>;

    /// What is known of one.
    async fn get(&self, context: &Context, id: TokenId) -> Result<ApiToken>;

    /// A new one that acts as the caller, within these limits. Takes the password of who has one: a thief of a session would stay in
    /// with it. `Conflict` when a hundred are in use; `Forbidden` for whoever comes with an API token.
    async fn create(&self, context: &Context, new: &NewApiToken) -> Result<IssuedApiToken>;

    /// A new one that acts as a service user; for owners and admins, who say their own password. `NotFound` when there is no such service user.
    async fn create_for_service_user(&self, context: &Context, user: UserId, new: &NewApiToken) -> Result<IssuedApiToken>;

    /// Ends it, with effect on the next request everywhere. One that has ended stays as it is.
    async fn revoke(&self, context: &Context, id: TokenId) -> Result<()>;

    /// Ends all that act as the caller in this organisation.
    async fn revoke_own(&self, context: &Context) -> Result<()>;

    /// Remembers that the token of the context was used; cheap, and written later by [`ApiTokens::write_uses`].
    fn note_use(&self, context: &Context);

    /// Writes when tokens were last used.
    async fn write_uses(&self) -> Result<()>;
}

/// API tokens kept in PostgreSQL.
#[derive(Debug)]
pub struct PgApiTokens {
    db: Db,
    keys: KeyRing,
    uses: Uses,
}

impl PgApiTokens {
    /// On this database, signing with these keys.
    #[must_use]
    pub fn new(db: Db, keys: impl Into<KeyRing>) -> Self {
        Self { db, keys: keys.into(), uses: Uses::default() }
    }

    async fn issue(&self, mut tx: Tx, holder: Holder, new: &NewApiToken) -> Result<IssuedApiToken> {
        let id = TokenId::generate();
        let expires_at = new.expires_at.unwrap_or_else(|| Timestamp(Timestamp::now().0 + USUAL_LIFETIME));
        let claims = Claims {
            user_id: holder.user_id,
            organization_id: tx.organization_id(),
            role: holder.role,
            actor: holder.actor,
            proof: Proof::ApiToken(id),
        };
        let limits = new.limits();
        let issued = self.keys.issue_limited(&claims, &limits, expires_at.0.into())?;
        let entry = Entry { id, user_id: holder.user_id, name: &new.name, limits: &limits, hash: issued.hash, expires_at };
        store::create(&mut tx, &entry).await?;
        let api_token = store::get(&mut tx, id).await?;
        tx.commit().await?;
        Ok(IssuedApiToken { token: issued.token, api_token })
    }
}

/// As whom a token acts.
struct Holder {
    user_id: UserId,
    role: Role,
    actor: Actor,
}

fn at_a_login(context: &Context) -> Result<()> {
    match context.token_id {
        Some(_) => Err(Error::forbidden("an API token may not do this: log in")),
        None => Ok(()),
    }
}

#[async_trait]
impl ApiTokens for PgApiTokens {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<ApiToken>> {
        let mut tx = self.db.begin(context).await?;
        at_a_login(context)?;
        let rows = store::list(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, |token, _| Position::new(serde_json::Value::Null, token.id)))
    }

    async fn get(&self, context: &Context, id: TokenId) -> Result<ApiToken> {
        let mut tx = self.db.begin(context).await?;
        at_a_login(context)?;
        store::get(&mut tx, id).await
    }

    async fn create(&self, context: &Context, new: &NewApiToken) -> Result<IssuedApiToken> {
        drop(self.db.begin(context).await?);
        at_a_login(context)?;
        validation::check(new)?;
        password_proof::require_in_session(&self.db, context, new.password.as_deref()).await?;
        // A session that has ended meanwhile, as with a new password, begins nothing.
        let tx = self.db.begin(context).await?;
        // The role that memberships names now, not the one of the session's token.
        let holder = Holder { user_id: tx.user_id(), role: tx.role(), actor: Actor::User };
        self.issue(tx, holder, new).await
    }

    async fn create_for_service_user(&self, context: &Context, user: UserId, new: &NewApiToken) -> Result<IssuedApiToken> {
        let mut tx = self.db.begin(context).await?;
        service_users::find(&mut tx, user).await?;
        at_a_login(context)?;
        tx.require(Role::is_manager, "make tokens for service users")?;
        validation::check(new)?;
        drop(tx);
        password_proof::require_in_session(&self.db, context, new.password.as_deref()).await?;
        let mut tx = self.db.begin(context).await?;
        let service_user = service_users::find(&mut tx, user).await?;
        tx.require(Role::is_manager, "make tokens for service users")?;
        self.issue(tx, Holder { user_id: user, role: service_user.role, actor: Actor::Service }, new).await
    }

    async fn revoke(&self, context: &Context, id: TokenId) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        store::get(&mut tx, id).await?;
        at_a_login(context)?;
        store::revoke(&mut tx, id).await?;
        tx.commit().await
    }

    async fn revoke_own(&self, context: &Context) -> Result<()> {
        let mut tx = self.db.begin(context).await?;
        at_a_login(context)?;
        store::revoke_own(&mut tx).await?;
        tx.commit().await
    }

    fn note_use(&self, context: &Context) {
        if let Some(token) = context.token_id {
            self.uses.note(context.organization_id, token, Timestamp::now());
        }
    }

    async fn write_uses(&self) -> Result<()> {
        let used = self.uses.take();
        if used.is_empty() {
            return Ok(());
        }
        let written = match self.db.connection().await {
            Ok(mut connection) => store::note_uses(&mut connection, &used).await,
            Err(error) => Err(error),
        };
        if written.is_err() {
            self.uses.put_back(used);
        }
        written.map(drop)
    }
}
