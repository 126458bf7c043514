//! What a question costs: how the database goes about a list that is narrowed by a condition, in some order.

use crm_kernel::{Condition, Context, Direction, Error, Field, Kind, ListQuery, OrganizationId, page::COUNT_BOUND};
use crm_tenancy::{
    Db, Matching, Tx, cost,
    custom_fields::{Phase, Ranking},
    seek,
};
use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Json, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

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

    /// How the records were counted, up to the bound of counts.
    pub async fn counted(db: &Db, context: &Context, view: &'static str, condition: &Condition) -> Self {
        let mut tx = db.begin(context).await.expect("a transaction");
        let counting = Counting(Asked::of(&tx, context, view, condition, ("id", Direction::Descending)));
        Self(Analysed(counting).get_result(&mut tx).await.expect("a plan"))
    }

    /// How the first page of an affordable list was found, newest first, after the planner was asked what it costs.
    pub async fn judged(db: &Db, context: &Context, view: &'static str, fields: &'static [Field], condition: &Condition) -> Self {
        let mut tx = db.begin(context).await.expect("a transaction");
        let asked = Asked::of(&tx, context, view, condition, ("id", Direction::Descending));
        cost::require_affordable(&mut tx, fields, condition, &asked).await.expect("it is affordable");
        Self(Analysed(asked).get_result(&mut tx).await.expect("a plan"))
    }

    /// How a page of the query was found, one phase of its order, as the stores find it; none if it was refused as too costly.
    pub async fn page(
        db: &Db,
        context: &Context,
        view: &'static str,
        fields: &'static [Field],
        query: &ListQuery,
        phase: seek::Phase,
    ) -> Option<Self> {
        let mut tx = db.begin(context).await.expect("a transaction");
        let statement = |tx: &Tx, query: &ListQuery| Ok(Asked::page(tx, context, view, query, phase));
        match cost::settle(&mut tx, fields, query, statement).await {
            Err(Error::TooCostly(_)) => return None,
            settled => settled.expect("the planner was asked"),
        }
        let asked = Asked::page(&tx, context, view, query, phase);
        Some(Self(Analysed(asked).get_result(&mut tx).await.expect("a plan")))
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
    phase: Option<&'static str>,
    after: Option<Place>,
}

/// Where a page begins: behind a key, as a text and its type, and an id.
struct Place {
    key: Option<(String, &'static str)>,
    id: Uuid,
}

impl Asked {
    fn of(tx: &Tx, context: &Context, view: &'static str, condition: &Condition, order: (&'static str, Direction)) -> Self {
        let by_times = seek::by_times(condition) || matches!(order.0, "updated_at_key" | "last_activity_key");
        let condition = Matching::new(tx, view, condition);
        Self { view, organization: context.organization_id, condition, order, by_times, phase: None, after: None }
    }

    fn page(tx: &Tx, context: &Context, view: &'static str, query: &ListQuery, phase: seek::Phase) -> Self {
        let field = query.sort.field;
        let column = match field.name {
            "created_at" => "id",
            "last_name" => "name_key",
            name => field.key.unwrap_or(name),
        };
        let (key_type, marks) = match field.kind {
            Kind::Date => ("::date", [" < 'infinity'::date", " = 'infinity'::date"]),
            Kind::Timestamp => ("::timestamptz", [" < 'infinity'::timestamptz", " = 'infinity'::timestamptz"]),
            _ => ("::bigint", [" < 9223372036854775807", " = 9223372036854775807"]),
        };
        let key_type = if matches!(field.kind, Kind::Text | Kind::Caseless) { "" } else { key_type };
        let [valued, empty] = marks;
        let mark = if phase == seek::Phase::Valued { valued } else { empty };
        let after = query.after.as_ref().filter(|after| column == "id" || after.key.is_null() == (phase == seek::Phase::Empty));
        let after = after.map(|after| {
            let text = after.key.as_str().map_or_else(|| after.key.to_string(), str::to_owned);
            Place { key: Some((text, key_type)).filter(|_| column != "id" && !after.key.is_null()), id: after.id }
        });
        let asked = Self::of(tx, context, view, &query.filter.condition(), (column, query.sort.direction));
        Self { phase: Some(mark).filter(|_| field.nullable), after, ..asked }
    }

    /// Those that are asked for, in no order.
    fn walk_rows<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT id FROM ");
        out.push_identifier(self.view)?;
        out.push_sql(" WHERE organization_id = ");
        out.push_bind_param::<SqlUuid, _>(&self.organization)?;
        out.push_sql(" AND deleted_at IS NULL AND ");
        if self.by_times {
            out.push_sql("in_bin = false AND ");
        }
        self.condition.walk_ast(out.reborrow())
    }

    /// `key >= k AND (key > k OR id > i)`, or `id > i` alone.
    fn walk_after<'b>(&'b self, place: &'b Place, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let (column, direction) = self.order;
        let behind = if direction == Direction::Ascending { " > " } else { " < " };
        let from = if direction == Direction::Ascending { " >= " } else { " <= " };
        let Some((key, key_type)) = &place.key else {
            out.push_sql(" AND id");
            out.push_sql(behind);
            return out.push_bind_param::<SqlUuid, _>(&place.id);
        };
        for (beginning, compared) in [(" AND ", from), (" AND (", behind)] {
            out.push_sql(beginning);
            out.push_identifier(column)?;
            out.push_sql(compared);
            out.push_bind_param::<Text, _>(key)?;
            out.push_sql(key_type);
        }
        out.push_sql(" OR id");
        out.push_sql(behind);
        out.push_bind_param::<SqlUuid, _>(&place.id)?;
        out.push_sql(")");
        Ok(())
    }
}

impl QueryFragment<Pg> for Asked {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.walk_rows(&mut out)?;
        let (column, direction) = self.order;
        if let Some(mark) = self.phase {
            out.push_sql(" AND ");
            out.push_identifier(column)?;
            out.push_sql(mark);
        }
        if let Some(place) = &self.after {
            self.walk_after(place, &mut out)?;
        }
        out.push_sql(" ORDER BY ");
        out.push_identifier(column)?;
        out.push_sql(if direction == Direction::Ascending { " ASC, id ASC LIMIT 51" } else { " DESC, id DESC LIMIT 51" });
        Ok(())
    }
}

/// How many there are, counted up to the bound.
struct Counting(Asked);

impl QueryFragment<Pg> for Counting {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT count(*) FROM (");
        self.0.walk_rows(&mut out)?;
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&(COUNT_BOUND + 1))?;
        out.push_sql(") AS rows");
        Ok(())
    }
}
