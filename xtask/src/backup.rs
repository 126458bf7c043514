//! `cargo xtask backup`: every row of every table of ours, as of one moment, in one file.
//!
//! Rows only: the schema is what the migrations make, so a restore runs those first. Roles, passwords and keys are not in
//! it. What must stay true: the rows are of one snapshot, whoever writes meanwhile; nothing is kept in memory but one
//! piece; a file with the name that was asked for is a whole backup, and none that was there is overwritten.

pub mod archive;
pub mod contents;
pub mod tables;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use futures_util::TryStreamExt;
use tokio_postgres::Client;

use crate::backup::archive::Writer;
use crate::backup::contents::{Contents, Dumped, FORMAT, Manifest};
use crate::backup::tables::Table;
use crate::database::{self, Database};
use crate::progress::{say, step};

/// Bytes of rows that are put into the file at once.
const PIECE: usize = 4 * 1024 * 1024;

#[derive(clap::Args)]
pub struct Options {
    /// File to make, such as crm.backup; must not exist yet
    file: PathBuf,
}

pub async fn run(database: &Database, options: &Options) -> Result<()> {
    let client = database::connect(&database.admin_url).await?;
    // Whatever its migrations: one makes a backup before an upgrade, and may have the newer program already.
    ensure!(tables::are_there(&client).await?, "there is no CRM in this database: `cargo xtask migrate up` makes one");
    let mut writer = Writer::create(&options.file)?;
    let contents = step("reading every table", dump(&client, &mut writer)).await?;
    let bytes = writer.finish()?;
    let rows: u64 = contents.tables.iter().map(|table| table.rows).sum();
    say(&format!("{}: {} tables, {rows} rows, {bytes} bytes\n", options.file.display(), contents.tables.len()));
    say("The keys of tokens and the sealing keys are not in it: keep copies of them, apart from it.\n");
    Ok(())
}

async fn dump(client: &Client, writer: &mut Writer) -> Result<Contents> {
    let names = tables::names(client).await?;
    client.batch_execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    // LOCK takes no snapshot, so that the locks are older than it: no migration can come between a table's name and its rows.
    tables::lock(client, &names, tables::Lock::AgainstChangesOfSchema).await?;
    let migrations = migrations_that_ran(client).await?;
    tables::read_everything(client).await?;
    writer.add("manifest.json", &serde_json::to_vec_pretty(&manifest(client, migrations).await?)?)?;
    let mut contents = Contents::default();
    for table in tables::list(client).await? {
        let rows = dump_table(client, writer, &table).await.with_context(|| format!("cannot read {}", table.name))?;
        contents.tables.push(Dumped { name: table.name, columns: table.columns, rows });
    }
    tables::read_as_oneself(client).await?;
    // Last: a sequence is of no snapshot, and must not be behind the rows.
    contents.sequences = tables::sequences(client).await?;
    writer.add("contents.json", &serde_json::to_vec_pretty(&contents)?)?;
    client.batch_execute("COMMIT").await?;
    Ok(contents)
}

/// Versions as the database keeps them, oldest first.
pub async fn migrations_that_ran(client: &Client) -> Result<Vec<String>> {
    let rows = client.query("SELECT version::text FROM public.__diesel_schema_migrations ORDER BY version", &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

async fn manifest(client: &Client, migrations: Vec<String>) -> Result<Manifest> {
    let row = client
        .query_one(
            "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), current_setting('server_version'),
                    (SELECT to_char(min(created_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD') FROM public.crm_activities)",
            &[],
        )
        .await?;
    Ok(Manifest {
        format: FORMAT,
        made_at: row.try_get(0)?,
        server_version: row.try_get(1)?,
        migrations,
        log_from: row.try_get(2)?,
    })
}

/// Gives the number of rows.
async fn dump_table(client: &Client, writer: &mut Writer, table: &Table) -> Result<u64> {
    let statement = format!("COPY (SELECT {} FROM {}) TO STDOUT", table.selected, table.name);
    let mut stream = std::pin::pin!(client.copy_out(&statement).await?);
    let (mut piece, mut number, mut rows) = (Vec::with_capacity(PIECE), 0, 0);
    // The server sends a row in a message of its own, so that a piece ends where a row does.
    while let Some(row) = stream.try_next().await? {
        piece.extend_from_slice(&row);
        rows += 1;
        if piece.len() >= PIECE {
            number += 1;
            writer.add(&contents::piece_name(&table.name, number), &piece)?;
            piece.clear();
        }
    }
    if !piece.is_empty() {
        writer.add(&contents::piece_name(&table.name, number + 1), &piece)?;
    }
    Ok(rows)
}
