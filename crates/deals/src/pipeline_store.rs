//! Every SQL statement about pipelines: their stages, and the counts and sums of the deals in them.
//!
//! Must stay true: sums are made by the database from exact decimals; each statement names the organisation; the three
//! statements that group deals narrow them exactly as lists do, and what a caller has narrowed them by is judged before.

use bigdecimal::BigDecimal;
use crm_kernel::{Condition, Date, DealId, Deleted, Error, Filter, PipelineId, Result, TeamId, Timestamp, UserId};
use crm_tenancy::{Entity, Expect, Tx, cost};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, JoinOnDsl, NullableExpressionMethods, OptionalExtension, QueryDsl,
    SelectableHelper,
    dsl::{count, count_star, exists, now, sql, sum},
    result::{DatabaseErrorKind, Error as DieselError},
    sql_types::{BigInt, Bool, Integer, Nullable, Text, Uuid as SqlUuid},
    upsert::excluded,
};
use diesel_async::RunQueryDsl;

use crate::{
    fields::FIELDS,
    pipeline::{Pipeline, PipelineRow, Stage, StageOutcome},
    pipeline_changes::{self, PipelineColumnChanges, PipelineColumns, StagePlan},
    pipeline_moves::Leading,
    schema::{
        crm_deals as deals, crm_pipeline_stages as stages, crm_pipelines as pipelines, q_deal_figures as figures, q_deals,
        q_members, q_pipeline_stages, q_pipelines,
    },
    store::{DEAL, narrowed},
};

pub(crate) const PIPELINE: Entity = Entity { name: "pipeline", table: "crm_pipelines" };

/// How many pipelines an organisation has at most, and are shown.
pub(crate) const MOST_PIPELINES: usize = 200;
const MOST_PIPELINES_READ: i64 = 200;
/// How many stages are read at once; far more than all pipelines of an organisation have.
pub(crate) const MOST_STAGES: i64 = 10_000;
/// How many groups of owner and stage are read: of ten thousand owners in the six stages that every organisation has.
const MOST_OWNER_GROUPS: i64 = 60_000;

diesel::define_sql_function! {
    /// An integer as an exact decimal.
    #[sql_name = "pg_catalog.numeric"]
    fn exact(number: Integer) -> Numeric;
}

pub(crate) async fn living(tx: &mut Tx) -> Result<Vec<PipelineRow>> {
    let living = q_pipelines::table
        .filter(q_pipelines::organization_id.eq(tx.organization_id()))
        .filter(q_pipelines::deleted_at.is_null());
    let ordered = living.order((q_pipelines::position, q_pipelines::id)).limit(MOST_PIPELINES_READ);
    ordered.select(PipelineRow::as_select()).load(tx).await.expect_any(PIPELINE)
}

/// Where deals go that name no pipeline.
pub(crate) async fn default_pipeline(tx: &mut Tx) -> Result<Option<PipelineId>> {
    let own = q_pipelines::table.filter(q_pipelines::organization_id.eq(tx.organization_id()));
    let default = own.filter(q_pipelines::is_default).filter(q_pipelines::deleted_at.is_null());
    default.select(q_pipelines::id).first(tx).await.optional().expect_any(PIPELINE)
}

/// A living pipeline, without its stages.
pub(crate) async fn one(tx: &mut Tx, id: PipelineId) -> Result<PipelineRow> {
    let own = q_pipelines::table.filter(q_pipelines::organization_id.eq(tx.organization_id())).filter(q_pipelines::id.eq(id));
    let living = own.filter(q_pipelines::deleted_at.is_null());
    living.select(PipelineRow::as_select()).first(tx).await.expect_one(PIPELINE)
}

/// Whether it is there, deleted or not.
pub(crate) async fn require_any(tx: &mut Tx, id: PipelineId) -> Result<()> {
    let own = q_pipelines::table.filter(q_pipelines::organization_id.eq(tx.organization_id())).filter(q_pipelines::id.eq(id));
    own.select(q_pipelines::id).first::<PipelineId>(tx).await.expect_one(PIPELINE).map(|_| ())
}

/// Nobody else changes a living pipeline before this transaction is over. Not through the view: what is held is the row.
pub(crate) async fn hold_all(tx: &mut Tx) -> Result<()> {
    let own = pipelines::table.filter(pipelines::organization_id.eq(tx.organization_id()));
    let living = own.filter(pipelines::deleted_at.is_null()).order(pipelines::id).select(pipelines::id);
    living.for_no_key_update().load::<PipelineId>(tx).await.expect_any(PIPELINE).map(|_| ())
}

pub(crate) async fn insert(tx: &mut Tx, new: &PipelineColumns) -> Result<PipelineId> {
    diesel::insert_into(pipelines::table).values(new).returning(pipelines::id).get_result(tx).await.expect_one(PIPELINE)
}

/// No pipeline is the default any more; another one is about to be.
pub(crate) async fn clear_default(tx: &mut Tx) -> Result<()> {
    let own = pipelines::table.filter(pipelines::organization_id.eq(tx.organization_id())).filter(pipelines::is_default);
    diesel::update(own).set(pipelines::is_default.eq(false)).execute(tx).await.expect_any(PIPELINE).map(|_| ())
}

/// Changes a pipeline that is held; a change of its stages gives it a new version too.
pub(crate) async fn update(tx: &mut Tx, id: PipelineId, changes: &PipelineColumnChanges, plan: &StagePlan) -> Result<()> {
    let this = pipelines::table.find((tx.organization_id(), id));
    let step = i32::from(!plan.is_empty());
    let set = (changes, pipelines::stages_version.eq(pipelines::stages_version + step));
    diesel::update(this).set(set).execute(tx).await.expect_any(PIPELINE).map(|_| ())
}

/// The database refuses it for the default pipeline and for one with living deals.
pub(crate) async fn delete(tx: &mut Tx, id: PipelineId) -> Result<()> {
    let this = pipelines::table.find((tx.organization_id(), id));
    diesel::update(this).set(pipelines::deleted_at.eq(now)).execute(tx).await.expect_any(PIPELINE).map(|_| ())
}

pub(crate) async fn restore(tx: &mut Tx, id: PipelineId) -> Result<()> {
    let this = pipelines::table.find((tx.organization_id(), id));
    let none = None::<Timestamp>;
    diesel::update(this).set(pipelines::deleted_at.eq(none)).execute(tx).await.expect_any(PIPELINE).map(|_| ())
}

/// Those of these stages that deals stand in, deals in the bin too: the foreign key counts them.
pub(crate) async fn in_use(tx: &mut Tx, id: PipelineId, keys: &[String]) -> Result<Vec<String>> {
    let stands = exists(
        q_deals::table
            .filter(q_deals::organization_id.eq(q_pipeline_stages::organization_id))
            .filter(q_deals::pipeline_id.eq(q_pipeline_stages::pipeline_id))
            .filter(q_deals::stage.eq(q_pipeline_stages::key)),
    );
    let own = q_pipeline_stages::table.filter(q_pipeline_stages::organization_id.eq(tx.organization_id()));
    let these = own.filter(q_pipeline_stages::pipeline_id.eq(id)).filter(q_pipeline_stages::key.eq_any(keys));
    these.filter(stands).order(q_pipeline_stages::position).select(q_pipeline_stages::key).load(tx).await.expect_any(PIPELINE)
}

/// Moves some deals of a stage to another, those in the bin too; says how many.
pub(crate) async fn lead(tx: &mut Tx, leading: &Leading, most: usize) -> Result<usize> {
    let ((pipeline, stage), (to_pipeline, to_stage)) = (&leading.from, &leading.to);
    let own = deals::table.filter(deals::organization_id.eq(tx.organization_id())).filter(deals::pipeline_id.eq(pipeline));
    let there = own.filter(deals::stage.eq(stage)).order(deals::id).limit(i64::try_from(most).unwrap_or(i64::MAX));
    let held: Vec<DealId> = there.select(deals::id).for_no_key_update().load(tx).await.expect_any(DEAL)?;
    let these = deals::table.filter(deals::organization_id.eq(tx.organization_id())).filter(deals::id.eq_any(held));
    let set = (deals::pipeline_id.eq(to_pipeline), deals::stage.eq(to_stage), deals::probability.eq(leading.probability));
    diesel::update(these).set(set).execute(tx).await.expect_any(DEAL)
}

pub(crate) async fn remove_stages(tx: &mut Tx, pipeline: &Pipeline, keys: &[String]) -> Result<()> {
    let own = stages::table.filter(stages::organization_id.eq(tx.organization_id())).filter(stages::pipeline_id.eq(pipeline.id));
    let removed = diesel::delete(own.filter(stages::key.eq_any(keys))).execute(tx).await;
    // A deal came between the question and the answer.
    if let Err(DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)) = removed {
        return Err(pipeline_changes::in_use(keys, pipeline.version));
    }
    removed.expect_any(PIPELINE).map(|_| ())
}

/// Adds these stages to the pipeline, and changes those that are there.
pub(crate) async fn write_stages(tx: &mut Tx, id: PipelineId, written: &[Stage]) -> Result<()> {
    let row = |stage: &Stage| {
        (
            stages::pipeline_id.eq(id),
            stages::key.eq(stage.key.clone()),
            stages::label.eq(stage.label.clone()),
            stages::position.eq(stage.position),
            stages::probability.eq(stage.probability),
            stages::outcome.eq(stage.outcome),
            stages::rotting_days.eq(stage.rotting_days),
            stages::forecast_category.eq(stage.forecast_category),
        )
    };
    let rows: Vec<_> = written.iter().map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    diesel::insert_into(stages::table)
        .values(rows)
        .on_conflict((stages::organization_id, stages::pipeline_id, stages::key))
        .do_update()
        .set((
            stages::label.eq(excluded(stages::label)),
            stages::position.eq(excluded(stages::position)),
            stages::probability.eq(excluded(stages::probability)),
            stages::rotting_days.eq(excluded(stages::rotting_days)),
            stages::forecast_category.eq(excluded(stages::forecast_category)),
        ))
        .execute(tx)
        .await
        .expect_any(PIPELINE)
        .map(|_| ())
}

/// The stages of these pipelines, each pipeline's in their order.
pub(crate) async fn stages_of(tx: &mut Tx, pipelines: &[PipelineId]) -> Result<Vec<(PipelineId, Stage)>> {
    let own = q_pipeline_stages::table.filter(q_pipeline_stages::organization_id.eq(tx.organization_id()));
    let wanted = own.filter(q_pipeline_stages::pipeline_id.eq_any(pipelines)).limit(MOST_STAGES);
    let ordered = wanted.order((q_pipeline_stages::pipeline_id, q_pipeline_stages::position, q_pipeline_stages::key));
    ordered.select((q_pipeline_stages::pipeline_id, Stage::as_select())).load(tx).await.expect_any(PIPELINE)
}

/// Every stage, of deleted pipelines too: deals still stand in them.
pub(crate) async fn all_stages(tx: &mut Tx) -> Result<Vec<(PipelineId, Stage)>> {
    let own = q_pipeline_stages::table.filter(q_pipeline_stages::organization_id.eq(tx.organization_id()));
    let ordered = own.order((q_pipeline_stages::pipeline_id, q_pipeline_stages::position, q_pipeline_stages::key));
    ordered.limit(MOST_STAGES).select((q_pipeline_stages::pipeline_id, Stage::as_select())).load(tx).await.expect_any(PIPELINE)
}

/// Pipeline and stage; how many deals, how many of them with an amount, how many with one in the organisation's
/// currency; the sum of those, and the sum of each times its probability in percent.
pub(crate) type ByStage = (PipelineId, String, i64, i64, i64, Option<BigDecimal>, Option<BigDecimal>);

/// Refuses a filter by which the three groupings would read too much; without one they read all deals, as they must.
pub(crate) async fn require_affordable(tx: &mut Tx, filter: &Filter) -> Result<()> {
    let condition = filter.condition();
    if condition == Condition::default() {
        return Ok(());
    }
    let rows = q_deals::table.group_by((q_deals::pipeline_id, q_deals::stage)).select((q_deals::pipeline_id, count_star()));
    let own = rows.filter(q_deals::organization_id.eq(tx.organization_id())).into_boxed();
    let statement = narrowed(tx, own, Deleted::Exclude, filter).limit(MOST_STAGES);
    cost::require_affordable(tx, FIELDS, &condition, statement).await
}

pub(crate) async fn by_stage(tx: &mut Tx, filter: &Filter) -> Result<Vec<ByStage>> {
    let rows = q_deals::table.group_by((q_deals::pipeline_id, q_deals::stage)).select((
        q_deals::pipeline_id,
        q_deals::stage,
        count_star(),
        count(q_deals::amount),
        count(q_deals::base_amount),
        sum(q_deals::base_amount),
        sum(q_deals::base_amount * exact(q_deals::probability).nullable()),
    ));
    let own = rows.filter(q_deals::organization_id.eq(tx.organization_id())).into_boxed();
    narrowed(tx, own, Deleted::Exclude, filter).limit(MOST_STAGES).load(tx).await.expect_any(DEAL)
}

/// The same of all living deals, from what is kept beside them: by month, of which there are fewer than owners.
pub(crate) async fn kept_by_stage(tx: &mut Tx) -> Result<Vec<ByStage>> {
    let rows = figures::table.group_by((figures::pipeline_id, figures::stage)).select((
        figures::pipeline_id,
        figures::stage,
        sql::<BigInt>("sum(deals)::bigint"),
        sql::<BigInt>("sum(with_amount)::bigint"),
        sql::<BigInt>("sum(with_base_amount)::bigint"),
        sum(figures::base_amount),
        sum(figures::weighted_amount),
    ));
    let own = rows.filter(figures::organization_id.eq(tx.organization_id())).filter(figures::grouping.eq("month"));
    own.having(sql::<Bool>("sum(deals) > 0")).limit(MOST_STAGES).load(tx).await.expect_any(DEAL)
}

/// Owner, pipeline and stage; how many deals, their sum, and the sum of each times its probability in percent.
pub(crate) type ByOwner = (Option<UserId>, PipelineId, String, i64, Option<BigDecimal>, Option<BigDecimal>);

pub(crate) async fn by_owner(tx: &mut Tx, filter: &Filter) -> Result<Vec<ByOwner>> {
    let rows = q_deals::table.group_by((q_deals::owner_id, q_deals::pipeline_id, q_deals::stage)).select((
        q_deals::owner_id,
        q_deals::pipeline_id,
        q_deals::stage,
        count_star(),
        sum(q_deals::base_amount),
        sum(q_deals::base_amount * exact(q_deals::probability).nullable()),
    ));
    let own = rows.filter(q_deals::organization_id.eq(tx.organization_id())).into_boxed();
    let ordered = narrowed(tx, own, Deleted::Exclude, filter).order(q_deals::owner_id);
    ordered.limit(MOST_OWNER_GROUPS).load(tx).await.expect_any(DEAL)
}

/// Whatever deals are grouped by, and their outcome; how many deals, their sum, and the sum of each times its probability in percent.
pub(crate) type ByOutcome<K> = (Option<K>, StageOutcome, i64, Option<BigDecimal>, Option<BigDecimal>);

/// All living deals by owner, from what is kept beside them. The database puts stages under their outcome, because most stages are open
/// ones and every group is read here as exact decimals.
pub(crate) async fn kept_by_owner(tx: &mut Tx) -> Result<Vec<ByOutcome<UserId>>> {
    let of_stage = q_pipeline_stages::organization_id.eq(figures::organization_id);
    let of_stage =
        of_stage.and(q_pipeline_stages::pipeline_id.eq(figures::pipeline_id)).and(q_pipeline_stages::key.eq(figures::stage));
    let kept = figures::table.inner_join(q_pipeline_stages::table.on(of_stage));
    let rows = kept.group_by((figures::owner_id, q_pipeline_stages::outcome)).select((
        figures::owner_id,
        q_pipeline_stages::outcome,
        sql::<BigInt>("sum(deals)::bigint"),
        sum(figures::base_amount),
        sum(figures::weighted_amount),
    ));
    let own = rows.filter(figures::organization_id.eq(tx.organization_id())).filter(figures::grouping.eq("owner"));
    own.having(sql::<Bool>("sum(deals) > 0")).limit(MOST_OWNER_GROUPS).load(tx).await.expect_any(DEAL)
}

/// Month (`2017-03`), pipeline and stage; how many deals, their sum, and the sum of each times its probability.
pub(crate) type ByMonth = (Option<String>, PipelineId, String, i64, Option<BigDecimal>, Option<BigDecimal>);

/// At most so many groups, the newest months first; deals without a date before all.
///
/// Only closed deals have an actual date, so the first of the two is the one that counts. Diesel cannot group by an
/// expression, hence the fixed pieces of SQL; no part of them comes from a caller.
pub(crate) async fn by_month(tx: &mut Tx, filter: &Filter, most_groups: i64) -> Result<Vec<ByMonth>> {
    let rows = q_deals::table.group_by(sql::<Text>("1, 2, 3")).select((
        sql::<Nullable<Text>>("to_char(coalesce(q_deals.actual_close_date, q_deals.expected_close_date)::timestamp, 'YYYY-MM')"),
        sql::<SqlUuid>("q_deals.pipeline_id"),
        sql::<Text>("q_deals.stage"),
        count_star(),
        sum(q_deals::base_amount),
        sum(q_deals::base_amount * exact(q_deals::probability).nullable()),
    ));
    let own = rows.filter(q_deals::organization_id.eq(tx.organization_id())).into_boxed();
    let ordered = narrowed(tx, own, Deleted::Exclude, filter).order(sql::<Text>("1 DESC NULLS FIRST"));
    ordered.limit(most_groups).load(tx).await.expect_any(DEAL)
}

/// All living deals by month, from what is kept beside them; the newest months first, those without a date before all.
pub(crate) async fn kept_by_month(tx: &mut Tx, most_groups: i64) -> Result<Vec<ByOutcome<String>>> {
    let of_stage = q_pipeline_stages::organization_id.eq(figures::organization_id);
    let of_stage =
        of_stage.and(q_pipeline_stages::pipeline_id.eq(figures::pipeline_id)).and(q_pipeline_stages::key.eq(figures::stage));
    let kept = figures::table.inner_join(q_pipeline_stages::table.on(of_stage));
    let rows = kept.group_by((figures::month, q_pipeline_stages::outcome)).select((
        figures::month,
        q_pipeline_stages::outcome,
        sql::<BigInt>("sum(deals)::bigint"),
        sum(figures::base_amount),
        sum(figures::weighted_amount),
    ));
    let own = rows.filter(figures::organization_id.eq(tx.organization_id())).filter(figures::grouping.eq("month"));
    let there = own.having(sql::<Bool>("sum(deals) > 0")).order(figures::month.desc());
    there.limit(most_groups).load(tx).await.expect_any(DEAL)
}

/// Open deals, and those that were closed since this day, by month: the day of closing, or the one that is expected.
///
/// An open deal's key of closing is infinity, so one condition on that index finds both. The newest months first, those without a
/// date before all.
pub(crate) async fn expected_by_month(tx: &mut Tx, filter: &Filter, since: Date) -> Result<Vec<ByMonth>> {
    let rows = q_deals::table.group_by(sql::<Text>("1, 2, 3")).select((
        sql::<Nullable<Text>>("to_char(coalesce(q_deals.actual_close_date, q_deals.expected_close_date)::timestamp, 'YYYY-MM')"),
        sql::<SqlUuid>("q_deals.pipeline_id"),
        sql::<Text>("q_deals.stage"),
        count_star(),
        sum(q_deals::base_amount),
        sum(q_deals::base_amount * exact(q_deals::probability).nullable()),
    ));
    let own = rows.filter(q_deals::organization_id.eq(tx.organization_id())).into_boxed();
    let recent = narrowed(tx, own, Deleted::Exclude, filter).filter(q_deals::actual_close_key.ge(since));
    recent.order(sql::<Text>("1 DESC NULLS FIRST")).limit(MOST_STAGES).load(tx).await.expect_any(DEAL)
}

/// Owner, month, pipeline and stage; how many deals, their sum, and the sum of each times its probability in percent.
pub(crate) type ByOwnerAndMonth =
    (Option<UserId>, Option<String>, PipelineId, String, i64, Option<BigDecimal>, Option<BigDecimal>);

/// Deals that were closed in this time, and open ones that are expected in it, by owner, month and stage. More than can be read at once
/// are refused: what is left out would be missing in sums.
pub(crate) async fn expected_by_owner(tx: &mut Tx, filter: &Filter, (from, until): (Date, Date)) -> Result<Vec<ByOwnerAndMonth>> {
    let rows = q_deals::table.group_by(sql::<Text>("1, 2, 3, 4")).select((
        sql::<Nullable<SqlUuid>>("q_deals.owner_id"),
        sql::<Nullable<Text>>("to_char(coalesce(q_deals.actual_close_date, q_deals.expected_close_date)::timestamp, 'YYYY-MM')"),
        sql::<SqlUuid>("q_deals.pipeline_id"),
        sql::<Text>("q_deals.stage"),
        count_star(),
        sum(q_deals::base_amount),
        sum(q_deals::base_amount * exact(q_deals::probability).nullable()),
    ));
    let own = rows.filter(q_deals::organization_id.eq(tx.organization_id())).into_boxed();
    let closed = q_deals::actual_close_date.is_not_null();
    let expected = q_deals::expected_close_key.ge(from).and(q_deals::expected_close_key.le(until));
    let recent = narrowed(tx, own, Deleted::Exclude, filter).filter(q_deals::actual_close_key.ge(from));
    let within = recent.filter(closed.or(expected)).limit(MOST_OWNER_GROUPS + 1);
    let found: Vec<ByOwnerAndMonth> = within.load(tx).await.expect_any(DEAL)?;
    if i64::try_from(found.len()).is_ok_and(|found| found > MOST_OWNER_GROUPS) {
        return Err(Error::malformed("periods", "too_many", "so many owners have deals that fewer periods can be shown at once"));
    }
    Ok(found)
}

/// Source, pipeline and stage of closed deals; how many, their sum, and the sum of each times its probability. The groups with most
/// deals first.
pub(crate) async fn by_source(tx: &mut Tx, filter: &Filter) -> Result<Vec<ByMonth>> {
    let rows = q_deals::table.group_by((q_deals::deal_source, q_deals::pipeline_id, q_deals::stage)).select((
        q_deals::deal_source,
        q_deals::pipeline_id,
        q_deals::stage,
        count_star(),
        sum(q_deals::base_amount),
        sum(q_deals::base_amount * exact(q_deals::probability).nullable()),
    ));
    let own = rows.filter(q_deals::organization_id.eq(tx.organization_id())).into_boxed();
    let closed = narrowed(tx, own, Deleted::Exclude, filter).filter(q_deals::actual_close_date.is_not_null());
    closed.order(count_star().desc()).limit(MOST_STAGES).load(tx).await.expect_any(DEAL)
}

/// Why deals were lost, how many for each reason, and their sum; the most frequent first.
pub(crate) async fn by_reason(tx: &mut Tx, filter: &Filter, most: usize) -> Result<Vec<(String, i64, Option<BigDecimal>)>> {
    let columns = (q_deals::lost_reason.assume_not_null(), count_star(), sum(q_deals::base_amount));
    let rows = q_deals::table.group_by(q_deals::lost_reason).select(columns);
    let own = rows.filter(q_deals::organization_id.eq(tx.organization_id())).into_boxed();
    let lost = narrowed(tx, own, Deleted::Exclude, filter).filter(q_deals::lost_reason.is_not_null());
    let ordered = lost.order((count_star().desc(), q_deals::lost_reason));
    ordered.limit(i64::try_from(most).unwrap_or(i64::MAX)).load(tx).await.expect_any(DEAL)
}

/// Full name and team of these members.
pub(crate) type OwnerRow = (UserId, String, Option<TeamId>, Option<String>);

pub(crate) async fn owners(tx: &mut Tx, ids: &[UserId]) -> Result<Vec<OwnerRow>> {
    let own = q_members::table.filter(q_members::organization_id.eq(tx.organization_id()));
    let columns = (q_members::user_id, q_members::full_name, q_members::team_id, q_members::team_name);
    own.filter(q_members::user_id.eq_any(ids)).select(columns).load(tx).await.expect_any(DEAL)
}
