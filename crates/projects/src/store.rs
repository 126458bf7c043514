//! Every SQL statement about projects. Private to this crate.
//!
//! Must stay true: each statement names the organisation, although the database confines it anyway, so that the planner
//! knows its tenant; reads that filter go through q_projects, where every operator may use its index; what is judged before
//! it is changed is held (locked) first, so that what was judged is what is changed.

use std::collections::HashMap;

use crm_kernel::{
    Date, DealId, Deleted, Error, Expected, ListQuery, Position, ProjectId, Result, Timestamp,
    page::{COUNT_BOUND, CUSTOM_SORT},
};
use crm_tenancy::{
    Counted, Entity, Expect, Limited, Matching, Standing, Tx, cost,
    custom_fields::{in_rank, ranked},
    patched, seek,
    seek::{NoDate, Phase},
    seek_id, seek_nullable,
};
use diesel::{
    AggregateExpressionMethods, BoolExpressionMethods, ExpressionMethods, IntoSql, NullableExpressionMethods, OptionalExtension,
    QueryDsl, Queryable, Selectable, SelectableHelper,
    dsl::{self, now},
    sql_types::Bool,
};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::{
    fields::{FIELDS, VIEW},
    model::{NewProject, Project, ProjectChanges},
    progress::TaskCounts,
    schema::{crm_projects as projects, q_deals, q_projects, q_tasks},
    words::{ProjectOrigin, ProjectStatus},
};

pub(crate) const PROJECT: Entity = Entity { name: "project", table: "crm_projects" };
const DEAL: Entity = Entity { name: "deal", table: "crm_deals" };

type Rows<'a> = q_projects::BoxedQuery<'a, diesel::pg::Pg>;

/// What decides about a change of a project, locked until the transaction ends.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = projects, check_for_backend(diesel::pg::Pg))]
pub(crate) struct Held {
    pub(crate) project_status: ProjectStatus,
    pub(crate) start_date: Option<Date>,
    pub(crate) due_date: Option<Date>,
    pub(crate) completion_date: Option<Date>,
    version: i32,
}

pub(crate) async fn get(tx: &mut Tx, id: ProjectId) -> Result<Project> {
    let living = everything(tx).filter(q_projects::id.eq(id)).filter(q_projects::deleted_at.is_null());
    living.select(Project::as_select()).first(tx).await.expect_one(PROJECT)
}

pub(crate) async fn get_with_deleted(tx: &mut Tx, id: ProjectId) -> Result<Project> {
    everything(tx).filter(q_projects::id.eq(id)).select(Project::as_select()).first(tx).await.expect_one(PROJECT)
}

pub(crate) async fn get_many(tx: &mut Tx, ids: &[ProjectId]) -> Result<Vec<Project>> {
    everything(tx).filter(q_projects::id.eq_any(ids)).select(Project::as_select()).load(tx).await.expect_any(PROJECT)
}

/// Up to one record more than the page holds, each with the name it may be sorted by.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<(Project, String)>> {
    let wanted = usize::from(query.limit) + 1;
    if query.custom_sort.is_some() {
        let ranks = ranked(tx, VIEW, FIELDS, query, wanted).await?;
        let ids: Vec<ProjectId> = ranks.iter().map(|rank| ProjectId(rank.id)).collect();
        return Ok(in_rank(ranks, get_many(tx, &ids).await?, |project| project.id.uuid()));
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

async fn part(tx: &mut Tx, query: &ListQuery, phase: Phase, wanted: usize) -> Result<Vec<(Project, String)>> {
    let ids = |tx: &Tx, query: &ListQuery| Ok(Limited::new(ordered(tx, query, phase)?.select(q_projects::id), wanted));
    cost::settle(tx, FIELDS, query, ids).await?;
    let rows = ordered(tx, query, phase)?;
    Limited::new(rows.select((Project::as_select(), q_projects::name_key)), wanted).load(tx).await.expect_any(PROJECT)
}

/// The rows of one phase, in the order that was asked for.
fn ordered<'a>(tx: &Tx, query: &ListQuery, phase: Phase) -> Result<Rows<'a>> {
    let rows = narrowed(tx, query);
    let in_bin = query.deleted == Deleted::Only;
    let rows = match query.sort.field.name {
        "name" => seek!(rows, query, q_projects::name_key, q_projects::id, String),
        "due_date" => seek_nullable!(rows, query, phase, q_projects::due_key, NoDate, q_projects::id, Date),
        "completion_date" => seek_nullable!(rows, query, phase, q_projects::completion_key, NoDate, q_projects::id, Date),
        "open_due_date" => seek_nullable!(rows, query, phase, q_projects::open_due_key, NoDate, q_projects::id, Date),
        "updated_at" => {
            seek!(rows.filter(q_projects::in_bin.eq(in_bin)), query, q_projects::updated_at_key, q_projects::id, Timestamp)
        }
        "last_activity_at" => {
            seek!(rows.filter(q_projects::in_bin.eq(in_bin)), query, q_projects::last_activity_key, q_projects::id, Timestamp)
        }
        _ => seek_id!(rows, query, q_projects::id),
    };
    Ok(rows)
}

/// Where a record stands in the order of `field`; the key is the database's own, so that both sides compare alike.
pub(crate) fn position((project, name_key): &(Project, String), field: &str) -> Position {
    let key = match field {
        "name" => json!(name_key),
        "due_date" => json!(project.due_date),
        "completion_date" => json!(project.completion_date),
        "open_due_date" => json!(project.open_due_date),
        CUSTOM_SORT => serde_json::from_str(name_key).unwrap_or_default(),
        "updated_at" => json!(project.updated_at),
        "last_activity_at" => json!(project.last_activity_at),
        _ => Value::Null,
    };
    Position::new(key, project.id)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, query).select(q_projects::id).limit(COUNT_BOUND + 1);
    cost::settle(tx, FIELDS, query, |tx, _| Ok(Counted(rows(tx)))).await?;
    Counted(rows(tx)).get_result(tx).await.expect_any(PROJECT)
}

/// How many living tasks a project has that were not cancelled, and how many of them are completed.
pub(crate) async fn task_counts(tx: &mut Tx, id: ProjectId) -> Result<TaskCounts> {
    let own = q_tasks::table.filter(q_tasks::organization_id.eq(tx.organization_id())).filter(q_tasks::rel_project_id.eq(id));
    let living = own.filter(q_tasks::deleted_at.is_null()).filter(q_tasks::status.ne("cancelled"));
    let completed = dsl::count(q_tasks::id).aggregate_filter(q_tasks::status.eq("completed"));
    let (all, completed) = living.select((dsl::count(q_tasks::id), completed)).first(tx).await.expect_one(PROJECT)?;
    Ok(TaskCounts { all, completed })
}

/// The name of the living deal that a project is made of. Whose the deal is, is not asked here: the database puts its company into the project,
/// read while the deal is held.
pub(crate) async fn name_of_deal(tx: &mut Tx, deal: DealId) -> Result<String> {
    let own = q_deals::table.filter(q_deals::organization_id.eq(tx.organization_id())).filter(q_deals::id.eq(deal));
    own.filter(q_deals::deleted_at.is_null()).select(q_deals::name).first(tx).await.expect_one(DEAL)
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewProject, origin: ProjectOrigin) -> Result<Project> {
    let values = (new, projects::origin.eq(origin));
    let made = diesel::insert_into(projects::table).values(values).returning(projects::id);
    let id = made.get_result(tx).await.expect_one(PROJECT)?;
    get(tx, id).await
}

/// All of them with one statement, in this order. Each says its id.
pub(crate) async fn insert_all(tx: &mut Tx, new: &[NewProject]) -> Result<Vec<Project>> {
    let made: Vec<ProjectId> =
        diesel::insert_into(projects::table).values(new).returning(projects::id).get_results(tx).await.expect_any(PROJECT)?;
    let mut found: HashMap<ProjectId, Project> =
        get_many(tx, &made).await?.into_iter().map(|project| (project.id, project)).collect();
    let in_order: Option<Vec<Project>> = new.iter().map(|new| found.remove(&new.id?)).collect();
    in_order.ok_or_else(|| Error::internal("a record that was made is not there"))
}

/// Locks a living project that the caller may change and whose version is expected; otherwise says why not.
pub(crate) async fn hold(tx: &mut Tx, id: ProjectId, expected: &Expected) -> Result<Held> {
    let this = projects::table.find((tx.organization_id(), id)).filter(projects::deleted_at.is_null());
    let held: Option<Held> = this.select(Held::as_select()).for_no_key_update().first(tx).await.optional().expect_any(PROJECT)?;
    match held {
        Some(held) if expected.accepts(held.version) => Ok(held),
        _ => Err(why_not(tx, id, expected).await?),
    }
}

/// Changes a project that is held.
pub(crate) async fn update(tx: &mut Tx, id: ProjectId, changes: &ProjectChanges) -> Result<Project> {
    let custom_fields = patched!(projects::custom_fields.nullable(), changes.custom_fields).assume_not_null();
    let changed: ProjectId = diesel::update(projects::table.find((tx.organization_id(), id)))
        .set((changes, projects::custom_fields.eq(custom_fields)))
        .returning(projects::id)
        .get_result(tx)
        .await
        .expect_one(PROJECT)?;
    get(tx, changed).await
}

pub(crate) async fn delete(tx: &mut Tx, id: ProjectId, expected: &Expected) -> Result<()> {
    let this = projects::table.find((tx.organization_id(), id)).filter(projects::deleted_at.is_null());
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(projects::version.eq_any(expected.versions())));
    let gone: Option<ProjectId> = diesel::update(this)
        .set(projects::deleted_at.eq(now))
        .returning(projects::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(PROJECT)?;
    if gone.is_some() { Ok(()) } else { Err(why_not(tx, id, expected).await?) }
}

/// Brings a record back from the bin; a record that is not in it stays as it is.
pub(crate) async fn restore(tx: &mut Tx, id: ProjectId) -> Result<Project> {
    let this = projects::table.find((tx.organization_id(), id)).filter(projects::deleted_at.is_not_null());
    let none = None::<Timestamp>;
    let back: Option<ProjectId> = diesel::update(this)
        .set(projects::deleted_at.eq(none))
        .returning(projects::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(PROJECT)?;
    let project = get_with_deleted(tx, id).await?;
    // Untouched: it lives already, which is well for those who may change it, or the database refused.
    let refused = back.is_none() && (project.deleted_at.is_some() || !standing(tx, &project).changeable_by(tx.role()));
    if refused { Err(Error::forbidden("your role may not restore this project")) } else { Ok(project) }
}

async fn why_not(tx: &mut Tx, id: ProjectId, expected: &Expected) -> Result<Error> {
    let seen = get_with_deleted(tx, id).await.map(|project| standing(tx, &project));
    // Nothing forbids it now, so somebody was faster between the two looks: that is what stale means.
    Ok(Standing::refusal(seen, tx, PROJECT, expected)?.unwrap_or(Error::Stale(PROJECT.name)))
}

fn standing(tx: &Tx, project: &Project) -> Standing {
    Standing::of(tx, project.deleted_at, project.version, &[project.owner_id, project.project_manager_id, project.created_by_id])
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_projects::table.filter(q_projects::organization_id.eq(tx.organization_id())).into_boxed()
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    let condition = query.filter.condition();
    let rows = match query.deleted {
        Deleted::Exclude => everything(tx).filter(q_projects::deleted_at.is_null()),
        Deleted::Only => everything(tx).filter(q_projects::deleted_at.is_not_null()),
    };
    let rows = if seek::by_times(&condition) { rows.filter(q_projects::in_bin.eq(query.deleted == Deleted::Only)) } else { rows };
    rows.filter(Matching::new(tx, VIEW, &condition))
}
