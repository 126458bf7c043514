//! Which tables a backup holds, and how an administrator comes to see all their rows.
//!
//! What must stay true: rows that row-level security hides are never taken for rows that are not there. Whoever cannot see
//! everything is refused, with the reason.

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

use crate::backup::contents::Sequence;

/// What means something in its own cluster alone is replaced: transaction ids begin anew in another one, and whoever waits for
/// the oldest open transaction to pass a number of the old cluster would wait for months. 0 is always over.
const OF_ONE_CLUSTER: &str = "xid";

pub struct Table {
    /// With its schema, quoted where need be.
    pub name: String,
    /// For COPY, without generated columns: those are computed again.
    pub columns: String,
    /// The same as they are read.
    pub selected: String,
}

/// Ours are the tables that belong to the owner of `organizations`; a partition is read through its parent.
const OURS: &str = "
    FROM pg_class AS class
    JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
   WHERE namespace.nspname IN ('public', 'identity', 'app') AND NOT class.relispartition
     AND class.relowner = (SELECT relowner FROM pg_class WHERE oid = 'public.organizations'::regclass)";

/// Whether the migrations have made anything here.
pub async fn are_there(client: &Client) -> Result<bool> {
    let query =
        "SELECT to_regclass('public.organizations') IS NOT NULL AND to_regclass('public.__diesel_schema_migrations') IS NOT NULL";
    Ok(client.query_one(query, &[]).await?.try_get(0)?)
}

/// From here on, until [`read_as_oneself`] or the end of the transaction, every row is seen or the statement fails.
pub async fn read_everything(client: &Client) -> Result<()> {
    let row = client
        .query_one(
            "SELECT me.rolsuper OR me.rolbypassrls, pg_has_role(definer.rolname, 'MEMBER'), definer.rolbypassrls
               FROM pg_roles AS me, pg_roles AS definer WHERE me.rolname = current_user AND definer.rolname = 'crm_definer'",
            &[],
        )
        .await
        .context("the roles of the CRM are not there")?;
    let (sees_all, may_become, definer_sees_all): (bool, bool, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if sees_all {
        // With this off a query that a policy would narrow is an error.
        return Ok(client.batch_execute("SET LOCAL row_security = off").await?);
    }
    if !may_become {
        bail!("this role sees no row through row-level security: use the role that runs the migrations, or a superuser");
    }
    client.batch_execute("SET LOCAL ROLE crm_definer").await?;
    if definer_sees_all {
        return Ok(client.batch_execute("SET LOCAL row_security = off").await?);
    }
    refuse_tables_that_hide(client).await
}

/// The end of that: as the role that logged in.
pub async fn read_as_oneself(client: &Client) -> Result<()> {
    Ok(client.batch_execute("SET LOCAL ROLE NONE").await?)
}

/// On a service that gives nobody BYPASSRLS every table of ours has a policy that shows crm_definer all rows.
async fn refuse_tables_that_hide(client: &Client) -> Result<()> {
    let query = format!(
        "SELECT string_agg(class.oid::regclass::text, ', ') {OURS} AND class.relkind IN ('r', 'p') AND class.relrowsecurity
           AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = class.oid AND polname = 'definer_all'
                              AND pg_get_expr(polqual, polrelid) = 'true')"
    );
    match client.query_one(&query, &[]).await?.try_get::<_, Option<String>>(0)? {
        Some(tables) => bail!("not all rows of {tables} can be seen: use a superuser"),
        None => Ok(()),
    }
}

pub async fn names(client: &Client) -> Result<Vec<String>> {
    let query = format!("SELECT format('%I.%I', nspname, relname) {OURS} AND class.relkind IN ('r', 'p') ORDER BY 1");
    let rows = client.query(&query, &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

pub async fn list(client: &Client) -> Result<Vec<Table>> {
    let query = format!(
        "SELECT format('%I.%I', nspname, relname), columns.names, columns.selected {OURS} AND class.relkind IN ('r', 'p') ORDER BY 1",
    )
    .replacen(
        "WHERE",
        "CROSS JOIN LATERAL (
            SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS names,
                   string_agg(CASE attname WHEN $1 THEN '0 AS ' ELSE '' END || quote_ident(attname), ', ' ORDER BY attnum) AS selected
              FROM pg_attribute WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns
         WHERE",
        1,
    );
    let rows = client.query(&query, &[&OF_ONE_CLUSTER]).await?;
    let table =
        |row: &tokio_postgres::Row| Ok(Table { name: row.try_get(0)?, columns: row.try_get(1)?, selected: row.try_get(2)? });
    rows.iter().map(table).collect()
}

#[derive(Clone, Copy)]
pub enum Lock {
    /// Readers and writers go on.
    AgainstChangesOfSchema,
    /// Nobody else reads or writes.
    AgainstEverybody,
}

pub async fn lock(client: &Client, names: &[String], lock: Lock) -> Result<()> {
    let mode = match lock {
        Lock::AgainstChangesOfSchema => "ACCESS SHARE",
        Lock::AgainstEverybody => "ACCESS EXCLUSIVE",
    };
    let statement = format!("LOCK TABLE {} IN {mode} MODE", names.join(", "));
    client.batch_execute(&statement).await.context("the tables are in use")
}

pub async fn sequences(client: &Client) -> Result<Vec<Sequence>> {
    let query = format!("SELECT format('%I.%I', nspname, relname) {OURS} AND class.relkind = 'S' ORDER BY 1");
    let mut sequences = Vec::new();
    for row in client.query(&query, &[]).await? {
        let name: String = row.try_get(0)?;
        let state = client.query_one(&format!("SELECT last_value, is_called FROM {name}"), &[]).await?;
        sequences.push(Sequence { name, last_value: state.try_get(0)?, is_called: state.try_get(1)? });
    }
    Ok(sequences)
}
