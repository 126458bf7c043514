//! The use cases that write, within a transaction that the caller has begun and commits: for programs that make several changes at
//! once or not at all.
//!
//! Must stay true: after an error the transaction can only be dropped, unless the call was inside [`Tx::attempt`]; a task that comes again
//! is followed by one task, however often it is completed.

use crm_kernel::{Error, Expected, FieldError, Result, Role, TaskId, Timestamp};
use crm_tenancy::{
    Tx,
    custom_fields::{RecordKind, judged_change, judged_new},
};

use crate::{
    model::{NewTask, Task, TaskChanges, TaskStatus},
    recurrence::{self, Due, Next},
    rules, series_store,
    store::{self, Held},
};

/// The version of a task that nobody has changed.
const FIRST_VERSION: i32 = 1;

/// See [`Tasks::create`](crate::Tasks::create).
///
/// # Errors
/// As there.
pub async fn create(tx: &mut Tx, new: NewTask) -> Result<Task> {
    tx.require(Role::may_write, "create tasks")?;
    let new = judged(tx, new).await?;
    store::insert(tx, &new).await
}

/// Creates all of them with one statement, in this order, or none.
///
/// # Errors
/// As [`create`], without saying which of them is at fault.
pub async fn create_all(tx: &mut Tx, all: Vec<NewTask>) -> Result<Vec<Task>> {
    tx.require(Role::may_write, "create tasks")?;
    let mut every = Vec::with_capacity(all.len());
    for new in all {
        let mut new = judged(tx, new).await?;
        new.id.get_or_insert_with(TaskId::generate);
        every.push(new);
    }
    store::insert_all(tx, &every).await
}

/// With its custom fields as they are kept, if nothing is wrong with it.
async fn judged(tx: &mut Tx, mut new: NewTask) -> Result<NewTask> {
    let (custom_fields, faults): (_, Vec<FieldError>) = judged_new(tx, RecordKind::Task, new.custom_fields.take()).await?;
    new.custom_fields = custom_fields;
    rules::judge_new(&new, faults).await?;
    Ok(new)
}

/// See [`Tasks::replace`](crate::Tasks::replace).
///
/// # Errors
/// As there.
pub async fn replace(tx: &mut Tx, id: TaskId, expected: &Expected, new: NewTask) -> Result<Task> {
    update(tx, id, expected, &TaskChanges::from(new)).await
}

/// See [`Tasks::update`](crate::Tasks::update).
///
/// # Errors
/// As there.
pub async fn update(tx: &mut Tx, id: TaskId, expected: &Expected, changes: &TaskChanges) -> Result<Task> {
    // Definitions are held before the task is: whoever changes them takes both in this order.
    let (custom_fields, faults) = judged_change(tx, RecordKind::Task, id.uuid(), &changes.custom_fields).await?;
    let held = store::hold(tx, id, expected).await?;
    let changes = TaskChanges { custom_fields, ..changes.clone() };
    rules::judge_change(&held, &changes, faults).await?;
    let Some(next) = coming(tx, id, &held, &changes).await? else { return opened_or_changed(tx, id, &held, &changes).await };
    match tx.attempt(async |tx| followed(tx, id, &changes, &next).await).await {
        // The work is done also when nothing can follow: the record is in the bin, the person has left, a value may be there once only.
        // What is wrong with the change itself is said again.
        Err(Error::Invalid(_) | Error::Conflict(_)) => store::update(tx, id, &changes, None).await,
        made => made,
    }
}

/// See [`Tasks::complete`](crate::Tasks::complete).
///
/// # Errors
/// As there.
pub async fn complete(tx: &mut Tx, id: TaskId, expected: &Expected) -> Result<Task> {
    update(tx, id, expected, &TaskChanges { status: Some(TaskStatus::Completed), ..TaskChanges::default() }).await
}

/// See [`Tasks::reopen`](crate::Tasks::reopen).
///
/// # Errors
/// As there.
pub async fn reopen(tx: &mut Tx, id: TaskId, expected: &Expected) -> Result<Task> {
    let held = store::hold(tx, id, expected).await?;
    let is_open = matches!(held.status, TaskStatus::Pending | TaskStatus::InProgress);
    if is_open {
        return store::update(tx, id, &TaskChanges { status: Some(held.status), ..TaskChanges::default() }, None).await;
    }
    let opened = TaskChanges { status: Some(TaskStatus::Pending), ..TaskChanges::default() };
    opened_or_changed(tx, id, &held, &opened).await
}

/// Makes a change that completes nothing. Where it opens what was completed, the task that came after goes to the bin, if nobody has
/// touched it and the caller may: else there were two open ones. What is completed again is followed by a new one.
async fn opened_or_changed(tx: &mut Tx, id: TaskId, held: &Held, changes: &TaskChanges) -> Result<Task> {
    let is_opened = matches!(changes.status, Some(TaskStatus::Pending | TaskStatus::InProgress));
    let next = held.next_id.filter(|_| is_opened && held.status == TaskStatus::Completed);
    let Some(next) = next else { return store::update(tx, id, changes, None).await };
    if !series_store::is_untouched(tx, next).await? {
        return store::update(tx, id, changes, None).await;
    }
    let untouched = Expected::OneOf(vec![FIRST_VERSION]);
    match tx.attempt(async |tx| store::delete(tx, next, &untouched).await).await {
        Ok(()) => store::update(tx, id, changes, Some(None)).await,
        Err(Error::Forbidden(_) | Error::Stale(_) | Error::NotFound(_)) => store::update(tx, id, changes, None).await,
        Err(other) => Err(other),
    }
}

/// When the task comes next, if this change completes it for the first time and it comes again.
async fn coming(tx: &mut Tx, id: TaskId, held: &Held, changes: &TaskChanges) -> Result<Option<Next>> {
    let is_done_now = held.status != TaskStatus::Completed && changes.status == Some(TaskStatus::Completed);
    let rule = changes.recurrence.as_ref().unwrap_or(&held.recurrence);
    let (Some(rule), Some(due)) = (rule, changes.due_date.unwrap_or(held.due_date)) else { return Ok(None) };
    if !is_done_now || held.next_id.is_some() {
        return Ok(None);
    }
    let person = changes.assigned_to_id.unwrap_or(held.assigned_to_id).unwrap_or(tx.user_id());
    // A person who is not there is the change's fault, and is refused with it.
    let Some(zone) = store::time_zone(tx, person).await? else { return Ok(None) };
    let is_all_day = changes.is_all_day.unwrap_or(held.is_all_day);
    let begins = match series_store::due_before(tx, id).await? {
        _ if is_all_day => Due::Day(due),
        Some(before) => Due::Following(due, before),
        None => Due::Moment(due),
    };
    recurrence::after(rule, begins, Timestamp::now(), &zone).await
}

/// Completes a task, and makes the one that comes after it. One change to each.
async fn followed(tx: &mut Tx, id: TaskId, changes: &TaskChanges, next: &Next) -> Result<Task> {
    let next_id = TaskId::generate();
    let done = store::update(tx, id, changes, Some(Some(next_id))).await?;
    series_store::insert_next(tx, &done, next_id, next).await?;
    Ok(done)
}

/// See [`Tasks::delete`](crate::Tasks::delete).
///
/// # Errors
/// As there.
pub async fn delete(tx: &mut Tx, id: TaskId, expected: &Expected) -> Result<()> {
    store::delete(tx, id, expected).await
}

/// See [`Tasks::restore`](crate::Tasks::restore).
///
/// # Errors
/// As there.
pub async fn restore(tx: &mut Tx, id: TaskId) -> Result<Task> {
    store::restore(tx, id).await
}
