//! A page of a query, planned once for all pages of a usual length.
//!
//! Diesel binds a limit as a value. PostgreSQL keeps one plan for all values of a prepared statement only if it believes it to cost no more
//! than one made for each, and of a limit that it does not know it believes that a tenth of the table is wanted: it would plan each list
//! anew, which takes longer than to read it. A limit written out is known.
//! Must stay true: only a few lengths are written out. Each is a statement of its own, and a connection keeps all that it has seen.

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::BigInt,
};

/// Lengths of pages that people ask for, 50 being what they get who ask for none.
const USUAL: [usize; 5] = [10, 20, 25, 50, 100];

/// `query LIMIT n`; the query must have no limit of its own.
#[derive(Debug)]
pub struct Limited<Q> {
    query: Q,
    most: i64,
    written_out: bool,
}

impl<Q> Limited<Q> {
    /// At most so many rows; one more than a page holds is how its reader sees whether there is another.
    #[must_use]
    pub fn new(query: Q, wanted: usize) -> Self {
        let written_out = wanted.checked_sub(1).is_some_and(|page| USUAL.contains(&page));
        Self { query, most: i64::try_from(wanted).unwrap_or(i64::MAX), written_out }
    }
}

impl<Q: Query> Query for Limited<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> QueryId for Limited<Q> {
    type QueryId = ();
    // The text depends on the limit, and on the boxed query, which is cached by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Limited<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(" LIMIT ");
        if self.written_out {
            out.push_sql(&self.most.to_string());
            return Ok(());
        }
        out.push_bind_param::<BigInt, _>(&self.most)
    }
}

impl<Q, C> diesel::RunQueryDsl<C> for Limited<Q> {}

#[cfg(test)]
mod tests {
    use diesel::{debug_query, dsl::sql, pg::Pg, sql_types::Integer};

    use super::Limited;

    #[test]
    fn a_usual_length_is_written_out_and_any_other_is_a_value() {
        let text = |wanted| debug_query::<Pg, _>(&Limited::new(sql::<Integer>("SELECT 1"), wanted)).to_string();
        assert_eq!(text(51), "SELECT 1 LIMIT 51 -- binds: []");
        assert_eq!(text(50), "SELECT 1 LIMIT $1 -- binds: [50]");
        assert_eq!(text(0), "SELECT 1 LIMIT $1 -- binds: [0]");
    }
}
