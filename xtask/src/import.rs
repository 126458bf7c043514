//! `cargo xtask import`: companies, contacts or deals from a CSV file.
//!
//! Columns are called as the API calls its fields; see [`columns`]. Every row is checked by the rules of the API, and every bad
//! field of every bad row is named with its line. Must stay true: the rows come in all together or not at all.

mod cells;
mod columns;
pub mod door;
mod nouns;
mod phones;
mod references;
mod rows;
mod stages;
mod table;
mod unique;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::database::{self, Database};
use crate::environment::Environment;
use crate::import::columns::Columns;
use crate::import::door::Door;
use crate::import::nouns::Noun;
use crate::import::references::References;
use crate::import::rows::Row;
use crate::import::stages::Stages;
use crate::import::table::Table;
use crate::migrate;
use crate::progress::say;
use crate::seed;

#[derive(clap::Args)]
pub struct Options {
    /// What the file holds
    #[arg(value_enum)]
    pub noun: Noun,
    /// The file, UTF-8, with a line of column names
    pub file: PathBuf,
    /// Name in addresses of the organisation it goes into
    #[arg(long, value_name = "SLUG", default_value = seed::SLUG)]
    pub organization: String,
    /// Import the good rows even if there are bad ones
    #[arg(long)]
    pub skip_bad: bool,
}

pub async fn run(_environment: &Environment, database: &Database, options: &Options) -> Result<()> {
    let begun = Instant::now();
    let noun = options.noun.definition();
    let table = Table::read(&options.file)?;
    let columns = Columns::of(&table.header, &noun)?;
    migrate::must_be_done(&database.admin_url).await?;
    let admin = database::connect(&database.admin_url).await?;
    let references = References::load(&admin, &options.organization, &columns).await?;
    let mut rows = rows::build(&table, &columns, &noun, &references);
    if options.noun == Noun::Deals {
        Stages::load(&admin, &references.organization_id).await?.settle(&mut rows);
    }
    if options.noun == Noun::Contacts {
        phones::settle(&admin, &references.organization_id, &mut rows).await?;
    }
    unique::settle(&admin, &references, &noun, &mut rows).await?;
    let good = sort_out(rows, options.skip_bad)?;
    let door = Door::open(database, &references.organization_id, &references.owner_id).await?;
    let imported = door.bring_in(noun.importable, &good).await.context("nothing was imported, for the database refused a row")?;
    let elapsed = begun.elapsed();
    let rate = u128::try_from(imported)? * 1000 / elapsed.as_millis().max(1);
    let skipped = table.rows.len().saturating_sub(imported);
    say(&format!("imported {imported} {} into {}, skipped {skipped}, ", noun.plural, options.organization));
    say(&format!("in {:.1} s ({rate} rows/s)\n", elapsed.as_secs_f64()));
    Ok(())
}

/// The good rows, once every bad one is named.
fn sort_out(rows: Vec<Row>, skip_bad: bool) -> Result<Vec<Value>> {
    let total = rows.len();
    let (good, bad): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.problems.is_empty());
    for row in &bad {
        say(&row.complaint());
    }
    if !bad.is_empty() && !skip_bad {
        bail!("{} of {total} rows are bad, so nothing was imported: mend them, or leave them out with --skip-bad", bad.len());
    }
    if good.is_empty() {
        bail!("there is no row to import");
    }
    Ok(good.into_iter().map(|row| Value::Object(row.values)).collect())
}
