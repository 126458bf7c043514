//! The check at start-up: is the seal whole? A gateway that finds it broken refuses to start and says why.
//!
//! Asked as the application's own role, of PostgreSQL's catalogue:
//!
//! * `role`: could this role get around row-level security? It is no superuser, bypasses nothing, is a member of no other role,
//!   owns nothing, large objects neither, creates nothing anywhere, and the triggers fire in its session.
//! * `tables`: does every table that is not on the list of exemptions have forced policies that begin with the organisation,
//!   tracking, composite keys, and no trigger that is switched off?
//! * `grants`: what may it do? Nothing on tables outside `public`, no TRUNCATE, no writing of what triggers derive, no reading
//!   of people and of the log's values. Views end with the organisation's test and are never written through; a materialized
//!   view cannot be read at all.
//! * `functions`: what policies and views ask (`app.org_id()` and its like) is what the migration made, and of the functions
//!   that run with another role's rights it may call the listed ones only.
//!
//! Not asked: the bodies of other functions, whether a guard was dropped altogether, and sub-selects within a view that ends
//! as it must. What an extension brought along is left to who installed it, except its functions with another role's rights.
#![allow(clippy::disallowed_methods, reason = "fixed texts over pg_catalog, run once at start-up")]

mod functions;
mod grants;
mod role;
mod tables;

use crm_kernel::{Error, Result};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Array, Text},
};
use diesel_async::RunQueryDsl;

pub use self::{functions::CALLABLE, tables::EXEMPT};
use crate::{Db, migrations};

/// Something wrong with the seal.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct Fault {
    /// The role, table, view, function or migration at fault.
    #[diesel(sql_type = Text)]
    pub object: String,
    /// What is wrong with it, and what follows.
    #[diesel(sql_type = Text)]
    pub reason: String,
}

/// Everything that is wrong; empty when the seal is whole.
///
/// # Errors
/// `Unavailable` when the database is away.
pub async fn check(db: &Db) -> Result<Vec<Fault>> {
    let mut connection = db.connection().await?;
    let exempt: Vec<String> = EXEMPT.iter().map(|(table, rule, _)| format!("{table} {rule}")).collect();
    let callable: Vec<&str> = CALLABLE.iter().map(|(function, _)| *function).collect();
    let (context, bodies): (Vec<&str>, Vec<&str>) = functions::CONTEXT.iter().copied().unzip();
    let mut faults: Vec<Fault> = sql_query(role::ROLE_FAULTS).load(&mut connection).await.map_err(Error::unavailable)?;
    let tables = sql_query(tables::TABLE_FAULTS).bind::<Array<Text>, _>(exempt);
    faults.extend(tables.load::<Fault>(&mut connection).await.map_err(Error::unavailable)?);
    for grants in [grants::TABLE_GRANTS, grants::VIEW_GRANTS] {
        faults.extend(sql_query(grants).load::<Fault>(&mut connection).await.map_err(Error::unavailable)?);
    }
    let calls = sql_query(functions::DEFINER_FAULTS).bind::<Array<Text>, _>(callable);
    faults.extend(calls.load::<Fault>(&mut connection).await.map_err(Error::unavailable)?);
    let answers = sql_query(functions::CONTEXT_FAULTS).bind::<Array<Text>, _>(context).bind::<Array<Text>, _>(bodies);
    faults.extend(answers.load::<Fault>(&mut connection).await.map_err(Error::unavailable)?);
    let applied: Vec<Version> = sql_query("SELECT version::text FROM public.__diesel_schema_migrations")
        .load(&mut connection)
        .await
        .map_err(Error::unavailable)?;
    faults.extend(missing_migrations(&applied)?);
    Ok(faults)
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

fn missing_migrations(applied: &[Version]) -> Result<Vec<Fault>> {
    // The database keeps the leading digits of the folder's name, without separators.
    let version_of = |name: &str| name.split('_').next().unwrap_or(name).replace('-', "");
    let is_missing = |name: &String| !applied.iter().any(|row| row.version == version_of(name));
    let fault = |name: String| Fault { object: name, reason: "this migration has not been applied".into() };
    Ok(migrations::names()?.into_iter().filter(is_missing).map(fault).collect())
}
