//! Every SQL statement about teams. Each names the organisation, although the database confines it anyway.

use crm_kernel::{Error, Expected, ListQuery, Result, TeamId, page::COUNT_BOUND};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, IntoSql, OptionalExtension, QueryDsl, SelectableHelper, dsl::now, sql_types::Bool,
};
use diesel_async::RunQueryDsl;

use super::model::{NewTeam, Team, TeamChanges};
use crate::{
    Counted, Entity, Expect, Matching, Tx,
    schema::{q_teams, teams},
    seek,
};

const TEAM: Entity = Entity { name: "team", table: "teams" };

type Rows<'a> = q_teams::BoxedQuery<'a, diesel::pg::Pg>;

pub(super) async fn get(tx: &mut Tx, id: TeamId) -> Result<Team> {
    living(tx).filter(q_teams::id.eq(id)).select(Team::as_select()).first(tx).await.expect_one(TEAM)
}

/// Up to one team more than the page holds, each with the name it is sorted by.
pub(super) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<(Team, String)>> {
    let rows = seek!(narrowed(tx, query), query, q_teams::name_key, q_teams::id, String);
    rows.limit(i64::from(query.limit) + 1).select((Team::as_select(), q_teams::name_key)).load(tx).await.expect_any(TEAM)
}

pub(super) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = narrowed(tx, query).select(q_teams::id).limit(COUNT_BOUND + 1);
    Counted(rows).get_result(tx).await.expect_any(TEAM)
}

pub(super) async fn insert(tx: &mut Tx, new: &NewTeam) -> Result<Team> {
    let id = diesel::insert_into(teams::table).values(new).returning(teams::id).get_result(tx).await.expect_one(TEAM)?;
    get(tx, id).await
}

pub(super) async fn update(tx: &mut Tx, id: TeamId, expected: &Expected, changes: &TeamChanges) -> Result<Team> {
    let this = teams::table.find((tx.organization_id(), id)).filter(teams::deleted_at.is_null());
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(teams::version.eq_any(expected.versions())));
    let changed = diesel::update(this).set(changes).returning(teams::id).get_result(tx).await;
    done(tx, id, expected, changed).await?;
    get(tx, id).await
}

pub(super) async fn delete(tx: &mut Tx, id: TeamId, expected: &Expected) -> Result<()> {
    let this = teams::table.find((tx.organization_id(), id)).filter(teams::deleted_at.is_null());
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(teams::version.eq_any(expected.versions())));
    let gone = diesel::update(this).set(teams::deleted_at.eq(now)).returning(teams::id).get_result(tx).await;
    done(tx, id, expected, gone).await
}

/// Refuses, in the order of refusals, what forbids changing the team; asked before values are judged.
pub(super) async fn refusal(tx: &mut Tx, id: TeamId, expected: &Expected) -> Result<()> {
    let team = get(tx, id).await?;
    tx.require(crm_kernel::Role::is_manager, "change teams")?;
    if expected.accepts(team.version) { Ok(()) } else { Err(Error::Stale(TEAM.name)) }
}

async fn done(tx: &mut Tx, id: TeamId, expected: &Expected, changed: diesel::QueryResult<TeamId>) -> Result<()> {
    if changed.optional().expect_any(TEAM)?.is_some() {
        return Ok(());
    }
    // Nothing forbids it now, so somebody was faster between the two looks: that is what stale means.
    refusal(tx, id, expected).await?;
    Err(Error::Stale(TEAM.name))
}

fn living<'a>(tx: &Tx) -> Rows<'a> {
    let here = q_teams::table.filter(q_teams::organization_id.eq(tx.organization_id()));
    here.filter(q_teams::deleted_at.is_null()).into_boxed()
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    living(tx).filter(Matching::new(tx, "q_teams", &query.filter.condition()))
}
