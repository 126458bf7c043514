//! Every SQL statement about activities. Private to this crate.
//!
//! Must stay true: nothing is written here; each statement names the organisation, although the database confines it
//! anyway; reads go through q_activities, which alone shows values, and hides addresses from those who may not see them.

use crm_kernel::{ActivityId, ListQuery, Result, page::COUNT_BOUND};
use crm_tenancy::{Counted, Entity, Expect, Limited, Matching, Tx, cost, seek_id};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;

use crate::{
    fields::{FIELDS, VIEW},
    model::Activity,
    schema::q_activities,
};

pub(crate) const ACTIVITY: Entity = Entity { name: "activity", table: "crm_activities" };

type Rows<'a> = q_activities::BoxedQuery<'a, diesel::pg::Pg>;

pub(crate) async fn get(tx: &mut Tx, id: ActivityId) -> Result<Activity> {
    everything(tx).filter(q_activities::id.eq(id)).select(Activity::as_select()).first(tx).await.expect_one(ACTIVITY)
}

/// Up to one activity more than the page holds.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<Activity>> {
    let wanted = usize::from(query.limit) + 1;
    cost::settle(tx, FIELDS, query, |tx, query| Ok(Limited::new(ordered(tx, query), wanted))).await?;
    let rows = ordered(tx, query);
    Limited::new(rows.select(Activity::as_select()), wanted).load(tx).await.expect_any(ACTIVITY)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, query).select(q_activities::id).limit(COUNT_BOUND + 1);
    cost::settle(tx, FIELDS, query, |tx, _| Ok(Counted(rows(tx)))).await?;
    Counted(rows(tx)).get_result(tx).await.expect_any(ACTIVITY)
}

fn ordered<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    seek_id!(narrowed(tx, query), query, q_activities::id)
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_activities::table.filter(q_activities::organization_id.eq(tx.organization_id())).into_boxed()
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    everything(tx).filter(Matching::new(tx, VIEW, &query.filter.condition()))
}
