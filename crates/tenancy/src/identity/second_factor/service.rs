//! The use cases of the second factor.

use std::sync::Arc;

use async_trait::async_trait;
use crm_kernel::{Context, Error, FieldError, Result, UserId, validation};
use diesel_async::AsyncPgConnection;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    codes::{self, Given},
    model::{
        CodeRequest, EnrollmentRequest, FirstCodeRequest, RecoveryCodes, SecondFactorSeed, SecondFactorStatus, TurnOffRequest,
    },
    store::{self, State},
};
use crate::{
    Db,
    identity::{
        password_proof,
        store::{Refused, log_refused_proof},
        throttle::{Attempt, Bucket, Purpose},
    },
    passwords::Subject,
    sealing::SealingKeys,
};

/// What seeds are sealed for; their owner is the person.
const PURPOSE: &str = "second_factor";

/// The second factor of the person who calls. Everything here works in a session that its organisation does not let in yet.
#[async_trait]
pub trait SecondFactors: Send + Sync {
    /// Whether there is one, and what is asked for.
    async fn status(&self, context: &Context) -> Result<SecondFactorStatus>;

    /// A seed, shown once, that waits for its first code; another one each time. Takes the password of who has one: a thief of a token
    /// would keep the person out with it. `Conflict` when it is on already.
    async fn enroll(&self, context: &Context, request: &EnrollmentRequest) -> Result<SecondFactorSeed>;

    /// The same for who has one, such as on another device: the old one stays good until the new one is confirmed.
    async fn replace(&self, context: &Context, request: &CodeRequest) -> Result<SecondFactorSeed>;

    /// Turns it on with a code of the seed that waits, for this session too, and ends the others, which began without it; answers
    /// recovery codes, shown once.
    async fn confirm(&self, context: &Context, request: &FirstCodeRequest) -> Result<RecoveryCodes>;

    /// Gives a code in a session that began without one.
    async fn verify(&self, context: &Context, request: &CodeRequest) -> Result<()>;

    /// New recovery codes; the old ones work no more.
    async fn renew_codes(&self, context: &Context, request: &CodeRequest) -> Result<RecoveryCodes>;

    /// Turns it off; `Conflict` while an organisation of the person requires it.
    async fn disable(&self, context: &Context, request: &TurnOffRequest) -> Result<()>;
}

/// Second factors kept in PostgreSQL, their seeds sealed.
#[derive(Debug, Clone)]
pub struct PgSecondFactors {
    db: Db,
    keys: SealingKeys,
    letters_queued: Arc<Notify>,
}

impl PgSecondFactors {
    /// On this database, with these keys. `letters_queued` is told whenever a letter waits.
    #[must_use]
    pub fn new(db: Db, keys: SealingKeys, letters_queued: Arc<Notify>) -> Self {
        Self { db, keys, letters_queued }
    }

    /// What a code is, for who has a second factor; a wrong one is counted and refused.
    async fn given(&self, connection: &mut AsyncPgConnection, context: &Context, code: &str) -> Result<(Attempt, Given)> {
        let state = store::read(connection, context).await?;
        let sealed = state.sealed_seed.as_deref().ok_or(Error::NotFound("second factor"))?;
        self.judged(connection, context, code, (sealed, state.now_seconds)).await
    }

    async fn judged(
        &self,
        connection: &mut AsyncPgConnection,
        context: &Context,
        code: &str,
        (sealed, now): (&[u8], i64),
    ) -> Result<(Attempt, Given)> {
        let attempt = Attempt::begin(connection, [Bucket::inside(Purpose::SecondFactor, context.user_id)]).await?;
        let seed = self.keys.open(PURPOSE, context.user_id.uuid(), sealed)?;
        let given = codes::judge(&seed, code, now)?;
        if given.is_wrong() { Err(refused(connection, context).await?) } else { Ok((attempt, given)) }
    }

    /// A new seed, sealed and as it is shown.
    fn seed(&self, context: &Context, state: &State) -> Result<(Vec<u8>, SecondFactorSeed)> {
        let seed = codes::new_seed()?;
        let sealed = self.keys.seal(PURPOSE, context.user_id.uuid(), &seed)?;
        let (seed, uri) = codes::shown(&seed, state.email.as_deref().unwrap_or_default())?;
        Ok((sealed, SecondFactorSeed { seed, uri }))
    }
}

#[async_trait]
impl SecondFactors for PgSecondFactors {
    async fn status(&self, context: &Context) -> Result<SecondFactorStatus> {
        let state = store::read(&mut *self.db.connection().await?, context).await?;
        Ok(SecondFactorStatus {
            enabled_at: state.enabled_at,
            recovery_codes_left: state.codes_left,
            required: state.required,
            given: state.proved,
        })
    }

    async fn enroll(&self, context: &Context, request: &EnrollmentRequest) -> Result<SecondFactorSeed> {
        validation::check(request)?;
        let state = store::read(&mut *self.db.connection().await?, context).await?;
        password_proof::require(&self.db, context, state.password_hash.clone(), request.password.as_deref()).await?;
        if state.enabled_at.is_some() {
            return Err(already_on());
        }
        let (sealed, shown) = self.seed(context, &state)?;
        let begun = store::begin(&mut *self.db.connection().await?, context, &Given::default(), &sealed).await;
        // Turned on by another call in between.
        begun.map_err(|error| if matches!(error, Error::SecondFactorMissing) { already_on() } else { error })?;
        Ok(shown)
    }

    async fn replace(&self, context: &Context, request: &CodeRequest) -> Result<SecondFactorSeed> {
        validation::check(request)?;
        let mut connection = self.db.connection().await?;
        let (attempt, given) = self.given(&mut connection, context, &request.code).await?;
        let state = store::read(&mut connection, context).await?;
        let (sealed, shown) = self.seed(context, &state)?;
        let begun = store::begin(&mut connection, context, &given, &sealed).await;
        used(begun, &mut connection, context).await?;
        // That a recovery code was used is told by letter.
        self.letters_queued.notify_one();
        attempt.succeeded(&mut connection).await?;
        Ok(shown)
    }

    async fn confirm(&self, context: &Context, request: &FirstCodeRequest) -> Result<RecoveryCodes> {
        validation::check(request)?;
        let mut connection = self.db.connection().await?;
        let state = store::read(&mut connection, context).await?;
        let pending = state.pending_seed.as_deref().ok_or(Error::NotFound("second factor that waits for a code"))?;
        let (attempt, given) = self.judged(&mut connection, context, &request.code, (pending, state.now_seconds)).await?;
        // A recovery code shows nothing about the new seed.
        let Some(step) = given.step else { return Err(refused(&mut connection, context).await?) };
        let (recovery_codes, hashes) = codes::new_recovery_codes()?;
        store::confirm(&mut connection, context, (pending, step), hashes).await?;
        self.letters_queued.notify_one();
        attempt.succeeded(&mut connection).await?;
        Ok(RecoveryCodes { recovery_codes })
    }

    async fn verify(&self, context: &Context, request: &CodeRequest) -> Result<()> {
        validation::check(request)?;
        let mut connection = self.db.connection().await?;
        let (attempt, given) = self.given(&mut connection, context, &request.code).await?;
        let verified = store::verify(&mut connection, context, &given).await;
        used(verified, &mut connection, context).await?;
        self.letters_queued.notify_one();
        attempt.succeeded(&mut connection).await
    }

    async fn renew_codes(&self, context: &Context, request: &CodeRequest) -> Result<RecoveryCodes> {
        validation::check(request)?;
        let mut connection = self.db.connection().await?;
        let (attempt, given) = self.given(&mut connection, context, &request.code).await?;
        let (recovery_codes, hashes) = codes::new_recovery_codes()?;
        let replaced = store::replace_codes(&mut connection, context, &given, hashes).await;
        used(replaced, &mut connection, context).await?;
        self.letters_queued.notify_one();
        attempt.succeeded(&mut connection).await?;
        Ok(RecoveryCodes { recovery_codes })
    }

    async fn disable(&self, context: &Context, request: &TurnOffRequest) -> Result<()> {
        validation::check(request)?;
        let place = self.db.queue([Subject::person(context.user_id)])?;
        let mut connection = self.db.connection().await?;
        let state = store::read(&mut connection, context).await?;
        let sealed = state.sealed_seed.as_deref().ok_or(Error::NotFound("second factor"))?;
        let attempt = Attempt::begin(&mut connection, [Bucket::inside(Purpose::SecondFactor, context.user_id)]).await?;
        // The connection goes back before the hash is computed.
        drop(connection);
        let mut wrong = Vec::new();
        if state.password_hash.is_some() {
            let password = request.password.clone().unwrap_or_default();
            if !place.verify(password, state.password_hash.clone()).await? {
                wrong.push(FieldError::new("/password", "wrong", "this is not your password"));
            }
        }
        let seed = self.keys.open(PURPOSE, context.user_id.uuid(), sealed)?;
        let given = codes::judge(&seed, &request.code, state.now_seconds)?;
        if given.is_wrong() {
            wrong.push(wrong_code());
        }
        let mut connection = self.db.connection().await?;
        for fault in &wrong {
            let refused = if fault.pointer == "/password" { Refused::Password } else { Refused::Code };
            log_refused_proof(&mut connection, context, refused).await?;
        }
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        let disabled = store::disable(&mut connection, context, &given).await;
        used(disabled, &mut connection, context).await?;
        self.letters_queued.notify_one();
        attempt.succeeded(&mut connection).await
    }
}

/// What the password of the caller, whose session is checked, is compared with; none for who has no password.
pub(in crate::identity) async fn password_hash(connection: &mut AsyncPgConnection, context: &Context) -> Result<Option<String>> {
    Ok(store::read(connection, context).await?.password_hash)
}

/// What a login has of the second factor.
#[derive(Default)]
pub(in crate::identity) struct Proved {
    /// The code, to be used up with the session that it opens; empty for who has no second factor.
    pub given: Given,
    /// The try, to be taken back with it.
    pub keys: Vec<Vec<u8>>,
}

/// Whether the person, whose password or external identity was right, gave what else is asked. The device, where it is known, has its own budget.
///
/// # Errors
/// `SecondFactorMissing` without a code or with a wrong one; `Limited` after too many of those.
pub(in crate::identity) async fn prove(
    connection: &mut AsyncPgConnection,
    keys: &SealingKeys,
    (user, device): (UserId, Option<Uuid>),
    code: Option<&str>,
) -> Result<Proved> {
    let Some(found) = store::find(connection, user).await? else {
        return Ok(Proved::default());
    };
    let code = code.ok_or(Error::SecondFactorMissing)?;
    let attempt = Attempt::begin(connection, [Bucket::codes(user, device)]).await?;
    let seed = keys.open(PURPOSE, user.uuid(), &found.sealed_seed)?;
    let given = codes::judge(&seed, code, found.now_seconds)?;
    if given.is_wrong() { Err(Error::SecondFactorMissing) } else { Ok(Proved { given, keys: attempt.keys }) }
}

fn wrong_code() -> FieldError {
    FieldError::new("/code", "wrong", "this code is not right, or has been used")
}

fn already_on() -> Error {
    let words = "there is a second factor: replace it with POST /auth/second-factor/replace, or turn it off";
    Error::Conflict(vec![FieldError::new("", "second_factor_on", words)])
}

/// The answer to a wrong code inside a session, where it is a bad field: who calls is known. It is in the log before it is answered.
async fn refused(connection: &mut AsyncPgConnection, context: &Context) -> Result<Error> {
    log_refused_proof(connection, context, Refused::Code).await?;
    Ok(Error::Invalid(vec![wrong_code()]))
}

/// What using a code up came to: the database knows which were used before, and which recovery codes there are.
async fn used(outcome: Result<()>, connection: &mut AsyncPgConnection, context: &Context) -> Result<()> {
    match outcome {
        Err(Error::SecondFactorMissing) => Err(refused(connection, context).await?),
        outcome => outcome,
    }
}
