//! The use cases of accounts.

use std::sync::Arc;

use async_trait::async_trait;
use crm_kernel::{Context, Error, FieldError, Result, slug::slugify};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    Accepted, AccountOptions, Delivery, EmailChange, ForgottenPassword, LinkToken, PasswordChange, PasswordReset, PasswordSet,
    ProfileChanges, Registered, Registration, RegistrationConfirmation, SignUp,
    model::{faults, invalid_unless_empty},
    store::{self, Link, NewRegistration, Own},
};
use crate::{
    Db, PgIdentity,
    identity::{
        Origin, Tokens, password_proof,
        password_rules::judge_password,
        secrets::{link_secret, parse_link_token},
        service::new_secret,
        store::Proof,
        throttle::{Attempt, Bucket, Purpose},
    },
    passwords::Subject,
    sealing::SealingKeys,
};

const CONFIRM_REGISTRATION: &str = "confirm_registration";
const RESET_PASSWORD: &str = "reset_password";
const CONFIRM_EMAIL: &str = "confirm_email";

/// Signing up, passwords, and what people say of themselves. Whoever asks for too many letters, or guesses secrets or a password, is
/// `Limited`, whether or not there is such an account.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Asks for an account and an organisation. The answer is the same whether or not the address has an account; a letter tells it to
    /// whoever reads mail there. `Forbidden` where nobody may sign up.
    async fn register(&self, registration: &Registration, origin: &Origin) -> Result<Registered>;

    /// Makes the account and its organisation and enters. A token that is used, expired or unknown is `Invalid` at `/token`; a password
    /// that is not the one of the sign-up is `Invalid` at `/password`, and the token can be used again with the right one; a chosen name of the organisation that is taken by now is `Conflict` at `/slug`, and the token can be used again with another.
    async fn confirm_registration(&self, confirmation: &RegistrationConfirmation, origin: &Origin) -> Result<Tokens>;

    /// Asks for a letter with which a password can be set. The same answer whether or not there is an account.
    async fn forget_password(&self, forgotten: &ForgottenPassword, origin: &Origin) -> Result<Accepted>;

    /// Sets a password by the link of a letter, which works once, and ends every session of the person. Their API tokens stay. The
    /// client that does it is known from then on: others who try passwords do not keep the person out.
    async fn reset_password(&self, reset: &PasswordReset, origin: &Origin) -> Result<PasswordSet>;

    /// Sets a password by the old one. Every session of the person ends, this one too; the tokens are of a new one.
    async fn change_password(&self, context: &Context, change: &PasswordChange, origin: &Origin) -> Result<Tokens>;

    /// Asks for a letter that confirms a new address. The same answer whether or not somebody else has it.
    async fn change_email(&self, context: &Context, change: &EmailChange) -> Result<Accepted>;

    /// Changes the address, for the person who asked for the letter and nobody else: whoever reads it must not give an account of
    /// somebody else an address of theirs with a click. `Conflict` at `/email` when somebody has taken it meanwhile.
    async fn confirm_email(&self, context: &Context, token: &LinkToken) -> Result<()>;

    /// Changes name, time zone and language of the caller.
    async fn update_profile(&self, context: &Context, changes: &ProfileChanges) -> Result<()>;
}

/// Accounts kept in PostgreSQL.
#[derive(Debug)]
pub struct PgAccounts {
    db: Db,
    identity: Arc<PgIdentity>,
    keys: SealingKeys,
    options: AccountOptions,
    letters_queued: Arc<Notify>,
}

impl PgAccounts {
    /// On this database. `letters_queued` is told whenever a letter waits.
    #[must_use]
    pub fn new(
        db: Db,
        identity: Arc<PgIdentity>,
        keys: SealingKeys,
        options: AccountOptions,
        letters_queued: Arc<Notify>,
    ) -> Self {
        Self { db, identity, keys, options, letters_queued }
    }

    /// What answers 202 promises a letter, so it needs somebody who sends it.
    fn require_delivery(&self) -> Result<()> {
        match self.options.delivery {
            Delivery::On => Ok(()),
            Delivery::Off => Err(Error::unavailable("no mail is sent from here: CRM_MAIL is not set")),
        }
    }

    fn new_link(&self, purpose: &str) -> Result<Link> {
        let id = Uuid::now_v7();
        let (_, secret_hash) = link_secret(&self.keys, purpose, id)?;
        Ok(Link { id, secret_hash })
    }

    /// The caller's own address, name and password, and whether this is it: the one place where a session's holder proves to be more
    /// than somebody at an unlocked desk.
    async fn prove_password(&self, context: &Context, password: &str) -> Result<(Own, bool)> {
        if context.session_id.is_none() {
            return Err(Error::forbidden("only a session from a login can do this"));
        }
        let mut tx = self.db.begin(context).await?;
        let own = store::find_own(&mut tx).await?;
        // The connection goes back before the hash is computed.
        tx.commit().await?;
        let is_right = password_proof::is_right(&self.db, context, password, own.password_hash.clone()).await?;
        Ok((own, is_right))
    }
}

#[async_trait]
impl Accounts for PgAccounts {
    async fn register(&self, registration: &Registration, origin: &Origin) -> Result<Registered> {
        match self.options.sign_up {
            SignUp::Closed => return Err(Error::forbidden("nobody can sign up here; ask for an invitation")),
            SignUp::Confirm => self.require_delivery()?,
            SignUp::Open => {}
        }
        // Judged in memory: before a stranger's call is counted, the database is asked nothing.
        registration.check()?;
        // The place comes first: who is turned away for want of one has not tried anything.
        let place = self.db.queue([Subject::address(origin.ip), Subject::account_at(&registration.email, origin.ip)])?;
        let buckets = [
            Bucket::address(Purpose::Register, origin.ip),
            Bucket::account(Purpose::Register, &registration.email),
            // What a stranger asks for elsewhere does not count here.
            Bucket::account_at(Purpose::Register, &registration.email, origin.ip),
        ];
        Attempt::begin(&mut *self.db.connection().await?, buckets).await.map(drop)?;
        let link = self.new_link(CONFIRM_REGISTRATION)?;
        let new = NewRegistration {
            email: normal(&registration.email),
            password_hash: place.hash(registration.password.clone()).await?,
            full_name: registration.full_name.trim(),
            organization_name: registration.organization_name.trim(),
            slug: registration.slug.clone().unwrap_or_else(|| slugify(&registration.organization_name, "organization")),
            slug_chosen: registration.slug.is_some(),
            time_zone: registration.time_zone.as_deref().unwrap_or("UTC"),
            country: registration.country.as_deref(),
            currency: registration.default_currency.as_deref().unwrap_or("USD"),
            locale: registration.locale.as_deref().unwrap_or("en"),
            wants_letter: self.options.sign_up == SignUp::Confirm,
        };
        store::request_registration(&mut *self.db.connection().await?, &link, &new, origin).await?;
        self.letters_queued.notify_one();
        if self.options.sign_up == SignUp::Open {
            let made = store::confirm_registration(&mut *self.db.connection().await?, &link, None).await?;
            if let Some((user, organization)) = made {
                return Ok(Registered::Entered(self.identity.enter(user, organization, REGISTRATION, origin).await?));
            }
        }
        Ok(Registered::Pending(Accepted::default()))
    }

    async fn confirm_registration(&self, confirmation: &RegistrationConfirmation, origin: &Origin) -> Result<Tokens> {
        invalid_unless_empty(faults(confirmation))?;
        let link = link(&confirmation.token)?;
        // The place comes first: who is turned away for want of one has not tried anything.
        let place = self.db.queue([Subject::address(origin.ip)])?;
        let buckets = [Bucket::address(Purpose::Confirm, origin.ip), Bucket::link(Purpose::Confirm, link.id)];
        let mut connection = self.db.connection().await?;
        let attempt = Attempt::begin(&mut connection, buckets).await?;
        let pending = store::find_registration(&mut connection, &link).await?;
        // The connection goes back before the hash is computed, which takes as long for a link that opens nothing.
        drop(connection);
        let opens = pending.is_some();
        let is_right = place.verify(confirmation.password.clone(), pending).await?;
        if !opens {
            return Err(unusable());
        }
        if !is_right {
            return Err(Error::invalid("/password", "wrong", "is not the password that was chosen at sign-up"));
        }
        let mut connection = self.db.connection().await?;
        let made = store::confirm_registration(&mut connection, &link, confirmation.slug.as_deref()).await;
        if !matches!(made, Ok(None)) {
            attempt.succeeded(&mut connection).await?;
        }
        drop(connection);
        let (user, organization) = made?.ok_or_else(unusable)?;
        self.identity.enter(user, organization, REGISTRATION, origin).await
    }

    async fn forget_password(&self, forgotten: &ForgottenPassword, origin: &Origin) -> Result<Accepted> {
        self.require_delivery()?;
        invalid_unless_empty(faults(forgotten))?;
        // A letter that somebody else asks for opens the account as well: it counts wherever it is asked for.
        let buckets = [Bucket::address(Purpose::Forgot, origin.ip), Bucket::account(Purpose::Forgot, &forgotten.email)];
        Attempt::begin(&mut *self.db.connection().await?, buckets).await.map(drop)?;
        let link = self.new_link(RESET_PASSWORD)?;
        store::request_password_reset(&mut *self.db.connection().await?, &link, &normal(&forgotten.email)).await?;
        self.letters_queued.notify_one();
        Ok(Accepted::default())
    }

    async fn reset_password(&self, reset: &PasswordReset, origin: &Origin) -> Result<PasswordSet> {
        let link = link(&reset.token)?;
        let mut connection = self.db.connection().await?;
        let attempt = Attempt::begin(&mut connection, [Bucket::address(Purpose::Reset, origin.ip)]).await?;
        let whose = store::find_reset(&mut connection, &link).await?;
        let (email, full_name) = whose.ok_or_else(unusable)?;
        attempt.succeeded(&mut connection).await?;
        drop(connection);
        let wrong = judge_password("/password", &reset.password, &[&email, &full_name]);
        invalid_unless_empty(wrong.into_iter().collect())?;
        let hash = self.db.queue([Subject::address(origin.ip)])?.hash(reset.password.clone()).await?;
        let (device_token, device) = new_secret()?;
        let known = store::reset_password(&mut *self.db.connection().await?, &link, (&hash, &device), origin).await?;
        self.letters_queued.notify_one();
        let is_known = known.ok_or_else(unusable)?;
        Ok(PasswordSet { device_token: is_known.then_some(device_token) })
    }

    async fn change_password(&self, context: &Context, change: &PasswordChange, origin: &Origin) -> Result<Tokens> {
        let (own, is_right) = self.prove_password(context, &change.current_password).await?;
        let mut wrong: Vec<FieldError> = (!is_right).then(wrong_password).into_iter().collect();
        wrong.extend(judge_password("/new_password", &change.new_password, &[&own.email, &own.full_name]));
        if is_right && change.new_password == change.current_password {
            wrong.push(FieldError::new("/new_password", "unchanged", "is the password that you have"));
        }
        invalid_unless_empty(wrong)?;
        let known = own.password_hash.unwrap_or_default();
        let hash = self.db.queue([Subject::person(context.user_id)])?.hash(change.new_password.clone()).await?;
        let mut tx = self.db.begin(context).await?;
        let changed = store::change_password(&mut tx, &known, &hash).await?;
        let second_factor = changed.ok_or_else(|| Error::Invalid(vec![wrong_password()]))?;
        tx.commit().await?;
        self.letters_queued.notify_one();
        self.identity.reenter(context, (&hash, second_factor), origin).await
    }

    async fn change_email(&self, context: &Context, change: &EmailChange) -> Result<Accepted> {
        self.require_delivery()?;
        let (own, is_right) = self.prove_password(context, &change.current_password).await?;
        let email = normal(&change.email);
        let mut wrong = faults(change);
        wrong.extend((!is_right).then(wrong_password));
        if email == own.email {
            wrong.push(FieldError::new("/email", "unchanged", "is the address that you have"));
        }
        invalid_unless_empty(wrong)?;
        let link = self.new_link(CONFIRM_EMAIL)?;
        let mut tx = self.db.begin(context).await?;
        store::request_email_change(&mut tx, &link, &email).await?;
        tx.commit().await?;
        self.letters_queued.notify_one();
        Ok(Accepted::default())
    }

    async fn confirm_email(&self, context: &Context, token: &LinkToken) -> Result<()> {
        let link = link(&token.token)?;
        // Whose session has ended tries nothing in the person's name.
        drop(self.db.begin(context).await?);
        let attempt =
            Attempt::begin(&mut *self.db.connection().await?, [Bucket::inside(Purpose::Confirm, context.user_id)]).await?;
        let mut tx = self.db.begin(context).await?;
        if !store::confirm_email_change(&mut tx, &link).await? {
            return Err(unusable());
        }
        tx.commit().await?;
        self.letters_queued.notify_one();
        attempt.succeeded(&mut *self.db.connection().await?).await
    }

    async fn update_profile(&self, context: &Context, changes: &ProfileChanges) -> Result<()> {
        invalid_unless_empty(faults(changes))?;
        let mut tx = self.db.begin(context).await?;
        store::update_profile(&mut tx, changes).await?;
        tx.commit().await
    }
}

const REGISTRATION: Proof = Proof { method: "registration", second_factor: false };

/// As addresses are stored and compared.
fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}

fn link(token: &str) -> Result<Link> {
    let (id, secret_hash) = parse_link_token(token).ok_or_else(unusable)?;
    Ok(Link { id, secret_hash })
}

/// One answer for a link that was used, has expired, was closed by something else, or never was.
fn unusable() -> Error {
    Error::invalid("/token", "unusable", "this link was used, has expired, or is not whole; ask for a new one")
}

fn wrong_password() -> FieldError {
    FieldError::new("/current_password", "wrong", "is not your password")
}
