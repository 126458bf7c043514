//! Every SQL statement about exchange rates. Private to this crate.
//!
//! Must stay true: each statement names the organisation; reads that filter go through q_exchange_rates.

use crm_kernel::{Date, Error, ExchangeRateId, ListQuery, Position, Result, page::COUNT_BOUND};
use crm_tenancy::{Counted, Entity, Expect, Matching, Tx, cost, seek, seek_id};
use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, SelectableHelper, pg::Pg, upsert::excluded};
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use crate::{
    exchange_rates::{EXCHANGE_RATE_FIELDS, ExchangeRate, NewExchangeRate},
    schema::{crm_exchange_rates as rates, q_exchange_rates},
};

const RATE: Entity = Entity { name: "exchange rate", table: "crm_exchange_rates" };
const VIEW: &str = "q_exchange_rates";

type Rows<'a> = q_exchange_rates::BoxedQuery<'a, Pg>;

diesel::define_sql_function! {
    #[sql_name = "app.follow_exchange_rates"]
    fn follow_exchange_rates(most: diesel::sql_types::Integer) -> diesel::sql_types::Integer;
}

pub(crate) async fn get(tx: &mut Tx, id: ExchangeRateId) -> Result<ExchangeRate> {
    let own = q_exchange_rates::table.filter(q_exchange_rates::organization_id.eq(tx.organization_id()));
    own.filter(q_exchange_rates::id.eq(id)).select(ExchangeRate::as_select()).first(tx).await.expect_one(RATE)
}

/// Up to one rate more than the page holds.
pub(crate) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<ExchangeRate>> {
    if cost::is_doubtful(query) {
        let statement = ordered(tx, query)?.select(q_exchange_rates::id);
        cost::require_affordable(tx, EXCHANGE_RATE_FIELDS, &query.filter.condition(), statement).await?;
    }
    ordered(tx, query)?.select(ExchangeRate::as_select()).load(tx).await.expect_any(RATE)
}

/// One row more than the page holds. No field that is sorted by may be empty, so there is one phase.
fn ordered<'a>(tx: &Tx, query: &ListQuery) -> Result<Rows<'a>> {
    let rows = narrowed(tx, query);
    let rows = match query.sort.field.name {
        "valid_on" => seek!(rows, query, q_exchange_rates::valid_on, q_exchange_rates::id, Date),
        _ => seek_id!(rows, query, q_exchange_rates::id),
    };
    Ok(rows.limit(i64::from(query.limit) + 1))
}

/// Where a rate stands in the order of `field`.
pub(crate) fn position(rate: &ExchangeRate, field: &str) -> Position {
    let key = if field == "valid_on" { json!(rate.valid_on) } else { Value::Null };
    Position::new(key, rate.id)
}

pub(crate) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = |tx: &Tx| narrowed(tx, query).select(q_exchange_rates::id).limit(COUNT_BOUND + 1);
    if cost::is_doubtful(query) {
        cost::require_affordable(tx, EXCHANGE_RATE_FIELDS, &query.filter.condition(), Counted(rows(tx))).await?;
    }
    Counted(rows(tx)).get_result(tx).await.expect_any(RATE)
}

/// Says how many are new or other than they were. In the order of their keys, so that two callers do not wait for each other in a circle.
pub(crate) async fn set(tx: &mut Tx, wanted: &[NewExchangeRate]) -> Result<usize> {
    if wanted.is_empty() {
        return Ok(0);
    }
    let mut sorted: Vec<_> = wanted.iter().collect();
    sorted.sort_by_key(|rate| (rate.currency.clone(), rate.valid_on));
    let row = |rate: &NewExchangeRate| {
        (rates::currency.eq(rate.currency.clone()), rates::valid_on.eq(rate.valid_on), rates::rate.eq(rate.rate.clone()))
    };
    let rows: Vec<_> = sorted.into_iter().map(row).collect();
    let upsert = diesel::insert_into(rates::table)
        .values(rows)
        .on_conflict((rates::organization_id, rates::currency, rates::valid_on))
        .do_update()
        .set(rates::rate.eq(excluded(rates::rate)));
    // Called by its full name: the trait's other half, for queries, has a method of the same name.
    diesel::query_dsl::methods::FilterDsl::filter(upsert, rates::rate.ne(excluded(rates::rate)))
        .execute(tx)
        .await
        .expect_any(RATE)
}

pub(crate) async fn delete(tx: &mut Tx, id: ExchangeRateId) -> Result<()> {
    let this = rates::table.filter(rates::organization_id.eq(tx.organization_id())).filter(rates::id.eq(id));
    match diesel::delete(this).execute(tx).await.expect_any(RATE)? {
        0 => Err(Error::NotFound(RATE.name)),
        _ => Ok(()),
    }
}

/// Brings some deals to the rate that is theirs now; says how many. Fewer than were asked for: none is behind.
pub(crate) async fn follow(tx: &mut Tx, most: i32) -> Result<i32> {
    diesel::select(follow_exchange_rates(most)).get_result(tx).await.expect_any(RATE)
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    let own = q_exchange_rates::table.filter(q_exchange_rates::organization_id.eq(tx.organization_id())).into_boxed();
    own.filter(Matching::new(tx, VIEW, &query.filter.condition()))
}
