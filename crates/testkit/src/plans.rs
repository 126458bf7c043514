//! What a question costs: how the database goes about a list that is narrowed by a condition, in some order.

use crm_kernel::{Condition, Context, Direction, Field, ListQuery, OrganizationId};
use crm_tenancy::{
    Db, Matching, Tx, cost,
    custom_fields::{Phase, Ranking},
    seek,
};
use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Json, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;

/// How a page of living records was found, narrowed by the condition.
#[derive(Debug)]
pub struct Plan(Value);

impl Plan {
    /// Runs the list, newest first, and asks how.
    pub async fn of(db: &Db, context: &Context, view: &'static str, condition: &Condition) -> Self {
        Self::sorted(db, context, view, condition, ("id", Direction::Descending)).await
    }

    /// The same in the order of a column, then of the id.
    pub async fn sorted(
        db: &Db,
        context: &Context,
        view: &'static str,
        condition: &Condition,
        order: (&'static str, Direction),
    ) -> Self {
        let mut tx = db.begin(context).await.expect("a transaction");
        let asked = Asked::of(&tx, context, view, condition, order);
        Self(Analysed(asked).get_result(&mut tx).await.expect("a plan"))
    }

    /// How the first page of an affordable list was found, newest first, after the planner was asked what it costs.
    pub async fn judged(db: &Db, context: &Context, view: &'static str, fields: &'static [Field], condition: &Condition) -> Self {
        let mut tx = db.begin(context).await.expect("a transaction");
        let asked = Asked::of(&tx, context, view, condition, ("id", Direction::Descending));
        cost::require_affordable(&mut tx, fields, condition, &asked).await.expect("it is affordable");
        Self(Analysed(asked).get_result(&mut tx).await.expect("a plan"))
    }

    /// How a page in the order of the query's custom field was found.
    pub async fn ranked(db: &Db, context: &Context, view: &'static str, query: &ListQuery, phase: Phase) -> Self {
        let mut tx = db.begin(context).await.expect("a transaction");
        let ranking = Ranking::of(&tx, view, query, phase, 51).expect("a place in the order").expect("an order");
        Self(Analysed(ranking).get_result(&mut tx).await.expect("a plan"))
    }

    /// How many rows were read for nothing.
    #[must_use]
    pub fn wasted(&self) -> f64 {
        wasted(&self.0[0]["Plan"])
    }

    /// How many rows were read of this table.
    #[must_use]
    pub fn rows_of(&self, table: &str) -> f64 {
        rows_of(&self.0[0]["Plan"], table)
    }

    /// The whole plan, to read when it is not what it should be.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#}", self.0)
    }
}

fn wasted(node: &Value) -> f64 {
    let number = |name: &str| node[name].as_f64().unwrap_or_default();
    let own = ["Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck"]
        .map(number)
        .iter()
        .sum::<f64>();
    let below: f64 = node["Plans"].as_array().into_iter().flatten().map(wasted).sum();
    own * number("Actual Loops") + below
}

fn rows_of(node: &Value, table: &str) -> f64 {
    let number = |name: &str| node[name].as_f64().unwrap_or_default();
    let own = if node["Relation Name"] == table { number("Actual Rows") * number("Actual Loops") } else { 0.0 };
    own + node["Plans"].as_array().into_iter().flatten().map(|part| rows_of(part, table)).sum::<f64>()
}

/// A statement that is run and explained.
struct Analysed<Q>(Q);

impl<Q> Query for Analysed<Q> {
    type SqlType = Json;
}

impl<Q> QueryId for Analysed<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Analysed<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql("EXPLAIN (ANALYZE, BUFFERS false, FORMAT JSON) ");
        self.0.walk_ast(out.reborrow())
    }
}

impl<Q, C> diesel::RunQueryDsl<C> for Analysed<Q> {}

/// A page of living records.
struct Asked {
    view: &'static str,
    organization: OrganizationId,
    condition: Matching<()>,
    order: (&'static str, Direction),
    by_times: bool,
}

impl Asked {
    fn of(tx: &Tx, context: &Context, view: &'static str, condition: &Condition, order: (&'static str, Direction)) -> Self {
        let by_times = seek::by_times(condition) || matches!(order.0, "updated_at_key" | "last_activity_key");
        let condition = Matching::new(tx, view, condition);
        Self { view, organization: context.organization_id, condition, order, by_times }
    }
}

impl QueryFragment<Pg> for Asked {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT id FROM ");
        out.push_identifier(self.view)?;
        out.push_sql(" WHERE organization_id = ");
        out.push_bind_param::<SqlUuid, _>(&self.organization)?;
        out.push_sql(" AND deleted_at IS NULL AND ");
        if self.by_times {
            out.push_sql("in_bin = false AND ");
        }
        self.condition.walk_ast(out.reborrow())?;
        let (column, direction) = self.order;
        out.push_sql(" ORDER BY ");
        out.push_identifier(column)?;
        out.push_sql(if direction == Direction::Ascending { " ASC, id ASC LIMIT 51" } else { " DESC, id DESC LIMIT 51" });
        Ok(())
    }
}
