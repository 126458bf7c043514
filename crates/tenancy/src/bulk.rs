//! Many changes of one noun in one transaction, each judged as if it had come alone.
//!
//! Must stay true: results have the order of the operations; one that is refused harms no other, because it then is an attempt of its own;
//! all of the work is the noun's own (its rules, its statements), only the order of it is here.

use async_trait::async_trait;
use crm_kernel::{Error, Expected, FieldError, Result};
use uuid::Uuid;

use crate::{
    Entity, Tx,
    custom_fields::{self, RecordKind},
    external_ids::{self, ExternalId},
};

/// Operations of one call at most.
pub const MOST_OPERATIONS: usize = 1_000;

/// Changes that are tried together at most: when one is refused, so many are done again.
const MOST_TOGETHER: usize = 100;

/// A noun that can be changed many at a time: its use cases within a transaction, under one name.
#[async_trait]
pub trait Noun: Send + Sync + 'static {
    /// A record.
    type Record: Send + Sync + 'static;
    /// A record to be created.
    type New: Clone + Send + Sync + 'static;
    /// A change to a record.
    type Changes: Send + Sync + 'static;

    /// Its names.
    const ENTITY: Entity;
    /// What its custom fields are defined for.
    const KIND: RecordKind;
    /// The field that names one living record, if there is one: `slug`.
    const NATURAL_KEY: Option<&'static str>;

    /// The id of a record.
    fn id(record: &Self::Record) -> Uuid;

    /// Gives a new record this id; returns the one that it had.
    fn give_id(new: &mut Self::New, id: Uuid) -> Option<Uuid>;

    /// The value of the natural key in a new record; only called when there is one.
    fn natural_key(_new: &mut Self::New) -> Option<&mut Option<String>> {
        None
    }

    /// Creates one.
    async fn create(tx: &mut Tx, new: Self::New) -> Result<Self::Record>;

    /// Creates all of them, in this order, with as few statements as possible; or none, and says why one could not be.
    async fn create_all(tx: &mut Tx, new: Vec<Self::New>) -> Result<Vec<Self::Record>>;

    /// Changes what is named.
    async fn update(tx: &mut Tx, id: Uuid, expected: &Expected, changes: &Self::Changes) -> Result<Self::Record>;

    /// Moves one to the bin.
    async fn delete(tx: &mut Tx, id: Uuid, expected: &Expected) -> Result<()>;

    /// Those of these that live, in no particular order.
    async fn living(tx: &mut Tx, ids: &[Uuid]) -> Result<Vec<Self::Record>>;

    /// The ids of the living records with this natural key.
    async fn with_natural_key(tx: &mut Tx, key: &str) -> Result<Vec<Uuid>>;
}

/// What names a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Its id.
    Id(Uuid),
    /// What another system calls it.
    External(ExternalId),
    /// The value of its natural key.
    Natural(String),
}

/// One change.
#[derive(Debug)]
pub enum Operation<N: Noun> {
    /// Makes a record.
    Create(Box<N::New>),
    /// Changes one.
    Update(Key, Expected, Box<N::Changes>),
    /// Moves one to the bin.
    Delete(Key, Expected),
    /// Changes the record with this key, or makes one with it.
    Upsert(Key, Expected, Box<N::New>, Box<N::Changes>),
}

impl<N: Noun> Operation<N> {
    fn is_creation(&self) -> bool {
        matches!(self, Self::Create(_))
    }

    /// The record that it names by its id.
    fn named(&self) -> Option<Uuid> {
        match self {
            Self::Update(Key::Id(id), ..) | Self::Delete(Key::Id(id), _) | Self::Upsert(Key::Id(id), ..) => Some(*id),
            _ => None,
        }
    }
}

/// What one operation has done.
#[derive(Debug, Clone, PartialEq)]
pub enum Done<R> {
    /// There is a new record.
    Created(R),
    /// The record is like this now.
    Updated(R),
    /// The record is in the bin.
    Deleted,
}

/// What is done to a record, for whoever permits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is moved to the bin.
    Delete,
}

impl Action {
    /// `create`
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Says whether something may be done to the record with this id, beyond what the database says: a narrowed token may forbid it.
/// `Forbidden` is how it refuses.
pub type Permit<'a> = &'a (dyn Fn(Action, Option<Uuid>) -> Result<()> + Send + Sync);

/// For callers who are bound by nothing but their role.
///
/// # Errors
/// Never.
pub fn everything(_: Action, _: Option<Uuid>) -> Result<()> {
    Ok(())
}

/// Which operation of a call that is all or nothing failed, and why.
#[derive(Debug)]
pub struct Failed {
    /// Its place, from 0.
    pub index: usize,
    /// Why.
    pub error: Error,
}

/// What follows when an operation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    GoOn,
    Stop,
}

/// Does all of it, each operation as an attempt of its own. The caller commits.
pub async fn each<N: Noun>(tx: &mut Tx, operations: Vec<Operation<N>>, permit: Permit<'_>) -> Vec<Result<Done<N::Record>>> {
    run(tx, operations, permit, Refused::GoOn).await
}

/// Does all of it in order and stops at the first that is refused: the transaction is to be dropped then.
///
/// # Errors
/// The first refusal.
pub async fn all<N: Noun>(
    tx: &mut Tx,
    operations: Vec<Operation<N>>,
    permit: Permit<'_>,
) -> Result<Vec<Done<N::Record>>, Failed> {
    let results = run(tx, operations, permit, Refused::Stop).await.into_iter().enumerate();
    results.map(|(index, result)| result.map_err(|error| Failed { index, error })).collect()
}

async fn run<N: Noun>(
    tx: &mut Tx,
    operations: Vec<Operation<N>>,
    permit: Permit<'_>,
    refused: Refused,
) -> Vec<Result<Done<N::Record>>> {
    let mut results: Vec<Result<_>> = Vec::with_capacity(operations.len());
    // Before the first attempt: what an attempt has locked is given back when it is undone, and definitions must stay as they are.
    if let Err(error) = custom_fields::hold(tx, N::KIND).await {
        results.push(Err(error));
        let others = operations.iter().skip(1).map(|_| Err(Error::unavailable("the definitions of custom fields were not read")));
        results.extend(others);
        return results;
    }
    for alike in operations.chunk_by(|one, next| one.is_creation() == next.is_creation()) {
        let most = if alike.iter().any(Operation::is_creation) { alike.len() } else { MOST_TOGETHER };
        for together in alike.chunks(most) {
            results.extend(several(tx, together, permit).await);
            if refused == Refused::Stop && results.iter().any(Result::is_err) {
                return results;
            }
        }
    }
    results
}

/// One attempt for all of these, and only when that fails one for each: a savepoint takes two round trips, and a transaction with many
/// of them slows others down.
async fn several<N: Noun>(tx: &mut Tx, operations: &[Operation<N>], permit: Permit<'_>) -> Vec<Result<Done<N::Record>>> {
    if operations.len() > 1
        && let Ok(done) = tx.attempt(async |tx| together(tx, operations, permit).await).await
    {
        return done.into_iter().map(Ok).collect();
    }
    let mut results = Vec::with_capacity(operations.len());
    for operation in operations {
        // Whoever holds one record holds others too, perhaps waiting for these: waiting for each in turn would take minutes.
        if results.last().is_some_and(|last| matches!(last, Err(Error::Unavailable(_)))) {
            results.push(Err(Error::unavailable("an operation before this one could not be done in time")));
            continue;
        }
        results.push(tx.attempt(async |tx| one(tx, operation, permit).await).await);
    }
    results
}

/// All of these or none; creations with as few statements as possible.
async fn together<N: Noun>(tx: &mut Tx, operations: &[Operation<N>], permit: Permit<'_>) -> Result<Vec<Done<N::Record>>> {
    let creations = operations.iter().filter_map(|operation| match operation {
        Operation::Create(new) => Some(N::New::clone(new)),
        _ => None,
    });
    let creations: Vec<N::New> = creations.collect();
    if creations.len() == operations.len() {
        permit(Action::Create, None)?;
        return Ok(N::create_all(tx, creations).await?.into_iter().map(Done::Created).collect());
    }
    // In the order of the records, so that two calls over the same ones wait for each other once and not in a circle. What is named in
    // another way comes first, and of one record everything comes in the order of the call.
    let mut order: Vec<(usize, &Operation<N>)> = operations.iter().enumerate().collect();
    order.sort_by_key(|(_, operation)| operation.named());
    let mut done = Vec::with_capacity(operations.len());
    for (place, operation) in order {
        done.push((place, one(tx, operation, permit).await?));
    }
    done.sort_by_key(|(place, _)| *place);
    Ok(done.into_iter().map(|(_, done)| done).collect())
}

async fn one<N: Noun>(tx: &mut Tx, operation: &Operation<N>, permit: Permit<'_>) -> Result<Done<N::Record>> {
    match operation {
        Operation::Create(new) => {
            permit(Action::Create, None)?;
            N::create(tx, N::New::clone(new)).await.map(Done::Created)
        }
        Operation::Update(key, expected, changes) => {
            let id = found::<N>(tx, key).await?.ok_or(Error::NotFound(N::ENTITY.name))?;
            permitted::<N>(tx, permit, Action::Update, id).await?;
            N::update(tx, id, expected, changes).await.map(Done::Updated)
        }
        Operation::Delete(key, expected) => {
            let id = found::<N>(tx, key).await?.ok_or(Error::NotFound(N::ENTITY.name))?;
            permitted::<N>(tx, permit, Action::Delete, id).await?;
            N::delete(tx, id, expected).await.map(|()| Done::Deleted)
        }
        Operation::Upsert(key, expected, new, changes) => {
            upsert::<N>(tx, key.clone(), expected, N::New::clone(new), changes, permit).await
        }
    }
}

/// Changes the record with this key, or makes one with it. Somebody who makes it at the same moment is noticed by the database; then
/// it is there, and is changed.
///
/// # Errors
/// Those of creating and of changing; `Conflict` when the key names more than one record or one in the bin; `Stale` when one that
/// is there is expected and there is no record.
pub async fn upsert<N: Noun>(
    tx: &mut Tx,
    key: Key,
    expected: &Expected,
    mut new: N::New,
    changes: &N::Changes,
    permit: Permit<'_>,
) -> Result<Done<N::Record>> {
    keyed::<N>(&mut new, &key)?;
    let mut somebody_was_faster = false;
    loop {
        if let Some(id) = found::<N>(tx, &key).await? {
            match N::living(tx, &[id]).await?.is_empty() {
                false => {
                    permitted::<N>(tx, permit, Action::Update, id).await?;
                    return N::update(tx, id, expected, changes).await.map(Done::Updated);
                }
                true if matches!(key, Key::External(_)) => return Err(in_the_bin()),
                true => {}
            }
        }
        permit(Action::Create, None)?;
        if !expected.allows_creation() {
            return Err(Error::Stale(N::ENTITY.name));
        }
        let (fresh, name) = (new.clone(), &key);
        let created = tx.attempt(async |tx| {
            let record = N::create(tx, fresh).await?;
            if let Key::External(name) = name {
                external_ids::attach(tx, N::ENTITY.name, N::id(&record), name).await?;
            }
            Ok(record)
        });
        match created.await {
            Err(Error::Conflict(_)) if !somebody_was_faster => somebody_was_faster = true,
            created => return created.map(Done::Created),
        }
    }
}

/// The record with this key, if there is one; an id is taken as it is, because whoever uses it looks anyway.
async fn found<N: Noun>(tx: &mut Tx, key: &Key) -> Result<Option<Uuid>> {
    match key {
        Key::Id(id) => Ok(Some(*id)),
        Key::External(name) => external_ids::find(tx, N::ENTITY.name, name).await,
        Key::Natural(key) => match N::with_natural_key(tx, key).await?.as_slice() {
            [] => Ok(None),
            [id] => Ok(Some(*id)),
            _ => Err(Error::Conflict(vec![FieldError::new("/key", "ambiguous", "more than one record has this key")])),
        },
    }
}

/// 404 comes before 403, here as for a single call.
async fn permitted<N: Noun>(tx: &mut Tx, permit: Permit<'_>, action: Action, id: Uuid) -> Result<()> {
    let Err(refusal) = permit(action, Some(id)) else { return Ok(()) };
    if N::living(tx, &[id]).await?.is_empty() { Err(Error::NotFound(N::ENTITY.name)) } else { Err(refusal) }
}

/// The key is part of a record that is made with it; values that say otherwise are refused.
fn keyed<N: Noun>(new: &mut N::New, key: &Key) -> Result<()> {
    let other = |field: &str| Error::invalid(format!("/{field}"), "key", "must be as the key says, or absent");
    match key {
        Key::External(_) => Ok(()),
        Key::Id(id) => match N::give_id(new, *id) {
            Some(said) if said != *id => Err(other("id")),
            _ => Ok(()),
        },
        Key::Natural(key) => {
            let (Some(value), Some(field)) = (N::natural_key(new), N::NATURAL_KEY) else {
                return Err(Error::malformed(
                    "/key",
                    "unknown",
                    "these records have no key of their own: use id, or source and external_id",
                ));
            };
            match value.get_or_insert_with(|| key.clone()) {
                said if said.to_lowercase() == key.to_lowercase() => Ok(()),
                _ => Err(other(field)),
            }
        }
    }
}

fn in_the_bin() -> Error {
    let message = "the record with this external id lies in the bin: restore it, or take the external id from it";
    Error::Conflict(vec![FieldError::new("/external_id", "record_deleted", message)])
}
