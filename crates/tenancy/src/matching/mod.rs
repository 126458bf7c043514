//! A condition as SQL: what the filter language asks, put into the WHERE of a query on a noun's view.
//!
//! Lives here: the one place where a [`Condition`] becomes SQL. Lists, counts and sums all narrow with [`Matching`].
//! Must stay true: every piece of SQL is a text of this module or a name that a `fields.rs` declares; every value is a bind
//! parameter. The text of a statement does not change with the length of a list: that is one array. A filter of a single declared field is a
//! bare comparison of its column or key, so that an index may answer it. What is true here is true in `crm_kernel::filter::evaluate`, and the other way round.
//!
//! SQL has three values where the language has two. WHERE takes NULL for false, and AND and OR keep that; only NOT does
//! not, so it is spelled `IS NOT TRUE`.

mod bound;
mod custom;
mod parents;
mod writer;

use std::marker::PhantomData;

use crm_kernel::{Comparison, Condition, Operator};
use diesel::{
    AppearsOnTable, Expression, QueryResult,
    expression::{ValidGrouping, is_aggregate},
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{Bool, Nullable},
};

use self::{bound::Bound, writer::Writer};
use crate::Tx;

/// That a row of the view `T` is what a condition asks for. Give it to `filter`.
#[derive(Debug)]
pub struct Matching<T> {
    parts: Vec<Part>,
    cached: bool,
    view: PhantomData<fn() -> T>,
}

/// A piece of the statement.
#[derive(Debug)]
enum Part {
    Sql(&'static str),
    /// A name, which is quoted.
    Name(&'static str),
    Value(Bound),
}

/// Conditions with more comparisons than this are planned anew each time: there are more of them than a connection could keep
/// prepared statements.
const MOST_CACHED: usize = 2;

impl<T> Matching<T> {
    /// The rows of `view`, which must be the name of the view `T`, that are what `condition` asks for.
    #[must_use]
    pub fn new(tx: &Tx, view: &'static str, condition: &Condition) -> Self {
        let parts = Writer::written(tx.organization_id(), view, condition);
        Self { parts, cached: is_common(condition), view: PhantomData }
    }
}

/// Whether many people ask such questions: a few fields, each equal to something.
fn is_common(condition: &Condition) -> bool {
    match condition {
        Condition::All(parts) => {
            parts.len() <= MOST_CACHED && parts.iter().all(|part| matches!(part, Condition::Compare(_)) && is_common(part))
        }
        Condition::Compare(Comparison { field, operator, values }) => {
            let asks_for_values = matches!(operator, Operator::Equal | Operator::In | Operator::Has);
            asks_for_values && !values.is_empty() && field.parent.is_none() && field.key.is_none()
        }
        Condition::Any(_) | Condition::Not(_) => false,
    }
}

impl<T> Expression for Matching<T> {
    type SqlType = Nullable<Bool>;
}

impl<T> AppearsOnTable<T> for Matching<T> {}

impl<T> ValidGrouping<()> for Matching<T> {
    type IsAggregate = is_aggregate::No;
}

impl<T> QueryId for Matching<T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T> QueryFragment<Pg> for Matching<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if !self.cached {
            out.unsafe_to_cache_prepared();
        }
        for part in &self.parts {
            match part {
                Part::Sql(sql) => out.push_sql(sql),
                Part::Name(name) => out.push_identifier(name)?,
                Part::Value(value) => value.walk_ast(out.reborrow())?,
            }
        }
        Ok(())
    }
}
