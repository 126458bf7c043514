//! The plans that a connection keeps for its prepared statements, made without knowing any value.
#![expect(clippy::disallowed_methods, reason = "texts that the application itself has prepared, explained once each")]

use crm_kernel::Context;
use crm_tenancy::{ConnectOptions, Db};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{BigInt, Json, Text},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use crate::TestDatabase;

/// A parameter stands for any value only in a text that is explained as it is, and Diesel knows no statement but a prepared one.
const EXPLAIN: &str = "
    CREATE OR REPLACE FUNCTION app.explain_for_any_values(statement text) RETURNS json LANGUAGE plpgsql AS $$
    DECLARE
        plan json;
    BEGIN
        EXECUTE 'EXPLAIN (GENERIC_PLAN, FORMAT JSON) ' || statement INTO plan;
        RETURN plan;
    END
    $$;
    GRANT EXECUTE ON FUNCTION app.explain_for_any_values(text) TO crm_app";

/// A connection, and what it has prepared.
#[derive(Debug)]
pub struct KeptPlans {
    db: Db,
    context: Context,
}

/// A statement that a connection has prepared.
#[derive(Debug, Clone, QueryableByName)]
pub struct Prepared {
    /// Its text.
    #[diesel(sql_type = Text)]
    pub statement: String,
    /// How often it ran by a plan that was made once, for any values.
    #[diesel(sql_type = BigInt)]
    pub generic_plans: i64,
}

#[derive(QueryableByName)]
struct Explained {
    #[diesel(sql_type = Json)]
    plan: Value,
}

impl KeptPlans {
    /// Of a new connection.
    pub async fn of(database: &TestDatabase, context: &Context) -> Self {
        database.execute(EXPLAIN).await;
        let options = ConnectOptions { max_size: 1, ..ConnectOptions::default() };
        Self { db: Db::connect(&database.url(), options).expect("an address"), context: context.clone() }
    }

    /// The door that this connection is behind, and no other.
    #[must_use]
    pub fn db(&self) -> Db {
        self.db.clone()
    }

    /// What it has prepared.
    pub async fn prepared(&self) -> Vec<Prepared> {
        let mut tx = self.db.begin(&self.context).await.expect("a transaction");
        sql_query("SELECT statement, generic_plans FROM pg_prepared_statements").load(&mut tx).await.expect("its statements")
    }

    /// What the plan for any values sorts, and which of these tables it reads from its beginning to its end; nothing is well.
    pub async fn faults(&self, prepared: &Prepared, tables: &[&str]) -> Vec<String> {
        let mut tx = self.db.begin(&self.context).await.expect("a transaction");
        let asked = sql_query("SELECT app.explain_for_any_values($1) AS plan").bind::<Text, _>(&prepared.statement);
        let explained: Explained = asked.get_result(&mut tx).await.expect("a plan");
        let mut faults = Vec::new();
        look(&explained.plan[0]["Plan"], tables, &mut faults);
        faults
    }
}

fn look(node: &Value, tables: &[&str], faults: &mut Vec<String>) {
    let name = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
    let (kind, table) = (name("Node Type"), name("Relation Name"));
    if kind.ends_with("Sort") {
        faults.push(format!("{kind} by {}", node["Sort Key"]));
    }
    if kind == "Seq Scan" && tables.contains(&table.as_str()) {
        faults.push(format!("{kind} of {table}"));
    }
    node["Plans"].as_array().into_iter().flatten().for_each(|below| look(below, tables, faults));
}
