//! Counting the rows of a query, up to the limit the query carries: Diesel has no words for a count over a sub-query.

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::BigInt,
};

/// `SELECT count(*) FROM (query)`; give the query a LIMIT, or it counts everything.
#[derive(Debug, Clone, Copy)]
pub struct Counted<Q>(pub Q);

impl<Q> Query for Counted<Q> {
    type SqlType = BigInt;
}

impl<Q> QueryId for Counted<Q> {
    type QueryId = ();
    // The text depends on the boxed query inside, which is cached by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Counted<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT count(*) FROM (");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(") AS counted");
        Ok(())
    }
}

impl<Q, C> diesel::RunQueryDsl<C> for Counted<Q> {}
