//! `cargo xtask migrate`: the schema, up, down and its state. The scripts themselves are embedded in crm-tenancy.

use anyhow::{Result, anyhow, bail};
use crm_tenancy::migrations;

use crate::database::Database;
use crate::progress::{say, step};

#[derive(Clone, Copy, clap::Subcommand)]
pub enum Direction {
    /// Run what has not run yet
    Up,
    /// Take the last migration back, with the data it holds
    Down {
        /// Take back all of them
        #[arg(long)]
        all: bool,
    },
    /// List the migrations and which have run
    Status,
}

pub async fn run(database: &Database, direction: Direction) -> Result<()> {
    let url = &database.admin_url;
    match direction {
        Direction::Up => list("ran", &step("migrating", apply(url)).await?),
        Direction::Down { all: true } => list("took back", &step("taking all migrations back", revert_all(url)).await?),
        Direction::Down { all: false } => {
            let name =
                step("taking the last migration back", async { migrations::revert_last(url).await.map_err(shown_once) }).await?;
            list("took back", &[name]);
        }
        Direction::Status => {
            for each in migrations::status(url).await.map_err(shown_once)? {
                let mark = if each.applied { "has run" } else { "pending" };
                say(&format!("{mark}  {}\n", each.name));
            }
        }
    }
    Ok(())
}

/// Runs what has not run yet; gives the names.
pub async fn apply(admin_url: &str) -> Result<Vec<String>> {
    migrations::run(admin_url).await.map_err(shown_once)
}

/// For what fills a database: says what to do instead of failing at the first table that is not there.
pub async fn must_be_done(admin_url: &str) -> Result<()> {
    let pending = migrations::status(admin_url).await.map_err(shown_once)?.iter().filter(|each| !each.applied).count();
    if pending > 0 {
        bail!("{pending} migrations have not run in this database: `cargo xtask migrate up` first");
    }
    Ok(())
}

/// Takes everything back; gives the names.
pub async fn revert_all(admin_url: &str) -> Result<Vec<String>> {
    migrations::revert_all(admin_url).await.map_err(shown_once)
}

/// That error tells its source in its own text; with its chain everything would be said twice.
fn shown_once(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}

fn list(what: &str, names: &[String]) {
    if names.is_empty() {
        say("nothing to do\n");
    }
    for name in names {
        say(&format!("{what} {name}\n"));
    }
}
