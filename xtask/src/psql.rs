//! `cargo xtask psql`: a shell on the database.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::database::Database;
use crate::environment::Environment;
use crate::postgres::{installation, portable};

#[derive(clap::Args)]
pub struct Options {
    /// Role to connect as; `app` sees only what row-level security lets through
    #[arg(long = "as", value_enum, default_value_t = Role::Admin)]
    role: Role,
    /// Handed to psql, such as -c 'SELECT 1'
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Role {
    Admin,
    App,
}

pub async fn run(environment: &Environment, database: &Database, options: &Options) -> Result<()> {
    let program = find(environment).await.context(
        "no psql: install PostgreSQL's client programs (Debian and Ubuntu: apt-get install postgresql-client; macOS: brew install libpq)",
    )?;
    let url = match options.role {
        Role::Admin => &database.admin_url,
        Role::App => &database.app_url,
    };
    // By environment: a password among the arguments could be read by everybody on this machine.
    let mut command = tokio::process::Command::new(&program);
    command.args(&options.arguments);
    for (name, value) in crate::url::for_libpq(url)? {
        command.env(name, value);
    }
    let status = command.status().await.with_context(|| format!("cannot run {}", program.display()))?;
    if !status.success() {
        bail!("psql ended with {status}");
    }
    Ok(())
}

/// On the path, beside an installed server, or in the portable one if that came with it.
pub async fn find(environment: &Environment) -> Option<PathBuf> {
    let mut candidates: Vec<PathBuf> = installation::on_path("psql").into_iter().collect();
    candidates.extend(installation::likely_folders().await.into_iter().map(|folder| folder.join("psql")));
    candidates.extend(portable::cached(environment).await.map(|found| found.program("psql")));
    candidates.into_iter().find(|file| file.is_file())
}
