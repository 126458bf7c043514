//! Answers that are given again: a request with a key is done once, and whoever sends it again within a day gets what it answered.
//!
//! Must stay true: an answer is written in the transaction of its change, so that a program that dies leaves both or neither; while one
//! request with a key runs, another one with it is refused, and nothing has to be cleared away when the first one dies; a refusal
//! changed nothing and is not kept.

use crm_kernel::{Error, FieldError, Result};
use diesel::{
    ExpressionMethods, Insertable, IntoSql, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
    dsl::{IntervalDsl, now},
    pg::Pg,
    sql_types::{BigInt, Timestamptz},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Entity, Expect, Tx, schema::crm_idempotent_answers as answers};

pub(crate) const ANSWER: Entity = Entity { name: "answer", table: "crm_idempotent_answers" };

/// Bytes of an answer that are kept at most.
const LARGEST: usize = 4 * 1024 * 1024;

diesel::define_sql_function! {
    /// Takes a lock that ends with the transaction, unless somebody has it.
    fn pg_try_advisory_xact_lock(key: BigInt) -> Bool;
}

/// Which request this is, as its sender says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method and address; at most 500 characters.
    pub route: String,
    /// The key that the sender chose.
    pub key: String,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = answers, check_for_backend(diesel::pg::Pg))]
pub struct Answer {
    /// The HTTP status, 200 to 299.
    pub status: i16,
    /// Its entity tag.
    pub etag: Option<String>,
    /// The address of what was made.
    pub location: Option<String>,
    /// Its body; `None` when it was too large to be kept.
    pub body: Option<Vec<u8>>,
    /// The records that it shows.
    pub record_ids: Vec<Uuid>,
}

/// Whether the request was answered before; if not, it is this transaction's until that ends.
///
/// # Errors
/// `Conflict` while another request with the key runs; `Invalid` when it was used with another body within the last day.
pub async fn claim(tx: &mut Tx, request: &Request) -> Result<Option<Answer>> {
    lock_for(tx, request).await?;
    let known: Option<(Vec<u8>, Answer)> =
        of_today(tx, request).select((answers::body_hash, Answer::as_select())).first(tx).await.optional().expect_any(ANSWER)?;
    match known {
        Some((body_hash, _)) if body_hash != request.body_hash => Err(reused()),
        known => Ok(known.map(|(_, answer)| answer)),
    }
}

/// Keeps the answer to a request that was claimed.
///
/// # Errors
/// `Unavailable` when the database is away.
pub async fn keep(tx: &mut Tx, request: &Request, mut answer: Answer) -> Result<()> {
    answer.body = answer.body.filter(|body| body.len() <= LARGEST);
    replace(tx, request, answer, None).await
}

/// Puts this in the place of what is outdated, or of a run's progress; the database lets nothing else go.
pub(crate) async fn replace(tx: &mut Tx, request: &Request, answer: Answer, progress: Option<Value>) -> Result<()> {
    let key_hash = hash(&request.key);
    let outdated = answers::table.find((tx.organization_id(), tx.user_id(), request.route.clone(), key_hash.clone()));
    diesel::delete(outdated).execute(tx).await.expect_any(ANSWER)?;
    let request =
        (answers::route.eq(&request.route), answers::key_hash.eq(&key_hash), answers::body_hash.eq(request.body_hash.to_vec()));
    let values = (request, answer, answers::progress.eq(progress));
    diesel::insert_into(answers::table).values(values).execute(tx).await.expect_any(ANSWER)?;
    Ok(())
}

/// What is kept of this request, if that is no older than a day.
pub(crate) fn of_today(tx: &Tx, request: &Request) -> answers::BoxedQuery<'static, Pg> {
    let place = (tx.organization_id(), tx.user_id(), request.route.clone(), hash(&request.key));
    answers::table.find(place).filter(answers::created_at.gt(now.into_sql::<Timestamptz>() - 24.hours())).into_boxed()
}

/// Makes the request this transaction's until that ends.
///
/// # Errors
/// `Conflict` while it is another one's.
pub(crate) async fn lock_for(tx: &mut Tx, request: &Request) -> Result<()> {
    let free: bool = diesel::select(pg_try_advisory_xact_lock(lock(tx, request))).get_result(tx).await.expect_any(ANSWER)?;
    if free { Ok(()) } else { Err(in_progress()) }
}

pub(crate) fn in_progress() -> Error {
    let message = "a request with this key is being worked on: try again in a moment";
    Error::Conflict(vec![FieldError::new("Idempotency-Key", "idempotency_in_progress", message)])
}

pub(crate) fn reused() -> Error {
    let message = "this key was used with another body: choose a new key for a new request";
    Error::invalid("Idempotency-Key", "idempotency_key_reused", message)
}

fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text).to_vec()
}

/// The number that stands for the caller, the address and the key. Two requests that share it by chance, one in 2^64, wait for each
/// other and lose nothing else.
fn lock(tx: &Tx, request: &Request) -> i64 {
    let mut all = Sha256::new();
    for part in [&tx.organization_id().to_string(), &tx.user_id().to_string(), &request.route, &request.key] {
        all.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        all.update(part);
    }
    all.finalize().iter().take(8).fold(0, |number, byte| (number << 8) | i64::from(*byte))
}
