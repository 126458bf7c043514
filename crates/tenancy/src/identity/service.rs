//! The use cases of identity.

use std::time::Duration;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use crm_kernel::{Actor, Context, Error, OrganizationId, Result, UserId, validation};
use sha2::{Digest, Sha256};

use super::{
    model::{Credentials, Me, OrganizationRole, Origin, Person, Tokens},
    store::{self, Lifetimes, Opened, Opening, Proof},
};
use crate::{
    Db, Members, Organizations, PgMembers, PgOrganizations, passwords,
    token::{self, Claims, KeyRing},
};

/// How long tokens and sessions live.
#[derive(Debug, Clone, Copy)]
pub struct IdentityOptions {
    /// An access token: short, because it is verified without asking anyone.
    pub access: Duration,
    /// A refresh token, from its issue.
    pub refresh: Duration,
    /// A session, from its login, however often it is refreshed.
    pub session: Duration,
}

impl Default for IdentityOptions {
    fn default() -> Self {
        let day = 24 * 60 * 60;
        Self {
            access: Duration::from_secs(15 * 60),
            refresh: Duration::from_secs(30 * day),
            session: Duration::from_secs(90 * day),
        }
    }
}

/// Proving who someone is, and the sessions that follow.
#[async_trait]
pub trait Identity: Send + Sync {
    /// Enters with a password. Wrong password, unknown account and unknown organisation are one answer:
    /// `Unauthenticated`.
    async fn login(&self, credentials: &Credentials, origin: &Origin) -> Result<Tokens>;

    /// Exchanges a refresh token for new tokens. `Unauthenticated` when it is unknown, expired or was used before; in
    /// the last case the session has been ended, because one of two holders must be a thief.
    async fn refresh(&self, refresh_token: &str) -> Result<Tokens>;

    /// Ends the session of the context, with effect on the next request everywhere.
    async fn logout(&self, context: &Context) -> Result<()>;

    /// Enters another organisation of the same person with a session of its own; `NotFound` when it is not theirs.
    async fn switch(&self, context: &Context, organization: OrganizationId, origin: &Origin) -> Result<Tokens>;

    /// Who the context is.
    async fn me(&self, context: &Context) -> Result<Me>;
}

/// Identity kept in PostgreSQL.
#[derive(Debug)]
pub struct PgIdentity {
    db: Db,
    keys: KeyRing,
    options: IdentityOptions,
}

impl PgIdentity {
    /// On this database, signing with these keys.
    #[must_use]
    pub fn new(db: Db, keys: impl Into<KeyRing>, options: IdentityOptions) -> Self {
        Self { db, keys: keys.into(), options }
    }

    pub(super) fn lifetimes(&self) -> Lifetimes {
        let seconds = |duration: Duration| i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
        Lifetimes { session: seconds(self.options.session), refresh: seconds(self.options.refresh) }
    }

    /// Opens a session for somebody who has proved who they are.
    pub(super) async fn enter(
        &self,
        user: UserId,
        organization: OrganizationId,
        proof: Proof,
        origin: &Origin,
    ) -> Result<Tokens> {
        let (refresh_token, hash) = new_refresh_token()?;
        let mut connection = self.db.connection().await?;
        let opening = (Opening::Login(user, proof), organization);
        let opened = store::open_session(&mut connection, opening, &hash, self.lifetimes(), origin).await?;
        self.tokens(user, organization, opened, refresh_token)
    }

    pub(super) fn tokens(
        &self,
        user_id: UserId,
        organization_id: OrganizationId,
        Opened { session_id, role }: Opened,
        refresh_token: String,
    ) -> Result<Tokens> {
        let proof = token::Proof::Session(session_id);
        let claims = Claims { user_id, organization_id, role, actor: Actor::User, proof };
        let access_token = self.keys.issue(&claims, self.options.access)?;
        Ok(Tokens {
            access_token,
            token_type: "Bearer".into(),
            expires_in: self.options.access.as_secs(),
            refresh_token,
            refresh_expires_in: self.options.refresh.as_secs(),
            organization_id,
            user_id,
            role,
        })
    }
}

#[async_trait]
impl Identity for PgIdentity {
    async fn login(&self, credentials: &Credentials, origin: &Origin) -> Result<Tokens> {
        validation::check(credentials)?;
        let email = credentials.email.trim().to_lowercase().replace('\0', "");
        // The connection goes back before the hash is computed: a thousand logins must not hold the pool.
        let login = store::find_login(&mut *self.db.connection().await?, &email).await?;
        let (user, stored) = login.map_or((None, None), |login| (Some(login.user_id), login.password_hash));
        let right = passwords::verify(credentials.password.clone(), stored).await?;
        let Some(user) = user.filter(|_| right) else { return Err(refused()) };
        let mut connection = self.db.connection().await?;
        let organizations = store::list_organizations(&mut connection, user).await?;
        let wanted =
            |organization: &&OrganizationRole| credentials.organization.as_ref().is_none_or(|slug| *slug == organization.slug);
        let organization = organizations.iter().find(wanted).ok_or_else(refused)?;
        let (refresh_token, hash) = new_refresh_token()?;
        let proof = Proof { method: "password", second_factor: false };
        let opening = (Opening::Login(user, proof), organization.organization_id);
        let opened = store::open_session(&mut connection, opening, &hash, self.lifetimes(), origin).await?;
        self.tokens(user, organization.organization_id, opened, refresh_token)
    }

    async fn refresh(&self, refresh_token: &str) -> Result<Tokens> {
        let (new_token, new_hash) = new_refresh_token()?;
        let mut connection = self.db.connection().await?;
        let old_hash = Sha256::digest(refresh_token);
        let rotated = store::rotate_refresh(&mut connection, &old_hash, &new_hash, self.lifetimes().refresh).await?;
        let rotated = rotated.ok_or_else(|| Error::unauthenticated("the refresh token is not valid"))?;
        let opened = Opened { session_id: rotated.session_id, role: rotated.role };
        self.tokens(rotated.user_id, rotated.organization_id, opened, new_token)
    }

    async fn logout(&self, context: &Context) -> Result<()> {
        let session = context.session_id.ok_or_else(no_session)?;
        store::end_session(&mut *self.db.connection().await?, session, "logout").await?;
        Ok(())
    }

    async fn switch(&self, context: &Context, organization: OrganizationId, origin: &Origin) -> Result<Tokens> {
        let session = context.session_id.ok_or_else(no_session)?;
        // Proves that the session is alive before it is used to make another.
        drop(self.db.begin(context).await?);
        let mut connection = self.db.connection().await?;
        let (refresh_token, hash) = new_refresh_token()?;
        let opening = (Opening::Switch(session), organization);
        let opened = store::open_session(&mut connection, opening, &hash, self.lifetimes(), origin).await;
        // The session was alive a moment ago, so what is refused is the organisation.
        let opened = opened.map_err(|error| match error {
            Error::Unauthenticated(_) => Error::NotFound("organization"),
            error => error,
        })?;
        self.tokens(context.user_id, organization, opened, refresh_token)
    }

    async fn me(&self, context: &Context) -> Result<Me> {
        let members = PgMembers::new(self.db.clone());
        let organization = PgOrganizations::new(self.db.clone()).current(context).await?;
        let member = members.get(context, context.user_id).await?;
        let mut organizations = store::list_organizations(&mut *self.db.connection().await?, context.user_id).await?;
        // An API token is of one organisation, and none of a program's business is where else its maker belongs.
        if context.token_id.is_some() {
            organizations.retain(|known| known.organization_id == context.organization_id);
        }
        let user = Person {
            id: member.user_id,
            email: member.email.unwrap_or_default(),
            full_name: member.full_name,
            time_zone: member.time_zone,
            locale: member.locale,
        };
        Ok(Me { user, organization, role: member.role, organizations })
    }
}

fn refused() -> Error {
    Error::unauthenticated("e-mail, password or organisation is wrong")
}

fn no_session() -> Error {
    Error::forbidden("only a session from a login can do this")
}

/// 256 random bits as text, and the hash under which they are stored. A fast hash is right: there is nothing to guess.
pub(super) fn new_refresh_token() -> Result<(String, Vec<u8>)> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|error| Error::internal(error.to_string()))?;
    let token = URL_SAFE_NO_PAD.encode(random);
    let hash = Sha256::digest(&token).to_vec();
    Ok((token, hash))
}
