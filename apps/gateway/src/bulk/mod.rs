//! `POST /{noun}/bulk`: many changes in one call, told one by one or by a filter.
//!
//! Must stay true: each operation is understood, permitted and judged as if it had come alone; all changes of a call have one
//! operation id in the log.

mod answer;
pub(crate) mod by_filter;
mod operation;
pub(crate) mod progress;

use async_trait::async_trait;
use crm_kernel::{Context, Error, FieldError, ListQuery, Object, OperationId, Page, Result};
use crm_tenancy::{Tx, bulk, external_ids::ExternalId};
use paperclip::actix::Apiv2Schema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use answer::{BulkAnswer, BulkResult, Bulked, Left};

use crate::{
    answer::Record,
    body::{Bound, Input},
    caller::PartsCaller,
    once::{Once, RequestKey, once},
    policy::Access,
    problem::Answer,
    question,
    services::Services,
};

/// A noun that can be changed many at a time.
#[async_trait]
pub trait Noun: question::Noun {
    /// Its use cases.
    type Bulk: bulk::Noun<Record: Record, New: Input, Changes: Input>;

    /// Where its records are: `/api/v1/a-crm/contacts`.
    const COLLECTION: &'static str;

    /// A page of it.
    async fn list(services: &Services, context: &Context, query: &ListQuery) -> Result<Page<RecordOf<Self>>>;
}

/// A record of the noun.
pub type RecordOf<N> = <<N as Noun>::Bulk as bulk::Noun>::Record;
/// A new record of the noun.
pub type NewOf<N> = <<N as Noun>::Bulk as bulk::Noun>::New;
/// A change to a record of the noun.
pub type ChangesOf<N> = <<N as Noun>::Bulk as bulk::Noun>::Changes;

/// Many changes: either `operations`, or a `filter` with `set` or `delete`.
#[derive(Debug, Clone, Default, Deserialize, Apiv2Schema)]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    /// 1 to 1,000 of `{"op": "create", "data": {…}}`, `{"op": "update", "id": "…", "version": 3, "data": {…}}`, `{"op": "delete", "id": "…"}`,
    /// `{"op": "upsert", "key": "…", "data": {…}}`. A record is named by `id`, by `source` and `external_id`, or by `key`: a company's slug, a
    /// contact's e-mail address.
    #[serde(default)]
    pub operations: Option<Vec<Object>>,
    /// All of the operations or none; otherwise each for itself.
    #[serde(default)]
    pub atomic: Option<bool>,
    /// In the filter language: the records to change. For owner and admin.
    #[serde(default)]
    pub filter: Option<String>,
    /// What to change of them: a JSON Merge Patch.
    #[serde(default)]
    pub set: Option<Object>,
    /// Whether to move them to the bin.
    #[serde(default)]
    pub delete: Option<bool>,
    /// Whether only to say how many they are, and show some.
    #[serde(default)]
    pub dry_run: Option<bool>,
}

impl Input for BulkRequest {
    const BOUND: Bound = Bound::MANY_RECORDS;

    /// What the operations say is judged one by one.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Does what the request says.
///
/// # Errors
/// `Malformed` when it is neither operations nor a filter; `Invalid` when there are too many; that of the operation at fault when all
/// or none is wanted.
pub async fn run<N: Noun>(
    services: &Services,
    caller: PartsCaller,
    key: &RequestKey,
    request: BulkRequest,
) -> Answer<Once<Bulked<RecordOf<N>>>> {
    let PartsCaller(mut inner) = caller;
    inner.context.operation_id = Some(OperationId::generate());
    let caller = PartsCaller(inner);
    match request {
        BulkRequest { operations: Some(operations), filter: None, set: None, delete: None, dry_run: None, atomic } => {
            told::<N>(services, &caller, key, operations, atomic == Some(true)).await
        }
        BulkRequest { operations: None, atomic: None, filter: Some(filter), set, delete, dry_run } => {
            let what = by_filter::What::read::<N>(set, delete == Some(true))?;
            let wanted = if dry_run == Some(true) { by_filter::Wanted::Look } else { by_filter::Wanted::Run };
            by_filter::run::<N>(services, caller, key, &filter, &what, wanted).await
        }
        _ => {
            let message = "send either operations (with atomic), or filter with set or delete (with dry_run)";
            Err(Error::malformed("", "either_or", message).into())
        }
    }
}

async fn told<N: Noun>(
    services: &Services,
    caller: &PartsCaller,
    key: &RequestKey,
    operations: Vec<Object>,
    atomic: bool,
) -> Answer<Once<Bulked<RecordOf<N>>>> {
    if operations.is_empty() || operations.len() > bulk::MOST_OPERATIONS {
        let message = format!("1 to {} operations", bulk::MOST_OPERATIONS);
        return Err(Error::invalid("/operations", "length", message).into());
    }
    once::<N::Bulk, _>(key, services, &caller.0, async |tx| {
        let understood: Vec<_> = operations.into_iter().map(|operation| operation::read::<N>(operation.0)).collect();
        let results = if atomic {
            all::<N>(tx, services, caller, understood).await?
        } else {
            each::<N>(tx, services, caller, understood).await
        };
        // What is away for the moment must be possible to ask for again, and with a key nothing is done twice: so nothing is done now.
        if key.is_there() && results.iter().any(|result| result.as_ref().is_err_and(passes)) {
            let reasons = results.into_iter().filter_map(Result::err);
            return Err(reasons.into_iter().find(passes).unwrap_or_else(|| Error::internal("a reason was there")));
        }
        // A token that allows none of it does not allow the call.
        if caller.is_limited() && results.iter().all(|result| matches!(result, Err(Error::Forbidden(_)))) {
            return Err(Error::forbidden("this token may do none of these operations"));
        }
        answer::of::<N>(&caller.0.context, results)
    })
    .await
}

/// Whether the same operation may be done when it is asked for again.
fn passes(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::TooSlow(_) | Error::Internal(_) | Error::Limited { .. })
}

type Results<N> = Vec<Result<bulk::Done<RecordOf<N>>>>;

/// Each for itself. What could not be understood keeps its place, and the others run together.
async fn each<N: Noun>(
    tx: &mut Tx,
    services: &Services,
    caller: &PartsCaller,
    understood: Vec<Result<bulk::Operation<N::Bulk>>>,
) -> Results<N> {
    let mut misunderstood = Vec::with_capacity(understood.len());
    let mut operations = Vec::with_capacity(understood.len());
    for operation in understood {
        misunderstood.push(match operation {
            Ok(operation) => {
                operations.push(operation);
                None
            }
            Err(error) => Some(error),
        });
    }
    let permit = |action: bulk::Action, id: Option<Uuid>| permitted::<N>(services, caller, action, id);
    let mut done = bulk::each(tx, operations, &permit).await.into_iter();
    let place = |error: Option<Error>| match error {
        Some(error) => Err(error),
        None => done.next().unwrap_or_else(|| Err(Error::internal("an operation has no result"))).map_err(operation::in_data),
    };
    misunderstood.into_iter().map(place).collect()
}

/// All or none: the error says which operation is at fault.
async fn all<N: Noun>(
    tx: &mut Tx,
    services: &Services,
    caller: &PartsCaller,
    understood: Vec<Result<bulk::Operation<N::Bulk>>>,
) -> Result<Results<N>> {
    let mut operations = Vec::with_capacity(understood.len());
    for (index, operation) in understood.into_iter().enumerate() {
        operations.push(operation.map_err(|error| operation::at(index, error))?);
    }
    let permit = |action: bulk::Action, id: Option<Uuid>| permitted::<N>(services, caller, action, id);
    let done = bulk::all(tx, operations, &permit).await;
    let done = done.map_err(|failed| operation::at(failed.index, operation::in_data(failed.error)))?;
    Ok(done.into_iter().map(Ok).collect())
}

pub(crate) fn permitted<N: Noun>(
    services: &Services,
    caller: &PartsCaller,
    action: bulk::Action,
    id: Option<Uuid>,
) -> Result<()> {
    let entity = <N::Bulk as bulk::Noun>::ENTITY.name;
    caller.permits(services, entity, action.as_str(), Access::Write, id)
}

/// The same complaint about a part of a body that lies below this pointer.
pub(crate) fn below(pointer: &str, error: Error) -> Error {
    let moved = |fields: Vec<FieldError>| {
        let below = |field: FieldError| FieldError { pointer: format!("{pointer}{}", field.pointer), ..field };
        fields.into_iter().map(below).collect()
    };
    match error {
        Error::Malformed(fields) => Error::Malformed(moved(fields)),
        Error::Invalid(fields) => Error::Invalid(moved(fields)),
        Error::Conflict(fields) => Error::Conflict(moved(fields)),
        other => other,
    }
}

/// What another system calls a record, from an address or an operation.
///
/// # Errors
/// `Invalid` when it cannot be such a name.
pub(crate) fn external_id(source: String, external_id: String) -> Result<ExternalId> {
    let name = ExternalId { source, external_id };
    crm_kernel::validation::check(&name).map(|()| name)
}

/// JSON that is an object.
pub(crate) fn object<T: Serialize>(value: &T) -> Result<Map<String, Value>> {
    match serde_json::to_value(value).map_err(Error::internal)? {
        Value::Object(map) => Ok(map),
        _ => Err(Error::internal("a record must be an object")),
    }
}
