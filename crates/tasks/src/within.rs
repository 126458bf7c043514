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
    recurrence::{self, Due},
    rules, store,
};

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
    rules::judge_new(&new, faults)?;
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
    let (custom_fields, faults) = judged_change(tx, RecordKind::Task, &changes.custom_fields).await?;
    let held = store::hold(tx, id, expected).await?;
    let changes = TaskChanges { custom_fields, ..changes.clone() };
    rules::judge_change(&held, &changes, faults)?;
    let task = store::update(tx, id, &changes).await?;
    let is_done_now = held.status != TaskStatus::Completed && task.status == TaskStatus::Completed;
    if is_done_now && task.next_id.is_none() { followed(tx, task).await } else { Ok(task) }
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
    let status = if is_open { held.status } else { TaskStatus::Pending };
    store::update(tx, id, &TaskChanges { status: Some(status), ..TaskChanges::default() }).await
}

/// Makes the task that comes after one that was just completed, if one does. It does not come when its record lies in the bin or its
/// person has left: the work is done all the same.
async fn followed(tx: &mut Tx, task: Task) -> Result<Task> {
    let (Some(rule), Some(due)) = (&task.recurrence, task.due_date) else { return Ok(task) };
    let zone = store::time_zone(tx, task.assigned_to_id.unwrap_or(tx.user_id())).await?;
    let begins = if task.is_all_day { Due::Day(due) } else { Due::Moment(due) };
    let Some(next) = recurrence::after(rule, begins, Timestamp::now(), &zone) else { return Ok(task) };
    let later = next.due_date.0 - due.0;
    let new = NewTask {
        id: Some(TaskId::generate()),
        title: task.title.clone(),
        description: task.description.clone(),
        related_to_type: task.related_to_type,
        related_to_id: task.related_to_id,
        task_type: Some(task.task_type),
        status: Some(TaskStatus::Pending),
        priority: Some(task.priority),
        due_date: Some(next.due_date),
        is_all_day: Some(task.is_all_day),
        remind_at: task.remind_at.and_then(|remind| remind.0.checked_add(later)).map(Timestamp),
        recurrence: Some(next.recurrence),
        assigned_to_id: task.assigned_to_id,
        tags: Some(task.tags.clone()),
        custom_fields: Some(task.custom_fields.clone()),
    };
    match tx.attempt(async |tx| store::insert_next(tx, task.id, &new).await).await {
        Err(Error::Invalid(_)) => Ok(task),
        made => made,
    }
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
