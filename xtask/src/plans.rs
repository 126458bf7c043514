//! `cargo xtask plans`: how lists go about a large organisation, field by field. docs/QUERY.md shows what came out.
//!
//! Must stay true: the large organisation is the same one each time and lies in a database of its own; every question is put as the
//! application puts it, under its role and walls; a declared filter or order that reads more than the bound for nothing fails the command.

mod conversion;
mod questions;
mod report;
mod statement;

use anyhow::{Result, bail};
use crm_tenancy::{ConnectOptions, Db};

use crate::database::Database;
use crate::environment::Environment;
use crate::progress::say;
use crate::scale::{self, Sizes};
use crate::sections;

#[derive(clap::Args)]
pub struct Options {
    /// Companies of the large organisation
    #[arg(long, default_value_t = scale::LARGE_SIZES.companies)]
    companies: i64,
    /// Its contacts
    #[arg(long, default_value_t = scale::LARGE_SIZES.contacts)]
    contacts: i64,
    /// Its deals
    #[arg(long, default_value_t = scale::LARGE_SIZES.deals)]
    deals: i64,
    /// Instead of asking: convert a custom field of all contacts while others write, and tell what these waited
    #[arg(long)]
    conversion: bool,
    /// Put the table into docs/QUERY.md
    #[arg(long, conflicts_with = "conversion")]
    write: bool,
}

pub async fn run(environment: &Environment, database: &Database, options: &Options) -> Result<()> {
    let large = Sizes { companies: options.companies, contacts: options.contacts, deals: options.deals };
    let (admin, app_url, context) = scale::measured(environment, database, &large).await?;
    let db = Db::connect(&app_url, ConnectOptions { max_size: 8, ..ConnectOptions::default() })?;
    if options.conversion {
        return conversion::measure(&admin, &db, &context).await;
    }
    let measured = questions::all(&admin, &context).await?.into_iter();
    let mut rows = Vec::new();
    for question in measured {
        rows.push(statement::measure(&db, &context, question).await?);
    }
    let table = report::table(&rows);
    say(&format!("\n{table}"));
    if options.write {
        sections::write(&sections::QUERY, "plans", &table)?;
    }
    let dear = rows.iter().filter(|row| row.breaks_its_promise()).count();
    if dear > 0 {
        bail!("{dear} questions read more than {} records for nothing, or take too long", report::MOST_WASTED)
    } else {
        Ok(())
    }
}
