//! What a bulk call answers.

use std::{collections::HashSet, marker::PhantomData};

use actix_web::http::StatusCode;
use crm_kernel::{Context, Error, Object, OperationId, Result, Total};
use crm_tenancy::bulk::Done;
use paperclip::{
    actix::{Apiv2Schema, OperationModifier},
    v2::{models::DefaultOperationRaw, schema::Apiv2Schema},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Noun, RecordOf, object};
use crate::{
    answer::{Definitions, Record, answers, define, json, reference},
    once::{Kept, Repeatable},
    problem,
};

/// What became of a bulk call. One by operations has `succeeded`, `failed` and `results`; one by a filter has `matched` and, unless it was
/// a dry run, `changed`, `unchanged`, `left` and `reasons`; a dry run has `sample`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Apiv2Schema)]
pub struct BulkAnswer {
    /// What all activities of this call carry in the log.
    pub operation_id: Option<OperationId>,
    /// How many operations were done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<usize>,
    /// How many were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<usize>,
    /// What became of each, in the order of the operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<BulkResult>>,
    /// How many records match the filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<Total>,
    /// Some of them, as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Vec<Object>>,
    /// How many were changed, or moved to the bin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<usize>,
    /// How many were as wanted already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<usize>,
    /// How many were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<usize>,
    /// Why, by reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasons: Option<Vec<Left>>,
}

/// What became of one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Apiv2Schema)]
pub struct BulkResult {
    /// As if the operation had come alone: 200, 201, 204, or why not.
    pub status: u16,
    /// The record as it is now; not of one that was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Object>,
    /// Why it was not done: a problem as of RFC 9457, with pointers into the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Object>,
}

/// Records that were left as they were, for one reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Apiv2Schema)]
pub struct Left {
    /// The code of the problem.
    pub code: String,
    /// What it says of the first one.
    pub detail: String,
    /// How many.
    pub count: usize,
    /// The first ten of them.
    pub ids: Vec<Uuid>,
}

/// The answer to a bulk call about records of `T`: 200 when all of it was done, 207 when a part was not.
#[derive(Debug)]
pub struct Bulked<T> {
    status: StatusCode,
    body: Vec<u8>,
    has_changed: bool,
    kind: PhantomData<T>,
}

impl<T> Bulked<T> {
    /// This answer.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON.
    pub fn new(status: StatusCode, answer: &BulkAnswer) -> Result<Self> {
        let has_changed = answer.succeeded.is_none_or(|succeeded| succeeded > 0);
        Ok(Self { status, body: json(answer)?, has_changed, kind: PhantomData })
    }
}

/// The answer to these results, and the records that it shows.
pub(super) fn of<N: Noun>(
    context: &Context,
    results: Vec<Result<Done<RecordOf<N>>>>,
) -> Result<(Bulked<RecordOf<N>>, Vec<Uuid>)> {
    let mut shown = Vec::new();
    let mut told = Vec::with_capacity(results.len());
    let failed = results.iter().filter(|result| result.is_err()).count();
    let succeeded = results.len() - failed;
    for result in results {
        told.push(match result {
            Ok(Done::Created(record)) => with_record(StatusCode::CREATED, &record, &mut shown)?,
            Ok(Done::Updated(record)) => with_record(StatusCode::OK, &record, &mut shown)?,
            Ok(Done::Deleted) => BulkResult { status: StatusCode::NO_CONTENT.as_u16(), record: None, problem: None },
            Err(error) => {
                let (status, problem) = problem::of_part(&error);
                BulkResult { status: status.as_u16(), record: None, problem: Some(Object(problem)) }
            }
        });
    }
    let status = if failed == 0 { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    let (succeeded, failed, results) = (Some(succeeded), Some(failed), Some(told));
    let answer = BulkAnswer { operation_id: context.operation_id, succeeded, failed, results, ..BulkAnswer::default() };
    Ok((Bulked::new(status, &answer)?, shown))
}

fn with_record<R: Record>(status: StatusCode, record: &R, shown: &mut Vec<Uuid>) -> Result<BulkResult> {
    shown.push(record.id());
    Ok(BulkResult { status: status.as_u16(), record: Some(Object(object(record)?)), problem: None })
}

impl<T> Repeatable for Bulked<T> {
    fn kept(self) -> Result<Kept> {
        Ok(Kept { status: self.status, etag: None, location: None, body: self.body })
    }

    fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// What became of the operations can be said again; records that are gone are not shown again.
    fn again(body: Vec<u8>, gone: &HashSet<Uuid>, _: &'static str) -> Result<Vec<u8>> {
        if gone.is_empty() {
            return Ok(body);
        }
        let mut answer: Value = serde_json::from_slice(&body).map_err(Error::internal)?;
        let results = answer.get_mut("results").and_then(Value::as_array_mut).into_iter().flatten();
        for result in results.filter_map(Value::as_object_mut) {
            let id: Option<Uuid> = result.get("record").and_then(|record| record["id"].as_str()?.parse().ok());
            if id.is_some_and(|id| gone.contains(&id)) {
                result.shift_remove("record");
            }
        }
        json(&answer)
    }
}

impl<T> Apiv2Schema for Bulked<T> {}

impl<T> OperationModifier for Bulked<T> {
    fn update_response(operation: &mut DefaultOperationRaw) {
        answers(operation, "200", "All of it was done", &[], Some(reference::<BulkAnswer>()));
        answers(operation, "207", "A part was not done: see the results", &[], Some(reference::<BulkAnswer>()));
    }
    fn update_definitions(map: &mut Definitions) {
        define::<BulkAnswer>(map);
    }
}
