//! Every SQL statement about tasks. Private to this crate.
//!
//! Must stay true: each statement names the organisation, although the database confines it anyway, so that the planner
//! knows its tenant; reads that filter go through q_tasks, where every operator may use its index; what is judged before
//! it is changed is held (locked) first, so that what was judged is what is changed.

use std::collections::HashMap;

use crm_kernel::{
    Deleted, Error, Expected, ListQuery, Position, Result, TaskId, Timestamp, UserId,
    page::{COUNT_BOUND, CUSTOM_SORT},
};
use crm_tenancy::{
    Counted, Entity, Expect, Limited, Matching, Standing, Tx, cost,
    custom_fields::{in_rank, ranked},
    patched, seek,
    seek::{NoTime, Phase},
    seek_id, seek_nullable,
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, NullableExpressionMethods, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper, dsl::now, sql_types::Bool,
};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    fields::{FIELDS, VIEW},
    model::{NewTask, RelatedType, Task, TaskChanges, TaskStatus},
    my_tasks::{Borders, Part},
    schema::{crm_tasks as tasks, q_members, q_tasks},
};

pub(crate) const TASK: Entity = Entity { name: "task", table: "crm_tasks" };
const MEMBER: Entity = Entity { name: "member", table: "memberships" };

type Rows<'a> = q_tasks::BoxedQuery<'a, diesel::pg::Pg>;

/// What decides about a change of a task, locked until the transaction ends.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = tasks, check_for_backend(diesel::pg::Pg))]
pub(crate) struct Held {
    pub(crate) status: TaskStatus,
    pub(crate) related_to_type: Option<RelatedType>,
    pub(crate) related_to_id: Option<Uuid>,
    pub(crate) due_date: Option<Timestamp>,
    pub(crate) is_all_day: bool,
    pub(crate) recurrence: Option<String>,
    pub(crate) next_id: Option<TaskId>,
    pub(crate) assigned_to_id: Option<UserId>,
    version: i32,
}

pub(crate) async fn get(tx: &mut Tx, id: TaskId) -> Result<Task> {
    let living = everything(tx).filter(q_tasks::id.eq(id)).filter(q_tasks::deleted_at.is_null());
    living.select(Task::as_select()).first(tx).await.expect_one(TASK)
}

pub(crate) async fn get_with_deleted(tx: &mut Tx, id: TaskId) -> Result<Task> {
    everything(tx).filter(q_tasks::id.eq(id)).select(Task::as_select()).first(tx).await.expect_one(TASK)
}

pub(crate) async fn get_many(tx: &mut Tx, ids: &[TaskId]) -> Result<Vec<Task>> {
    everything(tx).filter(q_tasks::id.eq_any(ids)).select(Task::as_select()).load(tx).await.expect_any(TASK)
}

/// Up to one record more than the page holds, each with the name it may be sorted by.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<(Task, String)>> {
    let wanted = usize::from(query.limit) + 1;
    if query.custom_sort.is_some() {
        let ranks = ranked(tx, VIEW, FIELDS, query, wanted).await?;
        let ids: Vec<TaskId> = ranks.iter().map(|rank| TaskId(rank.id)).collect();
        return Ok(in_rank(ranks, get_many(tx, &ids).await?, |task| task.id.uuid()));
    }
    let mut found = Vec::new();
    for phase in Phase::of(query) {
        let missing = wanted - found.len();
        if missing > 0 {
            found.extend(part(tx, query, *phase, missing).await?);
        }
    }
    Ok(found)
}

async fn part(tx: &mut Tx, query: &ListQuery, phase: Phase, wanted: usize) -> Result<Vec<(Task, String)>> {
    let ids = |tx: &Tx, query: &ListQuery| Ok(Limited::new(ordered(tx, query, phase)?.select(q_tasks::id), wanted));
    cost::settle(tx, FIELDS, query, ids).await?;
    let rows = ordered(tx, query, phase)?;
    Limited::new(rows.select((Task::as_select(), q_tasks::title_key)), wanted).load(tx).await.expect_any(TASK)
}

/// The rows of one phase, in the order that was asked for.
fn ordered<'a>(tx: &Tx, query: &ListQuery, phase: Phase) -> Result<Rows<'a>> {
    let rows = narrowed(tx, query);
    let in_bin = query.deleted == Deleted::Only;
    let rows = match query.sort.field.name {
        "title" => seek!(rows, query, q_tasks::title_key, q_tasks::id, String),
        "due_date" => seek_nullable!(rows, query, phase, q_tasks::due_key, NoTime, q_tasks::id, Timestamp),
        "updated_at" => {
            seek!(rows.filter(q_tasks::in_bin.eq(in_bin)), query, q_tasks::updated_at_key, q_tasks::id, Timestamp)
        }
        "last_activity_at" => {
            seek!(rows.filter(q_tasks::in_bin.eq(in_bin)), query, q_tasks::last_activity_key, q_tasks::id, Timestamp)
        }
        _ => seek_id!(rows, query, q_tasks::id),
    };
    Ok(rows)
}

/// Where a record stands in the order of `field`; the key is the database's own, so that both sides compare alike.
pub(crate) fn position((task, title_key): &(Task, String), field: &str) -> Position {
    let key = match field {
        "title" => json!(title_key),
        "due_date" => json!(task.due_date),
        CUSTOM_SORT => serde_json::from_str(title_key).unwrap_or_default(),
        "updated_at" => json!(task.updated_at),
        "last_activity_at" => json!(task.last_activity_at),
        _ => Value::Null,
    };
    Position::new(key, task.id)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, query).select(q_tasks::id).limit(COUNT_BOUND + 1);
    cost::settle(tx, FIELDS, query, |tx, _| Ok(Counted(rows(tx)))).await?;
    Counted(rows(tx)).get_result(tx).await.expect_any(TASK)
}

/// The open tasks of the caller that are in one part of their day, so many at most, in the order in which they are due.
pub(crate) async fn mine(tx: &mut Tx, part: Part, borders: &Borders, most: i64) -> Result<Vec<Task>> {
    let Borders { now: moment, ends, day, next_day } = *borders;
    let key = q_tasks::open_due_key.assume_not_null();
    let timed = q_tasks::is_all_day.eq(false);
    let of_day = q_tasks::is_all_day.eq(true);
    let own = everything(tx).filter(q_tasks::deleted_at.is_null()).filter(q_tasks::assigned_to_id.eq(tx.user_id()));
    // The first comparisons are borders of the walk through the index; what lies between a moment and a day is looked at twice.
    let rows = match part {
        Part::Overdue => own.filter(key.lt(moment.max(day))).filter(timed.and(key.lt(moment)).or(of_day.and(key.lt(day)))),
        Part::Today => own
            .filter(key.ge(moment.min(day)).and(key.lt(ends.max(next_day))))
            .filter(timed.and(key.ge(moment)).and(key.lt(ends)).or(of_day.and(key.ge(day)).and(key.lt(next_day)))),
        Part::Upcoming => own
            .filter(key.ge(ends.min(next_day)).and(key.lt(NoTime)))
            .filter(timed.and(key.ge(ends)).or(of_day.and(key.ge(next_day)))),
        Part::Undated => own.filter(key.eq(NoTime)),
    };
    rows.order((key.asc(), q_tasks::id.asc())).limit(most).select(Task::as_select()).load(tx).await.expect_any(TASK)
}

/// The time zone of a member, if there is such a member.
pub(crate) async fn time_zone(tx: &mut Tx, user: UserId) -> Result<Option<String>> {
    let own = q_members::table.filter(q_members::organization_id.eq(tx.organization_id())).filter(q_members::user_id.eq(user));
    own.select(q_members::time_zone).first(tx).await.optional().expect_any(MEMBER)
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewTask) -> Result<Task> {
    let id = diesel::insert_into(tasks::table).values(new).returning(tasks::id).get_result(tx).await.expect_one(TASK)?;
    get(tx, id).await
}

/// All of them with one statement, in this order. Each says its id.
pub(crate) async fn insert_all(tx: &mut Tx, new: &[NewTask]) -> Result<Vec<Task>> {
    let made: Vec<TaskId> =
        diesel::insert_into(tasks::table).values(new).returning(tasks::id).get_results(tx).await.expect_any(TASK)?;
    let mut found: HashMap<TaskId, Task> = get_many(tx, &made).await?.into_iter().map(|task| (task.id, task)).collect();
    let in_order: Option<Vec<Task>> = new.iter().map(|new| found.remove(&new.id?)).collect();
    in_order.ok_or_else(|| Error::internal("a record that was made is not there"))
}

/// Locks a living task that the caller may change and whose version is expected; otherwise says why not.
pub(crate) async fn hold(tx: &mut Tx, id: TaskId, expected: &Expected) -> Result<Held> {
    let this = tasks::table.find((tx.organization_id(), id)).filter(tasks::deleted_at.is_null());
    let held: Option<Held> = this.select(Held::as_select()).for_no_key_update().first(tx).await.optional().expect_any(TASK)?;
    match held {
        Some(held) if expected.accepts(held.version) => Ok(held),
        _ => Err(why_not(tx, id, expected).await?),
    }
}

/// Changes a task that is held; with `next` it also names the task that comes after it, or none.
pub(crate) async fn update(tx: &mut Tx, id: TaskId, changes: &TaskChanges, next: Option<Option<TaskId>>) -> Result<Task> {
    let custom_fields = patched!(tasks::custom_fields.nullable(), changes.custom_fields).assume_not_null();
    let changed: TaskId = diesel::update(tasks::table.find((tx.organization_id(), id)))
        .set((changes, tasks::custom_fields.eq(custom_fields), next.map(|next| tasks::next_id.eq(next))))
        .returning(tasks::id)
        .get_result(tx)
        .await
        .expect_one(TASK)?;
    get(tx, changed).await
}

pub(crate) async fn delete(tx: &mut Tx, id: TaskId, expected: &Expected) -> Result<()> {
    let this = tasks::table.find((tx.organization_id(), id)).filter(tasks::deleted_at.is_null());
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(tasks::version.eq_any(expected.versions())));
    let gone: Option<TaskId> = diesel::update(this)
        .set(tasks::deleted_at.eq(now))
        .returning(tasks::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(TASK)?;
    if gone.is_some() { Ok(()) } else { Err(why_not(tx, id, expected).await?) }
}

/// Brings a record back from the bin; a record that is not in it stays as it is.
pub(crate) async fn restore(tx: &mut Tx, id: TaskId) -> Result<Task> {
    let this = tasks::table.find((tx.organization_id(), id)).filter(tasks::deleted_at.is_not_null());
    let none = None::<Timestamp>;
    let back: Option<TaskId> = diesel::update(this)
        .set(tasks::deleted_at.eq(none))
        .returning(tasks::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(TASK)?;
    let task = get_with_deleted(tx, id).await?;
    // Untouched: it lives already, which is well for those who may change it, or the database refused.
    let refused = back.is_none() && (task.deleted_at.is_some() || !standing(tx, &task).changeable_by(tx.role()));
    if refused { Err(Error::forbidden("your role may not restore this task")) } else { Ok(task) }
}

async fn why_not(tx: &mut Tx, id: TaskId, expected: &Expected) -> Result<Error> {
    let seen = get_with_deleted(tx, id).await.map(|task| standing(tx, &task));
    // Nothing forbids it now, so somebody was faster between the two looks: that is what stale means.
    Ok(Standing::refusal(seen, tx, TASK, expected)?.unwrap_or(Error::Stale(TASK.name)))
}

fn standing(tx: &Tx, task: &Task) -> Standing {
    Standing::of(tx, task.deleted_at, task.version, &[task.assigned_to_id, task.created_by_id])
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_tasks::table.filter(q_tasks::organization_id.eq(tx.organization_id())).into_boxed()
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    let condition = query.filter.condition();
    let rows = match query.deleted {
        Deleted::Exclude => everything(tx).filter(q_tasks::deleted_at.is_null()),
        Deleted::Only => everything(tx).filter(q_tasks::deleted_at.is_not_null()),
    };
    let rows = if seek::by_times(&condition) { rows.filter(q_tasks::in_bin.eq(query.deleted == Deleted::Only)) } else { rows };
    rows.filter(Matching::new(tx, VIEW, &condition))
}
