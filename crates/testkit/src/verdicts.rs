//! What the database says of many conditions at once: one statement, a row for each record, an answer for each condition.

use std::collections::BTreeMap;

use crm_kernel::{Condition, Context};
use crm_tenancy::{Db, Matching};
use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, Bool, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

/// For every row of the view, deleted ones included, whether it is what each condition asks for. `id` is the column that tells
/// which row it is.
pub async fn verdicts(
    db: &Db,
    context: &Context,
    view: &'static str,
    id: &'static str,
    conditions: &[Condition],
) -> BTreeMap<Uuid, Vec<bool>> {
    let mut tx = db.begin(context).await.expect("a transaction");
    let conditions = conditions.iter().map(|condition| Matching::new(&tx, view, condition)).collect();
    let rows: Vec<(Uuid, Vec<bool>)> = Asked { view, id, conditions }.load(&mut tx).await.expect("an answer to every condition");
    rows.into_iter().collect()
}

struct Asked {
    view: &'static str,
    id: &'static str,
    conditions: Vec<Matching<()>>,
}

impl Query for Asked {
    type SqlType = (SqlUuid, Array<Bool>);
}

impl QueryId for Asked {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Asked {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql("SELECT ");
        out.push_identifier(self.id)?;
        for (number, condition) in self.conditions.iter().enumerate() {
            out.push_sql(if number == 0 { ", ARRAY[(" } else { ", (" });
            condition.walk_ast(out.reborrow())?;
            out.push_sql(") IS TRUE");
        }
        out.push_sql("] FROM ");
        out.push_identifier(self.view)
    }
}

impl<C> diesel::RunQueryDsl<C> for Asked {}
