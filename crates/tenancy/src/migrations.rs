//! The schema, compiled in, so that one binary or an embedder's program can bring a database up to date.
//!
//! All of these want an administrator's address: the role of the application owns nothing and can change nothing.
//! Must run on a multi-thread runtime: Diesel's migrations are synchronous inside.

use crm_kernel::{Error, Result};
use diesel::migration::{MigrationSource, MigrationVersion};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connect;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// One migration and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Its name, as the folder is called.
    pub name: String,
    /// Whether it has been applied.
    pub applied: bool,
}

/// Applies what is missing; returns the names of what was applied. Also makes the log's partitions of the coming year, so it is to
/// be called at every start of an installation, or once a month, whether or not there is anything to apply.
///
/// # Errors
/// When the database is away or a script fails; that script's changes are undone, earlier ones stay.
pub async fn run(admin_url: &str) -> Result<Vec<String>> {
    let mut harness = harness(admin_url).await?;
    let applied = harness.run_pending_migrations(MIGRATIONS).map_err(Error::internal)?;
    let applied = applied.iter().map(MigrationVersion::to_string).collect();
    let mut connection = harness.into_inner();
    connection.batch_execute("SELECT app.ensure_activity_partitions()").await.map_err(Error::internal)?;
    Ok(applied)
}

/// Applies those of these versions that are missing, and no others: the schema that a backup was made of.
///
/// # Errors
/// When this program does not have one of them, the database is away or a script fails.
pub async fn run_these(admin_url: &str, versions: &[String]) -> Result<()> {
    let mut harness = harness(admin_url).await?;
    let all = MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS).map_err(Error::internal)?;
    let known: Vec<String> = all.iter().map(|migration| migration.name().version().to_string()).collect();
    if let Some(unknown) = versions.iter().find(|version| !known.contains(version)) {
        return Err(Error::internal(format!("this program has no migration {unknown}: use a newer one")));
    }
    for migration in harness.pending_migrations(MIGRATIONS).map_err(Error::internal)? {
        if versions.contains(&migration.name().version().to_string()) {
            harness.run_migration(&migration).map_err(Error::internal)?;
        }
    }
    Ok(())
}

/// Undoes every migration, newest first; returns the names.
///
/// # Errors
/// When the database is away or a script fails.
pub async fn revert_all(admin_url: &str) -> Result<Vec<String>> {
    let mut harness = harness(admin_url).await?;
    let reverted = harness.revert_all_migrations(MIGRATIONS).map_err(Error::internal)?;
    Ok(reverted.iter().map(MigrationVersion::to_string).collect())
}

/// Undoes the newest migration; returns its name.
///
/// # Errors
/// When there is none, the database is away or the script fails.
pub async fn revert_last(admin_url: &str) -> Result<String> {
    let mut harness = harness(admin_url).await?;
    harness.revert_last_migration(MIGRATIONS).map(|version| version.to_string()).map_err(Error::internal)
}

/// Every migration of this program and whether the database has it.
///
/// # Errors
/// When the database is away.
pub async fn status(admin_url: &str) -> Result<Vec<MigrationState>> {
    let mut harness = harness(admin_url).await?;
    let pending = harness.pending_migrations(MIGRATIONS).map_err(Error::internal)?;
    let pending: Vec<String> = pending.iter().map(|migration| migration.name().to_string()).collect();
    let state = |name: String| MigrationState { applied: !pending.contains(&name), name };
    Ok(names()?.into_iter().map(state).collect())
}

/// The names of all migrations of this program, oldest first.
pub(crate) fn names() -> Result<Vec<String>> {
    let all = MigrationSource::<diesel::pg::Pg>::migrations(&MIGRATIONS).map_err(Error::internal)?;
    let mut names: Vec<String> = all.iter().map(|migration| migration.name().to_string()).collect();
    names.sort();
    Ok(names)
}

async fn harness(admin_url: &str) -> Result<AsyncMigrationHarness<AsyncPgConnection>> {
    let connection = connect::establish(admin_url).await.map_err(Error::unavailable)?;
    Ok(AsyncMigrationHarness::new(connection))
}
