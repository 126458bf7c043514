//! Every typed SQL statement about members.
//!
//! Must stay true: each statement names the organisation, although the database confines it anyway.

use crm_kernel::{Error, Expected, ListQuery, Result, Role, TeamId, UserId, page::COUNT_BOUND, query::Direction};
use diesel::{BoolExpressionMethods, ExpressionMethods, IntoSql, OptionalExtension, QueryDsl, SelectableHelper, sql_types::Bool};
use diesel_async::RunQueryDsl;

use super::{
    fields::VIEW,
    model::{Member, MemberChanges, MemberStatus},
};
use crate::{
    Counted, Entity, Expect, Matching, Tx,
    schema::{memberships, q_members},
};

pub(super) const MEMBER: Entity = Entity { name: "member", table: "memberships" };

type Here<'a> = q_members::BoxedQuery<'a, diesel::pg::Pg>;

fn here<'a>(tx: &Tx) -> Here<'a> {
    q_members::table.filter(q_members::organization_id.eq(tx.organization_id())).into_boxed()
}

/// Up to one member more than the page holds.
pub(super) async fn page(tx: &mut Tx, query: &ListQuery) -> Result<Vec<Member>> {
    let mut rows = narrowed(tx, query);
    if let Some(after) = &query.after {
        let name: String = after.key()?;
        rows = match query.sort.direction {
            Direction::Ascending => rows.filter(
                q_members::full_name.gt(name.clone()).or(q_members::full_name.eq(name).and(q_members::user_id.gt(after.id))),
            ),
            Direction::Descending => rows.filter(
                q_members::full_name.lt(name.clone()).or(q_members::full_name.eq(name).and(q_members::user_id.lt(after.id))),
            ),
        };
    }
    rows = match query.sort.direction {
        Direction::Ascending => rows.order((q_members::full_name.asc(), q_members::user_id.asc())),
        Direction::Descending => rows.order((q_members::full_name.desc(), q_members::user_id.desc())),
    };
    rows.limit(i64::from(query.limit) + 1).select(Member::as_select()).load(tx).await.expect_any(MEMBER)
}

pub(super) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = narrowed(tx, query).select(q_members::user_id).limit(COUNT_BOUND + 1);
    Counted(rows).get_result(tx).await.expect_any(MEMBER)
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Here<'a> {
    here(tx).filter(Matching::new(tx, VIEW, &query.filter.condition()))
}

pub(super) async fn get(tx: &mut Tx, id: UserId) -> Result<Member> {
    here(tx).filter(q_members::user_id.eq(id)).select(Member::as_select()).first(tx).await.expect_one(MEMBER)
}

pub(super) async fn get_many(tx: &mut Tx, ids: &[UserId]) -> Result<Vec<Member>> {
    here(tx).filter(q_members::user_id.eq_any(ids)).select(Member::as_select()).load(tx).await.expect_any(MEMBER)
}

/// How many members of a team a filter compares with.
const LARGEST_TEAM: i64 = 10_000;

pub(super) async fn of_team(tx: &mut Tx, team: TeamId) -> Result<Vec<UserId>> {
    let mates = here(tx).filter(q_members::team_id.eq(team)).order(q_members::user_id).limit(LARGEST_TEAM);
    mates.select(q_members::user_id).load(tx).await.expect_any(MEMBER)
}

/// What forbids changing the member, in the order of refusals; asked before values are judged. The database decides again.
pub(super) async fn refusal(tx: &mut Tx, id: UserId, expected: &Expected) -> Result<Option<Error>> {
    let member = match get(tx, id).await {
        Ok(member) => member,
        Err(error @ Error::NotFound(_)) => return Ok(Some(error)),
        Err(error) => return Err(error),
    };
    if !tx.role().is_manager() {
        return Ok(Some(Error::forbidden(format!("the role {} may not change members", tx.role()))));
    }
    if member.role == Role::Owner && tx.role() != Role::Owner {
        return Ok(Some(Error::forbidden("only an owner may change an owner")));
    }
    Ok((!expected.accepts(member.version)).then_some(Error::Stale(MEMBER.name)))
}

pub(super) async fn update(tx: &mut Tx, id: UserId, expected: &Expected, changes: &MemberChanges) -> Result<Member> {
    let this = memberships::table.find((tx.organization_id(), id));
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(memberships::version.eq_any(expected.versions())));
    let changed = diesel::update(this).set(changes).returning(memberships::user_id).get_result(tx).await;
    done(tx, id, expected, changed).await
}

pub(super) async fn remove(tx: &mut Tx, id: UserId, expected: &Expected) -> Result<Member> {
    let this = memberships::table.find((tx.organization_id(), id));
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(memberships::version.eq_any(expected.versions())));
    let removed = memberships::status.eq(MemberStatus::Removed);
    let changed = diesel::update(this).set(removed).returning(memberships::user_id).get_result(tx).await;
    done(tx, id, expected, changed).await
}

async fn done(tx: &mut Tx, id: UserId, expected: &Expected, changed: diesel::QueryResult<UserId>) -> Result<Member> {
    match changed.optional().expect_any(MEMBER)? {
        Some(id) => get(tx, id).await,
        // Nothing forbids it now, so somebody was faster between the two looks: that is what stale means.
        None => Err(refusal(tx, id, expected).await?.unwrap_or(Error::Stale(MEMBER.name))),
    }
}
