//! One question, put and explained.

use std::time::{Duration, Instant};

use anyhow::Result;
use crm_campaigns::{Campaigns, PgCampaigns};
use crm_companies::{Companies, PgCompanies};
use crm_contacts::{Contacts, PgContacts};
use crm_deals::{Deals, PgDeals};
use crm_kernel::{Context, Direction, Error, ListQuery, OrganizationId};
use crm_notes::{Notes, PgNotes};
use crm_projects::{PgProjects, Projects};
use crm_tasks::{PgTasks, Tasks};
use crm_tenancy::cost::Estimate;
use crm_tenancy::{Db, Matching, Tx, cost, seek};
use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Json, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use crate::plans::questions::{Noun, Question};
use crate::plans::report::{Row, Verdict};

/// How often a list is read; the shortest time counts, because the machine does other things too.
const TRIES: usize = 3;

pub async fn measure(db: &Db, context: &Context, question: Question) -> Result<Row> {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let begun = Instant::now();
        match listed(db, context, question.noun, &question.query).await {
            Ok(_) => best = best.min(begun.elapsed()),
            Err(Error::TooCostly(_)) => {
                let plan = explain(db, context, &question, "EXPLAIN (FORMAT JSON) SELECT id FROM ").await?;
                let cost = Estimate::of(&plan).worst;
                return Ok(Row { took: begun.elapsed(), cost, wasted: 0.0, verdict: Verdict::Refused, question });
            }
            Err(error) => return Err(error.into()),
        }
    }
    let plan = explain(db, context, &question, "EXPLAIN (ANALYZE, TIMING false, FORMAT JSON) SELECT id FROM ").await?;
    let wasted = plan.pointer("/0/Plan").map_or(0.0, wasted);
    Ok(Row { took: best, cost: Estimate::of(&plan).worst, wasted, verdict: Verdict::Answered, question })
}

async fn listed(db: &Db, context: &Context, noun: Noun, query: &ListQuery) -> crm_kernel::Result<usize> {
    Ok(match noun {
        Noun::Companies => PgCompanies::new(db.clone()).list(context, query).await?.data.len(),
        Noun::Contacts => PgContacts::new(db.clone()).list(context, query).await?.data.len(),
        Noun::Deals => PgDeals::new(db.clone()).list(context, query).await?.data.len(),
        Noun::Projects => PgProjects::new(db.clone()).list(context, query).await?.data.len(),
        Noun::Notes => PgNotes::new(db.clone()).list(context, query).await?.data.len(),
        Noun::Tasks => PgTasks::new(db.clone()).list(context, query).await?.data.len(),
        Noun::Campaigns => PgCampaigns::new(db.clone()).list(context, query).await?.data.len(),
    })
}

/// How the page is found, in a transaction in which the planner was asked as the store asks it.
async fn explain(db: &Db, context: &Context, question: &Question, how: &'static str) -> Result<Value> {
    let mut tx = db.begin(context).await?;
    let condition = question.query.filter.condition();
    if cost::is_doubtful(&question.query) {
        let asked = explained(&tx, context, question, "SELECT id FROM ");
        match cost::require_affordable(&mut tx, question.noun.fields(), &condition, asked).await {
            Ok(()) | Err(Error::TooCostly(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let asked = explained(&tx, context, question, how);
    Ok(asked.get_result(&mut tx).await?)
}

fn explained(tx: &Tx, context: &Context, question: &Question, how: &'static str) -> Explained {
    let condition = question.query.filter.condition();
    let column = question.order_column();
    let by_times = seek::by_times(&condition) || matches!(column, "updated_at_key" | "last_activity_key");
    let view = question.noun.view();
    Explained {
        how,
        view,
        organization: context.organization_id,
        by_times,
        condition: Matching::new(tx, view, &condition),
        order: (column, question.query.sort.direction),
    }
}

/// Rows that were read and not wanted.
fn wasted(node: &Value) -> f64 {
    let number = |name: &str| node[name].as_f64().unwrap_or_default();
    let own: f64 =
        ["Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck"].map(number).iter().sum();
    let below: f64 = node["Plans"].as_array().into_iter().flatten().map(wasted).sum();
    own * number("Actual Loops") + below
}

/// A page of living records, as the stores ask for it.
struct Explained {
    how: &'static str,
    view: &'static str,
    organization: OrganizationId,
    by_times: bool,
    condition: Matching<()>,
    order: (&'static str, Direction),
}

impl Query for Explained {
    type SqlType = Json;
}

impl QueryId for Explained {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Explained {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql(self.how);
        out.push_identifier(self.view)?;
        out.push_sql(" WHERE organization_id = ");
        out.push_bind_param::<SqlUuid, _>(&self.organization)?;
        out.push_sql(" AND deleted_at IS NULL AND ");
        if self.by_times {
            out.push_sql("in_bin = false AND ");
        }
        self.condition.walk_ast(out.reborrow())?;
        out.push_sql(" ORDER BY ");
        out.push_identifier(self.order.0)?;
        out.push_sql(match self.order.1 {
            Direction::Ascending => " ASC, id ASC LIMIT 51",
            Direction::Descending => " DESC, id DESC LIMIT 51",
        });
        Ok(())
    }
}

impl<C> diesel::RunQueryDsl<C> for Explained {}
