//! `cargo xtask plans`: how lists go about a large organisation, field by field. docs/QUERY.md shows what came out.
//!
//! Must stay true: the large organisation is the same one each time and lies in a database of its own; every question is put as the
//! application puts it, under its role and walls; a declared filter or order that reads more than the bound for nothing fails the command.

mod conversion;
mod questions;
mod report;
mod statement;

use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use crm_kernel::{Context, Role};
use crm_tenancy::{ConnectOptions, Db, migrations};
use tokio_postgres::Client;

use crate::database::{self, Database};
use crate::environment::Environment;
use crate::progress::{say, seconds};
use crate::url;

/// The database of the large organisation.
const NAME: &str = "crm_plans";
const SLUG: &str = "big";
const GENERATOR: &str = include_str!("plans/big.sql");
/// Records that one INSERT brings.
const AT_ONCE: i64 = 20_000;

#[derive(clap::Args)]
pub struct Options {
    /// Companies of the large organisation
    #[arg(long, default_value_t = 200_000)]
    companies: i64,
    /// Its contacts
    #[arg(long, default_value_t = 1_000_000)]
    contacts: i64,
    /// Its deals
    #[arg(long, default_value_t = 300_000)]
    deals: i64,
    /// Fill while guards and the log sleep: the same records several times faster, with no activities
    #[arg(long)]
    without_log: bool,
    /// Instead of asking: convert a custom field of all contacts while others write, and tell what these waited
    #[arg(long)]
    conversion: bool,
}

pub async fn run(environment: &Environment, database: &Database, options: &Options) -> Result<()> {
    let admin_url = url::with_database(&database.admin_url, NAME)?;
    database::create_if_absent(&admin_url).await?;
    migrations::run(&admin_url).await.context("the schema cannot be brought up to date")?;
    database::set_passwords(environment, database).await?;
    let admin = database::connect(&admin_url).await?;
    if find(&admin).await?.is_none() {
        fill(&admin, options).await?;
    }
    let context = find(&admin).await?.context("the large organisation was not made")?;
    let pool = ConnectOptions { max_size: 8, ..ConnectOptions::default() };
    let db = Db::connect(&url::with_database(&database.app_url, NAME)?, pool)?;
    if options.conversion {
        return conversion::measure(&admin, &db, &context).await;
    }
    let measured = questions::all(&admin, &context).await?.into_iter();
    let mut rows = Vec::new();
    for question in measured {
        rows.push(statement::measure(&db, &context, question).await?);
    }
    report::print(&rows);
    let dear = rows.iter().filter(|row| row.breaks_its_promise()).count();
    if dear > 0 {
        bail!("{dear} questions read more than {} records for nothing, or take too long", report::MOST_WASTED)
    } else {
        Ok(())
    }
}

/// The owner of the large organisation, if it is there.
async fn find(admin: &Client) -> Result<Option<Context>> {
    let query = "SELECT organization.id::text, membership.user_id::text
                   FROM organizations AS organization
                   JOIN memberships AS membership ON membership.organization_id = organization.id AND membership.role = 'owner'
                  WHERE organization.slug = $1";
    let found = admin.query_opt(query, &[&SLUG]).await?;
    let context = |row: tokio_postgres::Row| -> Result<Context> {
        let (organization, owner): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Context::new(organization.parse()?, owner.parse()?, Role::Owner))
    };
    found.map(context).transpose()
}

/// Among others, because a planner that knows one organisation only knows less than it will have to.
async fn fill(admin: &Client, options: &Options) -> Result<()> {
    ensure!(options.companies >= 2_000, "a large organisation has 2,000 companies at least");
    admin.batch_execute(GENERATOR).await?;
    if options.without_log {
        admin.batch_execute("SET session_replication_role = replica").await?;
    }
    let sizes = [
        ("small", 2_000, 5_000, 3_000),
        ("middle", 4_000, 10_000, 6_000),
        (SLUG, options.companies, options.contacts, options.deals),
    ];
    for (slug, companies, contacts, deals) in sizes {
        let begun = Instant::now();
        // Numbers of our own; the procedure commits on its way, which a statement with parameters may not.
        let call = format!("CALL pg_temp.fill('{slug}', {companies}, {contacts}, {deals}, {AT_ONCE})");
        admin.batch_execute(&call).await?;
        say(&format!("  {slug}: {companies} companies, {contacts} contacts, {deals} deals in {}\n", seconds(begun.elapsed())));
    }
    admin.batch_execute("SET session_replication_role = origin").await?;
    admin.batch_execute("VACUUM (ANALYZE)").await?;
    Ok(())
}
