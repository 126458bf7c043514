//! How far a run has come, and what became of the records so far.
//!
//! Must stay true: with a key, each step is noted in its own transaction, so that whoever sends the request again goes on behind it.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use crm_kernel::{Error, OperationId, Position, Result, Total};
use crm_tenancy::{
    Tx,
    idempotency::{self, Request},
    idempotent_runs::{self, Progress},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{BulkAnswer, Left};
use crate::{answer::json, caller::Caller, problem, services::Services};

/// Ids that are named for one reason.
const NAMED: usize = 10;

/// What the next step has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// What all changes of the run carry in the log, whoever goes on with it.
    pub(super) operation_id: OperationId,
    /// How many records matched when it began.
    pub(super) matched: Option<Total>,
    /// Behind which record the next step begins.
    pub(super) after: Option<Position>,
    pub(super) tally: Tally,
}

/// What became of the records.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) changed: usize,
    pub(super) unchanged: usize,
    reasons: BTreeMap<String, Left>,
}

impl Tally {
    pub(super) fn left(&mut self, id: Uuid, error: &Error) {
        let (_, problem) = problem::of_part(error);
        let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (code, detail) = (text("code"), text("detail"));
        let reason = self.reasons.entry(code.clone()).or_insert(Left { code, detail, count: 0, ids: Vec::new() });
        reason.count += 1;
        if reason.ids.len() < NAMED {
            reason.ids.push(id);
        }
    }
}

impl State {
    pub(super) fn answer(&self) -> BulkAnswer {
        let reasons: Vec<Left> = self.tally.reasons.values().cloned().collect();
        BulkAnswer {
            operation_id: Some(self.operation_id),
            matched: self.matched,
            changed: Some(self.tally.changed),
            unchanged: Some(self.tally.unchanged),
            left: Some(reasons.iter().map(|reason| reason.count).sum()),
            reasons: Some(reasons),
            ..BulkAnswer::default()
        }
    }
}

/// The notes of a run; without a key nothing is noted.
pub(crate) struct Notes {
    request: Option<Request>,
    /// The last step that was noted.
    done: Option<u32>,
}

impl Notes {
    /// Of a run that is to be begun, or went so far.
    pub(crate) fn new(request: Option<Request>, done: Option<u32>) -> Self {
        Self { request, done }
    }

    /// Makes the next step this transaction's.
    ///
    /// # Errors
    /// `Conflict` when somebody else goes on with the run.
    pub(crate) async fn hold(&self, tx: &mut Tx) -> Result<()> {
        let Some(request) = &self.request else { return Ok(()) };
        idempotent_runs::hold(tx, request, self.done).await
    }

    /// Notes that the step was done, and commits it.
    ///
    /// # Errors
    /// `Unavailable` when it was not done.
    pub(crate) async fn done<S: Serialize>(&mut self, mut tx: Tx, state: &S) -> Result<()> {
        let step = self.done.map_or(0, |done| done + 1);
        if let Some(request) = &self.request {
            idempotent_runs::note(&mut tx, request, &progress(step, state, false)?).await?;
        }
        tx.commit().await?;
        self.done = Some(step);
        Ok(())
    }

    /// Keeps the answer in the transaction of the last step, and commits it.
    ///
    /// # Errors
    /// `Unavailable` when it was not done.
    pub(crate) async fn end<A: Serialize>(&self, mut tx: Tx, answer: &A) -> Result<()> {
        if let Some(request) = &self.request {
            let status = i16::try_from(StatusCode::OK.as_u16()).map_err(Error::internal)?;
            let body = Some(json(answer)?);
            let answer = idempotency::Answer { status, etag: None, location: None, body, record_ids: Vec::new() };
            idempotency::keep(&mut tx, request, answer).await?;
        }
        tx.commit().await
    }

    /// Says that nobody goes on with it, so that whoever sends it again need not wait until it counts as left. What cannot be said is
    /// found out by the time that passes.
    pub(crate) async fn leave<S: Serialize>(&self, services: &Services, caller: &Caller, state: &S) {
        let (Some(request), Some(done)) = (&self.request, self.done) else { return };
        let left = async {
            let mut tx = services.db.begin(&caller.context).await?;
            idempotent_runs::hold(&mut tx, request, Some(done)).await?;
            idempotent_runs::note(&mut tx, request, &progress(done, state, true)?).await?;
            tx.commit().await
        };
        if let Err(error) = left.await {
            tracing::debug!(%error, "a run that stopped could not be noted as left");
        }
    }
}

fn progress<S: Serialize>(step: u32, state: &S, is_left: bool) -> Result<Progress> {
    Ok(Progress { step, is_left, state: serde_json::to_value(state).map_err(Error::internal)? })
}
