//! The migrations there, back, and there again, on a database of their own.
//!
//! Every object of the schema is compared, not only that nothing failed: a down script that forgets a function passes
//! otherwise until the day it matters.

use anyhow::{Context, Result, bail};

use crate::test::catalog;
use crate::{database, migrate, url};

const SHOWN: usize = 12;

pub async fn there_and_back(admin_url: &str) -> Result<()> {
    let name = format!("migrations_there_and_back_{}", std::process::id());
    let admin = database::connect(admin_url).await?;
    admin
        .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
        .await
        .context("cannot create the scratch database")?;
    let result = compare(&url::with_database(admin_url, &name)?).await;
    admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
    result
}

async fn compare(scratch: &str) -> Result<()> {
    let before = catalog::read(scratch).await?;
    migrate::apply(scratch).await.context("up failed")?;
    let first = catalog::read(scratch).await?;
    migrate::revert_all(scratch).await.context("down failed")?;
    let after = catalog::read(scratch).await?;
    migrate::apply(scratch).await.context("up failed after a down")?;
    let second = catalog::read(scratch).await?;
    if first.len() == before.len() {
        bail!("the migrations make nothing");
    }
    expect_same("a down left the database other than it was", &before, &after)?;
    expect_same("the second up made another schema than the first", &first, &second)
}

fn expect_same(what: &str, before: &[String], after: &[String]) -> Result<()> {
    let lost = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let gained = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    let differences: Vec<String> = lost.chain(gained).collect();
    if differences.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = differences.iter().take(SHOWN).map(String::as_str).collect();
    bail!("{what}, in {} objects:\n{}", differences.len(), shown.join("\n"))
}
