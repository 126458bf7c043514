//! Every SQL statement about a task that comes again: what came before it, what comes after. Private to this crate.
//!
//! Must stay true: each statement names the organisation; the task that comes next is as the one before is in the database, and not as somebody
//! has read it.

use crm_kernel::{Result, TaskId, Timestamp};
use crm_tenancy::{Expect, Tx};
use diesel::{
    ExpressionMethods, Insertable, IntoSql, NullableExpressionMethods, OptionalExtension, QueryDsl,
    sql_types::{Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;

use crate::{
    model::{Task, TaskStatus},
    recurrence::Next,
    schema::crm_tasks as tasks,
    store::TASK,
};

/// Whether this is a living task as it was made: pending, and never changed.
pub(crate) async fn is_untouched(tx: &mut Tx, id: TaskId) -> Result<bool> {
    let this = tasks::table.find((tx.organization_id(), id)).filter(tasks::deleted_at.is_null());
    let found: Option<(TaskStatus, i32)> =
        this.select((tasks::status, tasks::version)).first(tx).await.optional().expect_any(TASK)?;
    Ok(found == Some((TaskStatus::Pending, 1)))
}

/// When the task was due that this one came after.
pub(crate) async fn due_before(tx: &mut Tx, id: TaskId) -> Result<Option<Timestamp>> {
    let own = tasks::table.filter(tasks::organization_id.eq(tx.organization_id())).filter(tasks::next_id.eq(id));
    let due: Option<Option<Timestamp>> = own.select(tasks::due_date).first(tx).await.optional().expect_any(TASK)?;
    Ok(due.flatten())
}

/// Makes the task that comes after this one: as this one is, with what the rule says of the next.
pub(crate) async fn insert_next(tx: &mut Tx, before: &Task, id: TaskId, next: &Next) -> Result<()> {
    let later = next.remind_at(before);
    let this = tasks::table.find((tx.organization_id(), before.id)).select((
        id.into_sql::<SqlUuid>(),
        tasks::title,
        tasks::description,
        tasks::related_to_type,
        tasks::related_to_id,
        tasks::task_type,
        tasks::priority,
        next.due_date.into_sql::<Timestamptz>().nullable(),
        tasks::is_all_day,
        later.into_sql::<Nullable<Timestamptz>>(),
        next.recurrence.as_str().into_sql::<Text>().nullable(),
        tasks::assigned_to_id,
        tasks::tags,
        tasks::custom_fields,
    ));
    let made = this.insert_into(tasks::table).into_columns((
        tasks::id,
        tasks::title,
        tasks::description,
        tasks::related_to_type,
        tasks::related_to_id,
        tasks::task_type,
        tasks::priority,
        tasks::due_date,
        tasks::is_all_day,
        tasks::remind_at,
        tasks::recurrence,
        tasks::assigned_to_id,
        tasks::tags,
        tasks::custom_fields,
    ));
    let _: TaskId = made.returning(tasks::id).get_result(tx).await.expect_one(TASK)?;
    Ok(())
}
