//! The use cases of identity.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use crm_kernel::{Actor, Context, Error, OrganizationId, Result, UserId, validation};
use diesel_async::AsyncPgConnection;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    model::{Credentials, Me, OrganizationRole, Origin, Person, SwitchRequest, Tokens},
    second_factor::{self, Given, Proved},
    store::{self, Birth, Entry, Lifetimes, Opened, Proof, Refused},
    throttle::{self, Attempt, LoginBuckets},
};
use crate::{
    Db, Members, Organizations, PgMembers, PgOrganizations, Tx,
    expect::{LOGIN_REFUSED, REFRESH_REFUSED},
    passwords::Subject,
    sealing::SealingKeys,
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
    /// `Unauthenticated`. `SecondFactorMissing` when the password was right and a code is asked for; `Limited` after too many tries,
    /// whether or not the account exists.
    async fn login(&self, credentials: &Credentials, origin: &Origin) -> Result<Tokens>;

    /// Exchanges a refresh token for new tokens. `Unauthenticated` when it is unknown, expired or was used before; in
    /// the last case the session has been ended, because one of two holders must be a thief.
    async fn refresh(&self, refresh_token: &str) -> Result<Tokens>;

    /// Ends the session of the context and every other of the same login, with effect on the next request everywhere.
    async fn logout(&self, context: &Context) -> Result<()>;

    /// Moves the login to another organisation of the same person: the session of the context ends, and one there goes on in its place,
    /// no longer than the first would have; `NotFound` when it is not theirs. An access token alone is not enough: it is good for
    /// minutes, and what it would open lasts for months. The refresh token is spent; `Unauthenticated` when it was before, and the whole
    /// login has been ended then, as after a second refresh.
    async fn switch(&self, context: &Context, change: &SwitchRequest, origin: &Origin) -> Result<Tokens>;

    /// Who the context is.
    async fn me(&self, context: &Context) -> Result<Me>;
}

/// Identity kept in PostgreSQL.
#[derive(Debug)]
pub struct PgIdentity {
    db: Db,
    keys: KeyRing,
    sealing_keys: SealingKeys,
    options: IdentityOptions,
    letters_queued: Arc<Notify>,
}

impl PgIdentity {
    /// On this database, signing with these keys, with the keys that open what is sealed.
    #[must_use]
    pub fn new(db: Db, keys: impl Into<KeyRing>, sealing_keys: SealingKeys, options: IdentityOptions) -> Self {
        Self { db, keys: keys.into(), sealing_keys, options, letters_queued: Arc::default() }
    }

    /// The same, telling `letters_queued` whenever a letter waits.
    #[must_use]
    pub fn announcing(self, letters_queued: Arc<Notify>) -> Self {
        Self { letters_queued, ..self }
    }

    /// A letter waits.
    pub(super) fn letter_queued(&self) {
        self.letters_queued.notify_one();
    }

    /// That a recovery code was used is told by letter.
    pub(super) fn used_up(&self, given: &Given) {
        if given.recovery.is_some() {
            self.letter_queued();
        }
    }

    /// Whether a person who has shown another proof than a password gave the code that is asked for, too.
    pub(super) async fn prove_second_factor(
        &self,
        connection: &mut AsyncPgConnection,
        user: UserId,
        code: Option<&str>,
    ) -> Result<Proved> {
        second_factor::prove(connection, &self.sealing_keys, (user, None), code).await
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
        let (refresh_token, hash) = new_secret()?;
        let birth = Birth { refresh_hash: &hash, lifetimes: self.lifetimes(), origin };
        let mut connection = self.db.connection().await?;
        let opened = store::start_session(&mut connection, (user, organization), proof, birth).await?;
        self.tokens(user, organization, opened, refresh_token)
    }

    /// Opens a session for somebody who has just set this password, and whose others have ended with that.
    pub(super) async fn reenter(
        &self,
        context: &Context,
        (password_hash, second_factor): (&str, bool),
        origin: &Origin,
    ) -> Result<Tokens> {
        let (refresh_token, hash) = new_secret()?;
        let birth = Birth { refresh_hash: &hash, lifetimes: self.lifetimes(), origin };
        let mut connection = self.db.connection().await?;
        let person = (context.user_id, context.organization_id);
        let opened = store::reenter(&mut connection, person, (password_hash, second_factor), birth).await?;
        self.tokens(context.user_id, context.organization_id, opened, refresh_token)
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
            device_token: None,
        })
    }

    /// What a move of a login came to. A refusal is looked at once more: when the refresh token was spent before, one of two holders must
    /// be a thief, and their login ends, whatever else was wrong.
    pub(super) async fn judged<T>(&self, moved: Result<T>, refresh_token: &str) -> Result<T> {
        let Err(refusal) = moved else { return moved };
        let known_hash = Sha256::digest(refresh_token);
        let reused = store::end_reused(&mut *self.db.connection().await?, &known_hash).await?;
        Err(if reused { refresh_refused() } else { refusal })
    }

    async fn try_switch(&self, context: &Context, change: &SwitchRequest, birth: Birth<'_>) -> Result<(Tx, Opened)> {
        let session = store::session_of(context)?;
        let mut tx = self.db.begin(context).await?;
        let known_hash = Sha256::digest(&change.refresh_token);
        let opened = store::switch_session(&mut tx, session, &known_hash, change.organization_id, birth).await?;
        Ok((tx, opened))
    }

    async fn try_login(&self, credentials: &Credentials, origin: &Origin) -> Result<Tokens> {
        // The place comes first: who is turned away for want of one has not tried anything.
        let email = throttle::normalized(&credentials.email);
        let place = self.db.queue([Subject::address(origin.ip), Subject::account_at(&email, origin.ip)])?;
        let buckets = LoginBuckets::new(&email, origin.ip);
        let device = credentials.device_token.as_deref().map(|token| Sha256::digest(token).to_vec());
        // The connection goes back before the hash is computed: a thousand logins must not hold the pool.
        let login = store::attempt_login(&mut *self.db.connection().await?, &email, device.as_deref(), &buckets).await?;
        // The account's own share is taken by tries that are allowed: others, from anywhere, could keep its owner out.
        let place = match place.shared(self.db.own(Subject::account(&email))) {
            Ok(place) => place,
            Err(busy) => {
                login.attempt.succeeded(&mut *self.db.connection().await?).await?;
                return Err(busy);
            }
        };
        let right = place.verify(credentials.password.clone(), login.password_hash.clone()).await?;
        let known = login.user.zip(login.password_hash).filter(|_| right);
        let Some((user, password_hash)) = known else {
            if let Some(user) = login.user {
                self.tell_refused(user, Refused::Password, origin);
            }
            return Err(refused());
        };
        let mut connection = self.db.connection().await?;
        let person = Entering { user, password_hash, known_device: login.device, device };
        let entered = self.admit(&mut connection, credentials, origin, (person, &login.attempt)).await;
        let entered = self.told(entered, (Some(user), credentials.code.as_deref()), origin);
        if matches!(entered, Err(Error::SecondFactorMissing | Error::Limited { .. })) {
            // The password was right: codes have a count of their own.
            login.attempt.succeeded(&mut connection).await?;
        }
        entered
    }

    /// Writes what was wrong into the log of the person's organisations, beside the answer: an account that is not there has
    /// nothing to write, and the answer must not come later for one that is.
    pub(super) fn tell_refused(&self, user: UserId, refused: Refused, origin: &Origin) {
        let (db, origin) = (self.db.clone(), origin.clone());
        tokio::spawn(async move {
            let told = async { store::log_refused_login(&mut *db.connection().await?, (user, refused), &origin).await };
            if let Err(error) = told.await {
                tracing::warn!(%error, "a refused login is missing in the log");
            }
        });
    }

    /// The same, with a code that was refused written into the log. Whoever sends none is asked for one, and has not been wrong.
    pub(super) fn told<T>(&self, entered: Result<T>, (user, code): (Option<UserId>, Option<&str>), origin: &Origin) -> Result<T> {
        if let (Err(Error::SecondFactorMissing), Some(user), Some(_)) = (&entered, user, code) {
            self.tell_refused(user, Refused::Code, origin);
        }
        entered
    }

    /// What follows a right password: the organisation, the code, the session.
    async fn admit(
        &self,
        connection: &mut AsyncPgConnection,
        credentials: &Credentials,
        origin: &Origin,
        (person, attempt): (Entering, &Attempt),
    ) -> Result<Tokens> {
        let organizations = store::list_organizations(connection, person.user).await?;
        let wanted =
            |organization: &&OrganizationRole| credentials.organization.as_ref().is_none_or(|slug| *slug == organization.slug);
        let Some(organization) = organizations.iter().find(wanted).map(|organization| organization.organization_id) else {
            // The most telling of all: the password was right.
            self.tell_refused(person.user, Refused::Password, origin);
            return Err(refused());
        };
        let code = credentials.code.as_deref();
        let proved = second_factor::prove(connection, &self.sealing_keys, (person.user, person.known_device), code).await?;
        let (refresh_token, refresh_hash) = new_secret()?;
        let (device_token, new_device) = new_secret()?;
        let entry = Entry {
            user: person.user,
            password_hash: &person.password_hash,
            organization,
            given: &proved.given,
            keys: &[attempt.keys.clone(), proved.keys].concat(),
            refresh_hash: &refresh_hash,
            old_device: person.device.as_deref(),
            new_device: &new_device,
        };
        let opened = store::log_in(connection, &entry, self.lifetimes(), origin).await?;
        self.used_up(&proved.given);
        let tokens = self.tokens(person.user, organization, opened, refresh_token)?;
        Ok(Tokens { device_token: Some(device_token), ..tokens })
    }
}

/// A person whose password was right.
struct Entering {
    user: UserId,
    /// What the password was compared with; by now it may be another.
    password_hash: String,
    /// The device, where the person has used it before.
    known_device: Option<Uuid>,
    /// The hash of the token that was sent for it, known or not.
    device: Option<Vec<u8>>,
}

#[async_trait]
impl Identity for PgIdentity {
    async fn login(&self, credentials: &Credentials, origin: &Origin) -> Result<Tokens> {
        validation::check(credentials)?;
        let began = Instant::now();
        let entered = self.try_login(credentials, origin).await;
        if entered.is_err() {
            // A known account takes other ways through memory and disk than an unknown one: a few thousandths of a second, which
            // many tries would show.
            tokio::time::sleep(until_the_beat(began.elapsed())).await;
        }
        entered
    }

    async fn refresh(&self, refresh_token: &str) -> Result<Tokens> {
        // Not counted: 256 bits are not guessed, and a count of addresses would let one person keep an office out.
        let (new_token, new_hash) = new_secret()?;
        let mut connection = self.db.connection().await?;
        let old_hash = Sha256::digest(refresh_token);
        let rotated = store::rotate_refresh(&mut connection, &old_hash, &new_hash, self.lifetimes().refresh).await?;
        let rotated = rotated.ok_or_else(refresh_refused)?;
        let opened = Opened { session_id: rotated.session_id, role: rotated.role };
        self.tokens(rotated.user_id, rotated.organization_id, opened, new_token)
    }

    async fn logout(&self, context: &Context) -> Result<()> {
        let session = store::session_of(context)?;
        store::log_out(&mut *self.db.connection().await?, session, context.user_id).await?;
        Ok(())
    }

    async fn switch(&self, context: &Context, change: &SwitchRequest, origin: &Origin) -> Result<Tokens> {
        let (refresh_token, hash) = new_secret()?;
        let birth = Birth { refresh_hash: &hash, lifetimes: self.lifetimes(), origin };
        let moved = self.try_switch(context, change, birth).await;
        let (tx, opened) = self.judged(moved, &change.refresh_token).await?;
        tx.commit().await?;
        self.tokens(context.user_id, change.organization_id, opened, refresh_token)
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

/// Refusals are told on full beats.
const BEAT: Duration = Duration::from_millis(100);

/// How long it is until the next beat after this time.
fn until_the_beat(elapsed: Duration) -> Duration {
    let into = elapsed.as_nanos() % BEAT.as_nanos();
    BEAT.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or_default()))
}

fn refresh_refused() -> Error {
    Error::unauthenticated(REFRESH_REFUSED)
}

fn refused() -> Error {
    Error::unauthenticated(LOGIN_REFUSED)
}

/// 256 random bits as text, and the hash under which they are stored. A fast hash is right: there is nothing to guess.
pub(super) fn new_secret() -> Result<(String, Vec<u8>)> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|error| Error::internal(error.to_string()))?;
    let token = URL_SAFE_NO_PAD.encode(random);
    let hash = Sha256::digest(&token).to_vec();
    Ok((token, hash))
}
