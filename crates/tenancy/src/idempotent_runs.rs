//! Runs of many transactions under one key: whoever sends such a request again goes on where the run stopped, or gets its answer.
//!
//! How far a run has come stands where its answer will stand. Must stay true: a step and the note that it was done are one transaction,
//! so that no step is done twice and none left out, whatever dies between; of two requests that go on with one run the one that finds
//! another step than the last it noted stops. Nothing but that decides: the clock says only how soon somebody else may try.

use crm_kernel::{Error, Result};
use diesel::{
    ExpressionMethods, IntoSql, OptionalExtension, QueryDsl, SelectableHelper,
    dsl::{IntervalDsl, now},
    sql_types::{Bool, Timestamptz},
};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Expect, Tx,
    idempotency::{self, ANSWER, Answer, Request},
    schema::crm_idempotent_answers as answers,
};

/// So many seconds after its last step a run counts as one that nobody goes on with: longer than looking for the next records takes at
/// the most, with waiting for a connection before it. While a step runs, its lock says so.
const SILENCE: i32 = 30;
/// The status of what has not come to its end.
const UNDER_WAY: i16 = 202;

/// What there is of a run.
#[derive(Debug)]
pub enum Run {
    /// Nothing: it is to be begun.
    New,
    /// It stopped half way, and is to be continued from here.
    Stopped(Progress),
    /// It came to its end.
    Answered(Answer),
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// How many steps have been done.
    pub step: u32,
    /// Whether whoever did the last step has said that no other follows by itself.
    pub is_left: bool,
    /// What the next step has to know.
    pub state: Value,
}

/// What is known of this request.
///
/// # Errors
/// `Conflict` while somebody goes on with it; `Invalid` when the key was used with another body within the last day.
pub async fn look(tx: &mut Tx, request: &Request) -> Result<Run> {
    idempotency::lock_for(tx, request).await?;
    match known(tx, request).await? {
        None => Ok(Run::New),
        Some((None, _, answer)) => Ok(Run::Answered(answer)),
        Some((Some(progress), is_fresh, _)) if progress.is_left || !is_fresh => Ok(Run::Stopped(progress)),
        Some(_) => Err(idempotency::in_progress()),
    }
}

/// Makes the next step this transaction's, behind the last one that the caller knows of; `None` before there was one.
///
/// # Errors
/// `Conflict` when somebody else goes on with the run.
pub async fn hold(tx: &mut Tx, request: &Request, done: Option<u32>) -> Result<()> {
    idempotency::lock_for(tx, request).await?;
    let there = known(tx, request).await?.map(|(progress, _, _)| progress.map(|progress| progress.step));
    if there == done.map(Some) { Ok(()) } else { Err(idempotency::in_progress()) }
}

/// Notes how far the run has come, in the transaction that holds its step.
///
/// # Errors
/// `Unavailable` when the database is away.
pub async fn note(tx: &mut Tx, request: &Request, progress: &Progress) -> Result<()> {
    let progress = serde_json::to_value(progress).map_err(Error::internal)?;
    let nothing = Answer { status: UNDER_WAY, etag: None, location: None, body: None, record_ids: Vec::new() };
    idempotency::replace(tx, request, nothing, Some(progress)).await
}

type Known = (Option<Progress>, bool, Answer);

async fn known(tx: &mut Tx, request: &Request) -> Result<Option<Known>> {
    let recently = answers::created_at.gt(now.into_sql::<Timestamptz>() - SILENCE.seconds());
    let known: Option<(Vec<u8>, Option<Value>, bool, Answer)> = idempotency::of_today(tx, request)
        .select((answers::body_hash, answers::progress, recently.into_sql::<Bool>(), Answer::as_select()))
        .first(tx)
        .await
        .optional()
        .expect_any(ANSWER)?;
    let Some((body_hash, progress, is_fresh, answer)) = known else { return Ok(None) };
    if body_hash != request.body_hash {
        return Err(idempotency::reused());
    }
    let progress = progress.map(serde_json::from_value).transpose().map_err(Error::internal)?;
    Ok(Some((progress, is_fresh, answer)))
}
