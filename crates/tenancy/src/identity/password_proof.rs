//! The password, again, of a person who is in: whoever holds a session is perhaps somebody at an unlocked desk, or a thief of a token.
//!
//! Lives here: what is asked before a way in is made. What the password is to be is in [`super::password_rules`].
//! Must stay true: a try is counted per person before it is judged and taken back when it was right; one that was wrong is in the log
//! before it is answered; no connection waits for the hash.

use crm_kernel::{Context, Error, Result};

use super::{
    second_factor,
    store::{self, Refused},
    throttle::{Attempt, Bucket, Purpose},
};
use crate::{Db, passwords::Subject};

/// Whether this is the password of the caller, whose hash it is.
pub(super) async fn is_right(db: &Db, context: &Context, password: &str, stored: Option<String>) -> Result<bool> {
    // The place comes first: who is turned away for want of one has not tried anything.
    let place = db.queue([Subject::person(context.user_id)])?;
    let attempt = Attempt::begin(&mut *db.connection().await?, [Bucket::inside(Purpose::Password, context.user_id)]).await?;
    let is_right = place.verify(password.to_owned(), stored).await?;
    let mut connection = db.connection().await?;
    if is_right {
        attempt.succeeded(&mut connection).await?;
    } else {
        store::log_refused_proof(&mut connection, context, Refused::Password).await?;
    }
    Ok(is_right)
}

/// Asks for the password of who calls in a session and has one, for what outlives that session. A program that embeds this crate calls
/// without a session, and has asked already.
///
/// # Errors
/// As [`require`].
pub(crate) async fn require_in_session(db: &Db, context: &Context, given: Option<&str>) -> Result<()> {
    if context.session_id.is_none() {
        return Ok(());
    }
    let hash = second_factor::password_hash(&mut *db.connection().await?, context).await?;
    require(db, context, hash, given).await
}

/// Asks for the password of who has one.
///
/// # Errors
/// `Invalid` at `/password` without it or with another one; `Limited` after too many of those.
pub(super) async fn require(db: &Db, context: &Context, stored: Option<String>, given: Option<&str>) -> Result<()> {
    let Some(stored) = stored else { return Ok(()) };
    let given = given.ok_or_else(|| Error::invalid("/password", "required", "say your password, too"))?;
    let is_right = is_right(db, context, given, Some(stored)).await?;
    if is_right { Ok(()) } else { Err(Error::invalid("/password", "wrong", "this is not your password")) }
}
