//! `cargo xtask restore`: the rows of a backup into a database that has none.
//!
//! The file is read twice: once to its end, before anything is written, and once to load it. What must stay true: a damaged
//! file changes nothing; all rows come in one transaction or none do; a database with a row of ours in it is refused. What a
//! restore that failed may leave is the schema, empty, into which the next one goes.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use crm_tenancy::migrations;
use futures_util::SinkExt;
use serde::de::DeserializeOwned;
use tokio_postgres::Client;

use crate::backup::contents::{Contents, Manifest, table_of};
use crate::backup::tables::{self, Table};
use crate::backup::{self, archive};
use crate::database::{self, Database};
use crate::migrate;
use crate::progress::{say, step};

#[derive(clap::Args)]
pub struct Options {
    /// File that `cargo xtask backup` made
    file: PathBuf,
}

pub async fn run(database: &Database, options: &Options) -> Result<()> {
    let file = &options.file;
    let url = &database.admin_url;
    let (manifest, contents) = step("checking the file", verify(file)).await.with_context(|| file.display().to_string())?;
    refuse_other_schema(url, &manifest).await?;
    let label = format!("making the schema of {}", manifest.made_at);
    step(&label, async { migrations::run_these(url, &manifest.migrations).await.map_err(|error| anyhow!("{error}")) }).await?;
    let client = database::connect(url).await?;
    step("loading every table", load(&client, file, &manifest, &contents)).await?;
    let newer = step("migrating", migrate::apply(url)).await?;
    step("gathering statistics", async { Ok(client.batch_execute("ANALYZE").await?) }).await?;
    let rows: u64 = contents.tables.iter().map(|table| table.rows).sum();
    say(&format!(
        "{} tables, {rows} rows, as of {}; {} newer migrations ran\n",
        contents.tables.len(),
        manifest.made_at,
        newer.len()
    ));
    say(
        "Sessions and API tokens are as they were then: what was ended or revoked since is not. Give the roles their passwords,\n",
    );
    say("and the gateway the keys it had.\n");
    Ok(())
}

async fn verify(file: &Path) -> Result<(Manifest, Contents)> {
    let (mut manifest, mut contents) = (None, None);
    archive::read(file, async |name, bytes| {
        match name {
            "manifest.json" => manifest = Some(parsed::<Manifest>(name, &bytes)?),
            "contents.json" => contents = Some(parsed::<Contents>(name, &bytes)?),
            name if table_of(name).is_some() => {}
            name => bail!("it holds {name}, which this program does not know"),
        }
        Ok(())
    })
    .await?;
    let manifest = manifest.context("it has no manifest")?;
    manifest.check()?;
    Ok((manifest, contents.context("it does not say what it holds")?))
}

fn parsed<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).with_context(|| format!("its {name} is unreadable"))
}

/// Before anything is written: the database is empty, or has an empty schema that is not newer than the backup's.
async fn refuse_other_schema(url: &str, manifest: &Manifest) -> Result<()> {
    let client = database::connect(url).await?;
    if !tables::are_there(&client).await? {
        return Ok(());
    }
    let ran = backup::migrations_that_ran(&client).await?;
    if let Some(newer) = ran.iter().find(|version| !manifest.migrations.contains(version)) {
        bail!("the database has migration {newer}, which the backup has not: restore into a database without tables");
    }
    client.batch_execute("BEGIN READ ONLY").await?;
    tables::read_everything(&client).await?;
    refuse_rows(&client, &tables::list(&client).await?).await?;
    Ok(client.batch_execute("ROLLBACK").await?)
}

async fn refuse_rows(client: &Client, tables: &[Table]) -> Result<()> {
    for table in tables {
        let query = format!("SELECT EXISTS (SELECT FROM {})", table.name);
        if client.query_one(&query, &[]).await?.try_get(0)? {
            bail!("the database is not empty: {} has rows. Restore into an empty one", table.name);
        }
    }
    Ok(())
}

async fn load(client: &Client, file: &Path, manifest: &Manifest, contents: &Contents) -> Result<()> {
    make_partitions(client, manifest).await?;
    client.batch_execute("BEGIN").await?;
    let names = tables::names(client).await?;
    tables::lock(client, &names, tables::Lock::AgainstEverybody).await?;
    tables::read_everything(client).await?;
    let tables = tables::list(client).await?;
    refuse_rows(client, &tables).await?;
    tables::read_as_oneself(client).await?;
    refuse_other_columns(&tables, contents)?;
    let walls = open_walls(client, &names).await?;
    let mut loaded = vec![0_u64; contents.tables.len()];
    archive::read(file, async |name, bytes| {
        let Some(table) = table_of(name) else { return Ok(()) };
        let place = contents.tables.iter().position(|dumped| dumped.name == table);
        let place = place.with_context(|| format!("{table} is not among its contents"))?;
        if let (Some(dumped), Some(count)) = (contents.tables.get(place), loaded.get_mut(place)) {
            let statement = format!("COPY {} ({}) FROM STDIN", dumped.name, dumped.columns);
            *count += copy_in(client, &statement, bytes).await.with_context(|| format!("cannot load {name}"))?;
        }
        Ok(())
    })
    .await?;
    for (dumped, loaded) in contents.tables.iter().zip(loaded) {
        ensure!(dumped.rows == loaded, "{} should have {} rows, and {loaded} were loaded", dumped.name, dumped.rows);
    }
    for sequence in &contents.sequences {
        let statement = "SELECT setval($1::text::regclass, $2, $3)";
        client.execute(statement, &[&sequence.name, &sequence.last_value, &sequence.is_called]).await?;
    }
    close_walls(client, &walls).await?;
    client.batch_execute("COMMIT").await.context("nothing was kept")
}

/// The months of the log that the migrations of today do not make any more.
async fn make_partitions(client: &Client, manifest: &Manifest) -> Result<()> {
    let Some(from) = &manifest.log_from else { return Ok(()) };
    let statement = "
        SELECT app.ensure_activity_partitions(
                   greatest(0, 12 * (date_part('year', now()) - date_part('year', day))::integer
                               + (date_part('month', now()) - date_part('month', day))::integer) + 12, day)
          FROM (SELECT $1::text::date AS day) AS oldest";
    client.execute(statement, &[from]).await.context("cannot make the partitions of the log")?;
    Ok(())
}

fn refuse_other_columns(tables: &[Table], contents: &Contents) -> Result<()> {
    for dumped in &contents.tables {
        let table = tables.iter().find(|table| table.name == dumped.name);
        let table = table.with_context(|| format!("the migrations make no table {}", dumped.name))?;
        // Their order is that of the migrations that added them, and COPY names them.
        ensure!(
            names(&table.columns) == names(&dumped.columns),
            "{} has other columns than in the backup: {} instead of {}",
            dumped.name,
            table.columns,
            dumped.columns
        );
    }
    Ok(())
}

fn names(columns: &str) -> BTreeSet<&str> {
    columns.split(", ").collect()
}

/// Lets the rows in as they are: no trigger may log, check or change them a second time, and whoever is not above row-level
/// security writes as the owner of tables that do not force it on the owner until [`close_walls`]. Gives those tables.
async fn open_walls(client: &Client, names: &[String]) -> Result<Vec<String>> {
    client.batch_execute("SET LOCAL session_replication_role = replica").await.context(
        "this role may not switch triggers off: use a superuser, or have one GRANT SET ON PARAMETER session_replication_role TO it",
    )?;
    let row = client.query_one("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user", &[]).await?;
    if row.try_get(0)? {
        return Ok(Vec::new());
    }
    for name in names {
        client.batch_execute(&format!("ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")).await?;
    }
    Ok(names.to_vec())
}

async fn close_walls(client: &Client, walls: &[String]) -> Result<()> {
    for name in walls {
        client.batch_execute(&format!("ALTER TABLE {name} FORCE ROW LEVEL SECURITY")).await?;
    }
    Ok(())
}

/// Gives the number of rows.
async fn copy_in(client: &Client, statement: &str, bytes: Vec<u8>) -> Result<u64> {
    let mut sink = std::pin::pin!(client.copy_in::<_, std::io::Cursor<Vec<u8>>>(statement).await?);
    sink.send(std::io::Cursor::new(bytes)).await?;
    Ok(sink.finish().await?)
}
