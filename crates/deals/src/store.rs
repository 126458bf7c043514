//! Every SQL statement about deals; those about pipelines are in `pipeline_store.rs`. Private to this crate.
//!
//! Must stay true: each statement names the organisation, although the database confines it anyway, so that the planner
//! knows its tenant; reads that filter go through q_deals, where every operator may use its index; what is judged before
//! it is changed is held (locked) first, so that what was judged is what is changed.

use std::collections::HashMap;

use crm_kernel::{
    Date, DealId, Deleted, Error, Expected, Filter, ListQuery, Money, OrganizationId, PipelineId, Position, Result, Timestamp,
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
    BoolExpressionMethods, ExpressionMethods, IntoSql, NullableExpressionMethods, OptionalExtension, QueryDsl, Queryable,
    Selectable, SelectableHelper,
    dsl::now,
    internal::table_macro::{BoxedSelectStatement, FromClause},
    pg::Pg,
    sql_types::Bool,
};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::{
    fields::{FIELDS, VIEW},
    history::StayRow,
    model::{Deal, DealChanges, NewDeal},
    schema::{crm_deals as deals, organizations, q_deal_stage_history as stays, q_deals},
    stage::Movement,
};

pub(crate) const DEAL: Entity = Entity { name: "deal", table: "crm_deals" };
const ORGANIZATION: Entity = Entity { name: "organization", table: "organizations" };

/// How many stays of a deal are shown.
const MOST_STAYS: i64 = 1_000;

type Rows<'a> = q_deals::BoxedQuery<'a, Pg>;

/// A deal beside the organisation's currency, in which its base amount is.
pub(crate) type Found = (Deal, Option<String>);

/// What decides about a change of a deal, locked until the transaction ends.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = deals, check_for_backend(Pg))]
pub(crate) struct Held {
    pub(crate) pipeline_id: PipelineId,
    pub(crate) stage: String,
    pub(crate) probability: i32,
    pub(crate) amount: Option<Money>,
    pub(crate) currency: String,
    pub(crate) actual_close_date: Option<Date>,
    pub(crate) lost_reason: Option<String>,
    version: i32,
}

#[diesel::dsl::auto_type(no_type_alias)]
pub(crate) fn own_currency(organization: OrganizationId) -> _ {
    organizations::table.filter(organizations::id.eq(organization)).select(organizations::default_currency).single_value()
}

pub(crate) fn shown((deal, base_currency): Found) -> Deal {
    deal.shown(base_currency.as_deref().unwrap_or_default())
}

pub(crate) async fn get(tx: &mut Tx, id: DealId) -> Result<Deal> {
    let living = everything(tx).filter(q_deals::id.eq(id)).filter(q_deals::deleted_at.is_null());
    let found = living.select((Deal::as_select(), own_currency(tx.organization_id()))).first(tx).await.expect_one(DEAL);
    found.map(shown)
}

pub(crate) async fn get_with_deleted(tx: &mut Tx, id: DealId) -> Result<Deal> {
    let all = everything(tx).filter(q_deals::id.eq(id));
    all.select((Deal::as_select(), own_currency(tx.organization_id()))).first(tx).await.expect_one(DEAL).map(shown)
}

pub(crate) async fn get_many(tx: &mut Tx, ids: &[DealId]) -> Result<Vec<Deal>> {
    let all = everything(tx).filter(q_deals::id.eq_any(ids));
    let found: Vec<Found> =
        all.select((Deal::as_select(), own_currency(tx.organization_id()))).load(tx).await.expect_any(DEAL)?;
    Ok(found.into_iter().map(shown).collect())
}

/// Up to one record more than the page holds, each with the name it may be sorted by.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<(Deal, String)>> {
    let wanted = usize::from(query.limit) + 1;
    if query.custom_sort.is_some() {
        let ranks = ranked(tx, VIEW, FIELDS, query, wanted).await?;
        let ids: Vec<DealId> = ranks.iter().map(|rank| DealId(rank.id)).collect();
        return Ok(in_rank(ranks, get_many(tx, &ids).await?, |deal| deal.id.uuid()));
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

async fn part(tx: &mut Tx, query: &ListQuery, phase: Phase, wanted: usize) -> Result<Vec<(Deal, String)>> {
    let ids = |tx: &Tx, query: &ListQuery| Ok(Limited::new(ordered(tx, query, phase)?.select(q_deals::id), wanted));
    cost::settle(tx, FIELDS, query, ids).await?;
    let rows = ordered(tx, query, phase)?;
    let columns = (Deal::as_select(), own_currency(tx.organization_id()), q_deals::name_key);
    let found: Vec<(Deal, Option<String>, String)> =
        Limited::new(rows.select(columns), wanted).load(tx).await.expect_any(DEAL)?;
    Ok(found.into_iter().map(|(deal, currency, name_key)| (shown((deal, currency)), name_key)).collect())
}

/// The rows of one phase, in the order that was asked for.
fn ordered<'a>(tx: &Tx, query: &ListQuery, phase: Phase) -> Result<Rows<'a>> {
    let rows = narrowed(tx, everything(tx), query.deleted, &query.filter);
    let in_bin = query.deleted == Deleted::Only;
    let rows = match query.sort.field.name {
        "name" => seek!(rows, query, q_deals::name_key, q_deals::id, String),
        "base_amount" => seek_nullable!(rows, query, phase, q_deals::base_amount_key, i64::MAX, q_deals::id, i64),
        "expected_close_date" => seek_nullable!(rows, query, phase, q_deals::expected_close_key, NoDate, q_deals::id, Date),
        "actual_close_date" => seek_nullable!(rows, query, phase, q_deals::actual_close_key, NoDate, q_deals::id, Date),
        "updated_at" => seek!(rows.filter(q_deals::in_bin.eq(in_bin)), query, q_deals::updated_at_key, q_deals::id, Timestamp),
        "last_activity_at" => {
            seek!(rows.filter(q_deals::in_bin.eq(in_bin)), query, q_deals::last_activity_key, q_deals::id, Timestamp)
        }
        _ => seek_id!(rows, query, q_deals::id),
    };
    Ok(rows)
}

/// Where a record stands in the order of `field`; the key is the database's own, so that both sides compare alike.
pub(crate) fn position((deal, name_key): &(Deal, String), field: &str) -> Position {
    let key = match field {
        "name" => json!(name_key),
        "base_amount" => json!(deal.base_amount.as_ref().map(Money::thousandths)),
        "expected_close_date" => json!(deal.expected_close_date),
        "actual_close_date" => json!(deal.actual_close_date),
        CUSTOM_SORT => serde_json::from_str(name_key).unwrap_or_default(),
        "updated_at" => json!(deal.updated_at),
        "last_activity_at" => json!(deal.last_activity_at),
        _ => Value::Null,
    };
    Position::new(key, deal.id)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, everything(tx), query.deleted, &query.filter).select(q_deals::id).limit(COUNT_BOUND + 1);
    cost::settle(tx, FIELDS, query, |tx, _| Ok(Counted(rows(tx)))).await?;
    Counted(rows(tx)).get_result(tx).await.expect_any(DEAL)
}

/// The currency of the organisation's sums.
pub(crate) async fn base_currency(tx: &mut Tx) -> Result<String> {
    let own = organizations::table.filter(organizations::id.eq(tx.organization_id()));
    own.select(organizations::default_currency).first(tx).await.expect_one(ORGANIZATION)
}

pub(crate) async fn insert(tx: &mut Tx, new: &NewDeal) -> Result<Deal> {
    let id = diesel::insert_into(deals::table).values(new).returning(deals::id).get_result(tx).await.expect_one(DEAL)?;
    get(tx, id).await
}

/// All of them with one statement, in this order. Each says its id.
pub(crate) async fn insert_all(tx: &mut Tx, new: &[NewDeal]) -> Result<Vec<Deal>> {
    let made: Vec<DealId> =
        diesel::insert_into(deals::table).values(new).returning(deals::id).get_results(tx).await.expect_any(DEAL)?;
    let mut found: HashMap<DealId, Deal> = get_many(tx, &made).await?.into_iter().map(|deal| (deal.id, deal)).collect();
    let in_order: Option<Vec<Deal>> = new.iter().map(|new| found.remove(&new.id?)).collect();
    in_order.ok_or_else(|| Error::internal("a record that was made is not there"))
}

/// Locks a living deal that the caller may change and whose version is expected; otherwise says why not.
pub(crate) async fn hold(tx: &mut Tx, id: DealId, expected: &Expected) -> Result<Held> {
    let this = deals::table.find((tx.organization_id(), id)).filter(deals::deleted_at.is_null());
    let held: Option<Held> = this.select(Held::as_select()).for_no_key_update().first(tx).await.optional().expect_any(DEAL)?;
    match held {
        Some(held) if expected.accepts(held.version) => Ok(held),
        _ => Err(why_not(tx, id, expected).await?),
    }
}

/// Changes a deal that is held.
pub(crate) async fn update(tx: &mut Tx, id: DealId, changes: &DealChanges) -> Result<Deal> {
    let custom_fields = patched!(deals::custom_fields.nullable(), changes.custom_fields).assume_not_null();
    let changed: DealId = diesel::update(deals::table.find((tx.organization_id(), id)))
        .set((changes, deals::custom_fields.eq(custom_fields)))
        .returning(deals::id)
        .get_result(tx)
        .await
        .expect_one(DEAL)?;
    get(tx, changed).await
}

/// Moves a deal that is held; without a position it keeps its place, or stands on top of another stage.
pub(crate) async fn move_to(tx: &mut Tx, id: DealId, movement: &Movement, position: Option<&str>) -> Result<Deal> {
    let this = deals::table.find((tx.organization_id(), id));
    let set = (movement, position.map(|position| deals::board_position.eq(position)));
    let moved: DealId = diesel::update(this).set(set).returning(deals::id).get_result(tx).await.expect_one(DEAL)?;
    get(tx, moved).await
}

pub(crate) async fn delete(tx: &mut Tx, id: DealId, expected: &Expected) -> Result<()> {
    let this = deals::table.find((tx.organization_id(), id)).filter(deals::deleted_at.is_null());
    let this = this.filter(expected.is_any().into_sql::<Bool>().or(deals::version.eq_any(expected.versions())));
    let gone: Option<DealId> = diesel::update(this)
        .set(deals::deleted_at.eq(now))
        .returning(deals::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(DEAL)?;
    if gone.is_some() { Ok(()) } else { Err(why_not(tx, id, expected).await?) }
}

/// Brings a record back from the bin; a record that is not in it stays as it is.
pub(crate) async fn restore(tx: &mut Tx, id: DealId) -> Result<Deal> {
    let this = deals::table.find((tx.organization_id(), id)).filter(deals::deleted_at.is_not_null());
    let none = None::<Timestamp>;
    let back: Option<DealId> = diesel::update(this)
        .set(deals::deleted_at.eq(none))
        .returning(deals::id)
        .get_result(tx)
        .await
        .optional()
        .expect_any(DEAL)?;
    let deal = get_with_deleted(tx, id).await?;
    // Untouched: it lives already, which is well for those who may change it, or the database refused.
    let refused = back.is_none() && (deal.deleted_at.is_some() || !standing(tx, &deal).changeable_by(tx.role()));
    if refused { Err(Error::forbidden("your role may not restore this deal")) } else { Ok(deal) }
}

/// The way of a deal through the stages, oldest first.
pub(crate) async fn stays(tx: &mut Tx, id: DealId) -> Result<Vec<StayRow>> {
    let own = stays::table.filter(stays::organization_id.eq(tx.organization_id())).filter(stays::deal_id.eq(id));
    let columns = (
        stays::pipeline_id,
        stays::stage,
        stays::from_stage,
        stays::entered_at,
        stays::left_at,
        stays::next_stage,
        stays::amount,
        stays::owner_id,
        stays::user_id,
    );
    own.order(stays::seq).limit(MOST_STAYS).select(columns).load(tx).await.expect_any(DEAL)
}

async fn why_not(tx: &mut Tx, id: DealId, expected: &Expected) -> Result<Error> {
    let seen = get_with_deleted(tx, id).await.map(|deal| standing(tx, &deal));
    // Nothing forbids it now, so somebody was faster between the two looks: that is what stale means.
    Ok(Standing::refusal(seen, tx, DEAL, expected)?.unwrap_or(Error::Stale(DEAL.name)))
}

fn standing(tx: &Tx, deal: &Deal) -> Standing {
    Standing::of(tx, deal.deleted_at, deal.version, &[deal.owner_id, deal.created_by_id])
}

fn everything<'a>(tx: &Tx) -> Rows<'a> {
    q_deals::table.filter(q_deals::organization_id.eq(tx.organization_id())).into_boxed()
}

/// Over lists and over groups alike, hence the two parameters: what is selected, and what is grouped by.
pub(crate) fn narrowed<'a, Selection, Group>(
    tx: &Tx,
    rows: BoxedSelectStatement<'a, Selection, FromClause<q_deals::table>, Pg, Group>,
    deleted: Deleted,
    filter: &Filter,
) -> BoxedSelectStatement<'a, Selection, FromClause<q_deals::table>, Pg, Group> {
    let rows = match deleted {
        Deleted::Exclude => rows.filter(q_deals::deleted_at.is_null()),
        Deleted::Only => rows.filter(q_deals::deleted_at.is_not_null()),
    };
    let condition = filter.condition();
    let rows = if seek::by_times(&condition) { rows.filter(q_deals::in_bin.eq(deleted == Deleted::Only)) } else { rows };
    rows.filter(Matching::new(tx, VIEW, &condition))
}
