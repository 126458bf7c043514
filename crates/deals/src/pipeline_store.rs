//! Every SQL statement about pipelines: their stages, and the counts and sums of the deals in them.
//!
//! Must stay true: sums are made by the database from exact decimals; each statement names the organisation; the three
//! statements that group deals narrow them exactly as lists do, and what a caller has narrowed them by is judged before.

use bigdecimal::BigDecimal;
use crm_kernel::{Condition, Deleted, Filter, PipelineId, Result, TeamId, UserId};
use crm_tenancy::{Entity, Expect, Tx, cost};
use diesel::{
    ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper,
    dsl::{count, count_star, sql, sum},
    sql_types::{Integer, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;

use crate::{
    fields::FIELDS,
    pipeline::{PipelineRow, Stage},
    schema::{q_deals, q_members, q_pipeline_stages, q_pipelines},
    store::{DEAL, narrowed},
};

const PIPELINE: Entity = Entity { name: "pipeline", table: "crm_pipelines" };

/// How many pipelines are shown.
const MOST_PIPELINES: i64 = 200;
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
    let ordered = living.order((q_pipelines::position, q_pipelines::id)).limit(MOST_PIPELINES);
    ordered.select(PipelineRow::as_select()).load(tx).await.expect_any(PIPELINE)
}

/// Where deals go that name no pipeline.
pub(crate) async fn default_pipeline(tx: &mut Tx) -> Result<Option<PipelineId>> {
    let own = q_pipelines::table.filter(q_pipelines::organization_id.eq(tx.organization_id()));
    let default = own.filter(q_pipelines::is_default).filter(q_pipelines::deleted_at.is_null());
    default.select(q_pipelines::id).first(tx).await.optional().expect_any(PIPELINE)
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

/// Full name and team of these members.
pub(crate) type OwnerRow = (UserId, String, Option<TeamId>, Option<String>);

pub(crate) async fn owners(tx: &mut Tx, ids: &[UserId]) -> Result<Vec<OwnerRow>> {
    let own = q_members::table.filter(q_members::organization_id.eq(tx.organization_id()));
    let columns = (q_members::user_id, q_members::full_name, q_members::team_id, q_members::team_name);
    own.filter(q_members::user_id.eq_any(ids)).select(columns).load(tx).await.expect_any(DEAL)
}
