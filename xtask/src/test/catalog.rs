//! Everything that migrations can make, as lines of text that can be compared.

use anyhow::{Context, Result};

use crate::database;

/// One line per object. Roles are left out, because they belong to the whole server; so is the table of the migrations
/// themselves, which a down leaves in place.
pub async fn read(url: &str) -> Result<Vec<String>> {
    let client = database::connect(url).await?;
    let rows = client.query(include_str!("catalog.sql"), &[]).await.context("cannot read the catalog")?;
    let mut lines = rows.iter().map(|row| row.try_get::<_, String>(0)).collect::<Result<Vec<_>, _>>()?;
    lines.sort();
    Ok(lines)
}
